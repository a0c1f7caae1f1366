#include "mvcc/records.h"

#include <bit>
#include <cstring>

#include "base/crc32c.h"

namespace quorate::mvcc {
namespace {

constexpr char kSeparator = '_';
constexpr char kTombstoneMark = 't';
constexpr uint32_t kStateFormat = 0x31545351;  // "QST1"

// Field numbers of mvccpb.KeyValue (kv.proto).
enum Field : uint32_t { kKey = 1, kCreate = 2, kMod = 3, kVersion = 4, kValue = 5, kLease = 6 };

void store_be64(uint64_t v, uint8_t* into) {
  v = __builtin_bswap64(v);
  std::memcpy(into, &v, 8);
}
uint64_t load_be64(const uint8_t* from) {
  uint64_t v;
  std::memcpy(&v, from, 8);
  return __builtin_bswap64(v);
}
static_assert(std::endian::native == std::endian::little);
uint8_t* store_le64(uint64_t v, uint8_t* into) {
  std::memcpy(into, &v, 8);
  return into + 8;
}
const uint8_t* load_le64(const uint8_t* from, uint64_t* v) {
  std::memcpy(v, from, 8);
  return from + 8;
}

size_t varint_size(uint64_t v) { return (static_cast<size_t>(std::bit_width(v | 1)) + 6) / 7; }
size_t int_field_size(int64_t v) { return v == 0 ? 0 : 1 + varint_size(static_cast<uint64_t>(v)); }
size_t bytes_field_size(std::string_view v) { return v.empty() ? 0 : 1 + varint_size(v.size()) + v.size(); }

uint8_t* put_varint(uint64_t v, uint8_t* p) {
  for (; v >= 0x80; v >>= 7) *p++ = static_cast<uint8_t>(v | 0x80);
  *p++ = static_cast<uint8_t>(v);
  return p;
}
uint8_t* put_int(Field field, int64_t v, uint8_t* p) {
  if (v == 0) return p;
  *p++ = static_cast<uint8_t>(field << 3);
  return put_varint(static_cast<uint64_t>(v), p);
}
uint8_t* put_bytes(Field field, std::string_view v, uint8_t* p) {
  if (v.empty()) return p;
  *p++ = static_cast<uint8_t>(field << 3 | 2);
  p = put_varint(v.size(), p);
  std::memcpy(p, v.data(), v.size());
  return p + v.size();
}

bool get_varint(const uint8_t** p, const uint8_t* end, uint64_t* v) {
  uint64_t result = 0;
  for (uint32_t shift = 0; shift < 64; shift += 7) {
    if (*p == end) return false;
    uint8_t b = *(*p)++;
    result |= static_cast<uint64_t>(b & 0x7f) << shift;
    if (b < 0x80) {
      *v = result;
      return true;
    }
  }
  return false;
}

bool get_bytes(const uint8_t** p, const uint8_t* end, std::string_view* v) {
  uint64_t n = 0;
  if (!get_varint(p, end, &n) || n > static_cast<uint64_t>(end - *p)) return false;
  *v = {reinterpret_cast<const char*>(*p), n};
  *p += n;
  return true;
}

// A field of no interest. Groups are not skipped: no version of etcd has written one.
bool skip_field(uint64_t tag, const uint8_t** p, const uint8_t* end) {
  uint64_t ignored = 0;
  std::string_view bytes;
  switch (tag & 7) {
    case 0:
      return get_varint(p, end, &ignored);
    case 2:
      return get_bytes(p, end, &bytes);
    case 1:
    case 5: {
      ptrdiff_t n = (tag & 7) == 1 ? 8 : 4;
      if (end - *p < n) return false;
      *p += n;
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

RecordKey::RecordKey(Revision revision, bool tombstone)
    : size_(static_cast<uint8_t>(tombstone ? kTombstoneKeySize : kRevisionKeySize)) {
  store_be64(static_cast<uint64_t>(revision.main), bytes_.data());
  bytes_[8] = kSeparator;
  store_be64(static_cast<uint64_t>(revision.sub), bytes_.data() + 9);
  if (tombstone) bytes_[kRevisionKeySize] = kTombstoneMark;
}

bool parse_record_key(plugin::ByteView key, Revision* revision, bool* tombstone) {
  if (key.size != kRevisionKeySize && key.size != kTombstoneKeySize) return false;
  *tombstone = key.size == kTombstoneKeySize;
  if (key.data[8] != kSeparator || (*tombstone && key.data[kRevisionKeySize] != kTombstoneMark)) return false;
  revision->main = static_cast<int64_t>(load_be64(key.data));
  revision->sub = static_cast<int64_t>(load_be64(key.data + 9));
  return revision->main > 0 && revision->sub >= 0 && revision->sub <= UINT32_MAX;
}

std::string describe(Revision revision) {
  return "revision " + std::to_string(revision.main) + "/" + std::to_string(revision.sub);
}

size_t encoded_size(const KeyValueView& kv) {
  return bytes_field_size(kv.key) + int_field_size(kv.create) + int_field_size(kv.mod) +
         int_field_size(kv.version) + bytes_field_size(kv.value) + int_field_size(kv.lease);
}

void encode(const KeyValueView& kv, uint8_t* p) {
  p = put_bytes(kKey, kv.key, p);
  p = put_int(kCreate, kv.create, p);
  p = put_int(kMod, kv.mod, p);
  p = put_int(kVersion, kv.version, p);
  p = put_bytes(kValue, kv.value, p);
  put_int(kLease, kv.lease, p);
}

plugin::Buffer encode(const KeyValueView& kv) {
  uint8_t* fill = nullptr;
  plugin::Buffer buffer = plugin::Buffer::allocate(encoded_size(kv), &fill);
  encode(kv, fill);
  return buffer;
}

bool decode(plugin::ByteView bytes, KeyValueView* kv) {
  *kv = {};
  const uint8_t* p = bytes.data;
  const uint8_t* end = p + bytes.size;
  while (p != end) {
    uint64_t tag = 0;
    if (!get_varint(&p, end, &tag)) return false;
    uint64_t v = 0;
    bool ok = true;
    switch (tag) {
      case kKey << 3 | 2:
        ok = get_bytes(&p, end, &kv->key);
        break;
      case kValue << 3 | 2:
        ok = get_bytes(&p, end, &kv->value);
        break;
      case kCreate << 3:
        ok = get_varint(&p, end, &v);
        kv->create = static_cast<int64_t>(v);
        break;
      case kMod << 3:
        ok = get_varint(&p, end, &v);
        kv->mod = static_cast<int64_t>(v);
        break;
      case kVersion << 3:
        ok = get_varint(&p, end, &v);
        kv->version = static_cast<int64_t>(v);
        break;
      case kLease << 3:
        ok = get_varint(&p, end, &v);
        kv->lease = static_cast<int64_t>(v);
        break;
      default:
        ok = skip_field(tag, &p, end);
    }
    if (!ok) return false;
  }
  return true;
}

std::string_view key_of(plugin::ByteView encoded) {
  const uint8_t* p = encoded.data + 1;
  std::string_view key;
  get_bytes(&p, encoded.data + encoded.size, &key);
  return key;
}

uint32_t record_checksum(plugin::ByteView key, plugin::ByteView value) {
  return crc32c(value.data, value.size, crc32c(key.data, key.size));
}

void store_checksum(uint32_t checksum, uint8_t* into) { std::memcpy(into, &checksum, kChecksumSize); }

bool open_record(plugin::ByteView key, plugin::ByteView stored, plugin::ByteView* record) {
  if (stored.size < kChecksumSize) return false;
  *record = {stored.data, stored.size - kChecksumSize};
  uint32_t checksum = 0;
  std::memcpy(&checksum, stored.data + record->size, kChecksumSize);
  return checksum == record_checksum(key, *record);
}

void State::encode(uint8_t* into) const {
  std::memcpy(into, &kStateFormat, 4);
  uint8_t* p = into + 4;
  for (uint64_t v : {batch, applied.value, applied_term.value, static_cast<uint64_t>(revision),
                     static_cast<uint64_t>(compacted), state_hash})
    p = store_le64(v, p);
  store_checksum(crc32c(into, kEncodedSize - kChecksumSize), p);
}

plugin::Status State::decode(plugin::ByteView bytes, State* out) {
  uint32_t format = 0;
  if (bytes.size >= 4) std::memcpy(&format, bytes.data, 4);
  if (format != kStateFormat)
    return plugin::Status(plugin::Code::kIncompatible, "the engine's state record has an unknown format");
  uint32_t checksum = 0;
  if (bytes.size == kEncodedSize)
    std::memcpy(&checksum, bytes.data + kEncodedSize - kChecksumSize, kChecksumSize);
  if (bytes.size != kEncodedSize || checksum != crc32c(bytes.data, kEncodedSize - kChecksumSize))
    return plugin::Status(plugin::Code::kCorruption, "the engine's state record is damaged");
  uint64_t revision = 0;
  uint64_t compacted = 0;
  const uint8_t* p = load_le64(bytes.data + 4, &out->batch);
  p = load_le64(p, &out->applied.value);
  p = load_le64(p, &out->applied_term.value);
  p = load_le64(p, &revision);
  p = load_le64(p, &compacted);
  load_le64(p, &out->state_hash);
  out->revision = static_cast<int64_t>(revision);
  out->compacted = static_cast<int64_t>(compacted);
  // A right checksum does not make it true: revisions are counted on from here.
  if (out->revision < 1 || out->revision > kMaxRevision || out->compacted < -1 ||
      out->compacted > out->revision)
    return plugin::Status(plugin::Code::kCorruption,
                          "the engine's state record contradicts itself: revision " +
                              std::to_string(out->revision) + ", compacted " +
                              std::to_string(out->compacted));
  return {};
}

}  // namespace quorate::mvcc
