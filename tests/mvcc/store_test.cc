// What the random test cannot ask for by chance: exact failures, exact costs.
#include <gtest/gtest.h>

#include "mvcc/store_rig.h"
#include "support/plugin_host.h"

namespace quorate::test {
namespace {

using plugin::Code;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(rig_.open().ok()); }
  void fill(int count, size_t size = 50) {
    for (int i = 0; i < count; ++i) rig_.put("key" + std::to_string(i), std::string(size, 'v'));
  }
  // Everything in the engine and out of memory, with a cache that holds nothing.
  void reopen_cold() {
    rig_.settle();
    ASSERT_TRUE(rig_.store->close().ok());
    rig_.drop();
    rig_.options.cache_bytes = 0;
    rig_.restart();
  }
  // A deletion behind a right checksum that the store has not written.
  void plant_tombstone(mvcc::Revision revision, const std::string& key) {
    std::string name = text_of(mvcc::RecordKey(revision, true).view());
    std::string record = text_of(mvcc::encode({key, {}, 0, 0, 0, 0}).view());
    uint8_t sum[mvcc::kChecksumSize];
    mvcc::store_checksum(mvcc::record_checksum(mvcc::bytes_of(name), mvcc::bytes_of(record)), sum);
    rig_.disk->live[0][name] = record.append(reinterpret_cast<const char*>(sum), sizeof sum);
  }
  static ModelQuery point(const std::string& key) {
    ModelQuery q;
    q.key = key;
    return q;
  }
  static ModelQuery everything() {
    ModelQuery q;
    q.key = q.end = std::string(1, '\0');
    return q;
  }
  StoreRig rig_;
};

TEST_F(StoreTest, StartsLikeAnEmptyEtcd) {
  EXPECT_EQ(rig_.store->revision(), 1);
  EXPECT_EQ(rig_.store->compacted(), -1);
  EXPECT_EQ(rig_.store->applied().value, 0u);
  EXPECT_EQ(rig_.store->keys(), 0u);
  EXPECT_EQ(rig_.hash_kv(0).compacted, -1);
}

TEST_F(StoreTest, AnEntryThatChangesNoKeyKeepsTheRevision) {
  rig_.put("a", "1");
  rig_.remove("nothing");
  rig_.apply({{ModelOp::kMeta, "lease/1", {}, "x", 0}});
  rig_.apply({});
  EXPECT_EQ(rig_.store->revision(), 2);
  EXPECT_EQ(rig_.store->applied().value, 4u);
}

TEST_F(StoreTest, HotReadsAnswerAtOnce) {
  fill(10);
  bool done = false;
  mvcc::RangeQuery query{api::Interval::all()};
  rig_.store->range(query, [&](const mvcc::RangeResult& result) {
    done = true;
    EXPECT_EQ(result.records.size(), 10u);
    EXPECT_EQ(result.current_revision, 11);
  });
  EXPECT_TRUE(done);
  mvcc::Record record;
  EXPECT_TRUE(rig_.store->hot(*rig_.store->get("key3"), &record));
  EXPECT_EQ(text_of(record), rig_.model.at("key3", 11)->record());
}

TEST_F(StoreTest, AnApplySeesWhatItHasPut) {
  rig_.store->apply(Index(1), Term(1), [&](mvcc::Apply& apply) {
    EXPECT_EQ(apply.revision(), 1);
    EXPECT_FALSE(apply.put("a", "value", 7).has_value());
    EXPECT_EQ(apply.revision(), 2);
    auto version = apply.get("a");
    ASSERT_TRUE(version.has_value());
    EXPECT_EQ(version->lease, 7);
    EXPECT_EQ(version->version, 1);
    mvcc::Record record;
    ASSERT_TRUE(rig_.store->hot(*version, &record));
    mvcc::KeyValueView kv;
    ASSERT_TRUE(mvcc::decode(record, &kv));
    EXPECT_EQ(kv.value, "value");
    EXPECT_EQ(apply.count(api::Interval::all()), 1);
    auto replaced = apply.put("a", "again", 0);
    ASSERT_TRUE(replaced.has_value());
    EXPECT_EQ(replaced->mod, (Revision{2, 0}));
    EXPECT_EQ(apply.remove(api::Interval::all(), nullptr), 1);
    EXPECT_EQ(apply.count(api::Interval::all()), 0);
  });
  EXPECT_EQ(rig_.store->revision(), 2);
  int64_t leased = 0;
  rig_.store->for_each_leased([&](std::string_view, int64_t) { ++leased; });
  EXPECT_EQ(leased, 0);
}

