#include "host/loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "host/timers.h"

namespace quorate::host {
namespace {

constexpr uint64_t kMs = 1'000'000;

template <typename Condition>
::testing::AssertionResult run_until(AsioExecutor& loop, Condition condition) {
  uint64_t limit = loop.clock().monotonic_ns() + 10'000 * kMs;
  bool late = false;
  TimerId guard = loop.at(limit, [&] { late = true; });
  while (!condition() && !late) loop.turn(true);
  loop.cancel(guard);
  return late ? ::testing::AssertionFailure() << "the condition did not come true in 10 s"
              : ::testing::AssertionSuccess();
}

TEST(Loop, OneTurnRunsPostedThenTimersThenDeferredThenTurnEnds) {
  AsioExecutor loop;
  std::string order;
  struct End : TurnEnd {
    std::string* order;
    AsioExecutor* loop;
    int left = 1;
    void on_turn_end() noexcept override {
      *order += "E";
      if (left-- > 0) loop->defer([this] { *order += "x"; });
    }
  } end;
  end.order = &order;
  end.loop = &loop;
  loop.add_turn_end(&end);
  loop.defer([&] {
    order += "d";
    loop.defer([&] { order += "D"; });
    loop.post([&] { order += "N"; });
  });
  loop.at(1, [&] { order += "t"; });
  loop.post([&] { order += "p"; });
  loop.post([&] { order += "P"; });
  loop.turn(false);
  EXPECT_EQ(order, "pPtdDExE");
  loop.turn(false);
  EXPECT_EQ(order, "pPtdDExENE");
  loop.remove_turn_end(&end);
}

TEST(Loop, ClockStandsStillWithinATurn) {
  AsioExecutor loop;
  uint64_t first = 0, second = 0, elsewhere = 0;
  loop.post([&] {
    first = loop.clock().monotonic_ns();
    std::thread([&] {
      uint64_t now = loop.clock().monotonic_ns();
      while ((elsewhere = loop.clock().monotonic_ns()) == now) {
      }
    }).join();
    second = loop.clock().monotonic_ns();
  });
  loop.turn(true);
  EXPECT_EQ(first, second);
  EXPECT_GT(elsewhere, first);
}

TEST(Loop, TimersFireInOrderAndNotEarly) {
  AsioExecutor loop;
  std::vector<int> fired;
  uint64_t start = loop.clock().monotonic_ns();
  loop.at(start + 20 * kMs, [&] { fired.push_back(2); });
  TimerId dropped = loop.at(start + 10 * kMs, [&] { fired.push_back(99); });
  loop.at(start + 5 * kMs, [&] {
    EXPECT_GE(loop.clock().monotonic_ns(), start + 5 * kMs);
    fired.push_back(1);
  });
  loop.cancel(dropped);
  loop.cancel(dropped);
  loop.cancel(0);
  loop.cancel(12345678);
  ASSERT_TRUE(run_until(loop, [&] { return fired.size() >= 2; }));
  EXPECT_EQ(fired, (std::vector<int>{1, 2}));
  EXPECT_GE(loop.clock().monotonic_ns(), start + 20 * kMs);
}

TEST(Loop, ATimerArmedInThePastByATimerWaitsForTheNextTurn) {
  AsioExecutor loop;
  int runs = 0;
  std::function<void()> rearm = [&] {
    ++runs;
    loop.at(1, [&] { rearm(); });
  };
  loop.at(1, [&] { rearm(); });
  loop.turn(false);
  EXPECT_EQ(runs, 1);
  loop.turn(false);
  EXPECT_EQ(runs, 2);
}

// Against a plain list, with every id cancelled or fired at most once.
TEST(Timers, EqualAModel) {
  uint64_t seed = 20240611;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Timers timers;
  struct Model {
    TimerId id;
    uint64_t at;
    int name;
  };
  std::vector<Model> model;
  std::vector<TimerId> old_ids;
  int names = 0;
  uint64_t now = 0;
  std::vector<int> fired;
  for (int step = 0; step < 200'000; ++step) {
    uint64_t kind = random() % 10;
    if (kind < 4) {
      int name = ++names;
      uint64_t at = now + random() % 50;
      model.push_back({timers.add(at, [&fired, name] { fired.push_back(name); }), at, name});
    } else if (kind < 7 && !model.empty()) {
      size_t i = random() % model.size();
      timers.cancel(model[i].id);
      old_ids.push_back(model[i].id);
      model.erase(model.begin() + static_cast<ptrdiff_t>(i));
    } else if (kind < 8 && !old_ids.empty()) {
      timers.cancel(old_ids[random() % old_ids.size()]);
    } else {
      now += random() % 8;
      std::stable_sort(model.begin(), model.end(), [](auto& a, auto& b) { return a.at < b.at; });
      std::vector<int> expected;
      while (!model.empty() && model.front().at <= now) {
        expected.push_back(model.front().name);
        old_ids.push_back(model.front().id);
        model.erase(model.begin());
      }
      fired.clear();
      Task task;
      while (timers.take_due(now, timers.mark(), &task)) task();
      ASSERT_EQ(fired, expected) << "step " << step;
    }
    ASSERT_EQ(timers.size(), model.size());
    uint64_t next = 0;
    for (auto& m : model) next = next == 0 ? m.at : std::min(next, m.at);
    ASSERT_EQ(timers.next(), next);
  }
}

TEST(Loop, PostsOfOtherThreadsArriveInOrderAndWakeIt) {
  AsioExecutor loop;
  constexpr int kThreads = 4, kEach = 5000;
  std::vector<int> seen(kThreads, 0);
  int total = 0;
  bool ordered = true;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i)
        loop.post([&, t, i] {
          ordered = ordered && seen[static_cast<size_t>(t)] == i;
          seen[static_cast<size_t>(t)] = i + 1;
          ++total;
        });
    });
  }
  EXPECT_TRUE(run_until(loop, [&] { return total == kThreads * kEach; }));
  for (auto& t : threads) t.join();
  EXPECT_TRUE(ordered);
}

