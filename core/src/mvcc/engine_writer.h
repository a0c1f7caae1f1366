// Carries batches into the engine, and them again when it failed.
//
//   open ──seal──▶ sealed ──write──▶ written ──sync──▶ released
//                    ▲                  │
//                    └──── reopened ────┘     what a reopened engine lacks is written again; nothing twice,
//                    because
//                                             its state record names the last batch it has
//
// One batch is being filled; it is sealed at write_bytes or write_interval. Sealed ones are written in order
// on Lane::kEngine; every sync_bytes or sync_interval the engine is synced on Lane::kEngineSync, and what it
// then holds for good is released. Up to there every record can be read from the kept batches. [loop] unless
// said otherwise.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mvcc/records.h"
#include "mvcc/store.h"
#include "mvcc/write_batch.h"

namespace quorate::mvcc {

class EngineWriter {
 public:
  EngineWriter(Runtime runtime, plugin::Engine* engine, std::string directory,
               std::vector<std::pair<std::string, std::string>> options, const StoreOptions& store_options,
               Store::Events events);
  ~EngineWriter();
  EngineWriter(const EngineWriter&) = delete;
  EngineWriter& operator=(const EngineWriter&) = delete;

  // Blocking; before the loop runs. *state is what the engine holds; *fresh: it holds nothing at all.
  plugin::Status open(State* state, bool* fresh);
  // Blocking; after open().
  plugin::Status open_view(plugin::ReadView** out) { return store_->new_read_view(out); }
  // Blocking; after the loop has ended and all offloaded work has been done or dropped.
  plugin::Status close();

  // ---- Filling. Records of an entry, then end_entry(): an entry never spans two batches.
  WriteBatch& batch() { return *filling_; }
  void end_entry(const State& state);
  // The end of changes that belong to no entry (compaction).
  void end_changes();

  // ---- Reading what is kept.
  bool find(Revision revision, plugin::ByteView* record) const;
  // The first main revision that is surely in the kept batches with everything after it; INT64_MAX: none
  // kept.
  int64_t kept_from() const;
  // Calls visit(const WriteBatch::Kept&) for each kept record from `main` on, ascending, until it answers
  // false.
  template <typename F>
  void scan(int64_t main, F&& visit) const {
    for (const auto& slot : kept_)
      if (!scan_batch(*slot.batch, main, visit)) return;
    scan_batch(*filling_, main, visit);
  }

  // ---- Reading the engine. A lease of its handle: the engine is not reopened while one is out.
  class Handle {
   public:
    Handle() = default;
    Handle(Handle&& o) noexcept
        : writer_(std::exchange(o.writer_, nullptr)),
          alive_(std::move(o.alive_)),
          store_(std::move(o.store_)) {}
    Handle& operator=(Handle&& o) noexcept {
      std::swap(writer_, o.writer_);
      std::swap(alive_, o.alive_);
      std::swap(store_, o.store_);
      return *this;
    }
    ~Handle();
    plugin::Store* get() const { return store_.get(); }

   private:
    friend class EngineWriter;
    EngineWriter* writer_ = nullptr;
    std::weak_ptr<bool> alive_;
    plugin::Ref<plugin::Store> store_;
  };
  // Calls `use` now or, while the engine is being reopened, once that has ended. A handle without a store:
  // the engine could not be opened.
  void with_engine(UniqueFunction<void(Handle)> use);

  // ---- Progress.
  // Calls `done` once everything up to this moment is in the engine (not: synced).
  void when_written(Task done);
  // Makes that happen soon.
  void flush();

  EngineState state() const { return state_; }
  const std::string& why() const { return why_; }
  uint64_t kept_bytes() const { return kept_bytes_ + filling_->bytes(); }
  Index synced_index() const { return synced_index_; }
  uint64_t disk_size() const { return disk_size_; }
  void refresh_disk_size();  // later

 private:
  enum class Phase : uint32_t { kSealed, kWriting, kWritten };
  struct Slot {
    std::unique_ptr<WriteBatch> batch;
    Phase phase = Phase::kSealed;
    Revision newest;  // of the records up to and including this batch
  };
  struct Job;
  class EventSink;

  template <typename F>
  static bool scan_batch(const WriteBatch& batch, int64_t main, F& visit) {
    const auto& records = batch.records();
    if (records.empty() || records.back().revision.main < main) return true;
    auto at =
        std::lower_bound(records.begin(), records.end(), main,
                         [](const WriteBatch::Kept& kept, int64_t m) { return kept.revision.main < m; });
    for (; at != records.end(); ++at)
      if (!visit(*at)) return false;
    return true;
  }

  plugin::Status open_engine(plugin::Ref<plugin::Store>* store);  // any thread, one at a time
  static plugin::Status read_state(plugin::Store* store, State* state, bool* fresh);
  // Wraps a continuation so that it does nothing once the writer is gone.
  template <typename F>
  auto guarded(F f) {
    return [alive = std::weak_ptr<bool>(alive_), f = std::move(f)]() mutable {
      if (!alive.expired()) f();
    };
  }

  void changed();
  // Whether entries (from, to] are reason enough for the next step towards a sync.
  bool due(Index from, Index to) const {
    return limits_.sync_entries != 0 && to > from && to.value - from.value >= limits_.sync_entries;
  }
  void seal();
  void start_write();
  void on_written(Job& job);
  void arm_sync();
  void start_sync();
  void on_durable(uint64_t number);
  void release(size_t count);
  void fail(const plugin::Status& status);
  void set_state(EngineState state, std::string why);
  void retry_later();
  void try_reopen();
  void on_reopened(Job& job);
  void notify_written();

  Runtime runtime_;
  plugin::Ref<plugin::Engine> engine_;
  std::string directory_;
  std::vector<std::pair<std::string, std::string>> options_;
  StoreOptions limits_;
  Store::Events events_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<EventSink> sink_;
  plugin::Ref<plugin::Store> store_;

  std::unique_ptr<WriteBatch> filling_;
  State entry_state_;      // as of the last entry
  bool dirty_ = false;     // the filling batch is worth sealing
  std::deque<Slot> kept_;  // ascending numbers
  uint64_t kept_bytes_ = 0;
  uint64_t written_number_ = 0;  // the last batch that the engine has
  uint64_t synced_number_ = 0;
  Index synced_index_;
  uint64_t unsynced_bytes_ = 0;
  Index sealed_index_;   // the last entry of the batches sealed ...
  Index written_index_;  // ... of those the engine has ...
  Index syncing_index_;  // ... and of those it was last told to sync
  TimerId seal_timer_ = 0;
  TimerId sync_timer_ = 0;
  TimerId retry_timer_ = 0;
  uint64_t retry_delay_ns_ = 0;
  bool writing_ = false;
  bool syncing_ = false;
  bool poisoned_ = false;  // the handle must be closed and opened again before the next write
  bool reopening_ = false;
  uint32_t handles_ = 0;
  std::vector<UniqueFunction<void(Handle)>> waiting_;  // for the end of reopening
  std::deque<std::pair<uint64_t, Task>> when_written_;
  EngineState state_ = EngineState::kHealthy;
  std::string why_;
  uint64_t disk_size_ = 0;
  bool closed_ = false;
};

}  // namespace quorate::mvcc
