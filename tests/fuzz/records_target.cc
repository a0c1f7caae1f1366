// A store over an engine full of any records, its state record included: opened, read, written, compacted,
// opened again. Checksums are right unless the input says otherwise, so that what is behind them is judged,
// too.
#include <gtest/gtest.h>

#include "fuzz/target.h"
#include "mvcc/store_rig.h"

namespace quorate::fuzz {
namespace {

using namespace mvcc;
using plugin::Code;
using test::ModelAnswer;
using test::ModelQuery;
using test::StoreRig;

std::string with_checksum(std::string_view key, std::string value, uint8_t damage) {
  uint8_t sum[kChecksumSize];
  store_checksum(record_checksum(bytes_of(key), bytes_of(value)) ^ damage, sum);
  return value.append(reinterpret_cast<const char*>(sum), sizeof sum);
}

// One record of keyspace 0.
void add_record(Choices& in, test::FaultDisk::Contents* contents) {
  uint8_t shape = in.byte();
  Revision revision{static_cast<int64_t>(in.number()), static_cast<int64_t>(in.pick(3))};
  if (shape % 16 == 15) revision.sub = static_cast<int64_t>(in.number());
  bool tombstone = shape / 16 % 4 == 3;
  std::string key = test::text_of(RecordKey(revision, tombstone).view());
  std::string value;
  std::string name(1 + in.pick(3), static_cast<char>('a' + in.pick(3)));
  switch (shape % 8) {
    case 6:
      value = std::string(in.bytes(in.pick(40)));
      break;
    case 5:
      key = std::string(in.bytes(in.pick(20)));
      [[fallthrough]];
    default: {
      KeyValueView kv{name, {}, 0, 0, 0, 0};
      if (!tombstone) {
        std::string_view content = in.bytes(in.pick(20));
        kv = {name,
              content,
              static_cast<int64_t>(in.number()),
              revision.main,
              static_cast<int64_t>(in.number()),
              static_cast<int64_t>(in.number())};
        if (shape % 8 == 4) kv.mod = static_cast<int64_t>(in.number());
      }
      value = test::text_of(encode(kv).view());
    }
  }
  (*contents)[kRecordsKeyspace][key] = with_checksum(key, value, shape >= 250 ? 1 : 0);
}

void add_meta(Choices& in, test::FaultDisk::Contents* contents) {
  std::string key = std::string(1, kNodeMetaPrefix) + std::string(in.bytes(in.pick(12)));
  uint8_t damage = in.byte() == 255 ? 1 : 0;
  (*contents)[kMetaKeyspace][key] = with_checksum(key, std::string(in.bytes(in.pick(12))), damage);
}

std::shared_ptr<test::FaultDisk> disk_of(Choices& in) {
  auto disk = std::make_shared<test::FaultDisk>();
  State state;
  state.batch = in.number();
  state.applied = Index(in.number());
  state.applied_term = Term(in.number());
  state.revision = static_cast<int64_t>(in.number());
  state.compacted = static_cast<int64_t>(in.number() - 1);
  std::string bytes(State::kEncodedSize, 0);
  state.encode(reinterpret_cast<uint8_t*>(bytes.data()));
  if (in.byte() != 255) disk->durable[kMetaKeyspace][std::string(kStateKey)] = bytes;
  for (int i = 0; !in.empty() && i < 200; ++i) {
    if (in.pick(8) == 7)
      add_meta(in, &disk->durable);
    else
      add_record(in, &disk->durable);
  }
  disk->live = disk->durable;
  return disk;
}

std::vector<std::string> seeds() {
  // Numbers as Choices reads them: one byte each while they are small.
  std::string head{3, 20, 2, 30, 6, 0};  // batch, applied, term, revision, compacted + 1, state is there
  std::string records;
  for (char revision = 1; revision <= 30; ++revision) {
    char shape = static_cast<char>(revision % 7 == 0 ? 48 : 0);
    records += {0,
                shape,
                revision,
                static_cast<char>(revision % 2),
                static_cast<char>(revision % 3),
                static_cast<char>(revision % 5)};
    if (shape == 0)
      records += {2, 'v', 'w', static_cast<char>(revision / 2 + 1), 3, static_cast<char>(revision % 4)};
  }
  std::string meta = {7, 5, 'a', 'b', 'c', 'd', 'e', 0, 3, '1', '2', '3'};
  return {head + records, head + meta + records, std::string{0, 0, 0, 1, 0, 0},
          std::string{0, 0, 0, 0, 0, -1}};
}

std::vector<ModelAnswer> read_everything(StoreRig* rig) {
  std::vector<ModelAnswer> out;
  ModelQuery q;
  q.key = std::string(1, '\0');
  q.end = q.key;
  for (int64_t revision : {int64_t{0}, rig->store->compacted(), rig->store->revision() / 2}) {
    q.query.revision = revision;
    out.push_back(rig->range(q));
    EXPECT_NE(out.back().error, ReadError::kEngine);
  }
  EXPECT_EQ(rig->store->verify_index(), "");
  (void)rig->hash_kv(0);
  (void)rig->history(std::max<int64_t>(1, rig->store->compacted()), 1 << 20, true);
  return out;
}

// Applies entries as the log would hold them.
void write_some(StoreRig* rig) {
  Index index = rig->store->applied();
  auto next = [&](const std::function<void(Apply&)>& body) {
    index = index + 1;
    rig->store->apply(index, Term(9), body);
  };
  next([](Apply& a) {
    a.put("a", "new", 5);
    a.put("zz", "new", 0);
  });
  next([](Apply& a) { a.remove(api::Interval::of("b", "c"), nullptr); });
  next([&](Apply& a) { rig->store->compact(a, rig->store->revision()); });
  next([](Apply& a) { a.put("bb", "newer", 0); });
}

void run(std::string_view input) {
  Choices in(input);
  StoreRig rig;
  rig.disk = disk_of(in);
  rig.engine = plugin::make<test::FaultEngine>(rig.disk);
  plugin::Status status = rig.open();
  if (!status.ok()) {
    EXPECT_TRUE(status.code() == Code::kCorruption || status.code() == Code::kIncompatible) << status.text();
    return;
  }
  if (rig.store->applied().value > UINT64_MAX - 10) return;  // no log reaches that far
  std::vector<ModelAnswer> before = read_everything(&rig);
  write_some(&rig);
  std::vector<ModelAnswer> after = read_everything(&rig);
  rig.executor.advance(200'000'000);  // some slices of the compaction; the rest after the start
  uint64_t keys = rig.store->keys();
  EXPECT_TRUE(rig.store->close().ok());
  rig.drop();
  status = rig.open();
  EXPECT_TRUE(status.ok()) << "what it has written itself is refused: " << status.text();
  if (!status.ok()) return;
  EXPECT_EQ(rig.store->keys(), keys);
  EXPECT_EQ(read_everything(&rig)[0], after[0]);
}

const Target kTarget{"records", seeds, run, 2'000};
const Registered kRegistered(&kTarget);

}  // namespace
}  // namespace quorate::fuzz
