#include "store.h"

#include <string_view>
#include <vector>

#include "quorate/plugin/options.h"

namespace quorate::level {

using leveldb::Slice;
using plugin::ByteView;
using plugin::Code;
using plugin::Mark;
using plugin::Status;

namespace {

std::string stored_key(uint32_t keyspace, ByteView key) {
  std::string stored(1, static_cast<char>(keyspace));
  stored.append(key.chars(), key.size);
  return stored;
}

// The end of a range as it is stored; an empty one means the end of the keyspace.
std::string stored_end(uint32_t keyspace, ByteView end) {
  return end.empty() ? std::string(1, static_cast<char>(keyspace + 1)) : stored_key(keyspace, end);
}

class LevelView final : public plugin::Counted<plugin::ReadView> {
 public:
  LevelView(std::shared_ptr<Database> database, Mark mark)
      : database_(std::move(database)), snapshot_(database_->take_snapshot()), mark_(mark) {}

  Mark mark() noexcept override { return mark_; }

  Status get(uint32_t keyspace, ByteView key, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      std::shared_lock lock(database_->gate);
      if (Status s = check(keyspace); !s.ok()) return s;
      leveldb::Status s = look_up(keyspace, key);
      if (s.IsNotFound()) return Status(Code::kNotFound);
      if (s.ok()) sink->entry(0, 1, key, {value_.data(), value_.size()});
      return to_plugin(s, "get");
    });
  }

  // Looks all keys up; those that could be read are reported even when others could not.
  Status multi_get(uint32_t keyspace, plugin::View<ByteView> keys, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      std::shared_lock lock(database_->gate);
      if (Status s = check(keyspace); !s.ok()) return s;
      Status first;
      for (uint64_t i = 0; i < keys.size; ++i) {
        leveldb::Status s = look_up(keyspace, keys[i]);
        if (s.ok()) {
          sink->entry(i, 1, keys[i], {value_.data(), value_.size()});
        } else if (s.IsNotFound()) {
          sink->entry(i, 0, keys[i], {});
        } else if (first.ok()) {
          first = to_plugin(s, "multi_get");
        }
      }
      return first;
    });
  }

  Status scan(const plugin::ScanOptions& options, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      std::shared_lock lock(database_->gate);
      if (Status s = check(options.keyspace); !s.ok()) return s;
      const std::string begin = stored_key(options.keyspace, options.begin);
      const std::string end = stored_end(options.keyspace, options.end);
      if (begin >= end) return Status();
      leveldb::ReadOptions read = read_options();
      read.fill_cache = options.fill_cache != 0;
      std::unique_ptr<leveldb::Iterator> it(database_->db->NewIterator(read));
      return options.reverse != 0 ? backward(it.get(), begin, end, sink)
                                  : forward(it.get(), begin, end, sink);
    });
  }

 private:
  ~LevelView() { database_->drop_snapshot(snapshot_); }

  // REQUIRES: the gate is held.
  Status check(uint32_t keyspace) const {
    Status s = database_->visible();
    return s.ok() ? database_->check(keyspace) : s;
  }
  leveldb::ReadOptions read_options() const {
    leveldb::ReadOptions read;
    read.snapshot = snapshot_;
    read.verify_checksums = true;
    return read;
  }
  leveldb::Status look_up(uint32_t keyspace, ByteView key) {
    key_.assign(1, static_cast<char>(keyspace)).append(key.chars(), key.size);
    return database_->db->Get(read_options(), key_, &value_);
  }

  Status forward(leveldb::Iterator* it, const std::string& begin, const std::string& end,
                 plugin::ReadSink* sink) {
    it->Seek(begin);
    for (uint64_t position = 0; good(it) && it->key().compare(end) < 0; it->Next()) {
      if (!show(it, position++, sink)) return Status();
    }
    return ended(it);
  }

  Status backward(leveldb::Iterator* it, const std::string& begin, const std::string& end,
                  plugin::ReadSink* sink) {
    it->Seek(end);
    if (it->Valid()) {
      it->Prev();
    } else if (it->status().ok()) {
      it->SeekToLast();
    }
    for (uint64_t position = 0; good(it) && it->key().compare(begin) >= 0; it->Prev()) {
      if (!show(it, position++, sink)) return Status();
    }
    return ended(it);
  }

  // LevelDB steps over a damaged block and tells of it only in status(): asked before each entry, so that
  // none behind the gap is shown.
  bool good(leveldb::Iterator* it) const { return it->Valid() && it->status().ok() && !database_->closing(); }
  Status ended(leveldb::Iterator* it) const {
    return database_->closing() ? database_->visible() : to_plugin(it->status(), "scan");
  }

  static bool show(leveldb::Iterator* it, uint64_t position, plugin::ReadSink* sink) {
    Slice key = it->key();
    Slice value = it->value();
    return sink->entry(position, 1, {key.data() + 1, key.size() - 1}, {value.data(), value.size()}) != 0;
  }

  const std::shared_ptr<Database> database_;
  const leveldb::Snapshot* const snapshot_;
  const Mark mark_;
  std::string key_;
  std::string value_;
};

