// Damage at rest: flipped bits, lost and shortened files, unreadable sectors, bytes that were never a log.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "machine.h"
#include "wal/format.h"

namespace quorate::wal {
namespace {

using Texts = std::vector<std::string>;

class WalDamage : public testing::Test {
 protected:
  // Several segments; the last batch of all is not sealed.
  void SetUp() override {
    ASSERT_TRUE(m_.create().ok());
    for (uint64_t i = 1; i <= 150; ++i) {
      Batch b;
      if (i % 10 == 0) b.hard_state = raft::HardState{Term(i), MemberId(3)};
      b.entries = {entry(1, i, std::to_string(i) + std::string(i * 13 % 1500, 'x'))};
      ASSERT_TRUE(m_.append(std::move(b)).ok());
    }
    ASSERT_TRUE(m_.recover().ok());
    whole_ = m_.texts();
    m_.wal.reset();
    for (auto& name : m_.files->names("/data/wal"))
      if (name.ends_with(".wal")) segments_.push_back("/data/wal/" + name);
    ASSERT_GE(segments_.size(), 3u);
  }

  // Damage must never change what is read: the whole log, or an error; only the very last batch may be taken
  // for torn.
  void expect_safe(Machine* m, const std::string& what, bool last_batch) {
    Status s = m->recover();
    if (s.ok()) {
      if (m->texts() == whole_) return;
      Texts shorter(whole_.begin(), whole_.end() - 1);
      EXPECT_TRUE(last_batch && m->texts() == shorter) << what << ": another log was read";
      return;
    }
    EXPECT_EQ(s.code(), Code::kCorruption) << what << ": " << s.text();
    ASSERT_TRUE(m->recovered.corruption) << what;
    EXPECT_NE(std::string(s.text()).find(m->recovered.corruption->file), std::string::npos);
    EXPECT_FALSE(m->wal);
    for (size_t i = 0; i < m->recovered.entries.size(); ++i)
      EXPECT_EQ(text(m->recovered.entries[i]), whole_[i]);
  }
  bool flip(const std::string& file, uint64_t offset, uint32_t bit, bool last_batch = false) {
    Machine m(m_.files->clone());
    m.files->flip_bit(file, offset, bit);
    expect_safe(&m, file + " offset " + std::to_string(offset) + " bit " + std::to_string(bit), last_batch);
    return m.wal == nullptr;
  }
  // Where the batches of a segment begin.
  std::vector<uint64_t> batches(const std::string& file) {
    std::string bytes = m_.files->get(file);
    SegmentHeader header;
    EXPECT_EQ(decode_segment_header({bytes.data(), bytes.size()}, 0, &header), HeaderCheck::kGood);
    std::vector<uint64_t> all;
    BatchHeader batch;
    for (uint64_t at = header.data_start();
         at < bytes.size() && decode_batch_header({bytes.data() + at, kSector}, header.salt, &batch);
         at += batch.padded_bytes())
      all.push_back(at);
    return all;
  }

  Machine m_;
  Texts whole_;
  Texts segments_;
};

TEST_F(WalDamage, OneBitInTheMiddleIsCorruptionWithItsPlace) {
  for (auto& file : segments_) {
    std::vector<uint64_t> at = batches(file);
    if (file == segments_.back()) at.pop_back();
    size_t step = std::max<size_t>(1, at.size() / 6);
    for (size_t i = 0; i < at.size(); i += step) {
      for (uint64_t bit = 0; bit < 64 * 8; bit += file == segments_[1] && i == 0 ? 1 : 11) {
        // Bytes 48 to 63 are reserved, but checked like the rest.
        EXPECT_TRUE(flip(file, at[i] + bit / 8, bit % 8)) << "not noticed";
      }
      EXPECT_TRUE(flip(file, at[i] + 70, 1));
      EXPECT_TRUE(flip(file, at[i] + 511, 7)) << "padding is checked, too";
      Machine m(m_.files->clone());
      m.files->flip_bit(file, at[i] + 80, 3);
      m.recover().ok();
      ASSERT_TRUE(m.recovered.corruption);
      EXPECT_EQ(m.recovered.corruption->file, file);
      EXPECT_EQ(m.recovered.corruption->offset, at[i]);
    }
  }
}

TEST_F(WalDamage, OneBitInTheLastBatchIsATornTail) {
  uint64_t at = batches(segments_.back()).back();
  for (uint64_t bit = 0; bit < 100 * 8; ++bit) flip(segments_.back(), at + bit / 8, bit % 8, true);
}

TEST_F(WalDamage, OneBitInASegmentHeaderIsHealedByTheOtherCopy) {
  for (auto& file : segments_) {
    uint64_t data = batches(file).front();
    for (uint64_t bit = 0; bit < data * 8; bit += bit < 64 * 8 ? 1 : 37)
      EXPECT_FALSE(flip(file, bit / 8, bit % 8)) << file << " bit " << bit;
    Machine m(m_.files->clone());
    m.files->flip_bit(file, 24, 0);
    m.files->flip_bit(file, data / 2 + 24, 0);
    EXPECT_EQ(m.recover().code(), Code::kCorruption) << "both copies";
    EXPECT_EQ(m.recovered.corruption->file, file);
  }
}

TEST_F(WalDamage, RandomBits) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 600; ++i) {
    auto& file = segments_[random() % segments_.size()];
    std::vector<uint64_t> at = batches(segments_.back());
    uint64_t offset = random() % (64 << 10);
    flip(file, offset, static_cast<uint32_t>(random() % 8), file == segments_.back() && offset >= at.back());
  }
}

