#include "mvcc/write_batch.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace quorate::mvcc {
namespace {
constexpr size_t kChunk = 64u << 10;
}

uint8_t* WriteBatch::allocate(size_t size) {
  if (size > chunk_left_) {
    size_t chunk = std::max(size, kChunk);
    chunks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(chunk));
    chunk_at_ = chunks_.back().get();
    chunk_left_ = chunk;
    bytes_ += chunk;
  }
  uint8_t* memory = chunk_at_;
  chunk_at_ += size;
  chunk_left_ -= size;
  return memory;
}

plugin::ByteView WriteBatch::copy(plugin::ByteView bytes) {
  uint8_t* to = allocate(bytes.size);
  if (bytes.size != 0) std::memcpy(to, bytes.data, bytes.size);
  return {to, bytes.size};
}

uint8_t* WriteBatch::add_record(Revision revision, bool tombstone, size_t size) {
  RecordKey key(revision, tombstone);
  plugin::ByteView key_bytes = copy(key.view());
  uint8_t* data = allocate(size + kChecksumSize);
  operations_.push_back({plugin::WriteKind::kPut, kRecordsKeyspace, key_bytes, {data, size + kChecksumSize}});
  QUORATE_ASSERT(records_.empty() || records_.back().revision < revision, "records come in revision order");
  records_.push_back({revision, data, static_cast<uint32_t>(size), tombstone});
  bytes_ += sizeof(plugin::WriteOp) + sizeof(Kept);
  return data;
}

void WriteBatch::seal_record() {
  const Kept& last = records_.back();
  const plugin::WriteOp& op = operations_.back();
  store_checksum(record_checksum(op.key, last.record()), const_cast<uint8_t*>(last.data) + last.size);
}

void WriteBatch::remove_record(const RecordKey& key) {
  operations_.push_back({plugin::WriteKind::kDelete, kRecordsKeyspace, copy(key.view()), {}});
  bytes_ += sizeof(plugin::WriteOp);
}

void WriteBatch::put_meta(std::string_view engine_key, std::string_view value) {
  plugin::ByteView key = copy(bytes_of(engine_key));
  operations_.push_back({plugin::WriteKind::kPut, kMetaKeyspace, key, copy(bytes_of(value))});
  bytes_ += sizeof(plugin::WriteOp);
}

void WriteBatch::remove_meta(std::string_view engine_key) {
  operations_.push_back({plugin::WriteKind::kDelete, kMetaKeyspace, copy(bytes_of(engine_key)), {}});
  bytes_ += sizeof(plugin::WriteOp);
}

bool WriteBatch::find(Revision revision, plugin::ByteView* record) const {
  auto at = std::lower_bound(records_.begin(), records_.end(), revision,
                             [](const Kept& kept, Revision r) { return kept.revision < r; });
  if (at == records_.end() || at->revision != revision) return false;
  *record = at->record();
  return true;
}

}  // namespace quorate::mvcc