// LevelDB would make a new database of a directory that lost its CURRENT file, and remove the tables.
Status check_directory(leveldb::Env* env, const std::string& directory) {
  if (env->FileExists(directory + "/CURRENT")) return Status();
  std::vector<std::string> names;
  if (leveldb::Status s = env->GetChildren(directory, &names); !s.ok()) return to_plugin(s, "open");
  for (const std::string& name : names) {
    if (name.size() < 4 || name.compare(name.size() - 4, 4, ".ldb") != 0) continue;
    return Status(Code::kCorruption,
                  "leveldb: " + directory + " holds tables, but its CURRENT file is missing");
  }
  return Status();
}

}  // namespace

Status Settings::apply(plugin::View<plugin::Option> options) {
  return plugin::OptionTable()
      .size("memtable", &memtable, 1 << 20, 1 << 30)
      .size("block_cache", &block_cache, 0, uint64_t{1} << 40)
      .size("block_size", &block_size, 1 << 10, 1 << 20)
      .size("file_size", &file_size, 1 << 20, 1 << 30)
      .integer("open_files", &open_files, 74, 50000)
      .choice("compression", &compression, {"none", "snappy"})
      .apply(options);
}

// ---- Open and close
// --------------------------------------------------------------------------------------------

Status LevelStore::open(const plugin::OpenInfo& info, const Settings& settings, plugin::Files* files,
                        plugin::Log* log, plugin::StorageEvents* events, plugin::Store** out) {
  if (info.read_only != 0) return Status(Code::kUnsupported, "LevelDB cannot be opened for reading only");
  if (info.keyspaces > kMaxKeyspaces) {
    return Status(Code::kInvalid, "keyspaces: " + std::to_string(info.keyspaces) + " is more than " +
                                      std::to_string(kMaxKeyspaces));
  }
  auto store = plugin::Ref<LevelStore>::adopt(new LevelStore(events));
  store->env_ = make_host_env(files, store.get());
  store->logger_ = make_host_logger(log);
  store->cache_.reset(leveldb::NewLRUCache(settings.block_cache));
  store->database_->keyspaces = info.keyspaces;
  if (Status s = check_directory(store->env_.get(), info.directory); !s.ok()) return s;
  leveldb::Options options;
  options.env = store->env_.get();
  options.info_log = store->logger_.get();
  options.block_cache = store->cache_.get();
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.write_buffer_size = settings.memtable;
  options.block_size = settings.block_size;
  options.max_file_size = settings.file_size;
  options.max_open_files = static_cast<int>(settings.open_files);
  options.compression = settings.compression == 0 ? leveldb::kNoCompression : leveldb::kSnappyCompression;
  leveldb::DB* db = nullptr;
  if (leveldb::Status s = leveldb::DB::Open(options, info.directory, &db); !s.ok())
    return to_plugin(s, "open");
  store->database_->db.reset(db);
  *out = store.detach();
  return Status();
}

Status LevelStore::close() noexcept {
  return plugin::guarded([&] {
    auto lock = database_->begin_close();
    if (database_->db == nullptr) return Status();
    Status result = usable().ok() ? flush() : Status();
    database_->release_snapshots();
    database_->db.reset();
    return result;
  });
}

// ---- Writes
// ----------------------------------------------------------------------------------------------------

Status LevelStore::usable() const {
  Status s = database_->open();
  return s.ok() ? poison_.get() : s;
}

