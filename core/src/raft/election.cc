// Elections: pre-vote (thesis 9.6), leases that keep a live leader from being voted out (6.2, 4.2.3),
// timeouts staggered by rank, and leadership transfer as its target sees it (3.10).
#include "base/assert.h"
#include "raft/raft.h"

namespace quorate::raft {

// ---- Timers
// ------------------------------------------------------------------------------------------------------

uint32_t RaftCore::rank() const {
  uint32_t rank = 0;
  for (MemberId id : config_.voters) rank += id < options_.id && id != last_leader_;
  return rank;
}

void RaftCore::set_timer(uint32_t base_ticks) {
  timer_ =
      base_ticks + rank() * options_.rank_ticks + static_cast<uint32_t>(random(options_.jitter_ticks + 1));
}

void RaftCore::vote_refused() {
  become_follower(term_, MemberId(0));
  timer_ = options_.retry_ticks + static_cast<uint32_t>(random(options_.jitter_ticks + 1));
}

void RaftCore::tick_election() {
  if (since_leader_ < UINT32_MAX) ++since_leader_;
  if (timer_ > 0) --timer_;
  if (timer_ > 0) return;
  if (promotable())
    start_election(false);
  else
    set_timer(options_.election_ticks);
}

void RaftCore::leader_alive(MemberId leader) {
  last_leader_ = leader;
  leader_suspect_ = false;
  since_leader_ = 0;
  // One tick more than the others' lease on the leader, whose ticks may come a little later than ours.
  set_timer(options_.election_ticks + 1);
}

void RaftCore::peer_connection_lost(MemberId member) {
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || !member || follower->leader != member) return;
  dirty_ = true;
  leader_suspect_ = true;
  const uint32_t before = timer_;
  set_timer(1);
  timer_ = std::min(timer_, before);
}

// ---- Roles
// -------------------------------------------------------------------------------------------------------

bool RaftCore::promotable() const { return may_vote_ && may_campaign_ && config_.is_voter(options_.id); }

bool RaftCore::in_lease() const {
  if (!options_.check_quorum) return false;
  if (is_leader()) return true;
  return leader() && !leader_suspect_ && since_leader_ < options_.election_ticks;
}

bool RaftCore::log_is_current(Index last_index, Term last_term) const {
  const RaftLog::Position last = log_.last();
  return last_term > last.term || (last_term == last.term && last_index >= last.index);
}

void RaftCore::campaign() {
  if (is_leader() || !promotable()) return;
  dirty_ = true;
  start_election(false);
}

void RaftCore::start_election(bool transfer) {
  ++counters_.elections_started;
  const bool alone = config_.voters.size() == 1 && !config_.joint();
  if (options_.pre_vote && !transfer && !alone)
    become_pre_candidate();
  else
    become_candidate(transfer);
}

void RaftCore::become_pre_candidate() {
  fail_forwarded_reads();
  role_ = PreCandidate{};
  set_timer(options_.election_ticks / 2);
  const RaftLog::Position last = log_.last();
  for (MemberId id : config_.members())
    if (id != options_.id && config_.is_voter(id))
      send(id, PreVoteRequest{term_ + 1, last.index, last.term, commit_, *log_.term_at(commit_)});
  count_vote(options_.id, true);
}

void RaftCore::become_candidate(bool transfer) {
  fail_forwarded_reads();
  ++term_;
  vote_ = options_.id;
  role_ = Candidate{{}, transfer};
  set_timer(options_.election_ticks);
  const RaftLog::Position last = log_.last();
  // Held until the term and the log they speak of are durable: a candidate that forgets both in a crash and
  // then campaigns in the same term again must not collect answers to the first attempt.
  for (MemberId id : config_.members())
    if (id != options_.id && config_.is_voter(id))
      send_durable(id, VoteRequest{term_, last.index, last.term, transfer, commit_, *log_.term_at(commit_)});
}

void RaftCore::become_follower(Term term, MemberId leader) {
  QUORATE_ASSERT(term >= term_, "terms never fall");
  const bool same_leader = term == term_ && role() == RoleKind::kFollower && this->leader() == leader;
  if (same_leader) return;
  fail_forwarded_reads();
  if (auto* leading = std::get_if<Leader>(&role_)) fail_leader_reads(*leading);
  if (term > term_) vote_ = MemberId(0);
  term_ = term;
  offered_.reset();
  const bool was_follower = role() == RoleKind::kFollower;
  role_ = Follower{leader};
  // A follower's timer goes on: a candidate that cannot win must not hold up one that can.
  if (!was_follower) set_timer(options_.election_ticks);
}

