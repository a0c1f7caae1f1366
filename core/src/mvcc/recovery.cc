// Rebuilding memory from the engine: a scan of all records in revision order and a sort by key, both in parts
// beside each other, and one bulk load that merges them. What comes out does not depend on the number of
// parts.
#include <algorithm>
#include <boost/container/deque.hpp>
#include <cstring>

#include "mvcc/store_impl.h"

namespace quorate::mvcc {
namespace {

constexpr size_t kChunk = 1u << 20;
constexpr uint64_t kReadAhead = 4u << 20;
constexpr int64_t kRevisionsPerPart = 16;  // little: threads cost less than a second way to do it would
constexpr int64_t kMaxParts = 4;
using BlockBytes = boost::container::deque_options<boost::container::block_bytes<1u << 20>>::type;

// How many bytes both begin with, at most `most`.
size_t shared_prefix(std::string_view a, std::string_view b, size_t most) {
  size_t same = std::min({most, a.size(), b.size()});
  while (std::memcmp(a.data(), b.data(), same) != 0) --same;
  return same;
}

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

// The records of a range of revisions: read, checked, and sorted by key. Touches nothing that others touch.
class RecoveryPart final : public plugin::ReadSink {
 public:
  // One record, to be sorted. Equal keys sort by place, which is by revision.
  struct Item {
    uint64_t head = 0;  // the 16 bytes of the key behind what all keys begin with: most comparisons end here
    uint64_t head2 = 0;
    const char* key = nullptr;
    uint32_t key_size = 0;
    uint32_t place = 0;
    std::string_view view() const { return {key, key_size}; }
    int compare_key(const Item& o) const {
      if (head != o.head) return head < o.head ? -1 : 1;
      if (head2 != o.head2) return head2 < o.head2 ? -1 : 1;
      return view().compare(o.view());
    }
  };

  // Revisions from `from` on, below `to`; 0: open.
  RecoveryPart(const State& state, int64_t from, int64_t to, uint64_t cache_bytes)
      : cache(cache_bytes), state_(state), from_(from), to_(to) {}

  void scan(plugin::ReadView* view);
  void sort(size_t common_prefix);
  uint32_t entry(uint64_t position, uint32_t found, plugin::ByteView key,
                 plugin::ByteView value) noexcept override;
  std::string_view first_key() const { return items.empty() ? std::string_view() : first_key_; }

  plugin::Status status;
  RecordCache cache;
  std::vector<Item> items;
  // In blocks, because a vector that grows is there twice: this is what a start needs most memory for.
  boost::container::deque<KeyVersion, void, BlockBytes> versions;
  uint64_t logical_size = 0;
  size_t common_prefix = SIZE_MAX;
  size_t at = 0;  // how far the index has been loaded from it

 private:
  plugin::Status take(plugin::ByteView key, plugin::ByteView value);
  const char* copy(std::string_view key);

  const State& state_;
  const int64_t from_, to_;
  std::string_view first_key_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* chunk_at_ = nullptr;
  size_t chunk_left_ = 0;
};

class Recovery {
 public:
  explicit Recovery(StoreImpl* store) : store_(*store) {}
  plugin::Status run(Recovered* out);

 private:
  using Item = RecoveryPart::Item;

  plugin::Status scan_records();
  plugin::Status scan_meta(plugin::ReadView* view, Recovered* out);
  void make_parts();
  template <typename F>
  void for_all_parts(F f);
  void sort();
  void take_over_caches();
  void load();
  const Item* least() const;
  void load_key(KeyIndex::Loader& loader, std::string_view key);

