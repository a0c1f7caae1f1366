// An Executor for single-threaded tests: virtual time, everything in the order the seed says.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "quorate/runtime.h"

namespace quorate::test {

// Time that only moves when told to. [thread-safe] to read, so that helper threads may look.
class ManualClock final : public plugin::Counted<plugin::Clock> {
 public:
  uint64_t monotonic_ns() noexcept override { return now_.load(std::memory_order_relaxed); }
  uint64_t unix_ns() noexcept override { return kUnixEpochOffset + monotonic_ns(); }
  void set(uint64_t now_ns) { now_.store(now_ns, std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kUnixEpochOffset = 1'700'000'000'000'000'000;
  std::atomic<uint64_t> now_{1'000'000'000};
};

// All methods on the test's thread. Nothing runs inside a call that schedules it: tests see what is in
// flight. Turn of the loop: every posted task, then (repeatedly) the deferred ones. Offloaded work runs
// between turns, on this thread, one task of the first non-empty lane after each turn; its `done` is posted.
// With a seed the choice between the next turn and the next lane, and which lane, is drawn from it: other
// interleavings, the same every time.
class ManualExecutor final : public Executor {
 public:
  ManualExecutor() = default;
  explicit ManualExecutor(uint64_t seed) : permuted_(true), random_(seed) {}

  void post(Task task) override { posted_.push_back(std::move(task)); }
  void defer(Task task) override { deferred_.push_back(std::move(task)); }
  TimerId at(uint64_t monotonic_ns, Task task) override;
  void cancel(TimerId id) override;
  void offload(Lane lane, Task work, Task done) override;
  ManualClock& clock() override { return clock_; }

  // Runs until nothing is left that may run now: no task, due timer or offloaded work (of lanes not held).
  void run_until_idle();
  // One step: a turn of the loop or one offloaded work. False: there was nothing to do.
  bool step();
  // Moves time forward, stopping at each timer on the way; idle after each.
  void advance(uint64_t ns);
  // While held, a lane's work waits: as if the disk did not answer.
  void hold(Lane lane) { held_.insert(lane); }
  void resume(Lane lane) { held_.erase(lane); }
  // Everything scheduled is destroyed without running: the process was killed.
  void kill();

  size_t offloaded(Lane lane) const;  // waiting in this lane
  uint64_t now() { return clock_.monotonic_ns(); }
  // When the next timer is due; 0: there is none.
  uint64_t next_timer() const { return timers_.empty() ? 0 : timers_.begin()->first.first; }

 private:
  struct Offloaded {
    Task work;
    Task done;
  };
  bool turn();
  bool run_offloaded();

  ManualClock clock_;
  std::deque<Task> posted_;
  std::deque<Task> deferred_;
  std::map<std::pair<uint64_t, TimerId>, Task> timers_;
  std::map<TimerId, uint64_t> timer_due_;
  TimerId next_timer_id_ = 1;
  std::map<Lane, std::deque<Offloaded>> lanes_;
  std::set<Lane> held_;
  bool permuted_ = false;
  std::mt19937_64 random_;
};

// Random bytes from a seed.
class SeededRandom final : public plugin::Counted<plugin::Random> {
 public:
  explicit SeededRandom(uint64_t seed) : random_(seed) {}
  // Not [thread-safe]: tests that draw from several threads give each its own.
  void fill(void* into, uint64_t size) noexcept override;

 private:
  std::mt19937_64 random_;
};

}  // namespace quorate::test
