#include "wal/format.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "wal/metadata.h"

namespace quorate::wal {

using plugin::ByteView;

namespace {

constexpr char kSegmentMagic[8] = {'q', 'u', 'o', 'r', 'W', 'A', 'L', '\n'};
constexpr uint32_t kBatchMagic = 0x48435442;  // "BTCH"

// Field offsets of a segment header.
constexpr uint64_t kCrcAt = 8, kVersionAt = 12, kSizeAt = 16, kCopyAt = 20, kSaltAt = 24, kSequenceAt = 32,
                   kSegmentBytesAt = 40, kFirstBatchAt = 48, kRecordBytesAt = 56;
// Field offsets of a batch header.
constexpr uint64_t kBatchCrcAt = 4, kBatchSaltAt = 8, kNumberAt = 16, kOffsetAt = 24, kFirstIndexAt = 32,
                   kLengthAt = 40, kPayloadCrcAt = 44;

template <typename T>
void store(uint8_t* at, T v) {
  for (size_t i = 0; i < sizeof v; ++i) at[i] = static_cast<uint8_t>(v >> (8 * i));
}
template <typename T>
T load(const uint8_t* at) {
  T v = 0;
  for (size_t i = 0; i < sizeof v; ++i) v |= static_cast<T>(T{at[i]} << (8 * i));
  return v;
}

std::string numbered(const char* format, uint64_t number) {
  char name[64];
  std::snprintf(name, sizeof name, format, static_cast<unsigned long long>(number));
  return name;
}

// The number in a name that is exactly prefix + 16 lower-case hex digits + suffix.
std::optional<uint64_t> number_in(const std::string& name, const std::string& prefix,
                                  const std::string& suffix) {
  if (name.size() != prefix.size() + 16 + suffix.size() || name.compare(0, prefix.size(), prefix) != 0 ||
      name.compare(prefix.size() + 16, std::string::npos, suffix) != 0)
    return std::nullopt;
  uint64_t number = 0;
  for (char c : name.substr(prefix.size(), 16)) {
    bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return std::nullopt;
    number = number << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return number;
}

// Reads the fields of a record's body; one past its end makes it bad.
class Fields {
 public:
  explicit Fields(ByteView body) : rest_(body) {}
  uint64_t u64() {
    if (rest_.size < 8) return bad_ = true, 0;
    uint64_t v = load<uint64_t>(rest_.data);
    rest_ = {rest_.data + 8, rest_.size - 8};
    return v;
  }
  std::string blob() {
    uint64_t n = u64();
    if (bad_ || n > rest_.size) return bad_ = true, "";
    std::string s(rest_.chars(), n);
    rest_ = {rest_.data + n, rest_.size - n};
    return s;
  }
  bool complete() const { return !bad_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool bad_ = false;
};

}  // namespace

std::string segment_name(uint64_t sequence) { return numbered("%016llx.wal", sequence); }
std::optional<uint64_t> segment_sequence(const std::string& name) { return number_in(name, "", ".wal"); }
std::string spare_name(uint64_t number) { return numbered("spare-%016llx", number); }
std::optional<uint64_t> spare_number(const std::string& name) { return number_in(name, "spare-", ""); }

// ---- Records
// ---------------------------------------------------------------------------------------------------

void RecordWriter::raw(const void* data, uint64_t size) {
  auto* from = static_cast<const uint8_t*>(data);
  out_->insert(out_->end(), from, from + size);
}

void RecordWriter::u64(uint64_t v) {
  uint8_t bytes[8];
  store(bytes, v);
  raw(bytes, sizeof bytes);
}

void RecordWriter::blob(const std::string& s) {
  u64(s.size());
  raw(s.data(), s.size());
}

void RecordWriter::begin(RecordType type, uint8_t tag, uint64_t length) {
  QUORATE_ASSERT(length <= UINT32_MAX, "a record of 4 GiB");
  uint8_t fixed[kRecordFixed] = {static_cast<uint8_t>(type), tag};
  store(fixed + 4, static_cast<uint32_t>(length));
  raw(fixed, sizeof fixed);
}

void RecordWriter::entry(const raft::Entry& entry) {
  begin(RecordType::kEntry, static_cast<uint8_t>(entry.type), 16 + entry.data.size());
  u64(entry.term.value);
  u64(entry.index.value);
  raw(entry.data.data(), entry.data.size());
}

void RecordWriter::hard_state(const raft::HardState& hard_state) {
  begin(RecordType::kHardState, 0, 16);
  u64(hard_state.term.value);
  u64(hard_state.vote.value);
}

void RecordWriter::base(const Base& base, bool restart) {
  begin(RecordType::kBase, restart ? 1 : 0, 32 + base.members.size() + base.directory.size());
  u64(base.index.value);
  u64(base.term.value);
  blob(base.members);
  blob(base.directory);
}

void RecordWriter::members(const std::string& members) {
  begin(RecordType::kMembers, 0, 8 + members.size());
  blob(members);
}

void RecordWriter::metadata(const Metadata& metadata) {
  const std::string body = encode(metadata);
  begin(RecordType::kMetadata, 0, body.size());
  raw(body.data(), body.size());
}

void RecordWriter::position(RecordType type, Position position) {
  begin(type, 0, 16);
  u64(position.index.value);
  u64(position.term.value);
}

void RecordWriter::state(const LogState& state) {
  metadata(state.metadata);
  base(state.base, true);
  position(RecordType::kStart, state.terms.start());
  position(RecordType::kLast, state.terms.last());
  hard_state(state.hard_state);
  members(state.members);
}

bool next_record(ByteView* rest, Record* out, const char** error) {
  *error = nullptr;
  if (rest->empty()) return false;
  if (rest->size < kRecordFixed) return *error = "a record cut short", false;
  uint64_t length = load<uint32_t>(rest->data + 4);
  if (length > rest->size - kRecordFixed) return *error = "a record longer than its batch", false;
  out->type = static_cast<RecordType>(rest->data[0]);
  out->tag = rest->data[1];
  out->body = {rest->data + kRecordFixed, length};
  *rest = {rest->data + kRecordFixed + length, rest->size - kRecordFixed - length};
  return true;
}

const char* decode_entry(const Record& record, raft::Entry* out, ByteView* data) {
  if (record.body.size < 16) return "an entry cut short";
  if (record.tag >= raft::kEntryTypes) return "an entry of unknown type";
  out->term = Term(load<uint64_t>(record.body.data));
  out->index = Index(load<uint64_t>(record.body.data + 8));
  out->type = static_cast<raft::EntryType>(record.tag);
  *data = {record.body.data + 16, record.body.size - 16};
  return nullptr;
}

const char* apply_record(const Record& record, LogState* state) {
  Fields f(record.body);
  switch (record.type) {
    case RecordType::kHardState: {
      raft::HardState h{Term(f.u64()), MemberId(f.u64())};
      if (!f.complete()) return "a bad hard state record";
      state->hard_state = h;
      return nullptr;
    }
    case RecordType::kBase: {
      Base b;
      b.index = Index(f.u64());
      b.term = Term(f.u64());
      b.members = f.blob();
      b.directory = f.blob();
      if (!f.complete()) return "a bad base record";
      return state->set_base(std::move(b), record.tag != 0);
    }
    case RecordType::kMembers: {
      std::string members = f.blob();
      if (!f.complete()) return "a bad members record";
      state->members = std::move(members);
      return nullptr;
    }
    case RecordType::kMetadata: {
      Metadata m;
      if (!decode(record.body, &m)) return "a bad metadata record";
      state->metadata = std::move(m);
      return nullptr;
    }
    case RecordType::kStart: {
      Position p{Index(f.u64()), Term(f.u64())};
      if (!f.complete()) return "a bad start record";
      state->set_start(p);
      return nullptr;
    }
    default:
      return "a record of unknown type";
  }
}

// ---- Segment headers
// -------------------------------------------------------------------------------------------

uint64_t segment_header_bytes(const LogState& state) {
  std::vector<uint8_t> records;
  RecordWriter(&records).state(state);
  return padded(kHeaderFixed + records.size());
}

std::vector<uint8_t> encode_segment_header(SegmentHeader* header, uint32_t version) {
  std::vector<uint8_t> copy(kHeaderFixed);
  RecordWriter(&copy).state(header->state);
  auto record_bytes = static_cast<uint32_t>(copy.size() - kHeaderFixed);
  copy.resize(padded(copy.size()));
  header->size = static_cast<uint32_t>(copy.size());
  std::memcpy(copy.data(), kSegmentMagic, sizeof kSegmentMagic);
  store(copy.data() + kVersionAt, version);
  store(copy.data() + kSizeAt, header->size);
  store(copy.data() + kSaltAt, header->salt);
  store(copy.data() + kSequenceAt, header->sequence);
  store(copy.data() + kSegmentBytesAt, header->segment_bytes);
  store(copy.data() + kFirstBatchAt, header->first_batch);
  store(copy.data() + kRecordBytesAt, record_bytes);
  std::vector<uint8_t> both;
  for (uint32_t number : {0u, 1u}) {
    store(copy.data() + kCopyAt, number);
    store(copy.data() + kCrcAt, crc32c(copy.data() + kVersionAt, copy.size() - kVersionAt));
    both.insert(both.end(), copy.begin(), copy.end());
  }
  return both;
}

uint32_t claimed_header_bytes(ByteView sector, uint32_t copy) {
  if (sector.size < kSector || std::memcmp(sector.data, kSegmentMagic, sizeof kSegmentMagic) != 0) return 0;
  auto size = load<uint32_t>(sector.data + kSizeAt);
  bool good = load<uint32_t>(sector.data + kCopyAt) == copy && size >= kSector && size % kSector == 0 &&
              size <= kMaxHeaderBytes;
  return good ? size : 0;
}

namespace {

// The state as a header holds it: its log is (start, last] without terms in between, which older segments
// know.
const char* decode_state(ByteView records, LogState* state) {
  Record record;
  const char* error = nullptr;
  Position start, last;
  while (next_record(&records, &record, &error)) {
    if (record.type == RecordType::kStart || record.type == RecordType::kLast) {
      Fields f(record.body);
      Position p{Index(f.u64()), Term(f.u64())};
      if (!f.complete()) return "a bad position record";
      (record.type == RecordType::kStart ? start : last) = p;
    } else if (const char* wrong = apply_record(record, state)) {
      return wrong;
    }
  }
  if (last.index < start.index) return "a log that ends before its start";
  state->terms.reset(start);
  if (last.index > start.index) state->terms.jump(last);
  return error;
}

}  // namespace

HeaderCheck decode_segment_header(ByteView bytes, uint32_t copy, SegmentHeader* out) {
  uint32_t size = claimed_header_bytes(bytes, copy);
  if (size == 0 || bytes.size < size) return HeaderCheck::kBad;
  if (load<uint32_t>(bytes.data + kCrcAt) != crc32c(bytes.data + kVersionAt, size - kVersionAt))
    return HeaderCheck::kBad;
  if (load<uint32_t>(bytes.data + kVersionAt) != kFormatVersion) return HeaderCheck::kLaterVersion;
  *out = {};
  out->size = size;
  out->salt = load<uint64_t>(bytes.data + kSaltAt);
  out->sequence = load<uint64_t>(bytes.data + kSequenceAt);
  out->segment_bytes = load<uint64_t>(bytes.data + kSegmentBytesAt);
  out->first_batch = load<uint64_t>(bytes.data + kFirstBatchAt);
  uint64_t record_bytes = load<uint32_t>(bytes.data + kRecordBytesAt);
  if (record_bytes > size - kHeaderFixed) return HeaderCheck::kBad;
  if (decode_state({bytes.data + kHeaderFixed, record_bytes}, &out->state) != nullptr)
    return HeaderCheck::kBad;
  return HeaderCheck::kGood;
}

// ---- Batches
// ---------------------------------------------------------------------------------------------------

void begin_batch(std::vector<uint8_t>* batch) { batch->assign(kBatchFixed, 0); }

void finish_batch(std::vector<uint8_t>* batch, BatchHeader header) {
  header.length = static_cast<uint32_t>(batch->size() - kBatchFixed);
  batch->resize(header.padded_bytes());
  uint8_t* at = batch->data();
  store(at, kBatchMagic);
  store(at + kBatchSaltAt, header.salt);
  store(at + kNumberAt, header.number);
  store(at + kOffsetAt, header.offset);
  store(at + kFirstIndexAt, header.first_index.value);
  store(at + kLengthAt, header.length);
  store(at + kPayloadCrcAt, crc32c(at + kBatchFixed, batch->size() - kBatchFixed));
  store(at + kBatchCrcAt, crc32c(at + kBatchSaltAt, kBatchFixed - kBatchSaltAt));
}

bool decode_batch_header(ByteView sector, uint64_t salt, BatchHeader* out) {
  if (sector.size < kBatchFixed) return false;
  const uint8_t* at = sector.data;
  if (load<uint32_t>(at) != kBatchMagic || load<uint64_t>(at + kBatchSaltAt) != salt) return false;
  if (load<uint32_t>(at + kBatchCrcAt) != crc32c(at + kBatchSaltAt, kBatchFixed - kBatchSaltAt)) return false;
  out->salt = salt;
  out->number = load<uint64_t>(at + kNumberAt);
  out->offset = load<uint64_t>(at + kOffsetAt);
  out->first_index = Index(load<uint64_t>(at + kFirstIndexAt));
  out->length = load<uint32_t>(at + kLengthAt);
  out->payload_crc = load<uint32_t>(at + kPayloadCrcAt);
  return true;
}

}  // namespace quorate::wal
