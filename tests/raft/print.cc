#include "raft/print.h"

namespace quorate::raft::testing {
namespace {

template <typename T>
std::string n(T value) {
  return std::to_string(value.value);
}
std::string at(Index index, Term term) { return n(index) + "/" + n(term); }

std::string list(const std::vector<Entry>& entries) {
  std::string out = "[";
  for (const Entry& e : entries) out += (out.size() > 1 ? ", " : "") + print(e);
  return out + "]";
}

std::string body(const PreVoteRequest& m) {
  return "term=" + n(m.term) + " last=" + at(m.last_index, m.last_term);
}
std::string body(const PreVoteResponse& m) {
  return "term=" + n(m.term) + " for=" + n(m.campaign_term) + (m.granted ? " granted" : " refused");
}
std::string body(const VoteRequest& m) {
  return "term=" + n(m.term) + " last=" + at(m.last_index, m.last_term) + (m.transfer ? " transfer" : "");
}
std::string body(const VoteResponse& m) {
  return "term=" + n(m.term) + (m.granted ? " granted" : " refused");
}
std::string body(const AppendEntries& m) {
  return "term=" + n(m.term) + " prev=" + at(m.prev_index, m.prev_term) + " commit=" + n(m.commit) + " " +
         list(m.entries);
}
std::string body(const AppendResponse& m) {
  return "term=" + n(m.term) + " index=" + n(m.index) +
         (m.rejected ? " rejected hint=" + at(m.hint_index, m.hint_term) : "");
}
std::string body(const Heartbeat& m) {
  return "term=" + n(m.term) + " commit=" + n(m.commit) + " read=" + std::to_string(m.read_sequence);
}
std::string body(const HeartbeatResponse& m) {
  return "term=" + n(m.term) + " read=" + std::to_string(m.read_sequence);
}
std::string body(const ReadIndexRequest& m) { return "term=" + n(m.term); }
std::string body(const ReadIndexResponse& m) { return "term=" + n(m.term) + " index=" + n(m.index); }
std::string body(const TimeoutNow& m) { return "term=" + n(m.term); }
std::string body(const InstallSnapshot& m) {
  return "term=" + n(m.term) + " at=" + at(m.snapshot.index, m.snapshot.term) + " " +
         to_string(m.snapshot.config);
}
std::string body(const SnapshotStatus& m) {
  constexpr const char* kOutcomes[] = {"installed", "not needed", "failed"};
  return "term=" + n(m.term) + " index=" + n(m.index) + " " + kOutcomes[static_cast<int>(m.outcome)];
}

}  // namespace

std::string print(const Entry& e) {
  std::string out = at(e.index, e.term);
  if (e.type == EntryType::kNormal) return out + " '" + text(e.data) + "'";
  return out + (e.type == EntryType::kNoOp ? " no-op" : " change");
}

std::string print(const Flying& f) {
  return n(f.from) + "->" + n(f.to) + " " + message_name(f.message) + " " +
         std::visit([](const auto& m) { return body(m); }, f.message) + "\n";
}

std::string print(const Ready& r, MemberId self) {
  std::string out;
  if (r.soft_state) {
    out += std::string("now ") + role_name(r.soft_state->role) + " term=" + n(r.soft_state->term) +
           " leader=" + n(r.soft_state->leader) + "\n";
  }
  if (r.truncated_from) out += "truncated from " + n(*r.truncated_from) + "\n";
  if (r.append) {
    out += "write";
    if (r.append->base) out += " base=" + at(r.append->base->index, r.append->base->term);
    if (r.append->hard_state)
      out += " term=" + n(r.append->hard_state->term) + " vote=" + n(r.append->hard_state->vote);
    out += " " + list(r.append->entries) + "\n";
  }
  for (const Envelope& e : r.messages) out += "send " + print(Flying{self, e.to, e.message});
  if (!r.committed.empty()) out += "apply " + list(r.committed) + "\n";
  for (const ConfigApplied& c : r.config_changes)
    out += "config at " + n(c.index) + ": " + (c.error != nullptr ? c.error : to_string(c.config)) + "\n";
  for (const ReadState& read : r.reads)
    out += "read " + std::to_string(read.context) + " at " + n(read.index) + "\n";
  for (uint64_t context : r.reads_failed) out += "read " + std::to_string(context) + " failed\n";
  for (MemberId id : r.need_snapshot) out += "need snapshot for " + n(id) + "\n";
  for (const SnapshotOffer& o : r.snapshot_offers)
    out += "offered " + at(o.snapshot.index, o.snapshot.term) + " by " + n(o.from) + "\n";
  return out.empty() ? "nothing\n" : out;
}

}  // namespace quorate::raft::testing
