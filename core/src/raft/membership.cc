// Membership changes as the core lives them: proposed by the leader, in force once known to be committed.
#include "base/assert.h"
#include "raft/raft.h"

namespace quorate::raft {

Proposed RaftCore::propose_conf_change(const ConfChange& change) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return {ProposeError::kNotLeader, {}, {}};
  if (leader->transfer_to) return {ProposeError::kTransferInProgress, {}, {}};
  // One at a time, and none before an entry of this term is committed: two leaders could otherwise be working
  // on different next configurations whose majorities do not overlap.
  if (leader->pending_change > commit_ || leader->first_own > commit_)
    return {ProposeError::kChangePending, {}, {}};
  if (change.items.size() > kMaxChangeItems) return {ProposeError::kInvalidChange, {}, {}, "too many items"};
  const ConfigResult result = quorate::raft::apply_change(config_, change);
  if (result.error != nullptr) return {ProposeError::kInvalidChange, {}, {}, result.error};
  dirty_ = true;
  append_own(EntryType::kConfChange, encode_conf_change(change));
  leader->pending_change = log_.last().index;
  return {ProposeError::kNone, leader->pending_change, term_};
}

void RaftCore::apply_change_entry(const Entry& entry) {
  const Index index = entry.index;
  std::optional<ConfChange> change = decode_conf_change(entry.data);
  ConfigResult result{"the change cannot be decoded", {}};
  if (change) result = quorate::raft::apply_change(config_, *change);
  if (result.error == nullptr) {
    if (is_leader()) say_goodbye(result.config);
    adopt(std::move(result.config));
  }
  pending_.config_changes.push_back({index, config_, result.error});
}

// Tells those who leave (everyone, if the leader itself does) that it is committed, as nobody will
// afterwards.
void RaftCore::say_goodbye(const Config& next) {
  auto& leader = std::get<Leader>(role_);
  const bool leaving = !next.is_voter(options_.id);
  for (auto& [id, progress] : leader.members)
    if (leaving || !next.is_member(id)) fill_appends(leader, id, progress);
}

void RaftCore::adopt(Config config) {
  for (MemberId id : config_.members())
    if (!config.is_member(id)) removed_.insert(id);
  for (MemberId id : config.members()) removed_.erase(id);
  config_ = std::move(config);
  if (auto* leader = std::get_if<Leader>(&role_)) {
    if (!config_.is_voter(options_.id)) {
      become_follower(term_, MemberId(0));
      return;
    }
    std::erase_if(leader->members, [&](const auto& m) { return !config_.is_member(m.first); });
    std::erase_if(leader->peer_reads, [&](const auto& m) { return !config_.is_member(m.first); });
    for (MemberId id : config_.members())
      if (id != options_.id && leader->members.count(id) == 0)
        leader->members[id].next = log_.last().index + 1;
    if (!config_.voters.contains(leader->transfer_to)) leader->transfer_to = MemberId(0);
    return;
  }
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr && !config_.is_voter(options_.id)) become_follower(term_, MemberId(0));
  if (follower != nullptr && follower->leader && removed_.count(follower->leader) != 0) {
    // It has stepped down: no reason to wait for its silence.
    become_follower(term_, MemberId(0));
    set_timer(1);
  }
}

// A joint configuration entered with auto_leave is left as soon as it is committed, by whoever leads then.
void RaftCore::maybe_leave_joint() {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || !config_.joint() || !config_.auto_leave) return;
  if (leader->pending_change > commit_ || leader->first_own > commit_) return;
  dirty_ = true;
  append_own(EntryType::kConfChange, encode_conf_change(ConfChange{}));
  leader->pending_change = log_.last().index;
}

// At a start: a change was proposed only when the one before it was committed, so of the changes in the log
// all but the last are. Without this a member could wake up two configurations behind, whose majorities need
// not overlap with the current ones.
void RaftCore::restore_changes(Index hint) {
  Index known = std::max(commit_, std::min(hint, log_.last().index));
  Index newest(0);
  for (Index i = commit_ + 1; i <= log_.last().index; ++i) {
    if (log_.at(i).type != EntryType::kConfChange) continue;
    known = std::max(known, newest);
    newest = i;
  }
  if (known > commit_) dirty_ = true;
  commit_to(known);
}

}  // namespace quorate::raft
