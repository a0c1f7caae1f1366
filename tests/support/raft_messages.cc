#include "support/raft_messages.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "raft/config.h"

namespace quorate::test {

using namespace raft;

uint64_t seed() {
  const char* given = std::getenv("QUORATE_SEED");
  const uint64_t s = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  std::printf("QUORATE_SEED=%llu\n", static_cast<unsigned long long>(s));
  return s;
}

uint64_t RandomMessages::number() {
  switch (random_() % 8) {
    case 0:
      return 0;
    case 1:
      return random_();
    case 2:
      return UINT64_MAX - random_() % 3;
    default:
      return random_() % 12;
  }
}

std::vector<Entry> RandomMessages::entries(Index after, bool honest) {
  std::vector<Entry> out;
  for (uint64_t i = pick(4); i > 0; --i) {
    Index index(after.value + out.size() + 1);
    if (!honest && pick(6) == 0) index = Index(number());
    ConfChange change;
    change.items.push_back({static_cast<ChangeItem::Kind>(pick(4)), MemberId(pick(6))});
    const std::string text(pick(40), 'x');
    plugin::Buffer data =
        flip() ? plugin::Buffer::copy_of({text.data(), text.size()}) : encode_conf_change(change);
    const auto type = static_cast<EntryType>(pick(honest ? kEntryTypes : 4));
    out.push_back({Term(number()), index, type, std::move(data)});
  }
  return out;
}

SnapshotMeta RandomMessages::snapshot(bool honest) {
  for (;;) {
    SnapshotMeta s{Index(number()), Term(number()), {}};
    for (uint64_t i = pick(4); i > 0; --i) s.config.voters.insert(MemberId(pick(6)));
    if (pick(4) == 0) s.config.learners.insert(MemberId(pick(6)));
    if (pick(4) == 0) s.config.learners_next.insert(MemberId(pick(6)));
    if (pick(4) == 0) s.config.voters_outgoing.insert(MemberId(pick(6)));
    if (!honest || check(s.config) == nullptr) return s;
  }
}

Message RandomMessages::make(bool honest) {
  const Term term{number()};
  Index index{number()};
  if (honest) index = std::min(index, Index(UINT64_MAX - 8));
  switch (pick(14)) {
    case 0:
      return PreVoteRequest{term, index, Term(number()), Index(number()), Term(number())};
    case 1:
      return PreVoteResponse{term, Term(number()), flip(), index, Term(number())};
    case 2:
      return VoteRequest{term, index, Term(number()), flip(), Index(number()), Term(number())};
    case 3:
      return VoteResponse{term, flip(), index, Term(number())};
    case 4:
    case 5:
      return AppendEntries{term, index, Term(number()), Index(number()), entries(index, honest)};
    case 6:
      return AppendResponse{term, flip(), index, Index(number()), Term(number())};
    case 7:
      return Heartbeat{term, index, number()};
    case 8:
      return HeartbeatResponse{term, number()};
    case 9:
      return ReadIndexRequest{term, number()};
    case 10:
      return ReadIndexResponse{term, number(), index};
    case 11:
      return TimeoutNow{term};
    case 12:
      return InstallSnapshot{term, snapshot(honest)};
    default:
      return SnapshotStatus{term, index, static_cast<SnapshotOutcome>(pick(3))};
  }
}

namespace {

bool same(const Entry& a, const Entry& b) {
  return a.term == b.term && a.index == b.index && a.type == b.type && a.data.size() == b.data.size() &&
         std::equal(a.data.data(), a.data.data() + a.data.size(), b.data.data());
}

// Field by field, by hand: a mistake in how frames describe a message must not hide in here.
struct Same {
  bool operator()(const PreVoteRequest& a, const PreVoteRequest& b) const {
    return a.term == b.term && a.last_index == b.last_index && a.last_term == b.last_term &&
           a.commit == b.commit && a.commit_term == b.commit_term;
  }
  bool operator()(const PreVoteResponse& a, const PreVoteResponse& b) const {
    return a.term == b.term && a.campaign_term == b.campaign_term && a.granted == b.granted &&
           a.commit == b.commit && a.commit_term == b.commit_term;
  }
  bool operator()(const VoteRequest& a, const VoteRequest& b) const {
    return a.term == b.term && a.last_index == b.last_index && a.last_term == b.last_term &&
           a.transfer == b.transfer && a.commit == b.commit && a.commit_term == b.commit_term;
  }
  bool operator()(const VoteResponse& a, const VoteResponse& b) const {
    return a.term == b.term && a.granted == b.granted && a.commit == b.commit &&
           a.commit_term == b.commit_term;
  }
  bool operator()(const AppendEntries& a, const AppendEntries& b) const {
    return a.term == b.term && a.prev_index == b.prev_index && a.prev_term == b.prev_term &&
           a.commit == b.commit &&
           std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(), same);
  }
  bool operator()(const AppendResponse& a, const AppendResponse& b) const {
    return a.term == b.term && a.rejected == b.rejected && a.index == b.index &&
           a.hint_index == b.hint_index && a.hint_term == b.hint_term;
  }
  bool operator()(const Heartbeat& a, const Heartbeat& b) const {
    return a.term == b.term && a.commit == b.commit && a.read_sequence == b.read_sequence;
  }
  bool operator()(const HeartbeatResponse& a, const HeartbeatResponse& b) const {
    return a.term == b.term && a.read_sequence == b.read_sequence;
  }
  bool operator()(const ReadIndexRequest& a, const ReadIndexRequest& b) const {
    return a.term == b.term && a.id == b.id;
  }
  bool operator()(const ReadIndexResponse& a, const ReadIndexResponse& b) const {
    return a.term == b.term && a.id == b.id && a.index == b.index;
  }
  bool operator()(const TimeoutNow& a, const TimeoutNow& b) const { return a.term == b.term; }
  bool operator()(const InstallSnapshot& a, const InstallSnapshot& b) const {
    return a.term == b.term && a.snapshot.index == b.snapshot.index && a.snapshot.term == b.snapshot.term &&
           a.snapshot.config == b.snapshot.config;
  }
  bool operator()(const SnapshotStatus& a, const SnapshotStatus& b) const {
    return a.term == b.term && a.index == b.index && a.outcome == b.outcome;
  }
  template <typename A, typename B>
  bool operator()(const A&, const B&) const {
    return false;
  }
};

}  // namespace

bool equal(const Message& a, const Message& b) { return std::visit(Same(), a, b); }

}  // namespace quorate::test
