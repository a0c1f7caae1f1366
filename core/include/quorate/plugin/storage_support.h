// What storage plugins over an engine that flushes by itself have in common. Compiled into the plugin;
// nothing of it crosses the boundary.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "quorate/plugin/storage.h"

namespace quorate::plugin {

// Which batches are durable. The engine names what it flushes by a sequence: RocksDB by that of the last
// entry, LevelDB by the number of the log that a memtable belongs to. [thread-safe]
class Marks {
 public:
  // The batch of `mark` is in what `sequence`, or an earlier one, stands for.
  void written(uint64_t sequence, Mark mark) {
    std::lock_guard lock(mutex_);
    last_ = mark;
    if (!pending_.empty() && pending_.back().sequence == sequence) {
      pending_.back().mark = mark;
    } else {
      pending_.push_back({sequence, mark});
    }
  }

  // Everything up to `sequence` is flushed. The new durable mark, or 0 when that made no more durable.
  Mark flushed(uint64_t sequence) {
    std::lock_guard lock(mutex_);
    flushed_ = std::max(flushed_, sequence);
    Mark mark = 0;
    for (; !pending_.empty() && pending_.front().sequence <= flushed_; pending_.pop_front()) {
      mark = pending_.front().mark;
    }
    return store(mark) ? mark : 0;
  }

  // Everything up to `mark` is durable. True when that is news.
  bool raise(Mark mark) {
    std::lock_guard lock(mutex_);
    while (!pending_.empty() && pending_.front().mark <= mark) pending_.pop_front();
    return store(mark);
  }

  Mark last_written() const {
    std::lock_guard lock(mutex_);
    return last_;
  }
  Mark durable() const { return durable_.load(std::memory_order_acquire); }

 private:
  struct Entry {
    uint64_t sequence;
    Mark mark;
  };
  bool store(Mark mark) {
    if (mark <= durable_.load(std::memory_order_relaxed)) return false;
    durable_.store(mark, std::memory_order_release);
    return true;
  }

  mutable std::mutex mutex_;
  std::deque<Entry> pending_;  // ascending
  uint64_t flushed_ = 0;
  Mark last_ = 0;
  std::atomic<Mark> durable_{0};
};

// The first error that makes writing on a handle unsafe; it is told to `events` (which may be null) once, and
// is every later write's answer. [thread-safe]
class Poison {
 public:
  explicit Poison(StorageEvents* events) : events_(events) {}

  // The error that counts: `s`, or an earlier one.
  Status set(const Status& s) {
    {
      std::lock_guard lock(mutex_);
      if (poisoned_.load(std::memory_order_relaxed)) return first_;
      first_ = s;
      poisoned_.store(true, std::memory_order_release);
    }
    if (events_ != nullptr) events_->on_background_error(s);
    return s;
  }
  Status get() const {
    if (!poisoned_.load(std::memory_order_acquire)) return Status();
    std::lock_guard lock(mutex_);
    return first_;
  }

 private:
  StorageEvents* const events_;
  mutable std::mutex mutex_;
  std::atomic<bool> poisoned_{false};
  Status first_;
};

// A database as its store and its views share it, so that a view may outlive the store. Users hold `gate`
// shared and look at `db`; close() takes it alone. `Db` has GetSnapshot() and ReleaseSnapshot().
template <typename Db, typename Snapshot>
class SharedDatabase {
 public:
  std::shared_mutex gate;
  std::unique_ptr<Db> db;  // null once closed; under gate

  // [thread-safe] What the store answers once it is closed; what a view does. REQUIRES: gate.
  Status open() const { return db == nullptr ? Status(Code::kInvalid, "the store was closed") : Status(); }
  Status visible() const {
    bool gone = db == nullptr || closing_.load(std::memory_order_relaxed);
    return gone ? Status(Code::kViewExpired, "the store was closed") : Status();
  }

  // A point in time for a view. REQUIRES: gate, open.
  const Snapshot* take_snapshot() {
    const Snapshot* snapshot = db->GetSnapshot();
    std::lock_guard lock(mutex_);
    snapshots_.insert(snapshot);
    return snapshot;
  }
  // [thread-safe] Its end; nothing happens when the database was closed before. Takes the gate.
  void drop_snapshot(const Snapshot* snapshot) {
    std::shared_lock lock(gate);
    if (db == nullptr) return;
    {
      std::lock_guard snapshots(mutex_);
      snapshots_.erase(snapshot);
    }
    db->ReleaseSnapshot(snapshot);
  }

  // The gate, alone; running scans end soon. Then, on what is still open: release_snapshots().
  std::unique_lock<std::shared_mutex> begin_close() {
    closing_.store(true);
    return std::unique_lock(gate);
  }
  void release_snapshots() {
    std::lock_guard lock(mutex_);
    for (const Snapshot* snapshot : snapshots_) db->ReleaseSnapshot(snapshot);
    snapshots_.clear();
  }
  // To be asked by long scans now and then.
  bool closing() const { return closing_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> closing_{false};
  std::mutex mutex_;
  std::set<const Snapshot*> snapshots_;
};

inline Status no_keyspace(uint32_t keyspace) {
  return Status(Code::kInvalid, "no keyspace " + std::to_string(keyspace) + " was opened");
}
inline Status unknown_write(WriteKind kind) {
  return Status(Code::kUnsupported, "a write of kind " + std::to_string(static_cast<uint32_t>(kind)));
}

// What a plugin of such an engine exports. `Settings`: the options, by `Status apply(View<Option>)` on top of
// what they are. `StoreType::open(info, settings, files, log, events, out)` opens one store; it may refuse
// what the engine cannot do.
template <typename StoreType, typename Settings>
class EngineOf final : public Counted<Engine> {
 public:
  EngineOf(Files* files, Log* log, const Settings& settings)
      : files_(Ref<Files>::share(files)), log_(Ref<Log>::share(log)), settings_(settings) {}

  void* query(const char* id) noexcept override {
    return std::string_view(id) == kId ? static_cast<Engine*>(this) : nullptr;
  }
  Status open(const OpenInfo& info, StorageEvents* events, Store** out) noexcept override {
    return guarded([&] {
      Settings settings = settings_;
      if (Status s = settings.apply(info.options); !s.ok()) return s;
      if (info.directory == nullptr) return Status(Code::kInvalid, "a store needs a directory");
      if (info.keyspaces == 0) return Status(Code::kInvalid, "a store needs a keyspace");
      return StoreType::open(info, settings, files_.get(), log_.get(), events, out);
    });
  }

  // The descriptor's check_options and create.
  static Status check(View<Option> options) noexcept {
    return guarded([&] { return Settings().apply(options); });
  }
  static Status create(HostServices* host, View<Option> options, Object** out) noexcept {
    return guarded([&] {
      Settings settings;
      if (Status s = settings.apply(options); !s.ok()) return s;
      auto* files = service<Files>(host);
      if (files == nullptr) return Status(Code::kUnsupported, "the host offers no files");
      *out = make<EngineOf>(files, service<Log>(host), settings).detach();
      return Status();
    });
  }

 private:
  const Ref<Files> files_;
  const Ref<Log> log_;  // may be null
  const Settings settings_;
};

}  // namespace quorate::plugin
