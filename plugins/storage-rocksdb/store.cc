#include "store.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <string>
#include <utility>

#include "host_files.h"
#include "quorate/plugin/options.h"

namespace quorate::rocks {

using plugin::ByteView;
using plugin::Code;
using plugin::Mark;
using plugin::Status;
using rocksdb::Slice;

namespace {

constexpr rocksdb::CompressionType kCompressions[] = {rocksdb::kNoCompression, rocksdb::kLZ4Compression,
                                                      rocksdb::kSnappyCompression, rocksdb::kZSTD};
constexpr const char* kCompressionWords[] = {"none", "lz4", "snappy", "zstd"};

class Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(RocksStore* store) : store_(store) {}
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& info) override {
    store_->on_flushed(info.largest_seqno);
  }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* s) override {
    store_->on_error(*s);
  }
  // The handle is poisoned: RocksDB must not write again by itself once there is space.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* recover) override {
    *recover = false;
  }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    store_->on_stall(info.condition.cur);
  }

 private:
  RocksStore* const store_;
};

rocksdb::DBOptions database_options(const Settings& settings, rocksdb::Env* env, plugin::Log* log,
                                    RocksStore* store) {
  rocksdb::DBOptions o;
  o.env = env;
  o.info_log = make_host_logger(log);
  o.listeners.push_back(std::make_shared<Listener>(store));
  o.create_if_missing = true;
  o.create_missing_column_families = true;
  o.atomic_flush = true;
  o.paranoid_checks = true;
  o.max_bgerror_resume_count = 0;
  o.avoid_flush_during_shutdown = true;  // close() decides
  o.max_open_files = static_cast<int>(settings.open_files);
  o.max_background_jobs = 2;
  o.max_file_opening_threads = 1;
  o.db_write_buffer_size = settings.memtable;  // of all families together
  o.allow_concurrent_memtable_write = false;   // one writer: the plain insert is fastest for ascending keys
  o.enable_write_thread_adaptive_yield = false;
  o.stats_dump_period_sec = 0;  // no threads and no allocations for statistics nobody asked for
  o.stats_persist_period_sec = 0;
  o.max_manifest_file_size = 4 << 20;
  o.delete_obsolete_files_period_micros = 0;
  return o;
}

rocksdb::ColumnFamilyOptions family_options(const Settings& settings, std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::ColumnFamilyOptions o;
  o.write_buffer_size = settings.memtable;
  o.arena_block_size = 256 << 10;
  o.compression = kCompressions[settings.compression];
  o.bottommost_compression = rocksdb::kDisableCompressionOption;
  o.level_compaction_dynamic_level_bytes = true;
  o.target_file_size_base = settings.file_size;
  o.target_file_size_multiplier = 2;
  o.level0_file_num_compaction_trigger = 4;
  o.disable_auto_compactions = true;  // until the first write
  rocksdb::BlockBasedTableOptions t;
  t.block_cache = std::move(cache);
  t.block_size = settings.block_size;
  // Indexes live in the cache, in parts, so that memory does not grow with the database.
  t.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  t.cache_index_and_filter_blocks = true;
  t.pin_l0_filter_and_index_blocks_in_cache = false;
  t.metadata_block_size = 4 << 10;
  t.format_version = 5;
  t.checksum = rocksdb::kXXH3;
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(t));
  return o;
}

std::string family_name(uint32_t keyspace) {
  return keyspace == 0 ? rocksdb::kDefaultColumnFamilyName : "keyspace" + std::to_string(keyspace);
}

Status check_compression(const Settings& settings) {
  auto supported = rocksdb::GetSupportedCompressions();
  auto wanted = kCompressions[settings.compression];
  if (std::find(supported.begin(), supported.end(), wanted) != supported.end()) return Status();
  return Status(Code::kInvalid, "option compression: this RocksDB was built without " +
                                    std::string(kCompressionWords[settings.compression]));
}

