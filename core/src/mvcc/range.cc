// Ranges and fetches.
#include <algorithm>

#include "mvcc/read_op.h"
#include "wire/primitive.h"

namespace quorate::mvcc {
namespace {

constexpr size_t kScanSlice = 4096;     // index entries of one turn
constexpr uint64_t kCountSlice = 2000;  // leaves of one turn
constexpr size_t kSortOnLoop = 4096;    // more are sorted on a helper thread
constexpr uint32_t kReplyField = 2;     // of a record in a RangeResponse

// True: `a` comes before `b` in ascending order. Equal ones stay in key order.
bool before(SortTarget target, const KeyVersion& a, const KeyVersion& b) {
  switch (target) {
    case SortTarget::kVersion:
      return a.version < b.version;
    case SortTarget::kCreate:
      return a.create_main < b.create_main;
    case SortTarget::kMod:
      return a.mod.main < b.mod.main;
    case SortTarget::kKey:
    case SortTarget::kValue:
      break;
  }
  return false;
}

bool in_bounds(int64_t v, int64_t min, int64_t max) {
  return (min == 0 || v >= min) && (max == 0 || v <= max);
}

}  // namespace

// etcd pushes the limit down (one more, to know whether there is more) unless something is filtered or an
// order is asked for; target without order therefore sorts only what the limit left
// (server/etcdserver/txn/range.go).
RangePlan::RangePlan(const RangeQuery& q) {
  filtered = q.min_mod != 0 || q.max_mod != 0 || q.min_create != 0 || q.max_create != 0;
  sorted = q.target != SortTarget::kKey || q.order == SortOrder::kDescend;
  bool default_order =
      q.order == SortOrder::kNone || (q.target == SortTarget::kKey && q.order == SortOrder::kAscend);
  if (default_order && !filtered && q.limit > 0 && q.limit < INT64_MAX)
    scan_limit = static_cast<uint64_t>(q.limit) + 1;
}

void apply_filters(const RangeQuery& q, std::vector<FoundKey>* found) {
  if (!RangePlan(q).filtered) return;
  std::erase_if(*found, [&](const FoundKey& item) {
    return !in_bounds(item.version.mod.main, q.min_mod, q.max_mod) ||
           !in_bounds(item.version.create_main, q.min_create, q.max_create);
  });
}

void sort_by_index(const RangeQuery& q, std::vector<FoundKey>* found) {
  if (q.target == SortTarget::kKey) {
    if (q.order == SortOrder::kDescend) std::reverse(found->begin(), found->end());
    return;
  }
  if (q.target == SortTarget::kValue) return;
  bool descend = q.order == SortOrder::kDescend;
  std::stable_sort(found->begin(), found->end(), [&](const FoundKey& a, const FoundKey& b) {
    return descend ? before(q.target, b.version, a.version) : before(q.target, a.version, b.version);
  });
}

bool cut_to_limit(const RangeQuery& q, size_t* size) {
  if (q.limit <= 0 || *size <= static_cast<uint64_t>(q.limit)) return false;
  *size = static_cast<size_t>(q.limit);
  return true;
}

ReadError StoreImpl::check_revision(int64_t* revision) const {
  if (*revision <= 0) *revision = state_.revision;
  if (*revision > state_.revision) return ReadError::kFuture;
  if (*revision < state_.compacted) return ReadError::kCompacted;
  return ReadError::kNone;
}

const uint8_t* StoreImpl::find_in_memory(FoundKey& item) {
  const KeyVersion& v = item.version;
  if (const uint8_t* data = cache_.find(v.ref)) {
    if (item.entry == nullptr || !cache_.aging(v.ref)) return data;
    RecordCache::Pin while_copied(cache_);
    remember(item, {data, v.record_size});
    const uint8_t* moved = cache_.find(item.version.ref);
    return moved != nullptr ? moved : data;
  }
  plugin::ByteView record;
  return writer_.find(v.mod, &record) ? record.data : nullptr;
}

void StoreImpl::remember(FoundKey& item, plugin::ByteView record) {
  KeyEntry* entry = item.entry;
  if (entry == nullptr || Revision{entry->main, entry->sub} != item.version.mod) return;
  CacheRef ref = cache_.add(record);
  if (ref != 0) item.version.ref = entry->ref = ref;
}

bool StoreImpl::hot(const KeyVersion& version, Record* record) {
  FoundKey item{nullptr, version};
  const uint8_t* data = find_in_memory(item);
  if (data == nullptr) return false;
  *record = {data, version.record_size};
  if (!cache_.aging(version.ref)) return true;
  item.entry = index_.find(key_of(*record));
  RecordCache::Pin while_copied(cache_);
  remember(item, *record);
  if (const uint8_t* moved = cache_.find(item.version.ref)) record->data = moved;
  return true;
}

// ---- Range
// ----------------------------------------------------------------------------------------------------

// Steps: scan the index → count (unless the scan saw all) → sort → records → sort by value → answer.
class RangeOp final : public ReadOp {
 public:
  RangeOp(StoreImpl* store, const RangeQuery& query, int64_t revision, RangeDone done)
      : ReadOp(store),
        begin_(query.interval.begin()),
        end_(query.interval.has_end() ? query.interval.end() : std::string_view()),
        query_(query),
        plan_(query),
        revision_(revision),
        done_(std::move(done)) {
    // The interval refers to the caller's bytes: to ours from here on.
    if (query.interval.has_end())
      query_.interval = api::Interval::of(begin_, end_);
    else if (query.interval.is_unbounded())
      query_.interval = api::Interval::from(begin_);
    else
      query_.interval = api::Interval::point(begin_);
    rest_ = query_.interval;
    pin_ = store_.pins_.pin(revision);
  }

