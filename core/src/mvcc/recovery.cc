// Rebuilding memory from the engine: one scan of all records in revision order, one sort by key, one bulk
// load.
#include <algorithm>
#include <cstring>

#include "mvcc/store_impl.h"

namespace quorate::mvcc {
namespace {

constexpr size_t kChunk = 1u << 20;
constexpr uint64_t kReadAhead = 4u << 20;

uint64_t load_head(std::string_view key, size_t skip) {
  uint64_t head = 0;
  if (skip < key.size()) std::memcpy(&head, key.data() + skip, std::min<size_t>(8, key.size() - skip));
  return __builtin_bswap64(head);
}

plugin::Status corrupt(const std::string& text) { return plugin::Status(plugin::Code::kCorruption, text); }

std::string printable(plugin::ByteView bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (uint64_t i = 0; i < std::min<uint64_t>(bytes.size, 32); ++i) {
    out += kHex[bytes.data[i] >> 4];
    out += kHex[bytes.data[i] & 15];
  }
  return out;
}

}  // namespace

class Recovery final : public plugin::ReadSink {
 public:
  explicit Recovery(StoreImpl* store) : store_(*store) {}

  plugin::Status run(Recovered* out);
  uint32_t entry(uint64_t position, uint32_t found, plugin::ByteView key,
                 plugin::ByteView value) noexcept override;

 private:
  // One record, to be sorted. Equal keys sort by place, which is by revision.
  struct Item {
    uint64_t head = 0;  // the 16 bytes of the key behind what all keys begin with: most comparisons end here
    uint64_t head2 = 0;
    const char* key = nullptr;
    uint32_t key_size = 0;
    uint32_t place = 0;
    std::string_view view() const { return {key, key_size}; }
  };

  plugin::Status scan_records(plugin::ReadView* view);
  plugin::Status scan_meta(plugin::ReadView* view, Recovered* out);
  plugin::Status take(plugin::ByteView key, plugin::ByteView value);
  const char* copy(std::string_view key);
  void sort();
  void load();
  void load_key(KeyIndex::Loader& loader, std::string_view key);

  StoreImpl& store_;
  plugin::Status status_;
  std::vector<Item> items_;
  std::vector<KeyVersion> versions_;
  std::vector<KeyVersion> of_key_;
  std::string_view first_key_;
  size_t common_prefix_ = SIZE_MAX;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* chunk_at_ = nullptr;
  size_t chunk_left_ = 0;
};

plugin::Status Recovery::run(Recovered* out) {
  bool fresh = false;
  plugin::Status status = store_.writer_.open(&store_.state_, &fresh);
  if (!status.ok()) return status;
  plugin::Ref<plugin::ReadView> view;
  status = store_.writer_.open_view(view.out());
  if (status.ok()) status = scan_records(view.get());
  if (status.ok()) status = scan_meta(view.get(), out);
  if (!status.ok()) return status;
  sort();
  load();
  if (!status_.ok()) return status_;
  const State& state = store_.state_;
  out->applied = state.applied;
  out->applied_term = state.applied_term;
  out->revision = state.revision;
  out->compacted = state.compacted;
  out->keys = store_.index_.live();
  store_.schedule_compaction(store_.options_.compaction_pause_ns);
  return {};
}

plugin::Status Recovery::scan_records(plugin::ReadView* view) {
  plugin::ScanOptions options;
  options.keyspace = kRecordsKeyspace;
  options.read_ahead = kReadAhead;
  options.fill_cache = 0;
  plugin::Status status = view->scan(options, this);
  return status_.ok() ? status : status_;
}

uint32_t Recovery::entry(uint64_t, uint32_t, plugin::ByteView key, plugin::ByteView value) noexcept {
  status_ = take(key, value);
  return status_.ok() ? 1 : 0;
}

plugin::Status Recovery::take(plugin::ByteView key, plugin::ByteView value) {
  KeyVersion v;
  if (!parse_record_key(key, &v.mod, &v.tombstone))
    return corrupt("a record under the key " + printable(key));
  // The engine's order is that of revisions; one has a single record, with or without the tombstone's mark.
  if (!versions_.empty() && v.mod <= versions_.back().mod)
    return corrupt("a second record of " + describe(v.mod) + ", or one out of order");
  plugin::ByteView record;
  if (!open_record(key, value, &record))
    return corrupt("the record of " + describe(v.mod) + " fails its checksum");
  KeyValueView kv;
  if (!decode(record, &kv) || kv.key.empty() || (!v.tombstone && kv.mod != v.mod.main) ||
      record.size > UINT32_MAX)
    return corrupt("the record of " + describe(v.mod) + " is no key-value of that revision");
  if (v.mod.main > store_.state_.revision)
    return corrupt("the record of " + describe(v.mod) + " is above the current revision " +
                   std::to_string(store_.state_.revision));
  v.create_main = kv.create;
  v.version = kv.version;
  v.lease = kv.lease;
  v.record_size = static_cast<uint32_t>(record.size);
  if (!v.tombstone) v.ref = store_.cache_.add(record);
  store_.logical_size_ += logical_record_size(v);

  std::string_view name{copy(kv.key), kv.key.size()};
  if (items_.empty()) first_key_ = name;
  size_t same = std::min({common_prefix_, first_key_.size(), name.size()});
  while (std::memcmp(first_key_.data(), name.data(), same) != 0) --same;
  common_prefix_ = same;
  items_.push_back(
      {0, 0, name.data(), static_cast<uint32_t>(name.size()), static_cast<uint32_t>(versions_.size())});
  versions_.push_back(v);
  return {};
}

const char* Recovery::copy(std::string_view key) {
  if (key.size() > chunk_left_) {
    chunk_left_ = std::max(key.size(), kChunk);
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_left_));
    chunk_at_ = chunks_.back().get();
  }
  char* to = chunk_at_;
  std::memcpy(to, key.data(), key.size());
  chunk_at_ += key.size();
  chunk_left_ -= key.size();
  return to;
}