TEST(Loop, AnIdleLoopSleeps) {
  AsioExecutor loop;
  uint64_t before = loop.turns();
  bool fired = false;
  loop.at(loop.clock().monotonic_ns() + 50 * kMs, [&] { fired = true; });
  ASSERT_TRUE(run_until(loop, [&] { return fired; }));
  EXPECT_LE(loop.turns() - before, 4u);  // it neither spins nor looks around meanwhile
}

TEST(Loop, StopFromAnotherThreadEndsRun) {
  AsioExecutor loop;
  std::thread other([&] { loop.stop(); });
  loop.run();
  other.join();
  bool ran = false;
  loop.post([&] {
    ran = true;
    EXPECT_TRUE(loop.on_loop());
    loop.stop();
  });
  loop.run();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(loop.on_loop());
}

// What the node's close() leans on: an engine must not be closed under a write.
TEST(Loop, FinishedLanesHaveDoneAllTheirWork) {
  AsioExecutor loop;
  std::atomic<int> worked{0};
  int done = 0;
  for (int i = 0; i < 50; ++i) {
    loop.offload(
        i % 2 == 0 ? Lane::kEngine : Lane::kEngineSync, [&] { ++worked; }, [&] { ++done; });
  }
  loop.finish_lanes();
  EXPECT_EQ(worked.load(), 50);
  EXPECT_EQ(done, 0) << "that is for the loop";
  loop.finish_lanes();
  ASSERT_TRUE(run_until(loop, [&] { return done == 50; }));
}

