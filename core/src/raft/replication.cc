// The leader's log and everyone's copy of it: appends (thesis 3.5), commitment (3.6), heartbeats,
// check-quorum.
#include "base/assert.h"
#include "raft/raft.h"

namespace quorate::raft {

// ---- The leader's clock
// --------------------------------------------------------------------------------------------

void RaftCore::tick_leader(Leader& leader) {
  if (leader.transfer_to && ++leader.transfer_ticks >= options_.election_ticks)
    leader.transfer_to = MemberId(0);
  if (++leader.quorum_elapsed >= options_.election_ticks) {
    leader.quorum_elapsed = 0;
    if (options_.check_quorum && !check_quorum(leader)) {
      ++counters_.lost_quorum;
      become_follower(term_, MemberId(0));
      return;
    }
  }
  if (++leader.heartbeat_elapsed >= options_.heartbeat_ticks) broadcast_heartbeat(leader);
}

// A leader that no majority answers must not go on as if it led (thesis 6.2).
bool RaftCore::check_quorum(Leader& leader) {
  auto active = [&](MemberId id) {
    auto at = leader.members.find(id);
    return std::optional<bool>(id == options_.id || (at != leader.members.end() && at->second.recent_active));
  };
  const bool alive = joint_vote(config_.voters, config_.voters_outgoing, active) == VoteResult::kWon;
  for (auto& [id, progress] : leader.members) progress.recent_active = false;
  return alive;
}

void RaftCore::broadcast_heartbeat(Leader& leader) {
  leader.heartbeat_elapsed = 0;
  for (auto& [id, progress] : leader.members) {
    send(id, Heartbeat{term_, std::min(commit_, progress.match), leader.read_sequence});
    // An offer may have been lost; the receiver knows one that it has.
    if (progress.snapshot) send(id, InstallSnapshot{term_, *progress.snapshot});
  }
}

// ---- Sending
// -------------------------------------------------------------------------------------------------------

void RaftCore::append_own(EntryType type, plugin::Buffer data) {
  auto& leader = std::get<Leader>(role_);
  Entry entry{term_, log_.last().index + 1, type, std::move(data)};
  leader.uncommitted_bytes += entry.bytes();
  log_.append(std::move(entry));
}

void RaftCore::fill_appends(Leader& leader) {
  for (auto& [id, progress] : leader.members) fill_appends(leader, id, progress);
}

void RaftCore::fill_appends(Leader& leader, MemberId to, Progress& p) {
  if (p.state == ProgressState::kProbe && !p.probe_sent) send_append(leader, to, p, false);
  if (p.state != ProgressState::kReplicate) return;
  bool sent = false;
  while (p.next <= log_.last().index && p.inflights.bytes() < options_.max_inflight_bytes) {
    if (!send_append(leader, to, p, false)) return;
    sent = true;
  }
  // An empty append tells a new commit index, or finds out that an earlier append was lost.
  if (!sent && (p.nudge || p.sent_commit < commit_)) send_append(leader, to, p, true);
  p.nudge = false;
}

bool RaftCore::send_append(Leader& leader, MemberId to, Progress& p, bool empty) {
  const Index prev = p.next - 1;
  std::optional<Term> prev_term = log_.term_at(prev);
  if (!prev_term) {
    p.become_snapshot();
    pending_.need_snapshot.push_back(to);
    return false;
  }
  AppendEntries m{term_, prev, *prev_term, commit_, {}};
  if (!empty && p.next <= log_.last().index)
    m.entries = log_.slice(p.next, log_.last().index, options_.max_append_bytes);
  if (p.state == ProgressState::kProbe) {
    p.probe_sent = true;
  } else if (!m.entries.empty()) {
    uint64_t bytes = 0;
    for (const Entry& entry : m.entries) bytes += entry.bytes();
    p.next = m.entries.back().index + 1;
    p.inflights.add(m.entries.back().index, bytes);
  }
  p.sent_commit = commit_;
  send(to, std::move(m));
  return true;
}

void RaftCore::report_unreachable(MemberId member) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  auto at = leader->members.find(member);
  if (at != leader->members.end() && at->second.state == ProgressState::kReplicate) {
    at->second.become_probe();
    at->second.probe_sent = true;  // the next heartbeat's answer shows that it is back
  }
}

// ---- Following
// -----------------------------------------------------------------------------------------------------