void RaftCore::become_leader() {
  QUORATE_ASSERT(role() == RoleKind::kCandidate, "only a candidate becomes leader");
  ++counters_.elections_won;
  Leader leader;
  const Index last = log_.last().index;
  for (MemberId id : config_.members())
    if (id != options_.id) leader.members[id].next = last + 1;
  for (Index i = commit_ + 1; i <= last; ++i) leader.uncommitted_bytes += log_.at(i).bytes();
  leader.first_own = leader.pending_change = last + 1;
  role_ = std::move(leader);
  last_leader_ = options_.id;
  // Only an entry of its own term lets a leader count what earlier terms left behind (thesis 3.6.2).
  append_own(EntryType::kNoOp, {});
}

void RaftCore::count_vote(MemberId from, bool granted) {
  auto* pre = std::get_if<PreCandidate>(&role_);
  auto* real = std::get_if<Candidate>(&role_);
  QUORATE_ASSERT(pre != nullptr || real != nullptr, "votes are counted for a candidate");
  auto& votes = pre != nullptr ? pre->votes : real->votes;
  votes[from] = granted;
  auto vote_of = [&](MemberId id) {
    auto at = votes.find(id);
    return at == votes.end() ? std::nullopt : std::optional<bool>(at->second);
  };
  switch (joint_vote(config_.voters, config_.voters_outgoing, vote_of)) {
    case VoteResult::kPending:
      return;
    case VoteResult::kLost:
      return vote_refused();
    case VoteResult::kWon:
      return pre != nullptr ? become_candidate(false) : become_leader();
  }
}

// The same index and term is the same entry, and so is all before it. False: this member is no candidate (any
// more: what is committed may take its vote).
bool RaftCore::learn_commit(MemberId from, Index commit, Term term) {
  const bool news = commit > commit_ && log_.term_at(commit) == term;
  if (news && !is_leader() && config_.is_member(from)) commit_to(commit);
  return role() == RoleKind::kPreCandidate || role() == RoleKind::kCandidate;
}

// ---- Messages
// ----------------------------------------------------------------------------------------------------
// Requests are answered whether or not the sender is a member of the configuration known here: it may know a
// newer one (thesis 4.1). Answers count only from voters.

void RaftCore::receive(MemberId from, PreVoteRequest& m) {
  learn_commit(from, m.commit, m.commit_term);
  PreVoteResponse answer{term_, m.term, false, commit_, *log_.term_at(commit_)};
  if (in_lease())
    ++counters_.in_lease;
  else
    answer.granted = may_vote_ && m.term > term_ && log_is_current(m.last_index, m.last_term);
  send(from, answer);
}

void RaftCore::receive(MemberId from, PreVoteResponse& m) {
  if (role() != RoleKind::kPreCandidate || m.campaign_term != term_ + 1) {
    ++counters_.wrong_role;
    return;
  }
  if (!config_.is_voter(from)) {
    ++counters_.unknown_sender;
    return;
  }
  if (!learn_commit(from, m.commit, m.commit_term)) return;
  if (m.term > term_) {
    // It knows a newer term: catch up, and ask again in it soon.
    become_follower(m.term, MemberId(0));
    vote_refused();
    return;
  }
  count_vote(from, m.granted);
}

void RaftCore::receive(MemberId from, VoteRequest& m) {
  learn_commit(from, m.commit, m.commit_term);
  if (m.term > term_) {
    if (!m.transfer && in_lease()) {
      // Not even the term: a member that does not hear the leader must not depose it.
      ++counters_.in_lease;
      return;
    }
    become_follower(m.term, MemberId(0));
  }
  if (m.term < term_) {
    ++counters_.stale_term;
    send(from, VoteResponse{term_, false, commit_, *log_.term_at(commit_)});
    return;
  }
  const bool free = vote_ == from || (!vote_ && !leader());
  if (!may_vote_ || !free || is_leader() || !log_is_current(m.last_index, m.last_term)) {
    send(from, VoteResponse{term_, false, commit_, *log_.term_at(commit_)});
    return;
  }
  vote_ = from;
  set_timer(options_.election_ticks);
  send_durable(from, VoteResponse{term_, true, commit_, *log_.term_at(commit_)});
}

void RaftCore::receive(MemberId from, VoteResponse& m) {
  if (!config_.is_voter(from)) {
    ++counters_.unknown_sender;
    return;
  }
  learn_commit(from, m.commit, m.commit_term);
  if (m.term > term_) {
    become_follower(m.term, MemberId(0));
    return;
  }
  if (m.term < term_ || role() != RoleKind::kCandidate) {
    ++counters_.wrong_role;
    return;
  }
  count_vote(from, m.granted);
}

void RaftCore::receive(MemberId from, TimeoutNow& m) {
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || m.term != term_ || follower->leader != from || !promotable()) {
    ++counters_.wrong_role;
    return;
  }
  start_election(true);
}

}  // namespace quorate::raft