void Recovery::sort() {
  for (Item& item : items_) {
    item.head = load_head(item.view(), common_prefix_);
    item.head2 = load_head(item.view(), common_prefix_ + 8);
  }
  auto before = [](const Item& a, const Item& b) {
    if (a.head != b.head) return a.head < b.head;
    if (a.head2 != b.head2) return a.head2 < b.head2;
    int order = a.view().compare(b.view());
    return order != 0 ? order < 0 : a.place < b.place;
  };
  if (!std::is_sorted(items_.begin(), items_.end(), before)) std::sort(items_.begin(), items_.end(), before);
}

void Recovery::load() {
  KeyIndex::Loader loader(&store_.index_);
  for (size_t i = 0; i < items_.size();) {
    std::string_view key = items_[i].view();
    of_key_.clear();
    for (; i < items_.size() && items_[i].view() == key; ++i) of_key_.push_back(versions_[items_[i].place]);
    load_key(loader, key);
  }
  loader.finish();
  auto by_due = [](const auto& a, const auto& b) { return a.due < b.due; };
  std::stable_sort(store_.superseded_.begin(), store_.superseded_.end(), by_due);
  std::stable_sort(store_.buried_.begin(), store_.buried_.end(), by_due);
}

// What the compacted revision supersedes does not come back: it is removed from the engine. The rest joins
// the queues as if it had just been written.
void Recovery::load_key(KeyIndex::Loader& loader, std::string_view key) {
  int64_t compacted = store_.state_.compacted;
  size_t first = 0;
  for (; first < of_key_.size(); ++first) {
    const KeyVersion& v = of_key_[first];
    bool superseded = first + 1 < of_key_.size() && of_key_[first + 1].mod.main <= compacted;
    if (!superseded && !(v.tombstone && v.mod.main < compacted)) break;
    store_.doomed_.push_back({RecordKey(v.mod, v.tombstone), logical_record_size(v)});
  }
  if (first == of_key_.size()) return;
  KeyEntry* entry = loader.add(key, of_key_.data() + first, of_key_.size() - first);
  for (size_t i = first; i < of_key_.size(); ++i) {
    const KeyVersion& v = of_key_[i];
    // Only the first finds something to delete; compaction relies on it.
    if (v.tombstone && i > first && of_key_[i - 1].tombstone)
      status_ = corrupt("the record of " + describe(v.mod) + " deletes a key that is deleted already");
    if (v.tombstone)
      store_.buried(entry, v.mod.main + 1);
    else if (i + 1 < of_key_.size())
      store_.superseded(entry, of_key_[i + 1].mod.main);
  }
}

plugin::Status Recovery::scan_meta(plugin::ReadView* view, Recovered* out) {
  class MetaSink final : public plugin::ReadSink {
   public:
    explicit MetaSink(Recovered* out) : out_(out) {}
    uint32_t entry(uint64_t, uint32_t, plugin::ByteView key, plugin::ByteView value) noexcept override {
      plugin::ByteView record;
      std::string_view name = chars_of(key).substr(1);
      if (!open_record(key, value, &record)) {
        status = corrupt("the meta record '" + std::string(name) + "' fails its checksum");
        return 0;
      }
      out_->meta.emplace_back(name, chars_of(record));
      return 1;
    }
    plugin::Status status;

   private:
    Recovered* out_;
  };
  static constexpr char kBegin = kNodeMetaPrefix;
  static constexpr char kEnd = kNodeMetaPrefix + 1;
  plugin::ScanOptions options;
  options.keyspace = kMetaKeyspace;
  options.begin = {&kBegin, 1};
  options.end = {&kEnd, 1};
  MetaSink sink(out);
  plugin::Status status = view->scan(options, &sink);
  return sink.status.ok() ? status : sink.status;
}

plugin::Status StoreImpl::recover(Recovered* out) {
  Recovery recovery(this);
  return recovery.run(out);
}

}  // namespace quorate::mvcc