TEST_F(WalDamage, LostFilesAreMissed) {
  for (size_t i = 0; i + 1 < segments_.size(); ++i) {
    Machine m(m_.files->clone());
    ASSERT_TRUE(m.files->remove(segments_[i].c_str()).ok());
    EXPECT_EQ(m.recover().code(), Code::kCorruption) << segments_[i];
    ASSERT_TRUE(m.recovered.corruption);
    EXPECT_TRUE(i == 0 || m.recovered.corruption->file == segments_[i]);
  }
}

TEST_F(WalDamage, ShortFilesAreMissed) {
  for (auto& file : segments_) {
    for (uint64_t size : {uint64_t{0}, uint64_t{100}, uint64_t{5000}, uint64_t{(64 << 10) - 512}}) {
      Machine m(m_.files->clone());
      std::string bytes = m.files->get(file).substr(0, size);
      m.files->put(file, {bytes.data(), bytes.size()});
      EXPECT_EQ(m.recover().code(), Code::kCorruption) << file << " " << size;
    }
  }
}

TEST_F(WalDamage, SwappedFilesAreNoticed) {
  ASSERT_TRUE(m_.files->rename(segments_[1].c_str(), "/data/wal/x").ok());
  ASSERT_TRUE(m_.files->rename(segments_[2].c_str(), segments_[1].c_str()).ok());
  ASSERT_TRUE(m_.files->rename("/data/wal/x", segments_[2].c_str()).ok());
  EXPECT_EQ(m_.recover().code(), Code::kCorruption);
}

TEST_F(WalDamage, UnreadableSectorsAreNamed) {
  uint64_t reads = m_.files->counters().of(FileOp::kRead);
  ASSERT_TRUE(m_.recover().ok());
  reads = m_.files->counters().of(FileOp::kRead) - reads;
  m_.wal.reset();
  for (uint64_t nth = 1; nth <= reads; ++nth) {
    Machine m(m_.files->clone());
    m.files->fail({FileOp::kRead, "", nth, true, Code::kIo});
    Status s = m.recover();
    ASSERT_FALSE(s.ok()) << nth;
    EXPECT_TRUE(s.code() == Code::kIo || s.code() == Code::kCorruption) << s.text();
    EXPECT_NE(std::string(s.text()).find("/data/wal/"), std::string::npos);
    EXPECT_FALSE(m.wal);
  }
}

TEST_F(WalDamage, ALaterFormatIsRefused) {
  // A header of version 2 with a right checksum, in both copies.
  std::string bytes = m_.files->get(segments_[0]);
  SegmentHeader header;
  ASSERT_EQ(decode_segment_header({bytes.data(), bytes.size()}, 0, &header), HeaderCheck::kGood);
  std::vector<uint8_t> both = encode_segment_header(&header, 2);
  bytes.replace(0, both.size(), reinterpret_cast<char*>(both.data()), both.size());
  m_.files->put(segments_[0], {bytes.data(), bytes.size()});
  EXPECT_EQ(m_.recover().code(), Code::kIncompatible);
}

// Whatever the files hold: an answer, no crash, no memory beyond the files' size.
TEST_F(WalDamage, Mutations) {
  uint64_t count = std::getenv("QUORATE_SOAK") != nullptr ? 100'000 : 1'500;
  std::mt19937_64 random(99);
  for (uint64_t i = 0; i < count; ++i) {
    Machine m(m_.files->clone(), i);
    for (uint64_t files = 1 + random() % 2; files > 0; --files) {
      auto& file = segments_[random() % segments_.size()];
      std::string bytes = m.files->get(file);
      for (uint64_t n = 1 + random() % 4; n > 0 && !bytes.empty(); --n) {
        uint64_t at = random() % 3 == 0 ? random() % 1024 % bytes.size() : random() % bytes.size();
        uint64_t length =
            std::min<uint64_t>(1 + random() % (random() % 4 == 0 ? 4096 : 8), bytes.size() - at);
        switch (random() % 5) {
          case 0:
            for (uint64_t k = 0; k < length; ++k) bytes[at + k] = static_cast<char>(random());
            break;
          case 1:
            bytes.replace(at, length, std::string(length, '\0'));
            break;
          case 2:
            bytes.resize(at);
            break;
          case 3:
            bytes.erase(at, length);
            break;
          default:
            bytes.insert(at / 512 * 512, bytes.substr(random() % bytes.size() / 512 * 512, 512));
        }
      }
      m.files->put(file, {bytes.data(), bytes.size()});
    }
    Status s = m.recover();
    if (!s.ok()) continue;
    // What is accepted is a log: it goes on.
    EXPECT_TRUE(m.append({entry(1000, m.recovered.last.index.value + 1, "x")}).ok());
  }
}