// Whether `from` is the leader of `term`, as far as one can know. Its word ends candidacies and earlier
// terms.
bool RaftCore::accept_leader(MemberId from, Term term) {
  if (term == term_) {
    auto* follower = std::get_if<Follower>(&role_);
    if (is_leader() || (follower != nullptr && follower->leader && follower->leader != from)) {
      ++counters_.second_leader;
      return false;
    }
  }
  become_follower(term, from);
  leader_alive(from);
  return true;
}

const char* RaftCore::malformed(const AppendEntries& m) const {
  constexpr uint64_t kMaxIndex = uint64_t{1} << 62;
  if (m.prev_index.value > kMaxIndex) return "prev_index";
  if (m.prev_term > m.term) return "prev_term";
  Index index = m.prev_index;
  Term term = m.prev_term;
  for (const Entry& entry : m.entries) {
    if (entry.index != index + 1) return "index";
    if (entry.term < term || entry.term > m.term) return "term";
    if (entry.type > EntryType::kNoOp) return "type";
    index = entry.index;
    term = entry.term;
  }
  return nullptr;
}

void RaftCore::receive(MemberId from, AppendEntries& m) {
  if (m.term < term_) {
    // The answer's term tells a leader of the past that it is one.
    ++counters_.stale_term;
    send(from, AppendResponse{term_, true, m.prev_index, {}, {}});
    return;
  }
  if (malformed(m) != nullptr) {
    ++counters_.malformed;
    return;
  }
  if (!accept_leader(from, m.term)) return;
  std::optional<Term> prev_term = log_.term_at(m.prev_index);
  const bool below_base = m.prev_index < log_.base().index;  // committed long ago: nothing to compare
  if (!below_base && prev_term != m.prev_term) {
    if (m.prev_index <= commit_) {
      ++counters_.conflict_committed;
      return;
    }
    const RaftLog::Position hint = log_.last_not_above(m.prev_index, m.prev_term);
    send(from, AppendResponse{term_, true, m.prev_index, hint.index, hint.term});
    return;
  }
  const Index matched = m.prev_index + m.entries.size();
  const Index commit = m.commit;
  if (!store_entries(m)) {
    ++counters_.conflict_committed;
    return;
  }
  commit_to(std::min(commit, matched));
  // What is committed here is the leader's too: no need to walk up to it.
  send_durable(from, AppendResponse{term_, false, below_base ? std::max(matched, commit_) : matched, {}, {}});
}

// Appends what is new and replaces what conflicts. False: a committed entry would be; nothing was changed.
bool RaftCore::store_entries(AppendEntries& m) {
  for (Entry& entry : m.entries) {
    if (entry.index < log_.base().index) continue;
    std::optional<Term> have = log_.term_at(entry.index);
    if (have == entry.term) continue;
    if (entry.index <= commit_) return false;
    if (have) truncate_log(entry.index);
    log_.append(std::move(entry));
  }
  return true;
}

void RaftCore::truncate_log(Index from) {
  QUORATE_ASSERT(from > commit_, "committed entries stay");
  log_.truncate(from);
  durable_ = std::min(durable_, from - 1);
  handed_ = std::min(handed_, from - 1);
  // A task in flight still writes what was just taken back, and a later one the replacement: its completion
  // proves nothing from here on, even if the very same entry comes again (A, B, A).
  for (InFlight& task : in_flight_) task.durable_to = std::min(task.durable_to, from - 1);
  if (!pending_.truncated_from || *pending_.truncated_from > from) pending_.truncated_from = from;
}

void RaftCore::receive(MemberId from, Heartbeat& m) {
  if (m.term < term_) {
    ++counters_.stale_term;
    send(from, HeartbeatResponse{term_, 0});
    return;
  }
  if (!accept_leader(from, m.term)) return;
  if (m.commit > log_.last().index)
    ++counters_.beyond_log;
  else
    commit_to(m.commit);
  // Needs no fsync: a vote in any newer term needs one, and that is what a read must not miss.
  send(from, HeartbeatResponse{term_, m.read_sequence});
}

// ---- Answers
// -------------------------------------------------------------------------------------------------------

Progress* RaftCore::answering_member(MemberId from, Term term) {
  if (!config_.is_member(from)) {
    ++counters_.unknown_sender;
    return nullptr;
  }
  if (term > term_) {
    become_follower(term, MemberId(0));
    return nullptr;
  }
  auto* leader = std::get_if<Leader>(&role_);
  if (term < term_ || leader == nullptr) {
    ++(term < term_ ? counters_.stale_term : counters_.wrong_role);
    return nullptr;
  }
  auto at = leader->members.find(from);
  return at == leader->members.end() ? nullptr : &at->second;
}

