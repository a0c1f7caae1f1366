#include "raft/invariants.h"

namespace quorate::raft {
namespace {

std::string where(const RaftCore& core, const char* what) {
  return "member " + std::to_string(core.id().value) + " in term " + std::to_string(core.term().value) +
         ": " + what;
}

std::string check_log(const RaftCore& core) {
  const RaftLog& log = core.log();
  Term term = log.base().term;
  for (Index i = log.base().index + 1; i <= log.last().index; ++i) {
    const Entry& entry = log.at(i);
    if (entry.index != i) return where(core, "the log has a hole");
    if (entry.term < term) return where(core, "terms fall in the log");
    term = entry.term;
  }
  return term > core.term() ? where(core, "the log is of a later term") : "";
}

std::string check_leader(const RaftCore& core, const Leader& leader) {
  if (!core.config().is_voter(core.id())) return where(core, "leads without being a voter");
  if (core.hard_state().vote != core.id()) return where(core, "leads without its own vote");
  MemberSet others = core.config().members();
  others.erase(core.id());
  if (others.size() != leader.members.size()) return where(core, "tracks others than the members");
  for (const auto& [id, p] : leader.members) {
    if (!others.contains(id)) return where(core, "tracks a stranger");
    if (p.match >= p.next) return where(core, "match is not below next");
    if (p.match > core.log().last().index) return where(core, "match is beyond the log");
  }
  return "";
}

}  // namespace

CoreSnapshot snapshot_of(const RaftCore& core) {
  return {core.hard_state(),    core.role(),           core.leader(),     core.commit_index(),
          core.applied_index(), core.released_index(), core.log().base(), core.log().last()};
}

std::string check_basic(const RaftCore& core) {
  const RaftLog& log = core.log();
  if (const char* error = check(core.config())) return where(core, error);
  if (core.applied_index() < log.base().index) return where(core, "forgot what is not applied");
  if (core.applied_index() > core.released_index()) return where(core, "applied more than was handed out");
  if (core.released_index() > core.commit_index()) return where(core, "handed out what is not committed");
  if (core.released_index() > core.durable_index()) return where(core, "handed out what is not durable");
  if (core.commit_index() > log.last().index) return where(core, "committed beyond the log");
  if (core.durable_index() > log.last().index) return where(core, "durable beyond the log");
  if (std::string error = check_log(core); !error.empty()) return error;
  return core.as_leader() == nullptr ? "" : check_leader(core, *core.as_leader());
}

std::string check_delta(const CoreSnapshot& before, const RaftCore& now) {
  const HardState hard = now.hard_state();
  if (hard.term < before.hard_state.term) return where(now, "the term fell");
  const bool same_term = hard.term == before.hard_state.term;
  if (same_term && before.hard_state.vote && hard.vote != before.hard_state.vote)
    return where(now, "voted twice in a term");
  if (same_term && before.leader && now.leader() && now.leader() != before.leader)
    return where(now, "changed its leader in a term");
  if (now.commit_index() < before.commit) return where(now, "the commit index fell");
  if (now.applied_index() < before.applied) return where(now, "the applied index fell");
  if (now.released_index() < before.released) return where(now, "handed out an entry twice");
  const bool led_throughout = same_term && before.role == RoleKind::kLeader && now.is_leader();
  if (led_throughout && now.log().last().index < before.last.index)
    return where(now, "a leader truncated its log");
  if (led_throughout && now.log().term_at(before.last.index).value_or(before.last.term) != before.last.term)
    return where(now, "a leader overwrote its log");
  return "";
}

std::string ClusterInvariants::note_committed(Index index, Term term) {
  auto [at, fresh] = committed_.emplace(index, term);
  if (fresh || at->second == term) return "";
  return "index " + std::to_string(index.value) + " is committed with terms " +
         std::to_string(at->second.value) + " and " + std::to_string(term.value);
}

std::string ClusterInvariants::applied(const Entry& entry) { return note_committed(entry.index, entry.term); }

std::string ClusterInvariants::observe(const RaftCore& core) {
  if (core.is_leader()) {
    auto [at, fresh] = leaders_.emplace(core.term(), core.id());
    if (at->second != core.id()) return where(core, "two leaders in one term");
    // Only when it starts to lead: later it adds, and check_delta sees that it never takes away.
    if (fresh)
      for (const auto& [index, term] : committed_)
        if (index >= core.log().base().index && core.log().term_at(index) != term)
          return where(core, "leads without a committed entry");
  }
  Index& seen = seen_[core.id()];
  if (core.commit_index() < seen) seen = Index(0);  // another life
  for (Index i = std::max(seen, core.log().base().index) + 1; i <= core.commit_index(); ++i)
    if (std::string error = note_committed(i, *core.log().term_at(i)); !error.empty()) return error;
  seen = core.commit_index();
  // The newest entries suffice: older ones were seen when they were new.
  const RaftLog& log = core.log();
  for (Index i = log.last().index; i > log.base().index && i.value + 64 > log.last().index.value; i = i - 1) {
    const Term previous = *log.term_at(i - 1);
    auto [at, fresh] = predecessor_.emplace(std::pair(i, log.at(i).term), previous);
    if (at->second != previous) return where(core, "logs that agree at an entry differ before it");
  }
  return "";
}

}  // namespace quorate::raft