// Random records, some of them sensible, behind checksums that are right: whatever a bug or an enemy may have
// written.
void random_records(std::mt19937_64* random, std::vector<uint8_t>* batch) {
  auto number = [&]() -> uint64_t {
    constexpr uint64_t kOdd[] = {0, 1, 2, 3, 5, 150, ~uint64_t{0}, ~uint64_t{0} - 1, uint64_t{1} << 63};
    return kOdd[(*random)() % std::size(kOdd)];
  };
  RecordWriter out(batch);
  for (uint64_t n = 1 + (*random)() % 6; n > 0; --n) {
    Position p{Index(number()), Term(number())};
    switch ((*random)() % 6) {
      case 0:
        out.position(RecordType::kStart, p);
        break;
      case 1:
        out.base({p.index, p.term, "m", "d"}, (*random)() % 2 == 0);
        break;
      case 2:
        out.hard_state({p.term, MemberId(1)});
        break;
      case 3:
        batch->push_back(static_cast<uint8_t>((*random)()));
        break;
      default:
        out.entry(entry(p.term.value, p.index.value, "e"));
    }
  }
}

TEST_F(WalDamage, RandomRecordsBehindRightChecksums) {
  uint64_t count = std::getenv("QUORATE_SOAK") != nullptr ? 200'000 : 4'000;
  std::mt19937_64 random(5);
  uint64_t accepted = 0;
  for (uint64_t i = 0; i < count; ++i) {
    Machine m(i);
    m.files->make_dirs("/data/wal");
    SegmentHeader header;
    header.salt = 1;
    header.sequence = 1;
    header.segment_bytes = 64 << 10;
    header.first_batch = 1;
    header.state.terms.reset({Index(random() % 4), Term(random() % 3)});
    std::vector<uint8_t> file = encode_segment_header(&header);
    for (uint64_t number = 1; number <= 1 + random() % 3; ++number) {
      std::vector<uint8_t> batch;
      begin_batch(&batch);
      random_records(&random, &batch);
      BatchHeader b;
      b.salt = 1;
      b.number = number;
      b.offset = file.size();
      plugin::ByteView rest{batch.data() + kBatchFixed, batch.size() - kBatchFixed};
      Record record;
      const char* error = nullptr;
      raft::Entry e;
      plugin::ByteView data;
      while (b.first_index.value == 0 && next_record(&rest, &record, &error))
        if (record.type == RecordType::kEntry && decode_entry(record, &e, &data) == nullptr)
          b.first_index = e.index;
      finish_batch(&batch, b);
      file.insert(file.end(), batch.begin(), batch.end());
    }
    file.resize(64 << 10);
    m.files->put("/data/wal/" + segment_name(1), {file.data(), file.size()});
    Status s = m.recover();
    EXPECT_TRUE(s.ok() || s.code() == Code::kCorruption) << s.text();
    if (!s.ok()) continue;
    ++accepted;
    EXPECT_EQ(m.recovered.entries.size(), m.recovered.last.index - m.recovered.start.index);
    (void)m.append({entry(m.recovered.last.term.value, m.recovered.last.index.value + 1, "x")});
  }
  EXPECT_GT(accepted, count / 50);
}

// The parser below the checksums: records, wherever they come from.
TEST(WalFormat, RandomRecordsAreJudgedNotTrusted) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % 3 == 0 ? random() : random() % 8);
    plugin::ByteView rest{bytes.data(), bytes.size()};
    Record record;
    const char* error = nullptr;
    LogState state;
    uint64_t taken = 0;
    while (next_record(&rest, &record, &error)) {
      raft::Entry e;
      plugin::ByteView data;
      if (record.type == RecordType::kEntry)
        (void)decode_entry(record, &e, &data);
      else
        (void)apply_record(record, &state);
      taken += kRecordFixed + record.body.size;
    }
    EXPECT_TRUE(error != nullptr || taken == bytes.size());
  }
}

}  // namespace
}  // namespace quorate::wal
