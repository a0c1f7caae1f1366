// Snapshots as the core sees them: which member needs one, what is on offer, and the log restarting behind
// it. The bytes travel elsewhere.
#include "base/assert.h"
#include "raft/raft.h"

namespace quorate::raft {

// ---- At the leader
// -------------------------------------------------------------------------------------------------

void RaftCore::offer_snapshot(MemberId member, const SnapshotMeta& snapshot) {
  QUORATE_ASSERT(snapshot.index <= applied_ && snapshot.term <= term_, "a snapshot is of what was applied");
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  auto at = leader->members.find(member);
  if (at == leader->members.end() || at->second.state != ProgressState::kSnapshot) return;
  dirty_ = true;
  at->second.snapshot = snapshot;
  send(member, InstallSnapshot{term_, snapshot});
}

void RaftCore::report_snapshot(MemberId member, bool ok) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  auto at = leader->members.find(member);
  if (at == leader->members.end() || at->second.state != ProgressState::kSnapshot) return;
  dirty_ = true;
  if (!ok) at->second.snapshot.reset();
  at->second.become_probe();
  at->second.probe_sent = true;  // not at once: after the next heartbeat's answer
}

void RaftCore::receive(MemberId from, SnapshotStatus& m) {
  Progress* p = answering_member(from, m.term);
  if (p == nullptr) return;
  p->recent_active = true;
  if (m.outcome == SnapshotOutcome::kFailed) {
    report_snapshot(from, false);
    return;
  }
  if (m.index > log_.last().index) {
    ++counters_.beyond_log;
    return;
  }
  if (p->state == ProgressState::kSnapshot) p->become_probe();
  on_accepted(from, *p, m.index);
}

// ---- At a follower
// -------------------------------------------------------------------------------------------------

void RaftCore::receive(MemberId from, InstallSnapshot& m) {
  if (m.term < term_) {
    ++counters_.stale_term;
    send(from, AppendResponse{term_, true, m.snapshot.index, {}, {}});
    return;
  }
  const bool fits = m.snapshot.term <= m.term && m.snapshot.index.value < (uint64_t{1} << 62) &&
                    check(m.snapshot.config) == nullptr && !m.snapshot.config.voters.empty();
  if (!fits) {
    ++counters_.malformed;
    return;
  }
  if (!accept_leader(from, m.term)) return;
  if (m.snapshot.index <= commit_) {
    send_durable(from, SnapshotStatus{term_, commit_, SnapshotOutcome::kNotNeeded});
    return;
  }
  if (offered_ && offered_->from == from && offered_->snapshot.index == m.snapshot.index) return;
  offered_ = SnapshotOffer{from, std::move(m.snapshot)};
  pending_.snapshot_offers.push_back(*offered_);
}

void RaftCore::snapshot_failed(MemberId from, const SnapshotMeta& snapshot) {
  offered_.reset();
  dirty_ = true;
  if (leader() == from) send(from, SnapshotStatus{term_, snapshot.index, SnapshotOutcome::kFailed});
}

bool RaftCore::install_snapshot(const SnapshotMeta& snapshot) {
  QUORATE_ASSERT(snapshot.term <= term_, "a snapshot comes from a leader whose term is known");
  offered_.reset();
  if (snapshot.index <= commit_ || is_leader()) return false;
  dirty_ = true;
  if (log_.term_at(snapshot.index) == snapshot.term)
    log_.compact(snapshot.index);
  else
    restart_log(snapshot);
  durable_ = std::max(durable_, snapshot.index);
  handed_ = std::max(handed_, snapshot.index);
  commit_ = released_ = applied_ = snapshot.index;
  new_base_ = snapshot;
  adopt(snapshot.config);
  pending_.config_changes.push_back({snapshot.index, config_, nullptr});
  // Held until the task that carries the new base is durable.
  if (leader()) send_durable(leader(), SnapshotStatus{term_, snapshot.index, SnapshotOutcome::kInstalled});
  return true;
}

// Nothing of the log survives: tasks in flight wrote what is gone now.
void RaftCore::restart_log(const SnapshotMeta& snapshot) {
  pending_.truncated_from = std::min(pending_.truncated_from.value_or(commit_ + 1), commit_ + 1);
  log_.reset({snapshot.index, snapshot.term});
  durable_ = handed_ = snapshot.index;
  for (InFlight& task : in_flight_) task.durable_to = Index(0);
}

}  // namespace quorate::raft
