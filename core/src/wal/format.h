// The bytes of the log, both ways. docs/formats.md is the reference; numbers are little-endian.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wal/log_state.h"

namespace quorate::wal {

constexpr uint64_t kSector = 512;
constexpr uint32_t kFormatVersion = 1;
constexpr uint64_t kHeaderFixed = 64;
constexpr uint64_t kBatchFixed = 64;
constexpr uint64_t kRecordFixed = 8;
constexpr uint64_t kMaxBatchBytes = 32 << 20;  // with header and padding; and never over half a segment
constexpr uint64_t kMaxHeaderBytes = 2 << 20;  // one copy

constexpr uint64_t padded(uint64_t n) { return (n + kSector - 1) / kSector * kSector; }
constexpr uint64_t batch_limit(uint64_t segment_bytes) { return std::min(kMaxBatchBytes, segment_bytes / 2); }

std::string segment_name(uint64_t sequence);
std::optional<uint64_t> segment_sequence(const std::string& name);
std::string spare_name(uint64_t number);
std::optional<uint64_t> spare_number(const std::string& name);

enum class RecordType : uint8_t {
  kEntry = 1,
  kHardState = 2,
  kBase = 3,
  kMembers = 4,
  kMetadata = 5,
  kStart = 6,
  kLast = 7
};

// Appends records to a growing buffer.
class RecordWriter {
 public:
  explicit RecordWriter(std::vector<uint8_t>* out) : out_(out) {}
  void entry(const raft::Entry& entry);
  void hard_state(const raft::HardState& hard_state);
  void base(const Base& base, bool restart);
  void members(const std::string& members);
  void metadata(const Metadata& metadata);
  void position(RecordType type, Position position);  // kStart, kLast
  // Everything but entries: what a segment header holds.
  void state(const LogState& state);

 private:
  void begin(RecordType type, uint8_t tag, uint64_t length);
  void u64(uint64_t v);
  void blob(const std::string& s);
  void raw(const void* data, uint64_t size);
  std::vector<uint8_t>* out_;
};

struct Record {
  RecordType type = RecordType::kEntry;
  uint8_t tag = 0;  // kEntry: the EntryType; kBase: 1 when the log restarts behind it
  plugin::ByteView body;
};

// Takes records off `rest`. False at the end, or (with *error set) when what follows is none.
bool next_record(plugin::ByteView* rest, Record* out, const char** error);
// Each: null, or what is wrong.
const char* decode_entry(const Record& record, raft::Entry* out, plugin::ByteView* data);
// Any other record, into `state`.
const char* apply_record(const Record& record, LogState* state);

struct SegmentHeader {
  uint32_t size = 0;  // of one copy, padded
  uint64_t salt = 0;
  uint64_t sequence = 0;
  uint64_t segment_bytes = 0;
  uint64_t first_batch = 0;
  LogState state;
  uint64_t data_start() const { return 2 * uint64_t{size}; }
};
// Both copies, one behind the other. Sets header->size.
std::vector<uint8_t> encode_segment_header(SegmentHeader* header, uint32_t version = kFormatVersion);
// How large one copy would be.
uint64_t segment_header_bytes(const LogState& state);
enum class HeaderCheck { kBad, kGood, kLaterVersion };
// Whether `bytes` begin with copy `copy` (0, 1) of a header. `bytes` may be longer.
HeaderCheck decode_segment_header(plugin::ByteView bytes, uint32_t copy, SegmentHeader* out);
// The size that the first sector claims, unchecked but for its limits; 0: it is not a header of that copy.
uint32_t claimed_header_bytes(plugin::ByteView sector, uint32_t copy);

struct BatchHeader {
  uint64_t salt = 0;
  uint64_t number = 0;
  uint64_t offset = 0;       // in the file
  Index first_index;         // of its first entry; 0: none
  uint32_t length = 0;       // of the records
  uint32_t payload_crc = 0;  // of the records and the padding behind them
  uint64_t padded_bytes() const { return padded(kBatchFixed + length); }
};
// Room for the header at the front of a batch that is then filled with records.
void begin_batch(std::vector<uint8_t>* batch);
// Pads the batch and completes its header: length and checksums are computed, the rest is taken from
// `header`.
void finish_batch(std::vector<uint8_t>* batch, BatchHeader header);
// Whether a batch header of this salt begins here (checksum, magic and salt; nothing else).
bool decode_batch_header(plugin::ByteView sector, uint64_t salt, BatchHeader* out);

}  // namespace quorate::wal