// What RocksDB would accept and should not: tables without the file that names the manifest, which it would
// delete as leftovers, and fewer keyspaces than there are.
Status check_directory(const plugin::OpenInfo& info, const rocksdb::DBOptions& options) {
  const std::string directory = info.directory;
  auto files = options.env->GetFileSystem();
  rocksdb::IOStatus current = files->FileExists(directory + "/CURRENT", {}, nullptr);
  if (current.IsNotFound()) {
    std::vector<std::string> names;
    rocksdb::IOStatus s = files->GetChildren(directory, {}, &names, nullptr);
    if (!s.ok()) return to_plugin(s, "open");
    for (const std::string& name : names) {
      if (name.size() < 4 || name.compare(name.size() - 4, 4, ".sst") != 0) continue;
      return Status(Code::kCorruption,
                    "rocksdb: " + directory + " holds tables, but its CURRENT file is missing");
    }
    return Status();
  }
  if (!current.ok()) return to_plugin(current, "open");
  std::vector<std::string> families;
  rocksdb::Status s = rocksdb::DB::ListColumnFamilies(options, directory, &families);
  if (!s.ok()) return to_plugin(s, "open");
  if (families.size() <= info.keyspaces) return Status();
  return Status(Code::kIncompatible, "rocksdb: " + directory + " has " + std::to_string(families.size()) +
                                         " keyspaces, " + std::to_string(info.keyspaces) + " were asked for");
}

}  // namespace

Status Settings::apply(plugin::View<plugin::Option> options) {
  Status s =
      plugin::OptionTable()
          .size("memtable", &memtable, 1 << 20, 1 << 30)
          .size("block_cache", &block_cache, 0, uint64_t{1} << 40)
          .size("block_size", &block_size, 1 << 10, 1 << 20)
          .size("file_size", &file_size, 1 << 20, 1 << 30)
          .integer("open_files", &open_files, 16, 1 << 20)
          .choice("compression", &compression,
                  {kCompressionWords[0], kCompressionWords[1], kCompressionWords[2], kCompressionWords[3]})
          .apply(options);
  return s.ok() ? check_compression(*this) : s;
}

// ---- Open and close
// --------------------------------------------------------------------------------------------

Status RocksStore::open(const plugin::OpenInfo& info, const Settings& settings, plugin::Files* files,
                        plugin::Log* log, plugin::StorageEvents* events, plugin::Store** out) {
  auto store = plugin::Ref<RocksStore>::adopt(new RocksStore(events, info.read_only != 0));
  store->env_ = rocksdb::NewCompositeEnv(make_host_file_system(files));
  store->settings_ = settings;
  rocksdb::DBOptions options = database_options(settings, store->env_.get(), log, store.get());
  if (Status s = check_directory(info, options); !s.ok()) return s;
  auto cache = rocksdb::NewLRUCache(settings.block_cache, 2);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (uint32_t i = 0; i < info.keyspaces; ++i)
    families.emplace_back(family_name(i), family_options(settings, cache));
  Database& database = *store->database_;
  rocksdb::DB* db = nullptr;
  rocksdb::Status s =
      info.read_only != 0
          ? rocksdb::DB::OpenForReadOnly(options, info.directory, families, &database.families, &db)
          : rocksdb::DB::Open(options, info.directory, families, &database.families, &db);
  if (!s.ok()) return to_plugin(s, "open");
  database.db.reset(db);
  *out = store.detach();
  return Status();
}

Status RocksStore::close() noexcept {
  return plugin::guarded([&] {
    auto lock = database_->begin_close();
    if (database_->db == nullptr) return Status();
    Status result = usable().ok() ? flush() : Status();
    database_->release_snapshots();
    for (auto* family : database_->families) (void)database_->db->DestroyColumnFamilyHandle(family);
    database_->families.clear();
    (void)database_->db->Close();  // what it could say is about files that hold nothing acknowledged
    database_->db.reset();
    return result;
  });
}

