#include "quorate/base/function.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace quorate {
namespace {

TEST(UniqueFunction, HoldsSmallAndLargeMoveOnlyCallables) {
  auto count = std::make_shared<int>(0);
  UniqueFunction<int(int)> small = [p = std::make_unique<int>(3), count](int x) { return *p + x; };
  std::array<char, 200> big{};
  big[7] = 5;
  UniqueFunction<int(int)> large = [big, count](int x) { return big[7] + x; };
  EXPECT_EQ(small(4), 7);
  EXPECT_EQ(large(4), 9);
  UniqueFunction<int(int)> moved = std::move(large);
  EXPECT_FALSE(large);
  EXPECT_EQ(moved(1), 6);
  moved = std::move(small);
  EXPECT_EQ(moved(1), 4);
  EXPECT_EQ(count.use_count(), 2);  // the large one was destroyed
  moved = nullptr;
  EXPECT_EQ(count.use_count(), 1);
}

}  // namespace
}  // namespace quorate
