#include "support/manual_executor.h"

#include <gtest/gtest.h>

#include <string>

namespace quorate::test {
namespace {

TEST(ManualExecutorTest, DeferredRunsAtTheEndOfTheTurn) {
  ManualExecutor e;
  std::string log;
  e.post([&] {
    log += "a";
    e.defer([&] {
      log += "d";
      e.defer([&] { log += "e"; });
    });
    e.post([&] { log += "n"; });
  });
  e.post([&] { log += "b"; });
  e.run_until_idle();
  EXPECT_EQ(log, "abden");
}

TEST(ManualExecutorTest, TimersRunInOrderAndCanBeCancelled) {
  ManualExecutor e;
  std::string log;
  uint64_t now = e.now();
  e.at(now + 20, [&] { log += "2"; });
  TimerId gone = e.at(now + 15, [&] { log += "x"; });
  e.at(now + 10, [&] {
    log += "1";
    e.cancel(gone);
    e.at(e.now() + 5, [&] { log += "i"; });
  });
  e.run_until_idle();
  EXPECT_EQ(log, "");
  e.advance(30);
  EXPECT_EQ(log, "1i2");
  EXPECT_EQ(e.now(), now + 30);
}

TEST(ManualExecutorTest, OffloadedWorkWaitsWhileHeld) {
  ManualExecutor e;
  std::string log;
  e.hold(Lane::kWal);
  e.offload(
      Lane::kWal, [&] { log += "w"; }, [&] { log += "W"; });
  e.offload(
      Lane::kEngine, [&] { log += "e"; }, [&] { log += "E"; });
  e.run_until_idle();
  EXPECT_EQ(log, "eE");
  EXPECT_EQ(e.offloaded(Lane::kWal), 1u);
  e.resume(Lane::kWal);
  e.run_until_idle();
  EXPECT_EQ(log, "eEwW");
}

TEST(ManualExecutorTest, ASeedIsOneOrder) {
  auto run = [](uint64_t seed) {
    ManualExecutor e(seed);
    std::string log;
    for (char c = 'a'; c < 'f'; ++c) {
      e.post([&log, c] { log += c; });
      e.offload(
          static_cast<Lane>(c % 5), [&log, c] { log += static_cast<char>(c - 'a' + 'A'); }, nullptr);
    }
    e.run_until_idle();
    return log;
  };
  EXPECT_EQ(run(1), run(1));
  std::set<std::string> orders;
  for (uint64_t seed = 0; seed < 20; ++seed) orders.insert(run(seed));
  EXPECT_GT(orders.size(), 3u);
}

}  // namespace
}  // namespace quorate::test
