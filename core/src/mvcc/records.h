// What the store keeps in an engine, byte for byte.
//
// Keyspace 0, records: etcd's own revision key (main, '_', sub, both big-endian; a tombstone has a 't' behind
// them) → encoded mvccpb.KeyValue and a crc32c of key and value, so that a record found under another
// revision is damage. A tombstone's KeyValue has only its key: HashKV, which etcd takes over these bytes,
// depends on it.
//
// Keyspace 1, meta: "\0state" → State; "\1" and a name → a record of the node's, with a crc32c of both behind
// it.
//
// Everything here is [thread-safe] and total: any bytes may come.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/types.h"
#include "mvcc/types.h"
#include "quorate/plugin/base.h"

namespace quorate::mvcc {

inline constexpr uint32_t kRecordsKeyspace = 0;
inline constexpr uint32_t kMetaKeyspace = 1;
inline constexpr uint32_t kKeyspaces = 2;
inline constexpr size_t kRevisionKeySize = 17;
inline constexpr size_t kTombstoneKeySize = 18;
inline constexpr size_t kChecksumSize = 4;
inline constexpr std::string_view kStateKey{"\0state", 6};
inline constexpr char kNodeMetaPrefix = 1;

inline std::string_view chars_of(plugin::ByteView v) { return {v.chars(), v.size}; }
inline plugin::ByteView bytes_of(std::string_view v) { return {v.data(), v.size()}; }

// The engine's key of a record.
class RecordKey {
 public:
  RecordKey() = default;
  RecordKey(Revision revision, bool tombstone);
  plugin::ByteView view() const { return {bytes_.data(), size_}; }

 private:
  std::array<uint8_t, kTombstoneKeySize> bytes_{};
  uint8_t size_ = 0;
};

// False: not a key that RecordKey makes.
bool parse_record_key(plugin::ByteView key, Revision* revision, bool* tombstone);
// "revision 7/0", for messages.
std::string describe(Revision revision);

// A KeyValue's fields, views into its bytes.
struct KeyValueView {
  std::string_view key;
  std::string_view value;
  int64_t create = 0;
  int64_t mod = 0;
  int64_t version = 0;
  int64_t lease = 0;
};

// Canonical protobuf: fields in order, those of value zero omitted.
size_t encoded_size(const KeyValueView& kv);
// Writes encoded_size(kv) bytes.
void encode(const KeyValueView& kv, uint8_t* into);
plugin::Buffer encode(const KeyValueView& kv);
// False: malformed. Unknown fields are skipped.
bool decode(plugin::ByteView bytes, KeyValueView* kv);

// The key of what encode() wrote: cheaper than decode().
std::string_view key_of(plugin::ByteView encoded);

// The checksum that stands behind `value` in the engine.
uint32_t record_checksum(plugin::ByteView key, plugin::ByteView value);
void store_checksum(uint32_t checksum, uint8_t* into);
// What was stored, without its checksum; false: the checksum does not fit.
bool open_record(plugin::ByteView key, plugin::ByteView stored, plugin::ByteView* record);

// What each batch carries beside its records: where the engine stands.
struct State {
  uint64_t batch = 0;  // the number (Mark) of the batch that wrote this; every batch has one more
  Index applied;
  Term applied_term;
  int64_t revision = 1;
  int64_t compacted = -1;  // -1: never
  uint64_t state_hash = 0;

  static constexpr int64_t kMaxRevision = INT64_MAX / 2;  // of a state that is read: more than any life needs
  static constexpr size_t kEncodedSize = 4 + 6 * 8 + kChecksumSize;
  void encode(uint8_t* into) const;  // kEncodedSize bytes
  // Errors: corruption (a state that no store can be in, too), incompatible (a newer format).
  static plugin::Status decode(plugin::ByteView bytes, State* out);
};

}  // namespace quorate::mvcc
