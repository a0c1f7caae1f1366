#include <string>

#include "host_files.h"
#include "store.h"

namespace quorate::rocks {

using plugin::ByteView;
using plugin::Code;
using plugin::Status;
using rocksdb::Slice;

class RocksView final : public plugin::Counted<plugin::ReadView> {
 public:
  RocksView(std::shared_ptr<Database> database, const rocksdb::Snapshot* snapshot, plugin::Mark mark)
      : database_(std::move(database)), snapshot_(snapshot), mark_(mark) {}

  plugin::Mark mark() noexcept override { return mark_; }

  Status get(uint32_t keyspace, ByteView key, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      std::shared_lock lock(database_->gate);
      if (Status s = check(keyspace); !s.ok()) return s;
      key_.assign(1, kKeyPrefix).append(key.chars(), key.size);
      rocksdb::PinnableSlice value;
      rocksdb::Status s = database_->db->Get(read_options(), database_->families[keyspace], key_, &value);
      if (s.IsNotFound()) return Status(Code::kNotFound);
      if (!s.ok()) return to_plugin(s, "get");
      sink->entry(0, 1, key, {value.data(), value.size()});
      return Status();
    });
  }

  // Looks all keys up; those that could be read are reported even when others could not.
  Status multi_get(uint32_t keyspace, plugin::View<ByteView> keys, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      std::shared_lock lock(database_->gate);
      if (Status s = check(keyspace); !s.ok()) return s;
      Status first;
      for (uint64_t from = 0; from < keys.size; from += kMultiGet) {
        uint64_t n = std::min<uint64_t>(kMultiGet, keys.size - from);
        Status s = look_up(keyspace, {keys.data + from, n}, from, sink);
        if (!s.ok() && first.ok()) first = s;
      }
      return first;
    });
  }

  Status scan(const plugin::ScanOptions& options, plugin::ReadSink* sink) noexcept override {
    return plugin::guarded([&] {
      std::shared_lock lock(database_->gate);
      if (Status s = check(options.keyspace); !s.ok()) return s;
      std::string begin(1, kKeyPrefix);
      begin.append(options.begin.chars(), options.begin.size);
      std::string end(1, options.end.empty() ? kTie : kKeyPrefix);
      end.append(options.end.chars(), options.end.size);
      if (begin >= end) return Status();
      Slice low(begin);
      Slice high(end);
      rocksdb::ReadOptions read = read_options();
      read.iterate_lower_bound = &low;
      read.iterate_upper_bound = &high;
      read.readahead_size = std::min<uint64_t>(options.read_ahead, 16 << 20);
      read.fill_cache = options.fill_cache != 0;
      std::unique_ptr<rocksdb::Iterator> it(
          database_->db->NewIterator(read, database_->families[options.keyspace]));
      options.reverse != 0 ? it->SeekToLast() : it->SeekToFirst();
      for (uint64_t position = 0; it->Valid(); ++position) {
        if (database_->closing()) return database_->visible();
        Slice key = it->key();
        Slice value = it->value();
        if (sink->entry(position, 1, {key.data() + 1, key.size() - 1}, {value.data(), value.size()}) == 0)
          break;
        options.reverse != 0 ? it->Prev() : it->Next();
      }
      return to_plugin(it->status(), "scan");
    });
  }

 private:
  static constexpr uint64_t kMultiGet = 128;  // keys at once: bounds the memory of pinned blocks

  ~RocksView() { database_->drop_snapshot(snapshot_); }

  // REQUIRES: the gate is held.
  Status check(uint32_t keyspace) const {
    Status s = database_->visible();
    return s.ok() ? database_->check(keyspace) : s;
  }

  rocksdb::ReadOptions read_options() const {
    rocksdb::ReadOptions read;
    read.snapshot = snapshot_;
    read.verify_checksums = true;
    return read;
  }

  Status look_up(uint32_t keyspace, plugin::View<ByteView> keys, uint64_t position, plugin::ReadSink* sink) {
    key_.clear();
    for (const ByteView& key : keys) key_.append(1, kKeyPrefix).append(key.chars(), key.size);
    std::vector<Slice> slices(keys.size);
    const char* at = key_.data();
    for (uint64_t i = 0; i < keys.size; ++i) {
      slices[i] = Slice(at, keys[i].size + 1);
      at += keys[i].size + 1;
    }
    std::vector<rocksdb::PinnableSlice> values(keys.size);
    std::vector<rocksdb::Status> statuses(keys.size);
    database_->db->MultiGet(read_options(), database_->families[keyspace], keys.size, slices.data(),
                            values.data(), statuses.data());
    Status first;
    for (uint64_t i = 0; i < keys.size; ++i) {
      bool found = statuses[i].ok();
      if (!found && !statuses[i].IsNotFound()) {
        if (first.ok()) first = to_plugin(statuses[i], "multi_get");
        continue;
      }
      sink->entry(position + i, found, keys[i],
                  found ? ByteView(values[i].data(), values[i].size()) : ByteView());
    }
    return first;
  }

  const std::shared_ptr<Database> database_;
  const rocksdb::Snapshot* const snapshot_;
  const plugin::Mark mark_;
  std::string key_;
};

plugin::Status make_view(std::shared_ptr<Database> database, plugin::Mark mark, plugin::ReadView** out) {
  const rocksdb::Snapshot* snapshot = database->take_snapshot();
  *out = plugin::make<RocksView>(std::move(database), snapshot, mark).detach();
  return Status();
}

}  // namespace quorate::rocks
