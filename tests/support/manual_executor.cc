#include "support/manual_executor.h"

#include "base/assert.h"

namespace quorate::test {

TimerId ManualExecutor::at(uint64_t monotonic_ns, Task task) {
  TimerId id = next_timer_id_++;
  timers_.emplace(std::pair(monotonic_ns, id), std::move(task));
  timer_due_[id] = monotonic_ns;
  return id;
}

void ManualExecutor::cancel(TimerId id) {
  auto due = timer_due_.find(id);
  if (due == timer_due_.end()) return;
  timers_.erase({due->second, id});
  timer_due_.erase(due);
}

void ManualExecutor::offload(Lane lane, Task work, Task done) {
  lanes_[lane].push_back({std::move(work), std::move(done)});
}

size_t ManualExecutor::offloaded(Lane lane) const {
  auto it = lanes_.find(lane);
  return it == lanes_.end() ? 0 : it->second.size();
}

bool ManualExecutor::turn() {
  bool worked = false;
  while (!timers_.empty() && timers_.begin()->first.first <= now()) {
    auto node = timers_.extract(timers_.begin());
    timer_due_.erase(node.key().second);
    posted_.push_back(std::move(node.mapped()));
  }
  // Only what was there when the turn began: tasks posted by tasks belong to the next turn.
  for (size_t n = posted_.size(); n > 0 && !posted_.empty(); --n) {
    Task task = std::move(posted_.front());
    posted_.pop_front();
    task();
    worked = true;
  }
  while (!deferred_.empty()) {
    Task task = std::move(deferred_.front());
    deferred_.pop_front();
    task();
    worked = true;
  }
  return worked;
}

bool ManualExecutor::run_offloaded() {
  std::vector<Lane> ready;
  for (auto& [lane, queue] : lanes_)
    if (!queue.empty() && held_.count(lane) == 0) ready.push_back(lane);
  if (ready.empty()) return false;
  Lane lane = ready[permuted_ ? random_() % ready.size() : 0];
  Offloaded next = std::move(lanes_[lane].front());
  lanes_[lane].pop_front();
  next.work();
  next.work = nullptr;  // what it holds goes before `done` runs, as with a real thread
  if (next.done) posted_.push_back(std::move(next.done));
  return true;
}

bool ManualExecutor::step() {
  if (permuted_ && (random_() & 1) != 0) return run_offloaded() || turn();
  return turn() || run_offloaded();
}

void ManualExecutor::run_until_idle() {
  uint64_t steps = 0;
  while (step()) QUORATE_ASSERT(++steps < 100'000'000, "a test that never becomes idle");
}

void ManualExecutor::advance(uint64_t ns) {
  uint64_t until = now() + ns;
  run_until_idle();
  while (!timers_.empty() && timers_.begin()->first.first <= until) {
    if (timers_.begin()->first.first > now()) clock_.set(timers_.begin()->first.first);
    run_until_idle();
  }
  clock_.set(until);
  run_until_idle();
}

void ManualExecutor::kill() {
  // Destroying a task may schedule another.
  while (!posted_.empty() || !deferred_.empty() || !timers_.empty() || !lanes_.empty()) {
    auto posted = std::move(posted_);
    auto deferred = std::move(deferred_);
    auto timers = std::move(timers_);
    auto lanes = std::move(lanes_);
    posted_.clear();
    deferred_.clear();
    timers_.clear();
    lanes_.clear();
  }
  timer_due_.clear();
}

void SeededRandom::fill(void* into, uint64_t size) noexcept {
  auto* out = static_cast<uint8_t*>(into);
  for (uint64_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(random_());
}

}  // namespace quorate::test
