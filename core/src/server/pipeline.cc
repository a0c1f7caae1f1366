#include "server/pipeline.h"

#include "base/assert.h"

namespace quorate::server {
namespace {

// Proposals queued for the next turn. More than a turn can ever hold in practice; a bound all the same.
constexpr uint64_t kMaxQueuedBytes = 64u << 20;
constexpr uint64_t kRetryNs = 200'000'000;  // after the disk of the log was full

}  // namespace

std::optional<api::RpcError> Pipeline::refusal() const {
  if (stopped_) return stopped_;
  if (log_full_) return api::rpc_error(api::Error::kNoSpace);
  switch (parts_.store.engine_state()) {
    case mvcc::EngineState::kHealthy:
    case mvcc::EngineState::kRecovering:
      break;  // batches are kept meanwhile
    case mvcc::EngineState::kNoSpace:
      return api::rpc_error(api::Error::kNoSpace);
    case mvcc::EngineState::kFailed:
      return api::rpc_error(api::Error::kStopped);
  }
  if (parts_.store.retained_bytes() >= parts_.retained_limit / 4 * 3 || queued_bytes_ > kMaxQueuedBytes) {
    return api::rpc_error(api::Error::kRequestTooManyRequests);
  }
  return std::nullopt;
}

std::optional<api::RpcError> Pipeline::propose(plugin::Buffer entry, Waiter waiter) {
  if (auto error = refusal()) return error;
  queued_bytes_ += entry.size();
  queue_.push_back({std::move(entry), std::move(waiter)});
  schedule();
  return std::nullopt;
}

void Pipeline::read_index(ReadWaiter waiter) {
  if (stopped_) return waiter(stopped_);
  read_queue_.push_back(std::move(waiter));
  schedule();
}

void Pipeline::schedule() {
  if (scheduled_ || in_turn_) return;
  scheduled_ = true;
  parts_.runtime.executor->defer([this] {
    scheduled_ = false;
    turn();
  });
}

// What happens within a turn (an inline fsync, an apply that answers a client) feeds the core again: the loop
// goes on until nothing is left, so that a whole round trip of a lone voter takes one turn.
void Pipeline::turn() {
  in_turn_ = true;
  do {
    propose_queue();
    ask_reads();
    while (parts_.raft.has_ready()) handle(parts_.raft.take_ready());
    apply_committed();
  } while (!stopped_ && (parts_.raft.has_ready() || more_to_feed()));
  in_turn_ = false;
}

// Requests that came while the turn ran: answers to clients may make some, and so does a new leader.
bool Pipeline::more_to_feed() const {
  return parts_.raft.is_leader() && (!queue_.empty() || !read_queue_.empty());
}

void Pipeline::propose_queue() {
  if (queue_.empty() || stopped_ || !parts_.raft.is_leader()) return;
  std::vector<plugin::Buffer> batch;
  batch.reserve(queue_.size());
  for (Queued& queued : queue_) batch.push_back(std::move(queued.entry));
  raft::Proposed proposed = parts_.raft.propose(std::move(batch));
  auto queue = std::exchange(queue_, {});
  queued_bytes_ = 0;
  if (!proposed.ok()) {
    for (Queued& queued : queue) {
      Outcome outcome{.error = api::rpc_error(api::Error::kRequestTooManyRequests)};
      queued.waiter(outcome);
    }
    return;
  }
  for (size_t i = 0; i < queue.size(); ++i) {
    waiting_.push_back({proposed.first + i, proposed.term, std::move(queue[i].waiter)});
  }
}

void Pipeline::ask_reads() {
  if (read_queue_.empty() || stopped_) return;
  const uint64_t context = ++next_read_;
  if (!parts_.raft.read_index(context)) return;  // no leader yet: asked again when there is one
  reads_.push_back({context, std::nullopt, std::exchange(read_queue_, {})});
}

void Pipeline::handle(raft::Ready ready) {
  QUORATE_ASSERT(ready.messages.empty(), "a lone voter sends no messages");
  if (ready.append) append(std::move(*ready.append));
  for (raft::Entry& entry : ready.committed) committed_.push_back(std::move(entry));
  for (const raft::ReadState& read : ready.reads) {
    for (Reads& waiting : reads_) {
      if (waiting.context == read.context) waiting.index = read.index;
    }
  }
  for (uint64_t context : ready.reads_failed) {
    for (auto at = reads_.begin(); at != reads_.end(); ++at) {
      if (at->context != context) continue;
      auto waiters = std::move(at->waiters);
      reads_.erase(at);
      for (ReadWaiter& waiter : waiters) waiter(api::rpc_error(api::Error::kLeaderChanged));
      break;
    }
  }
  if (ready.soft_state) {
    if (ready.soft_state->role != raft::RoleKind::kLeader) leading_ = false;
    events_.on_role(*ready.soft_state);
  }
  apply_committed();
}

// ---- The log
// ---------------------------------------------------------------------------------------------------------

void Pipeline::append(raft::AppendTask task) {
  wal::Batch batch;
  batch.hard_state = task.hard_state;
  batch.entries = std::move(task.entries);
  appends_.push_back({task.id, std::move(batch)});
  if (!log_full_) write(appends_.back());
}

void Pipeline::write(const Append& append) {
  ++writes_in_flight_;
  parts_.wal.append(append.batch, [this, id = append.id](const plugin::Status& status, const wal::Appended&) {
    --writes_in_flight_;
    if (stopped_) return;
    if (status.ok()) {
      if (std::exchange(log_was_full_, false))
        say(LogLevel::kInfo, "the disk of the write-ahead log has space again; writes are served");
      while (!appends_.empty() && appends_.front().id.number <= id.number) appends_.pop_front();
      parts_.raft.on_append_done(id);
      return schedule();
    }
    if (status.code() != plugin::Code::kNoSpace) {
      return events_.on_fatal(std::string("the write-ahead log failed: ") + status.text());
    }
    // Nothing was written. What was proposed already is neither done nor refused: it is written again once
    // there is space, and its clients wait until then or until their time is over. New requests are refused
    // meanwhile.
    log_full_ = true;
    if (!std::exchange(log_was_full_, true))
      say(LogLevel::kError,
          "the disk of the write-ahead log is full; writes are refused until there is space");
    if (writes_in_flight_ == 0) retry_later();
  });
}

void Pipeline::retry_later() {
  Executor& executor = *parts_.runtime.executor;
  executor.cancel(retry_timer_);
  retry_timer_ = executor.at(executor.clock().monotonic_ns() + kRetryNs, [this] {
    if (stopped_) return;
    log_full_ = false;
    for (const Append& append : appends_) write(append);
  });
}

void Pipeline::say(LogLevel level, std::string_view message) {
  parts_.runtime.log->write(level, {message.data(), message.size()}, {});
}

// ---- Apply
// -----------------------------------------------------------------------------------------------------------

void Pipeline::apply_committed() {
  while (!committed_.empty() && !fetching_ && !stopped_) {
    raft::Entry entry = committed_.front();
    if (entry.type == raft::EntryType::kNormal && !fetch_missing(entry)) return;
    committed_.pop_front();
    apply(entry);
  }
  answer_reads();
}

// The next entry is decided by records that are not in memory: apply waits for them, the loop does not.
bool Pipeline::fetch_missing(const raft::Entry& entry) {
  std::vector<mvcc::KeyVersion> missing = parts_.applier.missing(entry.data);
  if (missing.empty()) return true;
  fetching_ = fetch_returns_ = true;
  auto versions = missing;
  parts_.store.fetch(std::move(versions), [this, missing = std::move(missing)](
                                              const mvcc::Store::Fetched& fetched) {
    fetching_ = false;
    if (stopped_) return;
    for (size_t i = 0; i < missing.size(); ++i) {
      if (fetched.error == mvcc::ReadError::kNone && parts_.applier.resolve(missing[i], fetched.records[i]))
        continue;
      events_.on_fatal("a record that decides an apply cannot be read: revision " +
                       std::to_string(missing[i].mod.main) + "/" + std::to_string(missing[i].mod.sub) + ": " +
                       fetched.text);
      return;
    }
    if (!fetch_returns_) schedule();  // else the caller goes on by itself
  });
  fetch_returns_ = false;
  return !fetching_;
}

void Pipeline::apply(const raft::Entry& entry) {
  if (entry.type != raft::EntryType::kNormal) {
    parts_.applier.apply_nothing(entry.index, entry.term);
  } else {
    std::optional<Waiter> waiter = take_waiter(entry);
    Outcome outcome;
    const uint64_t began = parts_.slow.now_ns();
    auto events = parts_.applier.apply(entry.index, entry.term, entry.data, waiter.has_value(),
                                       parts_.runtime.executor->clock().monotonic_ns(), &outcome);
    parts_.slow.applied(began, entry.data, outcome.error);
    if (!events.empty()) events_.on_events(events);
    if (waiter) (*waiter)(outcome);
  }
  parts_.raft.on_applied(entry.index);
  const raft::Leader* leader = parts_.raft.as_leader();
  if (leader != nullptr && leader->members.empty()) parts_.raft.compact(entry.index);  // nobody to send it to
  if (leader != nullptr && !leading_ && entry.index >= leader->first_own) {
    leading_ = true;
    events_.on_leading();
  }
}

std::optional<Pipeline::Waiter> Pipeline::take_waiter(const raft::Entry& entry) {
  while (!waiting_.empty() && waiting_.front().index <= entry.index) {
    Waiting front = std::move(waiting_.front());
    waiting_.pop_front();
    if (front.index == entry.index && front.term == entry.term) return std::move(front.waiter);
    // Another entry took its place: it will never be applied.
    Outcome outcome{.error = api::rpc_error(api::Error::kTimeoutDueToLeaderFail)};
    front.waiter(outcome);
  }
  return std::nullopt;
}

void Pipeline::answer_reads() {
  while (!reads_.empty() && reads_.front().index && *reads_.front().index <= applied()) {
    Reads front = std::move(reads_.front());
    reads_.pop_front();
    for (ReadWaiter& waiter : front.waiters) waiter(std::nullopt);
  }
}

void Pipeline::on_synced(Index index) { parts_.wal.release(std::min(index, parts_.wal.durable().index)); }

void Pipeline::stop(const api::RpcError& error) {
  stopped_ = error;
  auto queue = std::exchange(queue_, {});
  auto waiting = std::exchange(waiting_, {});
  auto read_queue = std::exchange(read_queue_, {});
  auto reads = std::exchange(reads_, {});
  for (Queued& queued : queue) {
    Outcome outcome{.error = error};
    queued.waiter(outcome);
  }
  for (Waiting& w : waiting) {
    Outcome outcome{.error = error};
    w.waiter(outcome);
  }
  for (ReadWaiter& waiter : read_queue) waiter(error);
  for (Reads& r : reads) {
    for (ReadWaiter& waiter : r.waiters) waiter(error);
  }
}

}  // namespace quorate::server