TEST_F(StoreTest, MissesOfOneTickAreOneMultiGet) {
  fill(100);
  reopen_cold();
  uint64_t before = rig_.disk->multi_gets;
  int answered = 0;
  for (int i = 0; i < 50; ++i) {
    std::string key = "key" + std::to_string(i);
    mvcc::RangeQuery query{api::Interval::point(key)};
    rig_.store->range(query, [&](const mvcc::RangeResult& result) {
      ++answered;
      EXPECT_EQ(result.error, ReadError::kNone);
      EXPECT_EQ(result.records.size(), 1u);
    });
  }
  EXPECT_EQ(answered, 0);
  rig_.executor.run_until_idle();
  EXPECT_EQ(answered, 50);
  EXPECT_EQ(rig_.disk->multi_gets - before, 1u);
}

TEST_F(StoreTest, WhatWasReadColdIsHotAfterwards) {
  fill(100);
  rig_.settle();
  ASSERT_TRUE(rig_.store->close().ok());
  rig_.drop();
  rig_.options.cache_bytes = 8u << 10;  // of about 10 KiB
  rig_.restart();
  EXPECT_EQ(rig_.range(point("key1")), rig_.model.range(point("key1")));
  uint64_t before = rig_.disk->multi_gets;
  EXPECT_EQ(rig_.range(point("key1")), rig_.model.range(point("key1")));
  EXPECT_EQ(rig_.disk->multi_gets, before);
}

TEST_F(StoreTest, TheCacheKeepsToItsBudget) {
  rig_.drop();
  rig_.options.cache_bytes = 64u << 10;
  rig_.restart();
  for (int i = 0; i < 2000; ++i) {
    rig_.put("key" + std::to_string(i % 50), std::string(static_cast<size_t>(i % 700), 'v'));
    ASSERT_LE(rig_.store->cache_bytes(), 64u << 10);
    (void)rig_.range(point("key7"));
  }
  mvcc::Record record;
  EXPECT_TRUE(rig_.store->hot(*rig_.store->get("key7"), &record)) << "what is read all the time stays";
}

TEST_F(StoreTest, ADamagedRecordIsNamedAndTheOthersGoOn) {
  fill(20);
  reopen_cold();
  mvcc::RecordKey bad({6, 0}, false);  // key4
  rig_.disk->live[0][text_of(bad.view())][3] ^= 1;
  EXPECT_EQ(rig_.range(point("key4")).error, ReadError::kCorrupt);
  EXPECT_NE(rig_.last_text.find("revision 6/0"), std::string::npos) << rig_.last_text;
  EXPECT_EQ(rig_.range(point("key5")), rig_.model.range(point("key5")));
  EXPECT_EQ(rig_.range(everything()).error, ReadError::kCorrupt);
  EXPECT_EQ(rig_.hash_kv(0).error, ReadError::kCorrupt);
  EXPECT_EQ(rig_.history(2, 1 << 20, false).error, ReadError::kCorrupt);
  rig_.disk->live[0].erase(text_of(bad.view()));
  EXPECT_EQ(rig_.range(point("key4")).error, ReadError::kCorrupt)
      << "a record that has vanished is damage, too";
}

TEST_F(StoreTest, DamageAtTheStartNamesThePlace) {
  fill(20);
  rig_.settle();
  ASSERT_TRUE(rig_.store->close().ok());
  rig_.drop();
  FaultDisk::Contents good = rig_.disk->live;
  rig_.disk->live[0][text_of(mvcc::RecordKey({9, 0}, false).view())].back() ^= 1;
  plugin::Status status = rig_.open();
  EXPECT_EQ(status.code(), Code::kCorruption);
  EXPECT_NE(std::string(status.text()).find("revision 9/0"), std::string::npos) << status.text();

  rig_.disk->live = good;
  rig_.disk->live[1][std::string(mvcc::kStateKey)][10] ^= 1;
  EXPECT_EQ(rig_.open().code(), Code::kCorruption);
  rig_.disk->live = good;
  rig_.disk->live[1].erase(std::string(mvcc::kStateKey));
  EXPECT_EQ(rig_.open().code(), Code::kCorruption) << "records without a state are not an empty engine";
  rig_.disk->live = good;
  // Found by the fuzzer: one revision as a put and as a deletion, and a key that is deleted twice.
  plant_tombstone({9, 0}, "key7");
  status = rig_.open();
  EXPECT_EQ(status.code(), Code::kCorruption);
  EXPECT_NE(std::string(status.text()).find("second record of revision 9/0"), std::string::npos)
      << status.text();
  rig_.disk->live = good;
  plant_tombstone({21, 1}, "key9");
  plant_tombstone({21, 2}, "key9");
  status = rig_.open();
  EXPECT_EQ(status.code(), Code::kCorruption);
  EXPECT_NE(std::string(status.text()).find("revision 21/2 deletes"), std::string::npos) << status.text();
  rig_.disk->live = good;
  rig_.disk->live[0]["strange key"] = "x";
  EXPECT_EQ(rig_.open().code(), Code::kCorruption);
  rig_.disk->live = good;
  rig_.restart();
}

