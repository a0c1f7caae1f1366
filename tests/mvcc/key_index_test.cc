#include "mvcc/key_index.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <map>
#include <random>

namespace quorate::mvcc {
namespace {

KeyVersion version(int64_t main, int64_t create, bool tombstone = false) {
  KeyVersion v;
  v.mod = {main, 0};
  v.create_main = create;
  v.version = tombstone ? 0 : 1;
  v.tombstone = tombstone;
  v.record_size = 10;
  return v;
}

int64_t cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

// Random changes beside a map; keys of one byte to 300, so that pooled and large entries both happen.
class IndexModel {
 public:
  explicit IndexModel(uint64_t seed) : random_(seed) {}
  void step() {
    ++main_;
    std::string k = key();
    KeyEntry* entry = index_.find(k);
    ASSERT_EQ(entry != nullptr, model_.contains(k));
    bool live = entry != nullptr && entry->live();
    if (random_() % 3 != 0 || !live) {
      auto& versions = model_[k];
      KeyVersion v = version(main_, live ? versions.back().create_main : main_);
      versions.push_back(v);
      if (live)
        index_.update(entry, v);
      else
        index_.put(k, v);
    } else {
      model_[k].push_back(version(main_, 0, true));
      index_.bury(entry, model_[k].back());
    }
  }
  void trim_all(int64_t revision) {
    compacted_ = revision;
    for (auto at = model_.begin(); at != model_.end();) {
      auto& versions = at->second;
      std::vector<Revision> expected, got;
      while (!versions.empty() && ((versions.size() > 1 && versions[1].mod.main <= revision) ||
                                   (versions[0].tombstone && versions[0].mod.main < revision))) {
        expected.push_back(versions[0].mod);
        versions.erase(versions.begin());
      }
      bool gone =
          index_.trim(index_.find(at->first), revision, [&](const KeyVersion& v) { got.push_back(v.mod); });
      EXPECT_EQ(got, expected);
      EXPECT_EQ(gone, versions.empty());
      at = versions.empty() ? model_.erase(at) : std::next(at);
    }
  }
  void check() {
    ASSERT_EQ(index_.verify(), "");
    EXPECT_EQ(index_.entries(), model_.size());
    for (int i = 0; i < 20; ++i)
      check_one(compacted_ + static_cast<int64_t>(random_() % static_cast<uint64_t>(main_ - compacted_ + 1)));
    check_one(main_);
  }
  int64_t main() const { return main_; }

 private:
  std::string key() {
    uint64_t n = random_() % 700;
    return (n % 2 == 0 ? "common/prefix/" : "") + std::to_string(n) +
           (n % 50 == 0 ? std::string(n, 'z') : "");
  }
  void check_one(int64_t revision) {
    std::string a = key(), b = key();
    api::Interval interval = random_() % 4 == 0 ? api::Interval::all() : api::Interval::of(a, b);
    int64_t expected = 0;
    for (const auto& [k, versions] : model_) {
      const KeyVersion* seen = nullptr;
      for (const KeyVersion& v : versions)
        if (v.mod.main <= revision) seen = &v;
      bool live = seen != nullptr && !seen->tombstone;
      KeyVersion got;
      ASSERT_EQ(index_.find(k)->at(revision, &got), live);
      if (live) {
        EXPECT_EQ(got.mod, seen->mod);
      }
      if (live && interval.contains(k)) ++expected;
    }
    EXPECT_EQ(index_.count(interval, revision), expected) << interval.to_string() << " at " << revision;
    // The same in pieces.
    int64_t sum = 0;
    std::string from(interval.begin());
    std::optional<std::string> resume;
    do {
      api::Interval rest =
          interval.has_end() ? api::Interval::of(from, interval.end()) : api::Interval::from(from);
      sum += index_.count(rest, revision, 1 + random_() % 3, &resume);
      if (resume) from = *resume;
    } while (resume);
    EXPECT_EQ(sum, expected);
  }

  KeyIndex index_;
  std::map<std::string, std::vector<KeyVersion>> model_;
  std::mt19937_64 random_;
  int64_t main_ = 1;
  int64_t compacted_ = 0;
};

TEST(KeyIndex, BehavesLikeAMap) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    IndexModel model(seed);
    for (int round = 0; round < 30 && !HasFailure(); ++round) {
      for (int i = 0; i < 300; ++i) model.step();
      model.check();
      if (round % 4 == 3) model.trim_all(model.main() - 20 * static_cast<int64_t>(round % 3));
      model.check();
    }
  }
}

