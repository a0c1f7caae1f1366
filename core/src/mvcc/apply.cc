#include "mvcc/apply.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"

namespace quorate::mvcc {
namespace {

enum Effect : uint32_t { kPut = 1, kDelete = 2, kMeta = 3, kCompaction = 4, kEnd = 5 };

// A multiply-and-fold hash over little-endian words: not against adversaries, but against members that
// disagree.
uint64_t fold(uint64_t a, uint64_t b) {
  auto product = static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xd1b54a32d192ed03);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t fold_bytes(uint64_t hash, std::string_view bytes) {
  hash = fold(hash, bytes.size());
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    hash = fold(hash, word);
  }
  uint64_t word = 0;
  if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
  return fold(hash, word);
}

}  // namespace

void ApplyImpl::chain(uint32_t kind, std::string_view a, std::string_view b) {
  uint64_t& hash = store_.state_.state_hash;
  hash = fold_bytes(fold_bytes(fold(hash, kind), a), b);
}

void ApplyImpl::run(const std::function<void(Apply&)>& body, Mode mode) {
  QUORATE_ASSERT(mode_ == Mode::kIdle, "one apply or view at a time");
  mode_ = mode;
  body(*this);
  mode_ = Mode::kIdle;
}

void ApplyImpl::check_writable() const {
  QUORATE_ASSERT(mode_ == Mode::kWrite, "only an apply changes anything");
}

void ApplyImpl::end(Index index, Term term) {
  State& state = store_.state_;
  if (std::exchange(next_sub_, 0) != 0) ++state.revision;
  state.applied = index;
  state.applied_term = term;
  uint64_t position[2] = {index.value, term.value};
  chain(kEnd, {reinterpret_cast<const char*>(position), sizeof position});
  store_.writer_.end_entry(state);
}

std::optional<KeyVersion> ApplyImpl::get(std::string_view key) const { return store_.get(key); }

void ApplyImpl::scan(const api::Interval& interval,
                     const std::function<bool(std::string_view, const KeyVersion&)>& visit) const {
  store_.scan(interval, visit);
}

int64_t ApplyImpl::count(const api::Interval& interval) const {
  return store_.index_.count(interval, revision());
}

plugin::ByteView ApplyImpl::write(const KeyValueView& kv, Revision revision, bool tombstone) {
  size_t size = encoded_size(kv);
  WriteBatch& batch = store_.writer_.batch();
  uint8_t* bytes = batch.add_record(revision, tombstone, size);
  encode(kv, bytes);
  batch.seal_record();
  return {bytes, size};
}

std::optional<KeyVersion> ApplyImpl::put(std::string_view key, std::string_view value, int64_t lease) {
  check_writable();
  KeyEntry* entry = store_.index_.find(key);
  std::optional<KeyVersion> previous;
  if (entry != nullptr && entry->live()) previous = entry->newest();

  KeyVersion v;
  v.mod = next_revision();
  v.create_main = previous ? previous->create_main : v.mod.main;
  v.version = previous ? previous->version + 1 : 1;
  v.lease = lease;
  plugin::ByteView record = write({key, value, v.create_main, v.mod.main, v.version, lease}, v.mod, false);
  v.record_size = static_cast<uint32_t>(record.size);
  v.ref = store_.cache_.add(record);
  chain(kPut, chars_of(record));

  if (previous) {
    store_.index_.update(entry, v);
    store_.superseded(entry, v.mod.main);
  } else {
    store_.index_.put(key, v);
  }
  store_.logical_size_ += logical_record_size(v);
  if (!store_.collect_events_) return previous;

  Event event;
  event.revision = v.mod;
  event.record = plugin::Buffer::copy_of(record);
  event.key = key_of(event.record.view());
  event.previous = previous;
  store_.events_.push_back(std::move(event));
  return previous;
}

int64_t ApplyImpl::remove(const api::Interval& interval,
                          const std::function<void(std::string_view, const KeyVersion&)>& deleted) {
  check_writable();
  std::vector<KeyEntry*> doomed;
  store_.index_.scan(interval, [&](KeyEntry& entry) {
    if (entry.live()) doomed.push_back(&entry);
    return true;
  });
  for (KeyEntry* entry : doomed) {
    KeyVersion had = entry->newest();
    bury(entry);
    if (deleted) deleted(entry->key(), had);
  }
  return static_cast<int64_t>(doomed.size());
}

void ApplyImpl::bury(KeyEntry* entry) {
  KeyVersion previous = entry->newest();
  KeyVersion v;
  v.mod = next_revision();
  v.tombstone = true;
  plugin::ByteView record = write({entry->key(), {}, 0, 0, 0, 0}, v.mod, true);
  v.record_size = static_cast<uint32_t>(record.size);
  chain(kDelete, chars_of(record));
  store_.index_.bury(entry, v);
  store_.superseded(entry, v.mod.main);
  store_.buried(entry, v.mod.main + 1);
  store_.logical_size_ += logical_record_size(v);
  if (!store_.collect_events_) return;

  Event event;
  event.is_delete = true;
  event.revision = v.mod;
  event.record = encode({entry->key(), {}, 0, v.mod.main, 0, 0});
  event.key = key_of(event.record.view());
  event.previous = previous;
  store_.events_.push_back(std::move(event));
}

void ApplyImpl::set_meta(std::string_view key, std::string_view value) {
  check_writable();
  meta_key_.assign(1, kNodeMetaPrefix).append(key);
  chain(kMeta, key, value);
  if (value.empty()) {
    store_.writer_.batch().remove_meta(meta_key_);
    return;
  }
  meta_value_.assign(value).resize(value.size() + kChecksumSize);
  uint32_t checksum = record_checksum(bytes_of(meta_key_), bytes_of(value));
  store_checksum(checksum, reinterpret_cast<uint8_t*>(meta_value_.data()) + value.size());
  store_.writer_.batch().put_meta(meta_key_, meta_value_);
}

Apply::Found ApplyImpl::range(const RangeQuery& query) const {
  Found out;
  int64_t at = query.revision <= 0 ? revision() : query.revision;
  if (at > revision()) out.error = ReadError::kFuture;
  if (at < store_.state_.compacted) out.error = ReadError::kCompacted;
  if (out.error != ReadError::kNone) return out;
  if (query.count_only) {
    out.count = store_.index_.count(query.interval, at);
    return out;
  }
  RangePlan plan(query);
  std::vector<FoundKey> found;
  bool cut = false;
  store_.index_.scan(query.interval, [&](KeyEntry& entry) {
    KeyVersion version;
    if (!entry.at(at, &version)) return true;
    cut = plan.scan_limit != 0 && found.size() == plan.scan_limit;
    if (!cut) found.push_back({&entry, version});
    return !cut;
  });
  out.count = cut ? store_.index_.count(query.interval, at) : static_cast<int64_t>(found.size());
  apply_filters(query, &found);
  sort_by_index(query, &found);
  size_t size = found.size();
  if (query.target != SortTarget::kValue) out.more = cut_to_limit(query, &size);
  out.items.reserve(size);
  for (size_t i = 0; i < size; ++i)
    out.items.push_back({std::string(found[i].entry->key()), found[i].version});
  return out;
}

void ApplyImpl::compact(int64_t revision) {
  check_writable();
  QUORATE_ASSERT(revision > store_.state_.compacted && revision <= this->revision(),
                 "the caller checks the revision");
  store_.state_.compacted = revision;
  chain(kCompaction, {reinterpret_cast<const char*>(&revision), sizeof revision});
}

}  // namespace quorate::mvcc