void RaftCore::receive(MemberId from, AppendResponse& m) {
  Progress* p = answering_member(from, m.term);
  if (p == nullptr) return;
  p->recent_active = true;
  if (m.index > log_.last().index) {
    ++counters_.beyond_log;
    return;
  }
  if (m.rejected)
    on_rejected(*p, m);
  else
    on_accepted(from, *p, m.index);
}

void RaftCore::on_rejected(Progress& p, const AppendResponse& m) {
  if (p.state == ProgressState::kSnapshot || m.index <= p.match) return;  // an old answer
  if (p.state == ProgressState::kReplicate) {
    p.become_probe();
    return;
  }
  if (p.next - 1 != m.index) return;  // an old answer
  const Index agree = log_.last_not_above(m.hint_index, m.hint_term).index;
  p.next = std::max(p.match + 1, std::min(m.index, agree + 1));
  p.probe_sent = false;
}

void RaftCore::on_accepted(MemberId from, Progress& p, Index index) {
  if (index > p.match) p.match = index;
  p.inflights.free_to(p.match);
  p.next = std::max(p.next, p.match + 1);
  const bool found = p.state == ProgressState::kProbe && index + 1 >= p.next;
  if (found || (p.state == ProgressState::kSnapshot && p.match >= log_.base().index)) p.become_replicate();
  maybe_commit();
  if (auto* leader = std::get_if<Leader>(&role_)) finish_transfer(*leader);
}

void RaftCore::receive(MemberId from, HeartbeatResponse& m) {
  Progress* p = answering_member(from, m.term);
  if (p == nullptr) return;
  auto& leader = std::get<Leader>(role_);
  if (m.read_sequence > leader.read_sequence) {
    ++counters_.beyond_log;
    return;
  }
  p->recent_active = true;
  p->probe_sent = false;
  p->nudge = p->match < log_.last().index;
  if (m.read_sequence > p->acked_read) {
    p->acked_read = m.read_sequence;
    resolve_reads(leader);
  }
}

// ---- Commitment
// ----------------------------------------------------------------------------------------------------

void RaftCore::maybe_commit() {
  while (auto* leader = std::get_if<Leader>(&role_)) {
    auto held_by = [&](MemberId id) -> std::optional<uint64_t> {
      if (id == options_.id) return durable_.value;
      auto at = leader->members.find(id);
      if (at == leader->members.end()) return std::nullopt;
      return at->second.match.value;
    };
    const uint64_t reached = joint_reached(config_.voters, config_.voters_outgoing, held_by);
    Index to = std::min(Index(reached), log_.last().index);
    // Never by counting copies of an earlier term's entries (thesis 3.6.2, figure 3.7).
    if (to <= commit_ || log_.term_at(to) != term_) return;
    // What follows a membership change is decided by the configuration that it makes.
    if (leader->pending_change > commit_)
      for (Index i = commit_ + 1; i < to; ++i)
        if (log_.at(i).type == EntryType::kConfChange) to = i;
    commit_to(to);
  }
}

void RaftCore::commit_to(Index index) {
  while (commit_ < index) {
    ++commit_;
    const Entry& entry = log_.at(commit_);
    if (auto* leader = std::get_if<Leader>(&role_)) leader->uncommitted_bytes -= entry.bytes();
    if (entry.type == EntryType::kConfChange) apply_change_entry(entry);
  }
  maybe_leave_joint();
}

// ---- Leadership transfer
// -------------------------------------------------------------------------------------------

bool RaftCore::transfer_leadership(MemberId target) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || target == options_.id || !config_.voters.contains(target)) return false;
  dirty_ = true;
  if (leader->transfer_to == target) return true;
  leader->transfer_to = target;
  leader->transfer_ticks = 0;
  finish_transfer(*leader);
  return true;
}

void RaftCore::finish_transfer(Leader& leader) {
  if (!leader.transfer_to) return;
  auto at = leader.members.find(leader.transfer_to);
  if (at != leader.members.end() && at->second.match == log_.last().index)
    send(leader.transfer_to, TimeoutNow{term_});
}

}  // namespace quorate::raft
