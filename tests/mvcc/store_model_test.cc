// The store against the model: random entries, reads, compactions, crashes and engine failures, from a
// printed seed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "mvcc/store_rig.h"

namespace quorate::test {
namespace {

using mvcc::SortOrder;
using mvcc::SortTarget;
using plugin::Code;

struct Profile {
  const char* name;
  uint64_t cache_bytes;
  bool crashes;
  bool failures;
  uint32_t keys;
};

class Scenario {
 public:
  Scenario(uint64_t seed, const Profile& profile) : rig_(seed), random_(seed), profile_(profile) {
    rig_.options.cache_bytes = profile.cache_bytes;
    rig_.options.sync_bytes = 20'000;
    rig_.options.sync_interval_ns = 300'000'000;
  }

  void run(int steps) {
    ASSERT_TRUE(rig_.open().ok());
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) step();
    heal();
    finish();
  }

 private:
  uint64_t draw(uint64_t below) { return random_() % below; }
  bool chance(uint32_t percent) { return draw(100) < percent; }
  std::string key() {
    uint64_t n = draw(profile_.keys);
    std::string k = n % 3 == 0 ? "/registry/pods/" : n % 3 == 1 ? "a" : "";
    return k + "k" + std::to_string(n * 7919 % 1000) + (n % 11 == 0 ? std::string(40, 'x') : "");
  }
  std::string value() {
    if (chance(5)) return {};
    size_t size = chance(3) ? draw(5000) : draw(60);
    return std::string(size, static_cast<char>('a' + draw(26)));
  }
  std::string end_of(const std::string& begin) {
    switch (draw(4)) {
      case 0:
        return std::string(1, '\0');
      case 1:
        return begin + "\xff";
      case 2:
        return key();
      default:
        return {};
    }
  }

  void step() {
    uint64_t what = draw(100);
    if (what < 45) {
      rig_.apply(entry());
    } else if (what < 70) {
      ask_range();
    } else if (what < 74) {
      ask_history();
    } else if (what < 76) {
      check_hash();
    } else if (what < 78) {
      compact();
    } else if (what < 80) {
      fetch();
    } else if (what < 90) {
      for (uint64_t i = draw(6); i > 0; --i) rig_.executor.step();
    } else if (what < 98) {
      rig_.executor.advance(draw(40'000'000));
    } else if (what < 99 && profile_.failures) {
      break_engine();
    } else if (profile_.crashes && chance(30)) {
      crash();
    }
    if (chance(3)) {
      EXPECT_EQ(rig_.store->verify_index(), "");
    }
  }

  ModelEntry entry() {
    ModelEntry e;
    for (uint64_t n = chance(70) ? 1 : draw(6); n > 0; --n) {
      uint64_t what = draw(20);
      if (what < 13)
        e.push_back({ModelOp::kPut, key(), {}, value(), chance(20) ? static_cast<int64_t>(random_()) : 0});
      else if (what < 16)
        e.push_back({ModelOp::kRemove, key(), {}, {}, 0});
      else if (what < 17) {
        std::string k = key();
        e.push_back({ModelOp::kRemove, k, k + "\xff", {}, 0});
      } else
        e.push_back({ModelOp::kMeta, "m" + std::to_string(draw(5)), {}, chance(20) ? "" : value(), 0});
    }
    return e;
  }

  void compact() {
    int64_t low = std::max<int64_t>(rig_.model.compacted, 0) + 1;
    if (low > rig_.model.revision) return;
    int64_t span = rig_.model.revision - low + 1;
    rig_.compact(chance(50) ? rig_.model.revision - static_cast<int64_t>(draw(3)) % span
                            : low + static_cast<int64_t>(draw(static_cast<uint64_t>(span))));
  }

  int64_t revision() {
    if (chance(40)) return 0;
    int64_t low = std::max<int64_t>(rig_.model.compacted - 2, 1);
    return low + static_cast<int64_t>(draw(static_cast<uint64_t>(rig_.model.revision - low + 3)));
  }

