// The path of a write: requests of one turn of the loop become one proposal batch, one append to the log,
// and, once that is durable and committed, an apply each, in order. Linearizable reads of a turn share one
// read index.
//
//   propose ─▶ (end of turn) ─▶ RaftCore ─▶ Wal ─▶ RaftCore ─▶ apply ─▶ waiter
//
// [loop] Nothing here blocks; the log's fsync runs inline only where that is cheaper than a helper thread (a
// cluster of one voter on a quick disk; design §4).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "api/errors.h"
#include "quorate/base/function.h"
#include "quorate/runtime.h"
#include "raft/raft.h"
#include "server/applier.h"
#include "server/slow_log.h"
#include "wal/wal.h"

namespace quorate::server {

class Pipeline {
 public:
  using Waiter = UniqueFunction<void(Outcome&)>;
  using ReadWaiter = UniqueFunction<void(const std::optional<api::RpcError>&)>;

  struct Parts {
    Runtime runtime;
    raft::RaftCore& raft;
    wal::Wal& wal;
    Applier& applier;
    mvcc::Store& store;
    SlowLog& slow;
    uint64_t
        retained_limit;  // of batches that the engine has not synced; at three quarters proposals are refused
  };
  // What the node is told. All [loop].
  struct Events {
    std::function<void(std::span<const mvcc::Event>)> on_events;  // of an entry that changed keys
    std::function<void(const raft::SoftState&)> on_role;
    std::function<void()> on_leading;                      // the leader has applied its own first entry
    std::function<void(const std::string& why)> on_fatal;  // the log cannot be trusted any more
  };
  Pipeline(Parts parts, Events events) : parts_(parts), events_(std::move(events)) {}

  // Queues a request for the log; `waiter` learns its outcome, once, unless the node stops before. An error
  // means that nothing was queued.
  std::optional<api::RpcError> propose(plugin::Buffer entry, Waiter waiter);
  // Calls `waiter` when everything that was committed before this call has been applied.
  void read_index(ReadWaiter waiter);
  // Lets the raft core's outputs happen; called at the end of every turn in which something was fed to it.
  void schedule();
  // The engine has synced up to there: the log below is not needed for recovery.
  void on_synced(Index index);

  Index applied() const { return parts_.store.applied(); }
  bool leading() const { return leading_; }
  uint64_t in_flight() const { return queue_.size() + waiting_.size() + reads_.size() + read_queue_.size(); }
  // Every waiter gets this error, now and from now on.
  void stop(const api::RpcError& error);

 private:
  struct Queued {
    plugin::Buffer entry;
    Waiter waiter;
  };
  struct Waiting {
    Index index;
    Term term;
    Waiter waiter;
  };
  struct Reads {
    uint64_t context = 0;
    std::optional<Index> index;  // known: waits for the apply
    std::vector<ReadWaiter> waiters;
  };

  void turn();
  bool more_to_feed() const;
  void propose_queue();
  void ask_reads();
  void handle(raft::Ready ready);
  struct Append {
    raft::AppendId id;
    wal::Batch batch;
  };
  void append(raft::AppendTask task);
  void write(const Append& append);
  void retry_later();
  void say(plugin::LogLevel level, std::string_view message);
  void apply_committed();
  bool fetch_missing(const raft::Entry& entry);
  void apply(const raft::Entry& entry);
  void answer_reads();
  std::optional<Waiter> take_waiter(const raft::Entry& entry);
  std::optional<api::RpcError> refusal() const;

  Parts parts_;
  Events events_;
  std::optional<api::RpcError> stopped_;
  bool scheduled_ = false;
  bool in_turn_ = false;
  bool leading_ = false;
  bool fetching_ = false;  // the next entry waits for records that decide it
  bool fetch_returns_ = false;
  std::vector<Queued> queue_;
  uint64_t queued_bytes_ = 0;
  std::deque<Append> appends_;  // not durable yet, in order
  uint64_t writes_in_flight_ = 0;
  bool log_full_ = false;      // nothing is appended for now
  bool log_was_full_ = false;  // and was told; until an append succeeds
  TimerId retry_timer_ = 0;
  std::deque<Waiting> waiting_;
  std::deque<raft::Entry> committed_;
  std::vector<ReadWaiter> read_queue_;
  std::deque<Reads> reads_;
  uint64_t next_read_ = 0;
};

}  // namespace quorate::server
