// An open LevelDB: all keyspaces in one key space, each key behind one byte for its keyspace, no log
// (host_env.h).
//
// Why that is prefix-durable: LevelDB flushes one memtable at a time, whole batches, in order, and the
// manifest names the table in one synced record. sync() is a flush.
#pragma once

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <memory>
#include <mutex>
#include <string>

#include "host_env.h"
#include "quorate/plugin/storage.h"
#include "quorate/plugin/storage_support.h"

namespace quorate::level {

struct Settings {
  uint64_t memtable = 8 << 20;
  uint64_t block_cache = 8 << 20;
  uint64_t block_size = 8 << 10;
  uint64_t file_size = 8 << 20;
  uint64_t open_files = 512;
  uint64_t compression = 0;  // 0: none, 1: snappy
  plugin::Status apply(plugin::View<plugin::Option> options);
};

inline constexpr uint32_t kMaxKeyspaces = 255;  // the byte 255 lies behind all of them

struct Database : plugin::SharedDatabase<leveldb::DB, leveldb::Snapshot> {
  uint32_t keyspaces = 0;
  plugin::Status check(uint32_t keyspace) const {
    return keyspace < keyspaces ? plugin::Status() : plugin::no_keyspace(keyspace);
  }
};

class LevelStore final : public plugin::Counted<plugin::Store>, private EnvEvents {
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

 private:
  explicit LevelStore(plugin::StorageEvents* events) : events_(events), poison_(events) {}
  ~LevelStore() { (void)close(); }

  void write_failed(const plugin::Status& s) override { (void)poison_.set(s); }
  void log_begun(uint64_t number) override { log_.store(number); }
  void log_removed(uint64_t number) override;

  plugin::Status usable() const;  // ok, or why nothing may be written
  plugin::Status flush();
  plugin::Status fill(plugin::View<plugin::WriteOp> batch);
  plugin::Status background_status();

  plugin::StorageEvents* const events_;
  const std::shared_ptr<Database> database_ = std::make_shared<Database>();
  std::unique_ptr<leveldb::Env> env_;
  std::unique_ptr<leveldb::Logger> logger_;
  std::unique_ptr<leveldb::Cache> cache_;
  plugin::Marks marks_;
  plugin::Poison poison_;
  std::atomic<uint64_t> log_{0};  // of the memtable that is written now
  std::mutex flush_mutex_;
  leveldb::WriteBatch batch_;  // of write(), kept for its memory
  std::string key_;
};

}  // namespace quorate::level