  void ask_range() {
    ModelQuery q;
    q.key = chance(20) ? std::string(1, '\0') : key();
    q.end = chance(30) ? std::string(1, '\0') : end_of(q.key);
    q.query.revision = revision();
    q.query.limit = chance(40) ? static_cast<int64_t>(draw(8)) : 0;
    q.query.order = static_cast<SortOrder>(draw(3));
    q.query.target = static_cast<SortTarget>(chance(50) ? 0 : draw(5));
    q.query.keys_only = chance(20);
    q.query.count_only = chance(10);
    if (chance(15))
      q.query.min_mod = 1 + static_cast<int64_t>(draw(static_cast<uint64_t>(rig_.model.revision)));
    if (chance(15))
      q.query.max_mod = 1 + static_cast<int64_t>(draw(static_cast<uint64_t>(rig_.model.revision)));
    if (chance(10))
      q.query.min_create = 1 + static_cast<int64_t>(draw(static_cast<uint64_t>(rig_.model.revision)));
    if (chance(10))
      q.query.max_create = 1 + static_cast<int64_t>(draw(static_cast<uint64_t>(rig_.model.revision)));
    q.query.interval = api::Interval::of(q.key, q.end);
    ModelAnswer expected = rig_.model.range(q);
    ++asked_;
    // The answer may come while other steps run: it must be as of now all the same.
    rig_.store->range(q.query, [this, expected, broken = broken_](const mvcc::RangeResult& result) {
      ++answered_;
      if (result.error == ReadError::kEngine) {
        EXPECT_TRUE(broken || broken_) << result.text;
        return;
      }
      EXPECT_EQ(StoreRig::answer_of(result), expected) << result.text;
    });
    if (chance(60)) rig_.executor.run_until_idle();
    check_apply_range(q, expected);
  }

  // The same question within an entry. Values are not sorted there.
  void check_apply_range(const ModelQuery& q, const ModelAnswer& expected) {
    if (q.query.target == SortTarget::kValue) return;
    rig_.store->view([&](mvcc::Apply& apply) {
      mvcc::Apply::Found found = apply.range(q.query);
      EXPECT_EQ(found.error, expected.error);
      EXPECT_EQ(found.count, expected.count);
      EXPECT_EQ(found.more, expected.more);
      ASSERT_EQ(found.items.size(), expected.records.size());
      for (size_t i = 0; i < found.items.size(); ++i)
        EXPECT_EQ(found.items[i].key, mvcc::key_of({expected.records[i].data(), expected.records[i].size()}));
    });
  }

  void ask_history() {
    int64_t from = std::max<int64_t>(1, rig_.model.compacted - 1 +
                                            static_cast<int64_t>(draw(static_cast<uint64_t>(
                                                rig_.model.revision - rig_.model.compacted + 4))));
    bool with_previous = chance(50);
    bool was_compacted = from < rig_.model.compacted;
    int64_t current = rig_.model.revision;
    ++asked_;
    rig_.store->history(
        from, 1 + draw(3000), with_previous, [=, this, broken = broken_](mvcc::Store::History h) {
          ++answered_;
          if (h.error == ReadError::kEngine) {
            EXPECT_TRUE(broken || broken_) << h.text;
            return;
          }
          EXPECT_EQ(h.error, was_compacted ? ReadError::kCompacted : ReadError::kNone) << h.text;
          if (h.error != ReadError::kNone) return;
          if (from > current) {
            EXPECT_TRUE(h.events.empty());
            return;
          }
          EXPECT_GT(h.next, from);
          check_events(h, from, with_previous);
        });
    if (chance(60)) rig_.executor.run_until_idle();
  }