  StoreImpl& store_;
  std::vector<std::unique_ptr<RecoveryPart>> parts_;  // ascending
  plugin::Status status_;                             // of the load
  std::vector<KeyVersion> of_key_;
};

plugin::Status Recovery::run(Recovered* out) {
  bool fresh = false;
  plugin::Status status = store_.writer_.open(&store_.state_, &fresh);
  if (!status.ok()) return status;
  plugin::Ref<plugin::ReadView> view;
  status = store_.writer_.open_view(view.out());
  if (status.ok()) status = scan_records();
  if (status.ok()) status = scan_meta(view.get(), out);
  if (!status.ok()) return status;
  sort();
  take_over_caches();
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

// The last part's records are the newest, and fill the cache if they can; those before get what it will
// leave.
void Recovery::make_parts() {
  const int64_t revision = store_.state_.revision;
  const int64_t count = std::clamp<int64_t>(revision / kRevisionsPerPart, 1, kMaxParts);
  const uint64_t bytes_of_part = store_.writer_.disk_size() / static_cast<uint64_t>(count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t from = i == 0 ? 0 : revision / count * i;
    const int64_t to = i + 1 == count ? 0 : revision / count * (i + 1);
    const uint64_t newer = bytes_of_part * static_cast<uint64_t>(count - 1 - i);
    const uint64_t cache = store_.cache_.budget() - std::min(store_.cache_.budget(), newer);
    parts_.push_back(std::make_unique<RecoveryPart>(store_.state_, from, to, cache));
  }
}

template <typename F>
void Recovery::for_all_parts(F f) {
  std::vector<Task> tasks;
  for (auto& part : parts_) tasks.emplace_back([&f, p = part.get()] { f(*p); });
  store_.runtime_.executor->run_all(tasks);
}

plugin::Status Recovery::scan_records() {
  make_parts();
  for_all_parts([this](RecoveryPart& part) {
    plugin::Ref<plugin::ReadView> view;  // nobody writes yet: all views are of the same moment
    part.status = store_.writer_.open_view(view.out());
    if (part.status.ok()) part.scan(view.get());
  });
  for (const auto& part : parts_) {
    if (!part->status.ok()) return part->status;
    store_.logical_size_ += part->logical_size;
  }
  return {};
}

void RecoveryPart::scan(plugin::ReadView* view) {
  RecordKey begin({from_, 0}, false);
  RecordKey end({to_, 0}, false);
  plugin::ScanOptions options;
  options.keyspace = kRecordsKeyspace;
  options.read_ahead = kReadAhead;
  options.fill_cache = 0;
  if (from_ != 0) options.begin = begin.view();
  if (to_ != 0) options.end = end.view();
  plugin::Status scanned = view->scan(options, this);
  if (status.ok()) status = scanned;
}

uint32_t RecoveryPart::entry(uint64_t, uint32_t, plugin::ByteView key, plugin::ByteView value) noexcept {
  status = take(key, value);
  return status.ok() ? 1 : 0;
}

plugin::Status RecoveryPart::take(plugin::ByteView key, plugin::ByteView value) {
  KeyVersion v;
  if (!parse_record_key(key, &v.mod, &v.tombstone))
    return corrupt("a record under the key " + printable(key));
  // The engine's order is that of revisions; one has a single record, with or without the tombstone's mark.
  if (!versions.empty() && v.mod <= versions.back().mod)
    return corrupt("a second record of " + describe(v.mod) + ", or one out of order");
  plugin::ByteView record;
  if (!open_record(key, value, &record))
    return corrupt("the record of " + describe(v.mod) + " fails its checksum");
  KeyValueView kv;
  if (!decode(record, &kv) || kv.key.empty() || (!v.tombstone && kv.mod != v.mod.main) ||
      record.size > UINT32_MAX)
    return corrupt("the record of " + describe(v.mod) + " is no key-value of that revision");
  if (v.mod.main > state_.revision)
    return corrupt("the record of " + describe(v.mod) + " is above the current revision " +
                   std::to_string(state_.revision));
  v.create_main = kv.create;
  v.version = kv.version;
  v.lease = kv.lease;
  v.record_size = static_cast<uint32_t>(record.size);
  if (!v.tombstone) v.ref = cache.add(record);
  logical_size += logical_record_size(v);

  std::string_view name{copy(kv.key), kv.key.size()};
  if (items.empty()) first_key_ = name;
  common_prefix = shared_prefix(first_key_, name, common_prefix);
  items.push_back(
      {0, 0, name.data(), static_cast<uint32_t>(name.size()), static_cast<uint32_t>(versions.size())});
  versions.push_back(v);
  return {};
}

const char* RecoveryPart::copy(std::string_view key) {
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

void RecoveryPart::sort(size_t prefix) {
  for (Item& item : items) {
    item.head = load_head(item.view(), prefix);
    item.head2 = load_head(item.view(), prefix + 8);
  }
  auto before = [](const Item& a, const Item& b) {
    int order = a.compare_key(b);
    return order != 0 ? order < 0 : a.place < b.place;
  };
  if (!std::is_sorted(items.begin(), items.end(), before)) std::sort(items.begin(), items.end(), before);
}

// One prefix for all, so that keys of different parts compare by what is behind it.
void Recovery::sort() {
  size_t prefix = SIZE_MAX;
  std::string_view first;
  for (const auto& part : parts_) {
    if (part->items.empty()) continue;
    if (first.empty()) first = part->first_key();
    prefix = std::min(part->common_prefix, shared_prefix(first, part->first_key(), prefix));
  }
  for_all_parts([prefix](RecoveryPart& part) { part.sort(prefix); });
}

void Recovery::take_over_caches() {
  for (auto& part : parts_) {
    const RecordCache::Moved moved = store_.cache_.take_over(part->cache);
    for (KeyVersion& v : part->versions) v.ref = moved(v.ref);
  }
}

// The first item of the least key that is left, in the part with its oldest version; null: none.
const RecoveryPart::Item* Recovery::least() const {
  const Item* least = nullptr;
  for (const auto& part : parts_) {
    if (part->at == part->items.size()) continue;
    const Item& item = part->items[part->at];
    if (least == nullptr || item.compare_key(*least) < 0) least = &item;
  }
  return least;
}

void Recovery::load() {
  KeyIndex::Loader loader(&store_.index_);
  while (const Item* first = least()) {
    of_key_.clear();
    for (auto& part : parts_) {
      for (; part->at < part->items.size() && part->items[part->at].compare_key(*first) == 0; ++part->at)
        of_key_.push_back(part->versions[part->items[part->at].place]);
    }
    load_key(loader, first->view());
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