// ---- Writes
// ----------------------------------------------------------------------------------------------------

Status RocksStore::usable() const {
  if (Status s = database_->open(); !s.ok()) return s;
  return read_only_ ? Status(Code::kInvalid, "the store was opened for reading only") : poison_.get();
}

Status RocksStore::write(plugin::View<plugin::WriteOp> batch, Mark mark) noexcept {
  return plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (Status s = usable(); !s.ok()) return s;
    if (mark < marks_.last_written()) return Status(Code::kInvalid, "the mark is below an earlier one");
    batch_.Clear();
    if (Status s = fill(batch); !s.ok()) return s;
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    rocksdb::Status s = database_->db->Write(options, &batch_);
    if (!s.ok()) return poison_.set(to_plugin(s, "write"));
    marks_.written(database_->db->GetLatestSequenceNumber(), mark);
    start_compactions();
    return Status();
  });
}

// Not when it is opened: who opens it reads everything first, and what an earlier life left to be compacted
// would take the processor and the disk from that.
void RocksStore::start_compactions() {
  if (std::exchange(compactions_started_, true)) return;
  rocksdb::Status s = database_->db->EnableAutoCompaction(database_->families);
  if (!s.ok()) (void)poison_.set(to_plugin(s, "start compactions"));
}

Status RocksStore::fill(plugin::View<plugin::WriteOp> batch) {
  constexpr char kPrefix[] = {kKeyPrefix};
  std::string begin;
  std::string end;
  for (const plugin::WriteOp& op : batch) {
    if (Status s = database_->check(op.keyspace); !s.ok()) return s;
    auto* family = database_->families[op.keyspace];
    Slice key[2] = {Slice(kPrefix, 1), Slice(op.key.chars(), op.key.size)};
    Slice value(op.value.chars(), op.value.size);
    rocksdb::Status s;
    switch (op.kind) {
      case plugin::WriteKind::kPut:
        s = batch_.Put(family, {key, 2}, {&value, 1});
        break;
      case plugin::WriteKind::kDelete:
        s = batch_.Delete(family, {key, 2});
        break;
      case plugin::WriteKind::kDeleteRange:
        begin.assign(1, kKeyPrefix).append(op.key.chars(), op.key.size);
        end.assign(1, kKeyPrefix).append(op.value.chars(), op.value.size);
        if (begin < end) s = batch_.DeleteRange(family, begin, end);
        break;
      default:
        return plugin::unknown_write(op.kind);
    }
    if (!s.ok()) return to_plugin(s, "write");  // nothing was written yet: the handle stays good
  }
  return Status();
}

Status RocksStore::sync(Mark mark) noexcept {
  return plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (database_->db != nullptr && marks_.durable() >= mark) return Status();
    if (Status s = usable(); !s.ok()) return s;
    return flush();
  });
}

// REQUIRES: the gate is held, shared or alone, and writes are not poisoned.
Status RocksStore::flush() {
  std::lock_guard lock(flush_mutex_);
  const Mark mark = marks_.last_written();
  if (marks_.durable() >= mark) return Status();
  tie_small_flush();
  rocksdb::FlushOptions options;
  options.wait = true;
  options.allow_write_stall = true;
  rocksdb::Status s = database_->db->Flush(options, database_->families);
  if (!s.ok()) return poison_.set(to_plugin(s, "flush"));
  if (Status poisoned = usable(); !poisoned.ok()) return poisoned;
  if (marks_.raise(mark) && events_ != nullptr) events_->on_durable(mark);
  return Status();
}