  void check_events(const mvcc::Store::History& h, int64_t from, bool with_previous) {
    auto at = rig_.model.history.lower_bound({from, 0});
    // A key that an entry changed twice (no transaction of a client's can) may have lost the first of the two
    // events to a compaction at that very revision.
    auto lost = [&] {
      return at != rig_.model.history.end() && at->first.main <= rig_.model.compacted &&
             !rig_.model.retained().contains(at->first);
    };
    for (const mvcc::Event& event : h.events) {
      while (lost() && at->first != event.revision) ++at;
      ASSERT_TRUE(at != rig_.model.history.end());
      EXPECT_EQ(event.revision, at->first);
      EXPECT_EQ(event.is_delete, at->second.tombstone);
      EXPECT_EQ(text_of(event.record.view()), at->second.event());
      EXPECT_EQ(event.key, at->second.key);
      auto previous = rig_.model.before(at->second.key, at->first);
      EXPECT_EQ(event.previous.has_value(), with_previous && previous.has_value());
      if (event.previous && previous) {
        EXPECT_EQ(event.previous->mod, previous->mod);
      }
      ++at;
    }
    while (lost() && at->first.main < h.next) ++at;
    EXPECT_TRUE(at == rig_.model.history.end() || at->first.main >= h.next) << "an event is missing";
  }

  void check_hash() {
    int64_t low = std::max<int64_t>(rig_.model.compacted, 1);
    int64_t at = low + static_cast<int64_t>(draw(static_cast<uint64_t>(rig_.model.revision - low + 1)));
    uint32_t expected = rig_.model.hash_kv(at);
    int64_t compacted = rig_.model.compacted;
    ++asked_;
    rig_.store->hash_kv(at, [=, this, broken = broken_](const mvcc::Store::Hash& h) {
      ++answered_;
      if (h.error == ReadError::kEngine) {
        EXPECT_TRUE(broken || broken_) << h.text;
        return;
      }
      EXPECT_EQ(h.error, ReadError::kNone) << h.text;
      EXPECT_EQ(h.hash, expected) << "revision " << at << ", compacted " << compacted;
      EXPECT_EQ(h.compacted, compacted);
    });
    if (chance(50)) rig_.executor.advance(20'000'000);
  }