TEST(KeyIndex, EverythingCanGo) {
  KeyIndex index;
  std::mt19937_64 random(3);
  std::vector<std::string> keys;
  for (int i = 0; i < 20000; ++i) keys.push_back(std::to_string(random() % 1'000'000'000));
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::shuffle(keys.begin(), keys.end(), random);
  uint64_t empty = index.bytes();
  for (const std::string& k : keys) index.put(k, version(2, 2));
  EXPECT_EQ(index.verify(), "");
  std::shuffle(keys.begin(), keys.end(), random);
  for (size_t i = 0; i < keys.size(); ++i) {
    KeyEntry* entry = index.find(keys[i]);
    index.bury(entry, version(3, 0, true));
    ASSERT_TRUE(index.trim(entry, 4, [](const KeyVersion&) {}));
    if (i % 500 == 0) {
      ASSERT_EQ(index.verify(), "") << i;
    }
  }
  EXPECT_EQ(index.verify(), "");
  EXPECT_EQ(index.entries(), 0u);
  EXPECT_EQ(index.bytes(), empty) << "memory that nobody gave back";
}

TEST(KeyIndex, LoadsInOrderAndGrowsFromThere) {
  for (size_t n : {0u, 1u, 28u, 29u, 30u, 900u, 30000u}) {
    KeyIndex index;
    KeyIndex::Loader loader(&index);
    char key[16];
    for (size_t i = 0; i < n; ++i) {
      std::snprintf(key, sizeof key, "%08zu", i * 2);
      KeyVersion versions[2] = {version(2, 2), version(3, 2)};
      loader.add(key, versions, 1 + i % 2);
    }
    loader.finish();
    ASSERT_EQ(index.verify(), "") << n;
    EXPECT_EQ(index.count(api::Interval::all(), 5), static_cast<int64_t>(n));
    for (size_t i = 0; i < n; i += 3) {
      std::snprintf(key, sizeof key, "%08zu", i * 2 + 1);
      index.put(key, version(4, 4));
    }
    ASSERT_EQ(index.verify(), "") << n;
    EXPECT_EQ(index.count(api::Interval::all(), 3), static_cast<int64_t>(n));
    EXPECT_EQ(index.count(api::Interval::all(), 4), static_cast<int64_t>(n + (n + 2) / 3));
  }
}

// The figures that the design promises, on a million keys of 8 bytes.
class MillionKeys : public testing::Test {
 protected:
  static constexpr int64_t kKeys = 1'000'000;
  static std::string name(uint64_t n) {
    uint64_t mixed = n * 0x9e3779b97f4a7c15;  // a permutation: random order, no duplicates
    return {reinterpret_cast<const char*>(&mixed), 8};
  }
};

TEST_F(MillionKeys, CostLittleMemory) {
  KeyIndex index;
  for (int64_t i = 0; i < kKeys; ++i) index.put(name(static_cast<uint64_t>(i)), version(2 + i, 2 + i));
  double per_key = static_cast<double>(index.bytes()) / kKeys;
  std::fprintf(stderr, "inserted in random order: %.1f bytes a key, with the key's 8\n", per_key);
  RecordProperty("bytes_per_key", std::to_string(per_key));
  EXPECT_LE(per_key - 8, 90);
}

TEST_F(MillionKeys, CountAtAnOldRevisionSkipsWhatHasNotChanged) {
  KeyIndex index;
  int64_t main = 1;
  for (int64_t i = 0; i < kKeys; ++i, ++main)
    index.put(name(static_cast<uint64_t>(i)), version(main + 1, main + 1));
  int64_t then = main;
  for (int64_t i = 0; i < 100'000; ++i) {
    KeyEntry* entry = index.find(name(static_cast<uint64_t>(i * 7)));
    index.update(entry, version(++main, entry->create_main));
  }
  int64_t start = cpu_ns();
  int64_t walked = 0;
  index.scan(api::Interval::all(), [&](const KeyEntry& entry) {
    walked += entry.live_at(then) ? 1 : 0;
    return true;
  });
  int64_t walk = cpu_ns() - start;
  constexpr int kTimes = 200;
  start = cpu_ns();
  int64_t counted = 0;
  for (int i = 0; i < kTimes; ++i) {
    counted = index.count(api::Interval::all(), then);
    int taken = 0;
    index.scan(api::Interval::all(),
               [&](const KeyEntry& entry) { return (taken += entry.live_at(then) ? 1 : 0) < 100; });
  }
  int64_t range = std::max<int64_t>((cpu_ns() - start) / kTimes, 1);
  std::fprintf(stderr, "walk %lld us, count with limit 100 %.1f us: %lldx\n",
               static_cast<long long>(walk / 1000), static_cast<double>(range) / 1000,
               static_cast<long long>(walk / range));
  EXPECT_EQ(counted, kKeys);
  EXPECT_EQ(walked, kKeys);
  EXPECT_GE(walk / range, 200);
}

}  // namespace
}  // namespace quorate::mvcc
