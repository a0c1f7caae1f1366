// ReadIndex (thesis 6.4): a read is linearizable when the state machine has applied what was committed when
// the read came, and the leader has since been confirmed by a majority. One heartbeat round confirms any
// number of reads.
#include "raft/raft.h"

namespace quorate::raft {

bool RaftCore::read_index(uint64_t context) {
  if (auto* leader = std::get_if<Leader>(&role_)) {
    if (leader->waiting_reads.size() + leader->reads.size() >= options_.max_reads) return false;
    leader->waiting_reads.push_back({MemberId(0), context, 0, Index(0)});
  } else {
    if (!this->leader() || local_reads_.size() >= options_.max_reads) return false;
    local_reads_.push_back(context);
  }
  dirty_ = true;
  return true;
}

// ---- At the leader
// -------------------------------------------------------------------------------------------------

void RaftCore::start_read_round(Leader& leader) {
  // Until an entry of its own term is committed a leader does not know what is (thesis 6.4, step 1).
  if (leader.waiting_reads.empty() || leader.first_own > commit_) return;
  ++leader.read_sequence;
  for (Leader::Read& read : leader.waiting_reads) {
    read.sequence = leader.read_sequence;
    read.index = commit_;
    leader.reads.push_back(read);
  }
  leader.waiting_reads.clear();
  resolve_reads(leader);  // a lone voter is its own majority
  if (!leader.reads.empty()) broadcast_heartbeat(leader);
}

void RaftCore::resolve_reads(Leader& leader) {
  auto answered = [&](MemberId id) -> std::optional<uint64_t> {
    if (id == options_.id) return leader.read_sequence;
    auto at = leader.members.find(id);
    if (at == leader.members.end()) return std::nullopt;
    return at->second.acked_read;
  };
  const uint64_t confirmed = joint_reached(config_.voters, config_.voters_outgoing, answered);
  while (!leader.reads.empty() && leader.reads.front().sequence <= confirmed) {
    answer_read(leader, leader.reads.front());
    leader.reads.pop_front();
  }
}

void RaftCore::answer_read(Leader& leader, const Leader::Read& read) {
  if (!read.origin) {
    pending_.reads.push_back({read.id, read.index});
    return;
  }
  auto at = leader.peer_reads.find(read.origin);
  if (at == leader.peer_reads.end()) return;  // no longer a member
  if (at->second > 0) --at->second;
  send(read.origin, ReadIndexResponse{term_, read.id, read.index});
}

void RaftCore::fail_leader_reads(Leader& leader) {
  for (const auto* queue : {&leader.waiting_reads, &leader.reads})
    for (const Leader::Read& read : *queue)
      if (!read.origin) pending_.reads_failed.push_back(read.id);
}

void RaftCore::receive(MemberId from, ReadIndexRequest& m) {
  if (answering_member(from, m.term) == nullptr) return;
  auto& leader = std::get<Leader>(role_);
  uint32_t& waiting = leader.peer_reads[from];
  if (waiting >= options_.max_peer_reads) {
    ++counters_.too_many_reads;
    return;
  }
  ++waiting;
  leader.waiting_reads.push_back({from, m.id, 0, Index(0)});
}

// ---- At a follower
// -------------------------------------------------------------------------------------------------

void RaftCore::forward_reads() {
  if (local_reads_.empty()) return;
  if (!leader()) {
    fail_forwarded_reads();
    return;
  }
  const uint64_t id = ++forward_id_;
  forwarded_[id].contexts = std::exchange(local_reads_, {});
  send(leader(), ReadIndexRequest{term_, id});
}

void RaftCore::tick_forwarded_reads() {
  for (auto at = forwarded_.begin(); at != forwarded_.end();) {
    ForwardedReads& batch = at->second;
    if (++batch.ticks >= options_.election_ticks) {
      for (uint64_t context : batch.contexts) pending_.reads_failed.push_back(context);
      at = forwarded_.erase(at);
      continue;
    }
    if (batch.ticks % options_.heartbeat_ticks == 0 && leader())
      send(leader(), ReadIndexRequest{term_, at->first});
    ++at;
  }
}

void RaftCore::fail_forwarded_reads() {
  for (auto& [id, batch] : forwarded_)
    for (uint64_t context : batch.contexts) pending_.reads_failed.push_back(context);
  for (uint64_t context : local_reads_) pending_.reads_failed.push_back(context);
  forwarded_.clear();
  local_reads_.clear();
}

void RaftCore::receive(MemberId from, ReadIndexResponse& m) {
  auto at = forwarded_.find(m.id);
  if (m.term != term_ || is_leader() || leader() != from || at == forwarded_.end()) {
    ++counters_.wrong_role;
    return;
  }
  for (uint64_t context : at->second.contexts) pending_.reads.push_back({context, m.index});
  forwarded_.erase(at);
}

}  // namespace quorate::raft