  void fetch() {
    std::vector<mvcc::KeyVersion> versions;
    std::vector<std::string> expected;
    rig_.store->scan(api::Interval::all(), [&](std::string_view key, const mvcc::KeyVersion& v) {
      if (chance(30)) {
        versions.push_back(v);
        expected.push_back(rig_.model.at(std::string(key), rig_.model.revision)->record());
      }
      return versions.size() < 20;
    });
    ++asked_;
    rig_.store->fetch(versions, [=, this, broken = broken_](const mvcc::Store::Fetched& f) {
      ++answered_;
      if (f.error == ReadError::kEngine) {
        EXPECT_TRUE(broken || broken_) << f.text;
        return;
      }
      EXPECT_EQ(f.error, ReadError::kNone) << f.text;
      ASSERT_EQ(f.records.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(text_of(f.records[i]), expected[i]);
    });
  }

  void break_engine() {
    static constexpr Code kCodes[] = {Code::kNoSpace, Code::kIo, Code::kRetryable};
    FaultDisk& disk = *rig_.disk;
    switch (draw(4)) {
      case 0:
        disk.write_error = kCodes[draw(3)];
        disk.write_errors = 1 + static_cast<uint32_t>(draw(3));
        disk.failed_write_lands = disk.write_error != Code::kRetryable && chance(50);
        break;
      case 1:
        disk.sync_error = Code::kIo;
        disk.sync_errors = 1;
        break;
      case 2:
        disk.write_error = Code::kIo;
        disk.write_errors = 1;
        disk.open_error = Code::kNoSpace;
        disk.open_errors = 1 + static_cast<uint32_t>(draw(3));
        break;
      default:
        disk.expire_next_view = true;
        return;
    }
    broken_ = true;
  }

  void crash() {
    rig_.power_cut(draw(rig_.disk->unsynced.size() + 1));
    asked_ = answered_;  // those that waited are gone
    rig_.disk->repair();
    rig_.restart();
  }

  void heal() {
    rig_.settle();
    EXPECT_EQ(rig_.store->engine_state(), EngineState::kHealthy) << rig_.last_why;
    EXPECT_EQ(asked_, answered_);
    broken_ = false;
    rig_.disk->repair();  // what was never met
  }

  // Everything at once, from memory and from the engine.
  void finish() {
    if (testing::Test::HasFailure()) return;
    EXPECT_EQ(rig_.store->verify_index(), "");
    EXPECT_LE(rig_.store->cache_bytes(), profile_.cache_bytes);
    std::map<std::string, std::string> expected;
    uint64_t logical = 0;
    for (const auto& [mod, v] : rig_.model.retained()) {
      std::string record = v.record();
      mvcc::RecordKey key(mod, v.tombstone);
      logical += key.view().size + record.size();
      char sum[4];
      mvcc::store_checksum(mvcc::record_checksum(key.view(), mvcc::bytes_of(record)),
                           reinterpret_cast<uint8_t*>(sum));
      expected[text_of(key.view())] = record + std::string(sum, 4);
    }
    EXPECT_EQ(rig_.disk->live[mvcc::kRecordsKeyspace].size(), expected.size());
    EXPECT_TRUE(rig_.disk->live[mvcc::kRecordsKeyspace] == expected) << "the engine's records";
    EXPECT_EQ(rig_.store->logical_size(), logical);
    EXPECT_EQ(rig_.store->synced_index().value, rig_.log.size());
    ASSERT_TRUE(rig_.store->close().ok());
    rig_.drop();
    rig_.restart();
    EXPECT_EQ(rig_.recovered.applied.value, rig_.log.size());
    std::map<std::string, std::string> meta(rig_.recovered.meta.begin(), rig_.recovered.meta.end());
    EXPECT_EQ(meta, rig_.model.meta);
    for (int64_t r = std::max<int64_t>(rig_.model.compacted, 1); r <= rig_.model.revision; r += 1 + r / 50) {
      ModelQuery q;
      q.key = q.end = std::string(1, '\0');
      q.query.revision = r;
      EXPECT_EQ(rig_.range(q), rig_.model.range(q)) << "revision " << r;
    }
  }

  StoreRig rig_;
  std::mt19937_64 random_;
  Profile profile_;
  bool broken_ = false;
  uint64_t asked_ = 0;
  uint64_t answered_ = 0;
};

class StoreModel : public testing::TestWithParam<Profile> {};

TEST_P(StoreModel, AnswersLikeTheModel) {
  bool soak = std::getenv("QUORATE_SOAK") != nullptr;
  uint64_t first = 1;
  if (const char* seed = std::getenv("QUORATE_SEED")) first = std::strtoull(seed, nullptr, 10);
  uint64_t runs = soak ? 300 : 12;
  for (uint64_t seed = first; seed < first + runs; ++seed) {
    SCOPED_TRACE("QUORATE_SEED=" + std::to_string(seed));
    Scenario(seed * 1000 + GetParam().keys, GetParam()).run(soak ? 4000 : 1200);
    if (HasFailure()) {
      std::fprintf(stderr, "profile %s failed with QUORATE_SEED=%llu\n", GetParam().name,
                   static_cast<unsigned long long>(seed));
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, StoreModel,
                         testing::Values(Profile{"calm", 1u << 20, false, false, 40},
                                         Profile{"many keys", 1u << 20, true, false, 900},
                                         Profile{"small cache", 64u << 10, true, true, 300},
                                         Profile{"no cache", 0, true, true, 30},
                                         Profile{"failures", 256u << 10, true, true, 100}));

}  // namespace
}  // namespace quorate::test
