#include "watch/interval_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

namespace quorate::watch {
namespace {

// Distribution: 5,000 steps over 60 keys; 40 % insert, 20 % erase, 40 % look-ups; one range in ten is
// unbounded.
TEST(IntervalTree, FindsWhatAScanOfAllRangesFinds) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    auto key = [&] { return std::string(1 + random() % 2, static_cast<char>('a' + random() % 30)); };
    IntervalTree<int> tree;
    std::map<std::pair<std::string, std::string>, int> model;
    uint64_t found_total = 0;
    for (int step = 0; step < 5'000; ++step) {
      const uint32_t what = random() % 10;
      std::string begin = key(), end = random() % 10 == 0 ? std::string(1, '\0') : key();
      const api::Interval range = api::Interval::of(begin, end);
      if (what < 4) {
        if (range.empty()) continue;
        tree[range] = step;
        model[{begin, end}] = step;
      } else if (what < 6) {
        if (range.empty()) continue;
        if (!model.empty() && random() % 2 == 0) {
          auto at = std::next(model.begin(), static_cast<ptrdiff_t>(random() % model.size()));
          begin = at->first.first;
          end = at->first.second;
        }
        tree.erase(api::Interval::of(begin, end));
        model.erase({begin, end});
      } else {
        std::multiset<int> expected, got;
        for (const auto& [bounds, value] : model) {
          if (api::Interval::of(bounds.first, bounds.second).contains(begin)) expected.insert(value);
        }
        tree.find(begin, [&](int value) { got.insert(value); });
        ASSERT_EQ(got, expected) << "step " << step;
        found_total += got.size();
      }
      ASSERT_EQ(tree.empty(), model.empty());
    }
    EXPECT_GT(found_total, 1'000u);
  }
}

TEST(IntervalTree, KeepsOneValuePerRange) {
  IntervalTree<int> tree;
  tree[api::Interval::of("a", "b")] = 1;
  tree[api::Interval::of("a", "b")] = 2;
  tree[api::Interval::of("a", std::string_view("\0", 1))] = 3;
  std::vector<int> found;
  tree.find("a", [&](int v) { found.push_back(v); });
  EXPECT_EQ(found.size(), 2u);
  tree.erase(api::Interval::of("a", "b"));
  tree.erase(api::Interval::of("a", "b"));
  found.clear();
  tree.find("a", [&](int v) { found.push_back(v); });
  EXPECT_EQ(found, std::vector<int>{3});
}

}  // namespace
}  // namespace quorate::watch
