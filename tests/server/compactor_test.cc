#include "server/compactor.h"

#include <gtest/gtest.h>

#include "support/manual_executor.h"

namespace quorate::server {
namespace {

constexpr uint64_t kMinute = 60'000'000'000;

struct Fixture {
  test::ManualExecutor executor;
  bool leading = true;
  bool succeed = true;
  int64_t revision = 1;
  std::vector<int64_t> compacted;

  Compactor make(CompactionMode mode, int64_t retention) {
    return Compactor(executor, mode, retention,
                     {[this] { return leading; }, [this] { return revision; },
                      [this](int64_t r, UniqueFunction<void(bool)> done) {
                        compacted.push_back(r);
                        done(succeed);
                      }});
  }
  void minutes(int n) {
    for (int i = 0; i < n; ++i) {
      ++revision;
      executor.advance(kMinute);
    }
  }
};

TEST(Compactor, DoesNothingWithoutARetention) {
  Fixture f;
  Compactor c = f.make(CompactionMode::kPeriodic, 0);
  c.start();
  f.minutes(300);
  EXPECT_TRUE(f.compacted.empty());
}

TEST(Compactor, PeriodicWaitsForOnePeriodThenGoesEveryPeriod) {
  Fixture f;
  Compactor c = f.make(CompactionMode::kPeriodic, static_cast<int64_t>(60 * kMinute));
  c.start();
  f.minutes(59);
  EXPECT_TRUE(f.compacted.empty());
  f.minutes(2);
  ASSERT_EQ(f.compacted.size(), 1u);
  EXPECT_EQ(f.compacted[0], 1) << "to where the store was a period ago";
  f.minutes(60);
  ASSERT_EQ(f.compacted.size(), 2u);
  EXPECT_NEAR(static_cast<double>(f.compacted[1]), 61, 7) << "sampled every tenth of the period";
}

TEST(Compactor, PeriodsOverAnHourCompactHourly) {
  Fixture f;
  Compactor c = f.make(CompactionMode::kPeriodic, static_cast<int64_t>(180 * kMinute));
  c.start();
  f.minutes(179);
  EXPECT_TRUE(f.compacted.empty());
  f.minutes(2 + 120);
  EXPECT_EQ(f.compacted.size(), 3u);
  EXPECT_NEAR(static_cast<double>(f.compacted[2] - f.compacted[1]), 60, 7);
}

TEST(Compactor, AFailureIsTriedAgainAtTheNextTick) {
  Fixture f;
  f.succeed = false;
  Compactor c = f.make(CompactionMode::kPeriodic, static_cast<int64_t>(60 * kMinute));
  c.start();
  f.minutes(73);
  EXPECT_EQ(f.compacted.size(), 3u) << "after 60, 66 and 72 minutes";
}

TEST(Compactor, OnlyTheLeaderCompacts) {
  Fixture f;
  f.leading = false;
  Compactor c = f.make(CompactionMode::kPeriodic, static_cast<int64_t>(60 * kMinute));
  c.start();
  f.minutes(100);
  EXPECT_TRUE(f.compacted.empty());
}

TEST(Compactor, RevisionModeKeepsThatManyRevisions) {
  Fixture f;
  Compactor c = f.make(CompactionMode::kRevision, 100);
  c.start();
  f.minutes(90);
  EXPECT_TRUE(f.compacted.empty());
  f.revision = 1000;
  f.executor.advance(5 * kMinute);
  EXPECT_EQ(f.compacted, std::vector<int64_t>{900});
  f.executor.advance(5 * kMinute);
  EXPECT_EQ(f.compacted.size(), 1u) << "nothing new";
  f.revision = 1001;
  f.executor.advance(5 * kMinute);
  EXPECT_EQ(f.compacted.back(), 901);
}

TEST(Compactor, StopsWithItsOwner) {
  Fixture f;
  {
    Compactor c = f.make(CompactionMode::kRevision, 1);
    c.start();
  }
  f.minutes(60);
  EXPECT_TRUE(f.compacted.empty());
}

}  // namespace
}  // namespace quorate::server