Status LevelStore::write(plugin::View<plugin::WriteOp> batch, Mark mark) noexcept {
  return plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (Status s = usable(); !s.ok()) return s;
    if (mark < marks_.last_written()) return Status(Code::kInvalid, "the mark is below an earlier one");
    batch_.Clear();
    if (Status s = fill(batch); !s.ok()) return s;
    leveldb::Status s = database_->db->Write({}, &batch_);
    if (!s.ok()) return poison_.set(to_plugin(s, "write"));
    marks_.written(log_.load(), mark);  // that log, or an earlier one
    return Status();
  });
}

Status LevelStore::fill(plugin::View<plugin::WriteOp> batch) {
  for (const plugin::WriteOp& op : batch) {
    if (Status s = database_->check(op.keyspace); !s.ok()) return s;
    key_.assign(1, static_cast<char>(op.keyspace)).append(op.key.chars(), op.key.size);
    switch (op.kind) {
      case plugin::WriteKind::kPut:
        batch_.Put(key_, Slice(op.value.chars(), op.value.size));
        break;
      case plugin::WriteKind::kDelete:
        batch_.Delete(key_);
        break;
      default:
        return plugin::unknown_write(op.kind);
    }
  }
  return Status();
}

Status LevelStore::sync(Mark mark) noexcept {
  return plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (database_->db != nullptr && marks_.durable() >= mark) return Status();
    if (Status s = usable(); !s.ok()) return s;
    return flush();
  });
}

// REQUIRES: the gate is held, shared or alone, and writes are not poisoned.
Status LevelStore::flush() {
  std::lock_guard lock(flush_mutex_);
  const Mark mark = marks_.last_written();
  if (marks_.durable() >= mark) return Status();
  // Compacting a range behind all keys does nothing but flush the memtable and wait for it.
  const std::string behind(1, static_cast<char>(kMaxKeyspaces));
  const Slice range(behind);
  database_->db->CompactRange(&range, &range);
  if (Status s = background_status(); !s.ok()) return s;
  if (marks_.raise(mark) && events_ != nullptr) events_->on_durable(mark);
  return Status();
}

// LevelDB tells of a failed background job in the answer to the next write: here one of nothing.
Status LevelStore::background_status() {
  if (Status s = poison_.get(); !s.ok()) return s;
  leveldb::WriteBatch nothing;
  leveldb::Status s = database_->db->Write({}, &nothing);
  return s.ok() ? poison_.get() : poison_.set(to_plugin(s, "flush"));
}

void LevelStore::log_removed(uint64_t number) {
  const Mark mark = marks_.flushed(number);
  if (mark != 0 && events_ != nullptr) events_->on_durable(mark);
}

Status LevelStore::compact(uint32_t keyspace, ByteView begin, ByteView end) noexcept {
  return plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (Status s = usable(); !s.ok()) return s;
    if (Status s = database_->check(keyspace); !s.ok()) return s;
    const std::string low = stored_key(keyspace, begin);
    const std::string high = stored_end(keyspace, end);
    const Slice from(low);
    const Slice to(high);
    database_->db->CompactRange(&from, &to);
    return background_status();
  });
}

// ---- What it tells
// ---------------------------------------------------------------------------------------------

Status LevelStore::new_read_view(plugin::ReadView** out) noexcept {
  return plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (Status s = database_->open(); !s.ok()) return s;
    const Mark mark = marks_.last_written();  // before the snapshot: a lower bound
    *out = plugin::make<LevelView>(database_, mark).detach();
    return Status();
  });
}

uint64_t LevelStore::approximate_size() noexcept {
  std::shared_lock lock(database_->gate);
  if (database_->db == nullptr) return 0;
  const std::string behind(1, static_cast<char>(kMaxKeyspaces));
  const leveldb::Range all(Slice(), behind);
  uint64_t size = 0;
  database_->db->GetApproximateSizes(&all, 1, &size);
  return size;
}

void LevelStore::statistics(plugin::StatisticsSink* sink) noexcept {
  (void)plugin::guarded([&] {
    std::shared_lock lock(database_->gate);
    if (database_->db == nullptr) return Status();
    std::vector<std::string> names = {"approximate-memory-usage"};
    for (int level = 0; level < 7; ++level) names.push_back("num-files-at-level" + std::to_string(level));
    for (const std::string& name : names) {
      std::string value;
      const std::string full = "leveldb." + name;
      if (!database_->db->GetProperty(full, &value)) continue;
      sink->statistic({full.data(), full.size()}, {value.data(), value.size()});
    }
    return Status();
  });
}

}  // namespace quorate::level
