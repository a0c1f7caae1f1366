#include "host/offload.h"

#include <gtest/gtest.h>

#include "host/loop.h"

namespace quorate::host {
namespace {

struct CountingJob final : plugin::Counted<plugin::Job> {
  explicit CountingJob(int* r, int* d, AsioExecutor* l) : ran(r), finished(d), loop(l) {}
  void run() noexcept override {
    EXPECT_FALSE(loop->on_loop());
    ++*ran;
  }
  void done() noexcept override {
    EXPECT_TRUE(loop->on_loop());
    ++*finished;
  }
  int* ran;
  int* finished;
  AsioExecutor* loop;
};

TEST(Offload, RunsJobsOnAHelperAndRefusesMoreThanItsQueueHolds) {
  AsioExecutor loop;
  auto offload = plugin::make<LoopOffload>(&loop, Lane::kBulk, 3);
  int ran = 0, finished = 0;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 3; ++i) {
      auto job = plugin::make<CountingJob>(&ran, &finished, &loop);
      EXPECT_TRUE(offload->submit(job.get()).ok());
    }
    auto job = plugin::make<CountingJob>(&ran, &finished, &loop);
    EXPECT_EQ(offload->submit(job.get()).code(), plugin::Code::kRetryable);
    int target = 3 * (round + 1);
    uint64_t limit = loop.clock().monotonic_ns() + 10'000'000'000;
    TimerId guard = loop.at(limit, [] { FAIL() << "the jobs do not finish"; });
    while (finished < target && !testing::Test::HasFailure()) loop.turn(true);
    loop.cancel(guard);
    EXPECT_EQ(ran, target);
  }
}

}  // namespace
}  // namespace quorate::host