// ---- Engine failures
// ------------------------------------------------------------------------------------------

// The start reads the history in parts. What all keys of one part begin with need not be what those of
// another begin with, and a key may have versions in each.
TEST_F(StoreTest, TheStartMergesPartsWhoseKeysBeginDifferently) {
  for (const std::string prefix :
       {"long/common/beginning/", "b/", "long/common/", "long/common/beginning/and/more/"})
    for (int i = 39; i >= 0; --i) rig_.put(prefix + std::to_string(i), prefix);
  for (int i = 0; i < 100; ++i) rig_.put(std::string("b/") + static_cast<char>('w' + i % 4), "again");
  reopen_cold();
  EXPECT_EQ(rig_.store->verify_index(), "");
  ModelQuery all = everything();
  EXPECT_EQ(rig_.range(all), rig_.model.range(all));
  all.query.revision = 90;
  EXPECT_EQ(rig_.range(all), rig_.model.range(all));
}

TEST_F(StoreTest, NoSpaceStopsWritesNotReadsAndHeals) {
  fill(50);
  rig_.settle();
  rig_.disk->write_error = Code::kNoSpace;
  rig_.disk->write_errors = 1;
  rig_.disk->open_error = Code::kNoSpace;
  rig_.disk->open_errors = 3;
  rig_.put("more", "x");
  rig_.executor.advance(20'000'000);
  EXPECT_EQ(rig_.store->engine_state(), EngineState::kNoSpace);
  EXPECT_NE(rig_.last_why.find("no_space"), std::string::npos);
  rig_.put("yet more", "y");
  EXPECT_EQ(rig_.range(everything()), rig_.model.range(everything()));
  EXPECT_GT(rig_.store->retained_bytes(), 0u);
  EXPECT_EQ(rig_.store->synced_index().value, 50u);
  rig_.settle();
  EXPECT_EQ(rig_.store->engine_state(), EngineState::kHealthy);
  EXPECT_EQ(rig_.states, (std::vector{EngineState::kNoSpace, EngineState::kHealthy}));
  EXPECT_EQ(rig_.synced.value, 52u);
  rig_.power_cut(0);
  rig_.restart();
  EXPECT_EQ(rig_.recovered.applied.value, 52u);
}

// Reports how much space there is; everything else is not asked for.
class SmallDisk final : public plugin::Counted<plugin::Files> {
 public:
  plugin::Status open(const char*, uint32_t, plugin::File**) noexcept override { return no(); }
  plugin::Status rename(const char*, const char*) noexcept override { return no(); }
  plugin::Status remove(const char*) noexcept override { return no(); }
  plugin::Status link(const char*, const char*) noexcept override { return no(); }
  plugin::Status list(const char*, plugin::NameSink*) noexcept override { return no(); }
  plugin::Status stat(const char*, plugin::FileStat*) noexcept override { return no(); }
  plugin::Status make_dir(const char*) noexcept override { return no(); }
  plugin::Status sync_dir(const char*) noexcept override { return no(); }
  plugin::Status lock(const char*, plugin::File**) noexcept override { return no(); }
  plugin::Status free_space(const char*, uint64_t* bytes) noexcept override {
    *bytes = free;
    return {};
  }
  uint64_t free = 0;

 private:
  static plugin::Status no() { return plugin::Status(Code::kUnsupported); }
};