  void start() {
    if (query_.count_only)
      count();
    else
      scan();
  }

 private:
  void scan();
  void count();
  void counted();
  void sort();
  void keys_only();
  void resolved(ReadError error, std::string text) override;
  bool is_over();
  void sort_values();
  void drop_values();
  void answer(ReadError error, std::string text);
  api::Interval from(std::string_view key) const {
    return query_.interval.has_end() ? api::Interval::of(key, end_) : api::Interval::from(key);
  }
  // Sorting much takes long: on a helper thread. Nothing else looks at the operation meanwhile.
  template <typename Work, typename Then>
  void run(size_t size, Work work, Then then) {
    if (size <= kSortOnLoop) {
      work();
      then();
      return;
    }
    store_.runtime_.executor->offload(
        Lane::kBulk, [self = shared_from_this(), work] { work(); },
        store_.guarded([self = shared_from_this(), then] { then(); }));
  }

  std::string begin_;
  std::string end_;
  RangeQuery query_;
  RangePlan plan_;
  int64_t revision_;
  RangeDone done_;
  api::Interval rest_ = api::Interval::all();
  std::string resume_;
  int64_t count_ = 0;
  bool more_ = false;
  uint64_t bytes_ = 0;
  int64_t left_out_ = 0;
};

void RangeOp::scan() {
  size_t seen = 0;
  bool cut = false;
  bool paused = false;
  store_.index_.scan(rest_, [&](KeyEntry& entry) {
    if (seen++ == kScanSlice) {
      paused = true;
      resume_ = entry.key();
      return false;
    }
    FoundKey found{&entry, {}};
    if (!entry.at(revision_, &found.version)) return true;
    cut = plan_.scan_limit != 0 && items_.size() == plan_.scan_limit;
    if (!cut) items_.push_back(found);
    return !cut;
  });
  if (paused) {
    rest_ = from(resume_);
    later([this] { scan(); });
  } else if (cut) {
    rest_ = query_.interval;
    count();
  } else {
    count_ = static_cast<int64_t>(items_.size());
    counted();
  }
}

void RangeOp::count() {
  std::optional<std::string> resume;
  count_ += store_.index_.count(rest_, revision_, kCountSlice, &resume);
  if (resume) {
    resume_ = std::move(*resume);
    rest_ = from(resume_);
    later([this] { count(); });
  } else {
    counted();
  }
}

void RangeOp::counted() {
  if (query_.count_only) return answer(ReadError::kNone, {});
  apply_filters(query_, &items_);
  size_t to_sort = plan_.sorted && query_.target != SortTarget::kValue ? items_.size() : 0;
  run(
      to_sort, [this] { sort_by_index(query_, &items_); }, [this] { sort(); });
}

// The items are in order: only those within the limit are of interest, unless values have a say.
void RangeOp::sort() {
  if (query_.target != SortTarget::kValue) {
    size_t size = items_.size();
    more_ = cut_to_limit(query_, &size);
    items_.resize(size);
    if (query_.keys_only) return keys_only();
    if (query_.max_bytes != 0 && is_over()) return answer(ReadError::kNone, {});
  }
  resolve();
}

bool RangeOp::is_over() {
  for (const FoundKey& item : items_) bytes_ += wire::bytes_field_size(kReplyField, item.version.record_size);
  if (bytes_ <= query_.max_bytes) return false;
  left_out_ = static_cast<int64_t>(items_.size());
  return true;
}

void RangeOp::keys_only() {
  size_t end = std::min(items_.size(), records_.size() + kScanSlice);
  for (size_t i = records_.size(); i < end; ++i) {
    const KeyVersion& v = items_[i].version;
    KeyValueView kv{items_[i].entry->key(), {}, v.create_main, v.mod.main, v.version, 0};
    size_t size = encoded_size(kv);
    uint8_t* bytes = allocate(size);
    encode(kv, bytes);
    records_.emplace_back(bytes, size);
  }
  if (end < items_.size())
    later([this] { keys_only(); });
  else
    answer(ReadError::kNone, {});
}

void RangeOp::resolved(ReadError error, std::string text) {
  if (error != ReadError::kNone || query_.target != SortTarget::kValue) return answer(error, std::move(text));
  sort_values();
}

void RangeOp::sort_values() {
  run(
      records_.size(),
      [this] {
        struct Keyed {
          std::string_view value;
          Record record;
        };
        std::vector<Keyed> keyed;
        keyed.reserve(records_.size());
        for (const Record& record : records_) {
          KeyValueView kv;
          decode(record,
                 &kv);  // what fails to decode sorts as empty: its checksum says that it was written so
          keyed.push_back({kv.value, record});
        }
        bool descend = query_.order == SortOrder::kDescend;
        std::stable_sort(keyed.begin(), keyed.end(), [descend](const Keyed& a, const Keyed& b) {
          return descend ? b.value < a.value : a.value < b.value;
        });
        for (size_t i = 0; i < keyed.size(); ++i) records_[i] = keyed[i].record;
      },
      [this] {
        size_t size = records_.size();
        more_ = cut_to_limit(query_, &size);
        records_.resize(size);
        if (query_.keys_only) drop_values();
        answer(ReadError::kNone, {});
      });
}

void RangeOp::drop_values() {
  for (Record& record : records_) {
    KeyValueView kv;
    decode(record, &kv);
    kv.value = {};
    size_t size = encoded_size(kv);
    uint8_t* bytes = allocate(size);
    encode(kv, bytes);
    record = {bytes, size};
  }
}

void RangeOp::answer(ReadError error, std::string text) {
  RangeResult result;
  result.error = error;
  result.text = std::move(text);
  result.current_revision = store_.state_.revision;
  result.read_revision = revision_;
  if (error == ReadError::kNone) {
    result.count = count_;
    result.more = more_;
    result.left_out = left_out_;
    result.left_out_bytes = left_out_ != 0 ? bytes_ : 0;
    if (!query_.count_only) result.records = records_;
  }
  pin_.release();
  done_(result);
}

void StoreImpl::range(const RangeQuery& query, RangeDone done) {
  RangeResult result;
  int64_t revision = query.revision;
  result.error = check_revision(&revision);
  result.current_revision = state_.revision;
  result.read_revision = revision;
  if (result.error != ReadError::kNone) return done(result);
  // One key whose record is in memory: by far the most frequent read takes no detour.
  if (query.interval.is_point() && !query.keys_only && !RangePlan(query).filtered) {
    FoundKey item{index_.find(query.interval.begin()), {}};
    if (item.entry == nullptr || !item.entry->at(revision, &item.version)) return done(result);
    result.count = 1;
    if (query.count_only) return done(result);
    RecordCache::Pin keep_view(cache_);
    if (const uint8_t* data = find_in_memory(item)) {
      Record record{data, item.version.record_size};
      result.records = {&record, 1};
      return done(result);
    }
  }
  std::make_shared<RangeOp>(this, query, revision, std::move(done))->start();
}

// ---- Fetch
// ----------------------------------------------------------------------------------------------------

class FetchOp final : public ReadOp {
 public:
  FetchOp(StoreImpl* store, const std::vector<KeyVersion>& versions,
          UniqueFunction<void(const Store::Fetched&)> done)
      : ReadOp(store), done_(std::move(done)) {
    absent_is_ok_ = true;
    int64_t oldest = INT64_MAX;
    items_.reserve(versions.size());
    for (const KeyVersion& v : versions) {
      items_.push_back({nullptr, v});
      oldest = std::min(oldest, v.mod.main);
    }
    pin_ = store->pin_reads(oldest);
  }
  void start() { resolve(); }

 private:
  void resolved(ReadError error, std::string text) override {
    Store::Fetched result;
    result.error = error;
    result.text = std::move(text);
    if (error == ReadError::kNone) result.records = records_;
    pin_.release();
    done_(result);
  }
  UniqueFunction<void(const Store::Fetched&)> done_;
};

void StoreImpl::fetch(std::vector<KeyVersion> versions, UniqueFunction<void(const Fetched&)> done) {
  std::make_shared<FetchOp>(this, versions, std::move(done))->start();
}

}  // namespace quorate::mvcc
