// The helper threads beside the loop: one queue per lane, threads started when a lane is first used.
#pragma once

#include <memory>

#include "quorate/runtime.h"

namespace quorate::host {

// Names the calling thread, and leaves signals that people send to the loop's thread.
void become_helper_thread(const char* name);

// Runs each of `work` on a thread of its own, the first on this one, and waits for all.
void run_beside_each_other(std::span<Task> work);

class Lanes {
 public:
  // `executor` gets the done tasks, by post(). Outlives this.
  Lanes(Executor* executor, uint32_t read_threads);
  ~Lanes();  // runs what is queued, then joins the threads

  // Runs what is queued, then joins the threads: afterwards nobody works beside the caller. May be called
  // again.
  void finish();
  // [thread-safe] Runs `work` on a thread of the lane, then posts `done`.
  void submit(Lane lane, Task work, Task done);

 private:
  struct Queue;
  static constexpr uint32_t kLanes = 5;
  std::unique_ptr<Queue> queues_[kLanes];
};

}  // namespace quorate::host
