// A store over the fault engine, and the log that it is fed from.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "mvcc/fault_engine.h"
#include "mvcc/model.h"
#include "mvcc/store_impl.h"
#include "support/manual_executor.h"

namespace quorate::test {

using mvcc::EngineState;
using mvcc::ReadError;

inline std::string text_of(plugin::ByteView v) { return {v.chars(), v.size}; }

class StoreRig {
 public:
  explicit StoreRig(uint64_t seed = 0) : executor(seed) {
    options.cache_bytes = 1u << 20;
    options.write_bytes = 4096;
    options.compaction_batch = 7;
  }
  ~StoreRig() { drop(); }

  plugin::Status open() {
    runtime.executor = &executor;
    if (!engine) {
      disk = std::make_shared<FaultDisk>();
      engine = plugin::make<FaultEngine>(disk);
    }
    mvcc::Store::Events events;
    events.on_synced = [this](Index index) { synced = index; };
    events.on_engine = [this](EngineState state, const std::string& why) {
      states.push_back(state);
      last_why = why;
    };
    std::unique_ptr<mvcc::Store> out;
    recovered = {};
    plugin::Status status = mvcc::Store::open(runtime, engine.get(), "/nowhere", {}, options,
                                              std::move(events), &out, &recovered);
    store.reset(static_cast<mvcc::StoreImpl*>(out.release()));
    return status;
  }
  void drop() {
    executor.kill();
    store.reset();
  }
  // Everything the engine was not given time to sync is gone, but for `keep` batches.
  void power_cut(size_t keep) {
    executor.kill();
    disk->power_cut(keep);
    store.reset();
  }

  // Applies the next entry to store and model, compares their events.
  void apply(const ModelEntry& entry) {
    log.push_back(entry);
    std::vector<ModelVersion> expected = model.apply(entry);
    std::span<const mvcc::Event> events = feed(log.size());
    hashes.push_back(store->state_hash());
    ASSERT_EQ(events.size(), expected.size());
    for (size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(events[i].revision, expected[i].mod);
      EXPECT_EQ(events[i].is_delete, expected[i].tombstone);
      EXPECT_EQ(events[i].key, expected[i].key);
      EXPECT_EQ(text_of(events[i].record.view()), expected[i].event());
    }
    EXPECT_EQ(store->revision(), model.revision);
    EXPECT_EQ(store->compacted(), model.compacted);
  }
  // Entry number `index` (from 1), as the log has it.
  std::span<const mvcc::Event> feed(size_t index) {
    const ModelEntry& entry = log[index - 1];
    return store->apply(Index(index), Term(1 + index / 100), [&](mvcc::Apply& apply) {
      for (const ModelOp& op : entry) {
        if (op.kind == ModelOp::kPut) apply.put(op.key, op.value, op.number);
        if (op.kind == ModelOp::kRemove) apply.remove(api::Interval::of(op.key, op.end), nullptr);
        if (op.kind == ModelOp::kMeta) apply.set_meta(op.key, op.value);
        if (op.kind == ModelOp::kCompact) store->compact(apply, op.number);
      }
    });
  }
  // Reopens, and feeds what the engine lacks.
  void restart() {
    ASSERT_TRUE(open().ok());
    ASSERT_LE(recovered.applied.value, log.size());
    EXPECT_GE(recovered.applied, synced) << "the log was cut above what the engine has";
    if (recovered.applied) {
      EXPECT_EQ(store->state_hash(), hashes[recovered.applied.value - 1]);
    }
    for (size_t i = recovered.applied.value + 1; i <= log.size(); ++i) {
      feed(i);
      ASSERT_EQ(store->state_hash(), hashes[i - 1]) << "entry " << i;
    }
    EXPECT_EQ(store->revision(), model.revision);
    EXPECT_EQ(store->compacted(), model.compacted);
    EXPECT_EQ(store->keys(), static_cast<uint64_t>(model.keys()));
    EXPECT_EQ(store->verify_index(), "");
  }

  void put(const std::string& key, const std::string& value, int64_t lease = 0) {
    apply({{ModelOp::kPut, key, {}, value, lease}});
  }
  void remove(const std::string& key, const std::string& end = {}) {
    apply({{ModelOp::kRemove, key, end, {}, 0}});
  }
  void compact(int64_t revision) { apply({{ModelOp::kCompact, {}, {}, {}, revision}}); }
  // Until the engine has everything and compaction has come to its end.
  void settle() {
    for (int i = 0; i < 1000 && store->engine_state() != EngineState::kHealthy; ++i)
      executor.advance(100'000'000);
    for (int i = 0; i < 400; ++i) executor.advance(20'000'000);
  }

  static ModelAnswer answer_of(const mvcc::RangeResult& result) {
    ModelAnswer answer{result.error, result.count, result.more, {}};
    for (const mvcc::Record& record : result.records) answer.records.push_back(text_of(record));
    return answer;
  }
  // Asks, and runs the loop until the answer is there.
  ModelAnswer range(ModelQuery q) {
    q.query.interval = api::Interval::of(q.key, q.end);
    ModelAnswer answer;
    bool done = false;
    store->range(q.query, [&](const mvcc::RangeResult& result) {
      answer = answer_of(result);
      last_text = result.text;
      done = true;
    });
    while (!done && executor.step()) {
    }
    for (int i = 0; i < 1000 && !done; ++i) executor.advance(10'000'000);
    EXPECT_TRUE(done);
    return answer;
  }
  mvcc::Store::Hash hash_kv(int64_t revision) {
    mvcc::Store::Hash out;
    bool done = false;
    store->hash_kv(revision, [&](const mvcc::Store::Hash& hash) {
      out = hash;
      done = true;
    });
    for (int i = 0; i < 1000 && !done; ++i) executor.advance(10'000'000);
    EXPECT_TRUE(done);
    return out;
  }
  mvcc::Store::History history(int64_t from, uint64_t max_bytes, bool with_previous) {
    mvcc::Store::History out;
    bool done = false;
    store->history(from, max_bytes, with_previous, [&](mvcc::Store::History history) {
      out = std::move(history);
      done = true;
    });
    for (int i = 0; i < 1000 && !done; ++i) executor.advance(10'000'000);
    EXPECT_TRUE(done);
    return out;
  }

  ManualExecutor executor;
  std::shared_ptr<FaultDisk> disk;
  plugin::Ref<plugin::Engine> engine;  // the fault engine, unless the test brings another
  Runtime runtime;
  mvcc::StoreOptions options;
  mvcc::Recovered recovered;
  std::unique_ptr<mvcc::StoreImpl> store;
  Model model;
  std::vector<ModelEntry> log;
  std::vector<uint64_t> hashes;  // of the state, after each entry
  Index synced;
  std::vector<EngineState> states;
  std::string last_why;
  std::string last_text;
};

}  // namespace quorate::test
