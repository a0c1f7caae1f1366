#include "base/assert.h"
#include "raft/raft.h"

namespace quorate::raft {
namespace {

// Terms grow by elections; a larger jump is a lie that would use up the number space.
constexpr uint64_t kMaxTermJump = uint64_t{1} << 32;
constexpr uint64_t kMaxNumber = uint64_t{1} << 62;  // no index or term comes near: sums never overflow

Term term_of(const Message& message) {
  return std::visit([](const auto& m) { return m.term; }, message);
}

}  // namespace

const char* message_name(const Message& message) {
  constexpr const char* kNames[] = {
      "PreVoteRequest", "PreVoteResponse", "VoteRequest",       "VoteResponse",     "AppendEntries",
      "AppendResponse", "Heartbeat",       "HeartbeatResponse", "ReadIndexRequest", "ReadIndexResponse",
      "TimeoutNow",     "InstallSnapshot", "SnapshotStatus"};
  static_assert(std::size(kNames) == std::variant_size_v<Message>);
  return kNames[message.index()];
}

const char* role_name(RoleKind role) {
  constexpr const char* kNames[] = {"follower", "pre-candidate", "candidate", "leader"};
  return kNames[static_cast<int>(role)];
}

Options options_for_timers(uint32_t tick_ms, uint32_t heartbeat_ms, uint32_t election_ms) {
  auto ticks = [&](uint32_t ms) { return std::max<uint32_t>(1, (ms + tick_ms - 1) / tick_ms); };
  Options o;
  o.heartbeat_ticks = ticks(heartbeat_ms);
  o.election_ticks = ticks(election_ms);
  o.rank_ticks = ticks(100);
  o.jitter_ticks = ticks(40);
  o.retry_ticks = ticks(100);
  return o;
}

RaftCore::RaftCore(const Options& options, Restored restored)
    : options_(options),
      random_state_(options.seed ^ (options.id.value * 0x9e3779b97f4a7c15u)),
      log_(restored.base, std::move(restored.entries)),
      config_(std::move(restored.config)),
      term_(restored.hard_state.term),
      vote_(restored.hard_state.vote),
      role_(Follower{}),
      commit_(restored.applied),
      durable_(log_.last().index),
      handed_(log_.last().index),
      released_(restored.applied),
      applied_(restored.applied) {
  QUORATE_ASSERT(options.id, "a member has an id");
  QUORATE_ASSERT(options.heartbeat_ticks > 0 && options.election_ticks > options.heartbeat_ticks,
                 "the leader must be heard before anyone campaigns");
  QUORATE_ASSERT(applied_ >= log_.base().index && applied_ <= log_.last().index, "applied is within the log");
  QUORATE_ASSERT(check(config_) == nullptr, "the configuration fits together");
  if (log_.last().term > term_) {
    // Entries are durable no earlier than their term; a lost HardState record cannot have held a vote in it.
    term_ = log_.last().term;
    vote_ = MemberId(0);
  }
  handed_hard_state_ = hard_state();
  forward_id_ = random(kMaxNumber);
  restore_changes(restored.commit);
  taken_soft_state_ = soft_state();
  set_timer(options_.election_ticks);
}

MemberId RaftCore::leader() const {
  if (is_leader()) return options_.id;
  auto* follower = std::get_if<Follower>(&role_);
  return follower == nullptr ? MemberId(0) : follower->leader;
}

uint64_t RaftCore::random(uint64_t bound) {
  // splitmix64: small, and the same everywhere.
  random_state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = random_state_;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (z ^ z >> 31) % bound;
}

void RaftCore::tick() {
  dirty_ = true;
  if (auto* leader = std::get_if<Leader>(&role_)) {
    tick_leader(*leader);
  } else {
    tick_election();
    tick_forwarded_reads();
  }
}

bool RaftCore::admissible(MemberId from, const Message& message) {
  if (!from || from == options_.id) {
    ++counters_.malformed;
    return false;
  }
  if (removed_.count(from) != 0) {
    ++counters_.removed_sender;
    return false;
  }
  const Term term = term_of(message);
  if (term > term_ && (term - term_ > kMaxTermJump || term.value > kMaxNumber)) {
    ++counters_.term_too_high;
    return false;
  }
  return true;
}

void RaftCore::step(MemberId from, Message message) {
  dirty_ = true;
  if (!admissible(from, message)) return;
  std::visit([&](auto& m) { receive(from, m); }, message);
}

Proposed RaftCore::propose(std::vector<plugin::Buffer> batch) {
  QUORATE_ASSERT(!batch.empty(), "a proposal has entries");
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return {ProposeError::kNotLeader, {}, {}};
  if (leader->transfer_to) return {ProposeError::kTransferInProgress, {}, {}};
  uint64_t bytes = leader->uncommitted_bytes;
  for (const plugin::Buffer& data : batch) bytes += data.size() + Entry::kOverhead;
  if (leader->uncommitted_bytes != 0 && bytes > options_.max_uncommitted_bytes)
    return {ProposeError::kNoSpace, {}, {}};
  dirty_ = true;
  const Index first = log_.last().index + 1;
  for (plugin::Buffer& data : batch) append_own(EntryType::kNormal, std::move(data));
  return {ProposeError::kNone, first, term_};
}

void RaftCore::on_applied(Index index) {
  QUORATE_ASSERT(index >= applied_ && index <= released_, "only what was handed out can be applied");
  applied_ = index;
}

void RaftCore::compact(Index to) {
  QUORATE_ASSERT(to <= applied_, "only what is applied can be forgotten");
  if (to > log_.base().index) log_.compact(to);
}

void RaftCore::restrict(bool may_vote, bool may_campaign) {
  may_vote_ = may_vote;
  may_campaign_ = may_campaign;
}

// ---- Ready
// -----------------------------------------------------------------------------------------------------

Ready RaftCore::take_ready() {
  dirty_ = false;
  if (auto* leader = std::get_if<Leader>(&role_)) {
    start_read_round(*leader);
    fill_appends(*leader);
  } else {
    forward_reads();
  }
  Ready ready = std::exchange(pending_, Ready());
  fill_append(ready);
  ready.messages = std::exchange(outbox_, {});
  fill_committed(ready);
  if (soft_state() != taken_soft_state_) ready.soft_state = taken_soft_state_ = soft_state();
  return ready;
}

bool RaftCore::must_append() const {
  return new_base_.has_value() || handed_hard_state_ != hard_state() || handed_ < log_.last().index;
}

void RaftCore::fill_append(Ready& ready) {
  if (!must_append()) {
    // Nothing new to write: what waits depends on the last task in flight, if there is one.
    auto& queue = in_flight_.empty() ? outbox_ : in_flight_.back().held;
    std::move(waiting_.begin(), waiting_.end(), std::back_inserter(queue));
    waiting_.clear();
    return;
  }
  AppendTask task;
  const Index last = log_.last().index;
  task.id = {++task_number_, term_, last};
  task.base = std::exchange(new_base_, std::nullopt);
  if (handed_hard_state_ != hard_state()) task.hard_state = handed_hard_state_ = hard_state();
  if (handed_ < last) task.entries = log_.slice(handed_ + 1, last, UINT64_MAX);
  handed_ = last;
  in_flight_.push_back({task.id, last, hard_state(), std::exchange(waiting_, {})});
  ready.append = std::move(task);
}

void RaftCore::fill_committed(Ready& ready) {
  const Index to = std::min(commit_, durable_);
  if (to <= released_) return;
  ready.committed = log_.slice(released_ + 1, to, options_.max_apply_bytes);
  released_ = ready.committed.back().index;
  if (released_ < to) dirty_ = true;
}

void RaftCore::completed(InFlight& task) {
  durable_ = std::max(durable_, task.durable_to);
  for (Envelope& envelope : task.held)
    if (term_of(envelope.message) >= term_) outbox_.push_back(std::move(envelope));
}

void RaftCore::on_append_done(const AppendId& id) {
  if (in_flight_.empty() || id.number < in_flight_.front().id.number) {
    QUORATE_ASSERT(id.number <= task_number_, "a task is completed after it was taken");
    return;  // completed with a later one
  }
  dirty_ = true;
  HardState durable;
  while (!in_flight_.empty() && in_flight_.front().id.number <= id.number) {
    InFlight& task = in_flight_.front();
    QUORATE_ASSERT(task.id.number != id.number || task.id == id, "a completion names its task");
    completed(task);
    durable = task.hard_state;
    in_flight_.pop_front();
  }
  // A candidate's own vote counts like any other: once it is durable.
  if (role() == RoleKind::kCandidate && durable == hard_state()) count_vote(options_.id, true);
  maybe_commit();
}

}  // namespace quorate::raft