TEST_F(StoreTest, AFullDiskKeepsTheEngineOpenForColdReads) {
  fill(30);
  reopen_cold();
  SmallDisk disk;
  rig_.drop();
  rig_.runtime.files = &disk;
  rig_.restart();
  uint32_t generation = rig_.disk->generation;
  rig_.disk->write_error = Code::kNoSpace;
  rig_.disk->write_errors = 1;
  rig_.put("a", "b");
  rig_.executor.advance(10'000'000'000);
  EXPECT_EQ(rig_.store->engine_state(), EngineState::kNoSpace);
  EXPECT_EQ(rig_.disk->generation, generation) << "it was closed although there is no space to open it";
  EXPECT_EQ(rig_.range(point("key7")), rig_.model.range(point("key7")));
  disk.free = 1u << 30;
  rig_.settle();
  EXPECT_EQ(rig_.store->engine_state(), EngineState::kHealthy);
  rig_.drop();
}

TEST_F(StoreTest, AnEngineThatForgotMoreThanIsKeptIsFinal) {
  fill(10);
  rig_.settle();
  rig_.put("a", "b");
  rig_.disk->write_error = Code::kIo;
  rig_.disk->write_errors = 1;
  rig_.executor.hold(Lane::kEngine);
  rig_.executor.advance(20'000'000);
  rig_.disk->durable = rig_.disk->live = {};  // the synced part is gone
  rig_.executor.resume(Lane::kEngine);
  rig_.executor.advance(5'000'000'000);
  EXPECT_EQ(rig_.store->engine_state(), EngineState::kFailed);
  EXPECT_NE(rig_.last_why.find("rebuilt from the log"), std::string::npos) << rig_.last_why;
  uint64_t writes = rig_.disk->writes;
  rig_.put("c", "d");
  rig_.executor.advance(5'000'000'000);
  EXPECT_EQ(rig_.disk->writes, writes) << "nothing may be written over it";
}

TEST_F(StoreTest, WhatIsNotSyncedIsKept) {
  rig_.options.sync_bytes = 1u << 30;
  rig_.drop();
  rig_.restart();
  fill(100, 1000);
  rig_.executor.advance(100'000'000);
  EXPECT_EQ(rig_.store->synced_index().value, 0u);
  EXPECT_GT(rig_.store->retained_bytes(), 100'000u);
  rig_.executor.advance(rig_.options.sync_interval_ns);
  EXPECT_EQ(rig_.store->synced_index().value, 100u);
  EXPECT_LT(rig_.store->retained_bytes(), 10'000u);
}

TEST_F(StoreTest, AVolatileEngineNeedsNoSyncAndCutsNoLog) {
  rig_.options.is_volatile = true;
  rig_.drop();
  rig_.restart();
  fill(100, 1000);
  rig_.executor.advance(100'000'000);
  EXPECT_LT(rig_.store->retained_bytes(), 10'000u);
  EXPECT_EQ(rig_.store->synced_index().value, 0u);
  EXPECT_EQ(rig_.synced.value, 0u);
}

// ---- Compaction
// -----------------------------------------------------------------------------------------------

TEST_F(StoreTest, CompactionKeepsATombstoneAtItsRevisionForWatchers) {
  rig_.put("a", "1");  // 2
  rig_.remove("a");    // 3
  rig_.put("b", "1");  // 4
  rig_.compact(3);
  rig_.settle();
  mvcc::Store::History history = rig_.history(3, 1 << 20, true);
  ASSERT_EQ(history.events.size(), 2u);
  EXPECT_TRUE(history.events[0].is_delete);
  EXPECT_EQ(history.events[0].key, "a");
  EXPECT_FALSE(history.events[0].previous.has_value()) << "compacted";
  EXPECT_EQ(rig_.history(2, 1 << 20, true).error, ReadError::kCompacted);
  rig_.compact(4);
  rig_.settle();
  EXPECT_EQ(rig_.disk->live[0].size(), 1u);
}

TEST_F(StoreTest, CompactionCostsWhatItDrops) {
  fill(2000);
  rig_.settle();
  for (int i = 0; i < 10; ++i) rig_.put("key5", std::to_string(i));
  rig_.settle();
  uint64_t gets = rig_.disk->gets + rig_.disk->multi_gets;
  size_t records = rig_.disk->live[0].size();
  rig_.compact(rig_.model.revision);
  bool scrubbed = false;
  rig_.store->when_scrubbed([&] { scrubbed = true; });
  rig_.executor.advance(100'000'000);
  EXPECT_TRUE(scrubbed);
  EXPECT_EQ(rig_.disk->live[0].size(), records - 10);
  EXPECT_EQ(rig_.disk->gets + rig_.disk->multi_gets, gets);
}

TEST_F(StoreTest, ARunningReadHoldsPhysicalRemovalBack) {
  rig_.put("a", "old");
  rig_.put("a", "new");
  reopen_cold();
  rig_.executor.hold(Lane::kRead);
  ModelQuery q = point("a");
  q.query.revision = 2;
  q.query.interval = api::Interval::point(q.key);
  ModelAnswer expected = rig_.model.range(q);
  bool done = false;
  rig_.store->range(q.query, [&](const mvcc::RangeResult& result) {
    done = true;
    EXPECT_EQ(StoreRig::answer_of(result), expected);
  });
  rig_.compact(3);
  bool scrubbed = false;
  rig_.store->when_scrubbed([&] { scrubbed = true; });
  rig_.executor.advance(1'000'000'000);
  EXPECT_FALSE(done);
  EXPECT_FALSE(scrubbed);
  rig_.executor.resume(Lane::kRead);
  rig_.executor.advance(1'000'000'000);
  EXPECT_TRUE(done);
  EXPECT_TRUE(scrubbed);
  EXPECT_EQ(rig_.disk->live[0].size(), 1u);
}

TEST_F(StoreTest, LargeRangesLeaveTheLoopToOthers) {
  ModelEntry entry;
  for (int i = 0; i < 10'000; ++i) entry.push_back({ModelOp::kPut, "key" + std::to_string(i), {}, "v", 0});
  rig_.apply(entry);
  for (auto target : {mvcc::SortTarget::kKey, mvcc::SortTarget::kVersion, mvcc::SortTarget::kValue}) {
    ModelQuery q = everything();
    q.query.interval = api::Interval::all();
    q.query.target = target;
    q.query.order = mvcc::SortOrder::kDescend;
    bool done = false;
    rig_.store->range(q.query, [&](const mvcc::RangeResult& result) {
      done = true;
      EXPECT_EQ(StoreRig::answer_of(result), rig_.model.range(q));
    });
    EXPECT_FALSE(done);
    int steps = 0;
    while (rig_.executor.step()) ++steps;
    EXPECT_TRUE(done);
    EXPECT_GT(steps, 5);
  }
}

TEST_F(StoreTest, HistoryComesInWholeRevisions) {
  for (int i = 0; i < 10; ++i)
    rig_.apply({{ModelOp::kPut, "a", {}, std::string(100, 'x'), 0},
                {ModelOp::kPut, "b", {}, std::string(100, 'x'), 0}});
  for (bool cold : {false, true}) {
    if (cold) reopen_cold();
    int64_t from = 2;
    size_t events = 0;
    while (from <= rig_.model.revision) {
      mvcc::Store::History h = rig_.history(from, 1, true);
      ASSERT_EQ(h.error, ReadError::kNone);
      EXPECT_EQ(h.events.size(), 2u);
      EXPECT_EQ(h.next, from + 1);
      events += h.events.size();
      from = h.next;
    }
    EXPECT_EQ(events, 20u);
    mvcc::Store::History none = rig_.history(from, 1, true);
    EXPECT_TRUE(none.events.empty());
    EXPECT_EQ(none.next, from);
  }
}

// ---- A real plugin
// --------------------------------------------------------------------------------------------

TEST(StoreOverPlugin, MemoryEngine) {
  auto host = plugin::make<PluginHost>(nullptr);
  StoreRig rig;
  rig.options.is_volatile = true;
  rig.options.cache_bytes = 16u << 10;
  const plugin::Descriptor& descriptor = load_plugin(plugin_path(QUORATE_BINARY_DIR, "storage-memory"));
  plugin::Object* object = nullptr;
  ASSERT_TRUE(descriptor.create(host.get(), {}, &object).ok());
  auto* engine = static_cast<plugin::Engine*>(object->query(plugin::Engine::kId));
  ASSERT_NE(engine, nullptr);
  rig.engine = plugin::Ref<plugin::Engine>::share(engine);
  object->release();
  ASSERT_TRUE(rig.open().ok());
  for (int i = 0; i < 2000; ++i)
    rig.put("key" + std::to_string(i % 300), std::string(static_cast<size_t>(i % 90), 'v'));
  rig.remove("key1", "key2");
  rig.compact(1500);
  rig.executor.advance(5'000'000'000);
  for (int64_t revision : {1500, 1800, 2001, 2002}) {
    ModelQuery q;
    q.key = q.end = std::string(1, '\0');
    q.query.revision = revision;
    EXPECT_EQ(rig.range(q), rig.model.range(q)) << revision;
    EXPECT_EQ(rig.hash_kv(revision).hash, rig.model.hash_kv(revision)) << revision;
  }
  EXPECT_EQ(rig.store->engine_state(), EngineState::kHealthy);
  EXPECT_TRUE(rig.store->close().ok());
}

}  // namespace
}  // namespace quorate::test