TEST(Loop, OffloadKeepsALanesOrderAndRunsLanesBesideEachOther) {
  AsioExecutor loop;
  std::vector<int> done;
  std::atomic<int> running{0}, most{0};
  for (int i = 0; i < 100; ++i) {
    loop.offload(
        Lane::kWal,
        [&] {
          int n = ++running;
          int m = most.load();
          while (m < n && !most.compare_exchange_weak(m, n)) {
          }
          EXPECT_FALSE(loop.on_loop());
          --running;
        },
        [&, i] {
          EXPECT_TRUE(loop.on_loop());
          done.push_back(i);
        });
  }
  // Two of kRead and one of kBulk wait for each other: only a lane's own threads can make that end.
  std::mutex mutex;
  std::condition_variable met;
  int waiting = 0, through = 0;
  auto rendezvous = [&] {
    std::unique_lock lock(mutex);
    if (++waiting == 3) met.notify_all();
    met.wait(lock, [&] { return waiting >= 3; });
  };
  for (Lane lane : {Lane::kRead, Lane::kBulk, Lane::kRead})
    loop.offload(lane, rendezvous, [&] { ++through; });
  ASSERT_TRUE(run_until(loop, [&] { return done.size() == 100 && through == 3; }));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<size_t>(i)], i);
  EXPECT_EQ(most.load(), 1);
}

TEST(Loop, WorkThatWasGivenFinishesBeforeTheLoopIsGone) {
  std::atomic<int> works{0};
  auto alive = std::make_shared<int>(0);
  {
    AsioExecutor loop;
    for (int i = 0; i < 50; ++i)
      loop.offload(
          Lane::kEngine, [&] { ++works; }, [alive] { FAIL(); });
    loop.post([alive] { FAIL(); });
    loop.at(1, [alive] { FAIL(); });
    loop.defer([alive] { FAIL(); });
  }
  EXPECT_EQ(works.load(), 50);
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(Loop, ReadinessIsNotToldAfterUnwatchEvenWithinTheTurn) {
  AsioExecutor loop;
  struct One : Readiness {
    AsioExecutor* loop;
    One* other;
    int fd, calls = 0;
    void on_ready(uint32_t) noexcept override {
      ++calls;
      if (other != nullptr && calls == 1) loop->unwatch(other->fd, other);
    }
  };
  One a, b;
  for (One* o : {&a, &b}) {
    o->loop = &loop;
    o->other = o == &a ? &b : &a;
    o->fd = eventfd(1, EFD_NONBLOCK);
    ASSERT_TRUE(loop.watch(o->fd, o));
  }
  loop.turn(true);
  loop.turn(false);
  EXPECT_EQ(a.calls + b.calls, 1);
  if (a.calls != 0)
    loop.unwatch(a.fd, &a);
  else
    loop.unwatch(b.fd, &b);
  close(a.fd);
  close(b.fd);
}

class CountingLog : public plugin::Log {
 public:
  void retain() noexcept override {}
  void release() noexcept override {}
  void* query(const char*) noexcept override { return nullptr; }
  bool enabled(plugin::LogLevel) noexcept override { return true; }
  void write(plugin::LogLevel, plugin::ByteView message, plugin::ByteView) noexcept override {
    std::lock_guard lock(mutex);
    lines.emplace_back(message.chars(), message.size);
    changed.notify_all();
  }
  bool wait_for(const std::string& line) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(10),
                            [&] { return std::find(lines.begin(), lines.end(), line) != lines.end(); });
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> lines;
};

TEST(Loop, TheWatchdogReportsAStalledTurnAndItsEnd) {
  CountingLog log;
  LoopOptions options;
  options.stall_ns = 20 * kMs;
  options.log = &log;
  AsioExecutor loop(options);
  EXPECT_FALSE(loop.is_stalled());
  loop.post([&] {
    EXPECT_TRUE(log.wait_for("the loop is stalled: one turn takes too long"));
    EXPECT_TRUE(loop.is_stalled());
  });
  loop.turn(true);
  EXPECT_FALSE(loop.is_stalled());
  EXPECT_TRUE(log.wait_for("the loop runs again"));
  EXPECT_EQ(log.lines.size(), 2u);
}

}  // namespace
}  // namespace quorate::host