// Keys ascend, so the table of one flush lies behind all others, and RocksDB moves such tables down as they
// are. For full memtables that is ideal: every record is written once. Of small flushes it would leave
// thousands of tiny tables; an entry above all keys makes them overlap, so that they are merged into the last
// table.
void RocksStore::tie_small_flush() {
  rocksdb::WriteBatch tie;
  for (auto* family : database_->families) {
    uint64_t size = 0;
    uint64_t entries = 0;
    bool known =
        database_->db->GetIntProperty(family, rocksdb::DB::Properties::kCurSizeActiveMemTable, &size) &&
        database_->db->GetIntProperty(family, rocksdb::DB::Properties::kNumEntriesActiveMemTable, &entries);
    if (known && entries != 0 && size < settings_.memtable / 4)
      (void)tie.Put(family, Slice(&kTie, 1), Slice());
  }
  if (tie.Count() == 0) return;
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  (void)database_->db->Write(options, &tie);  // an error shows in the flush that follows
}

Status RocksStore::compact(uint32_t keyspace, ByteView begin, ByteView end) noexcept {
  return plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (Status s = usable(); !s.ok()) return s;
    if (Status s = database_->check(keyspace); !s.ok()) return s;
    std::string low(1, kKeyPrefix);
    low.append(begin.chars(), begin.size);
    std::string high(1, end.empty() ? kTie : kKeyPrefix);
    high.append(end.chars(), end.size);
    Slice from(low);
    Slice to(high);
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    rocksdb::Status s = database_->db->CompactRange(options, database_->families[keyspace], &from, &to);
    if (!s.ok()) return poison_.set(to_plugin(s, "compact"));
    return Status();
  });
}

// ---- What it tells
// ---------------------------------------------------------------------------------------------

Status RocksStore::new_read_view(plugin::ReadView** out) noexcept {
  return plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (Status s = database_->open(); !s.ok()) return s;
    const Mark mark = marks_.last_written();  // before the snapshot: a lower bound
    return make_view(database_, mark, out);
  });
}

uint64_t RocksStore::approximate_size() noexcept {
  std::shared_lock lock(database_->gate);
  if (database_->db == nullptr) return 0;
  uint64_t sum = 0;
  for (auto* family : database_->families) {
    uint64_t size = 0;
    if (database_->db->GetIntProperty(family, rocksdb::DB::Properties::kTotalSstFilesSize, &size))
      sum += size;
  }
  return sum;
}

void RocksStore::statistics(plugin::StatisticsSink* sink) noexcept {
  constexpr const char* kNames[] = {"total-sst-files-size",
                                    "estimate-num-keys",
                                    "cur-size-all-mem-tables",
                                    "estimate-table-readers-mem",
                                    "num-snapshots",
                                    "estimate-pending-compaction-bytes",
                                    "background-errors",
                                    "num-running-flushes",
                                    "num-running-compactions",
                                    "is-write-stopped",
                                    "actual-delayed-write-rate",
                                    "block-cache-usage"};
  (void)plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (database_->db == nullptr) return Status();
    for (uint32_t i = 0; i < database_->families.size(); ++i) {
      for (const char* name : kNames) {
        std::string value;
        if (!database_->db->GetProperty(database_->families[i], std::string("rocksdb.") + name, &value))
          continue;
        std::string full = "rocksdb." + std::to_string(i) + "." + name;
        sink->statistic({full.data(), full.size()}, {value.data(), value.size()});
      }
    }
    return Status();
  });
}

void RocksStore::on_flushed(uint64_t sequence) {
  const Mark mark = marks_.flushed(sequence);
  if (mark != 0 && events_ != nullptr) events_->on_durable(mark);
}

void RocksStore::on_error(const rocksdb::Status& s) { (void)poison_.set(to_plugin(s, "background work")); }

void RocksStore::on_stall(rocksdb::WriteStallCondition condition) {
  if (events_ == nullptr) return;
  events_->on_pressure(condition == rocksdb::WriteStallCondition::kStopped   ? 2
                       : condition == rocksdb::WriteStallCondition::kDelayed ? 1
                                                                             : 0);
}

}  // namespace quorate::rocks
