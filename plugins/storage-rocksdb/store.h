// An open RocksDB: one column family per keyspace, no write-ahead log, all families flushed as one.
//
// Why that is prefix-durable: without a log what survives is what was flushed; a flush takes every family's
// memtables at one point between two batches and enters them in the manifest as one atomic group.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "quorate/plugin/storage.h"
#include <rocksdb/db.h>
#include <rocksdb/listener.h>

namespace quorate::rocks {

struct Settings {
  uint64_t memtable = 16 << 20;
  uint64_t block_cache = 8 << 20;
  uint64_t block_size = 8 << 10;
  uint64_t compression = 0;  // a place in kCompressionWords
  uint64_t open_files = 512;
  uint64_t file_size = 16 << 20;
  plugin::Status apply(plugin::View<plugin::Option> options);
};

// Which batches are durable, from sequence numbers of flushed memtables. [thread-safe]
class Marks {
 public:
  void written(uint64_t sequence, plugin::Mark mark);
  // Everything up to `sequence` is flushed. True with the new mark when that made more durable.
  bool flushed(uint64_t sequence, plugin::Mark* durable);
  bool raise(plugin::Mark mark);
  plugin::Mark last_written() const;
  plugin::Mark durable() const { return durable_.load(std::memory_order_acquire); }

 private:
  struct Entry {
    uint64_t sequence;
    plugin::Mark mark;
  };
  mutable std::mutex mutex_;
  std::deque<Entry> pending_;
  uint64_t flushed_ = 0;
  plugin::Mark last_ = 0;
  std::atomic<plugin::Mark> durable_{0};
};

// The database as the store and its views share it. Users hold `gate` shared; close() takes it alone.
struct Database {
  std::shared_mutex gate;
  std::atomic<bool> closing{false};
  std::unique_ptr<rocksdb::DB> db;  // null once closed; under gate
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::mutex views_mutex;
  std::set<const rocksdb::Snapshot*> snapshots;  // under views_mutex; released by their views, or by close()
};

class RocksStore final : public plugin::Counted<plugin::Store> {
 public:
  static plugin::Status open(const plugin::OpenInfo& info, const Settings& settings, plugin::Files* files,
                             plugin::Log* log, plugin::StorageEvents* events, plugin::Store** out);

  plugin::Status write(plugin::View<plugin::WriteOp> batch, plugin::Mark mark) noexcept override;
  plugin::Status sync(plugin::Mark mark) noexcept override;
  plugin::Mark durable_mark() noexcept override { return marks_.durable(); }
  plugin::Status new_read_view(plugin::ReadView** out) noexcept override;
  plugin::Status compact(uint32_t keyspace, plugin::ByteView begin, plugin::ByteView end) noexcept override;
  uint64_t approximate_size() noexcept override;
  void statistics(plugin::StatisticsSink* sink) noexcept override;
  plugin::Status close() noexcept override;

  // From RocksDB's threads.
  void on_flushed(uint64_t sequence);
  void on_error(const rocksdb::Status& s);
  void on_stall(rocksdb::WriteStallCondition condition);

 private:
  RocksStore(plugin::StorageEvents* events, bool read_only) : events_(events), read_only_(read_only) {}
  ~RocksStore() { (void)close(); }

  plugin::Status flush();
  plugin::Status poison(const plugin::Status& s);
  plugin::Status usable() const;  // ok, or why nothing may be written
  plugin::Status fill(plugin::View<plugin::WriteOp> batch);
  void tie_small_flush();

  plugin::StorageEvents* const events_;
  const bool read_only_;
  const std::shared_ptr<Database> database_ = std::make_shared<Database>();
  std::unique_ptr<rocksdb::Env> env_;
  std::string directory_;
  Settings settings_;
  Marks marks_;
  std::mutex flush_mutex_;
  rocksdb::WriteBatch batch_;  // of write(), kept for its memory
  mutable std::mutex poison_mutex_;
  plugin::Status poison_;
  std::atomic<bool> poisoned_{false};
};

// A key as it is stored: kKeyPrefix in front. kTie, one byte above it, is the greatest key of every family.
inline constexpr char kKeyPrefix = 0;
inline constexpr char kTie = 1;

plugin::Status make_view(std::shared_ptr<Database> database, plugin::Mark mark, plugin::ReadView** out);

}  // namespace quorate::rocks
