// An open RocksDB: one column family per keyspace, no write-ahead log, all families flushed as one.
//
// Why that is prefix-durable: without a log what survives is what was flushed; a flush takes every family's
// memtables at one point between two batches and enters them in the manifest as one atomic group.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "quorate/plugin/storage.h"
#include "quorate/plugin/storage_support.h"

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

// The database as the store and its views share it.
struct Database : plugin::SharedDatabase<rocksdb::DB, rocksdb::Snapshot> {
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  plugin::Status check(uint32_t keyspace) const {
    return keyspace < families.size() ? plugin::Status() : plugin::no_keyspace(keyspace);
  }
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
  RocksStore(plugin::StorageEvents* events, bool read_only)
      : events_(events), read_only_(read_only), poison_(events) {}
  ~RocksStore() { (void)close(); }

  plugin::Status flush();
  plugin::Status usable() const;  // ok, or why nothing may be written
  plugin::Status fill(plugin::View<plugin::WriteOp> batch);
  void tie_small_flush();
  void start_compactions();

  plugin::StorageEvents* const events_;
  const bool read_only_;
  const std::shared_ptr<Database> database_ = std::make_shared<Database>();
  std::unique_ptr<rocksdb::Env> env_;
  Settings settings_;
  plugin::Marks marks_;
  plugin::Poison poison_;
  std::mutex flush_mutex_;
  bool compactions_started_ = false;  // of write()
  rocksdb::WriteBatch batch_;         // of write(), kept for its memory
};

// A key as it is stored: kKeyPrefix in front. kTie, one byte above it, is the greatest key of every family.
inline constexpr char kKeyPrefix = 0;
inline constexpr char kTie = 1;

plugin::Status make_view(std::shared_ptr<Database> database, plugin::Mark mark, plugin::ReadView** out);

}  // namespace quorate::rocks
