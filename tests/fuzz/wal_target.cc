// Any bytes as the log's segments: read, appended to and read again. The first byte says how the rest is
// taken:
//   0  as segments, byte for byte
//   1  the same, but every checksum is made right: what is behind them is judged, too
//   2  as records of batches that are right in all else
// What is accepted is only what stands behind right checksums, reads the same after a power cut, and goes on.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "base/crc32c.h"
#include "fuzz/target.h"
#include "wal/format.h"
#include "wal/machine.h"

namespace quorate::fuzz {
namespace {

using namespace wal;
using Bytes = std::vector<uint8_t>;

constexpr uint64_t kSegmentBytes = 64 << 10;
constexpr uint64_t kSalt = 0x5a17;
const std::string kDirectory = "/data/wal/";

Bytes fresh_header(uint64_t sequence, uint64_t first_batch, const LogState& state) {
  SegmentHeader header;
  header.salt = kSalt + sequence;
  header.sequence = sequence;
  header.segment_bytes = kSegmentBytes;
  header.first_batch = first_batch;
  header.state = state;
  return encode_segment_header(&header);
}

// The batch's records are taken as they are; its header names their first entry as a writer would.
void append_batch(Bytes* file, uint64_t salt, uint64_t number, std::string_view records) {
  Bytes batch;
  begin_batch(&batch);
  batch.insert(batch.end(), records.begin(), records.end());
  BatchHeader header;
  header.salt = salt;
  header.number = number;
  header.offset = file->size();
  plugin::ByteView rest{records.data(), records.size()};
  Record record;
  const char* error = nullptr;
  raft::Entry e;
  plugin::ByteView data;
  while (header.first_index.value == 0 && next_record(&rest, &record, &error))
    if (record.type == RecordType::kEntry && decode_entry(record, &e, &data) == nullptr)
      header.first_index = e.index;
  finish_batch(&batch, header);
  file->insert(file->end(), batch.begin(), batch.end());
}

template <typename T>
T load(const Bytes& bytes, size_t at) {
  T v;
  std::memcpy(&v, bytes.data() + at, sizeof v);
  return v;
}
void store_crc(Bytes* bytes, size_t at, size_t begin, size_t end) {
  uint32_t crc = crc32c(bytes->data() + begin, end - begin);
  std::memcpy(bytes->data() + at, &crc, sizeof crc);
}

// Makes the checksums right of whatever has the magic of a header or a batch (docs/formats.md).
void seal(Bytes* file) {
  for (size_t at = 0; at + kSector <= file->size(); at += kSector) {
    if (std::memcmp(file->data() + at, "quorWAL\n", 8) == 0) {
      auto size = load<uint32_t>(*file, at + 16);
      if (size >= kHeaderFixed && size <= file->size() - at) store_crc(file, at + 8, at + 12, at + size);
    } else if (std::memcmp(file->data() + at, "BTCH", 4) == 0) {
      uint64_t size = padded(kBatchFixed + load<uint32_t>(*file, at + 40));
      if (size <= file->size() - at) store_crc(file, at + 44, at + kBatchFixed, at + size);
      store_crc(file, at + 4, at + 8, at + kBatchFixed);
    }
  }
}

// A small log: batches of entries, hard states, a member's change, a base, over one or two segments.
Bytes records_of(uint64_t first, uint64_t count, uint64_t term) {
  Bytes out;
  RecordWriter w(&out);
  if (first == 1) w.metadata({ClusterId(7), MemberId(8), "node", "cfg"});
  if (first % 2 == 1) w.hard_state({Term(term), MemberId(3)});
  if (first > 5) w.position(RecordType::kStart, {Index(3), Term(1)});
  if (first > 7) w.members("m1");
  for (uint64_t i = first; i < first + count; ++i)
    w.entry(entry(term, i, i % 3 == 0 ? "" : "entry " + std::to_string(i)));
  return out;
}
std::string_view chars(const Bytes& b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

std::vector<std::string> seeds() {
  LogState state;
  state.terms.reset({Index(0), Term(0)});
  Bytes file = fresh_header(1, 1, state);
  std::string records(1, 2);
  uint64_t index = 1;
  for (uint64_t number = 1; number <= 5; ++number) {
    Bytes batch = records_of(index, number, number / 2 + 1);
    index += number;
    append_batch(&file, kSalt + 1, number, chars(batch));
    records += static_cast<char>(batch.size());
    records += static_cast<char>(batch.size() >> 8);
    records += chars(batch);
  }
  Bytes rebased;
  RecordWriter w(&rebased);
  w.base({Index(40), Term(9), "mb", "db-2"}, true);
  w.entry(entry(9, 41, "behind it"));
  append_batch(&file, kSalt + 1, 6, chars(rebased));
  std::string raw = std::string(1, 0) + std::string(chars(file));
  std::string sealed = raw;
  sealed[0] = 1;
  return {raw, sealed, records};
}

// One segment; or two, the second at the last header in the bytes.
std::vector<Bytes> segments_of(std::string_view input, bool sealed) {
  size_t cut = input.rfind("quorWAL\n");
  // Each header comes twice: the second segment begins with the second last one.
  if (cut != std::string_view::npos && cut > 0) cut = input.rfind("quorWAL\n", cut - 1);
  std::vector<std::string_view> parts{input};
  if (cut != std::string_view::npos && cut > 0) parts = {input.substr(0, cut), input.substr(cut)};
  std::vector<Bytes> out;
  for (std::string_view part : parts) {
    Bytes file(part.begin(), part.end());
    if (file.size() < kSegmentBytes) file.resize(kSegmentBytes);
    if (sealed) seal(&file);
    out.push_back(std::move(file));
  }
  return out;
}

std::vector<Bytes> segments_of_records(Choices choices) {
  LogState state;
  state.terms.reset({Index(choices.pick(4)), Term(choices.pick(3))});
  Bytes file = fresh_header(1, 1, state);
  for (uint64_t number = 1; !choices.empty() && number < 20; ++number) {
    size_t size = choices.byte();
    size |= size_t{choices.byte()} << 8;
    append_batch(&file, kSalt + 1, number, choices.bytes(std::min<size_t>(size, 4096)));
  }
  file.resize(std::max<size_t>(file.size(), kSegmentBytes));
  return {std::move(file)};
}

// The entries in everything that carries right checksums, wherever it stands.
std::set<std::string> vouched_for(const std::vector<Bytes>& files) {
  std::set<std::string> out;
  for (const Bytes& file : files) {
    for (size_t at = 0; at + kSector <= file.size(); at += kSector) {
      if (std::memcmp(file.data() + at, "BTCH", 4) != 0) continue;
      if (load<uint32_t>(file, at + 4) != crc32c(file.data() + at + 8, kBatchFixed - 8)) continue;
      auto length = load<uint32_t>(file, at + 40);
      uint64_t end = at + padded(kBatchFixed + uint64_t{length});
      if (end > file.size()) continue;
      if (load<uint32_t>(file, at + 44) != crc32c(file.data() + at + kBatchFixed, end - at - kBatchFixed))
        continue;
      plugin::ByteView rest{file.data() + at + kBatchFixed, length};
      Record record;
      const char* error = nullptr;
      while (next_record(&rest, &record, &error)) {
        raft::Entry e;
        plugin::ByteView data;
        if (record.type != RecordType::kEntry || decode_entry(record, &e, &data) != nullptr) continue;
        e.data = plugin::Buffer::copy_of(data);
        out.insert(text(e));
      }
    }
  }
  return out;
}

struct Answer {
  std::vector<std::string> texts;
  Metadata metadata;
  raft::HardState hard_state;
  std::string members;
  Base base;
  Position start, last;
  uint64_t next_batch;
  friend bool operator==(const Answer&, const Answer&) = default;
};
Answer answer_of(const Machine& m) {
  const Recovered& r = m.recovered;
  return {m.texts(), r.metadata, r.hard_state, r.members, r.base, r.start, r.last, r.next_batch};
}

void cut_and_recover(Machine* m, PowerCut cut) {
  m->kill();
  m->files->power_cut(cut);
  Status s = m->recover();
  EXPECT_TRUE(s.ok()) << "accepted once, then refused: " << s.text();
}

void run(std::string_view input) {
  Choices choices(input);
  uint8_t how = choices.byte() % 3;
  std::vector<Bytes> files = how == 2 ? segments_of_records(choices) : segments_of(choices.rest(), how == 1);
  Machine m;
  m.files->make_dirs(kDirectory);
  for (size_t i = 0; i < files.size(); ++i)
    m.files->put(kDirectory + segment_name(i + 1), {files[i].data(), files[i].size()});
  Status s = m.recover();
  if (!s.ok()) {
    EXPECT_TRUE(s.code() == Code::kCorruption || s.code() == Code::kIncompatible) << s.text();
    return;
  }
  const Answer first = answer_of(m);
  std::set<std::string> vouched = vouched_for(files);
  for (const std::string& t : first.texts)
    EXPECT_EQ(vouched.count(t), 1u) << "no right checksum vouches for " << t;
  EXPECT_EQ(first.texts.size(), first.last.index - first.start.index);
  cut_and_recover(&m, PowerCut::keep_none());
  if (!m.wal) return;
  EXPECT_TRUE(answer_of(m) == first) << "a second recovery reads something else";

  std::vector<std::string> expected = first.texts;
  raft::Entry next = entry(first.last.term.value, first.last.index.value + 1, "next");
  if (!m.append({next}).ok()) return;  // at the end of all indexes, or no room
  expected.push_back(text(next));
  cut_and_recover(&m, PowerCut::keep_none());
  EXPECT_EQ(m.texts(), expected);
}

const Target kTarget{"wal", seeds, run, 2'000};
const Registered kRegistered(&kTarget);

}  // namespace
}  // namespace quorate::fuzz
