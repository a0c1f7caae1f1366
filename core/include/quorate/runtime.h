// What core needs of the world. Everything goes through here, so that the simulator can run whole nodes on
// virtual time, network and disk. Files, clock and randomness are the interfaces that plugins see, too
// (plugin/host.h).
#pragma once

#include <cstdint>
#include <span>

#include "quorate/base/function.h"
#include "quorate/plugin/host.h"

namespace quorate {

using FileSystem = plugin::Files;
using plugin::Clock;
using plugin::File;
using plugin::Log;
using plugin::LogLevel;
using plugin::Random;

// Helper threads, by what they wait for. Tasks of one lane run in the order posted, one at a time; lanes run
// beside each other. kRead may run several at once.
enum class Lane : uint32_t { kWal = 0, kEngine = 1, kEngineSync = 2, kRead = 3, kBulk = 4 };

using TimerId = uint64_t;  // 0: none

// The loop that a node lives on, and the helper threads beside it. The host: Asio's io_context and real
// threads; the simulator: one virtual loop. A node's own state is touched on the loop only.
class Executor {
 public:
  virtual ~Executor() = default;

  // [thread-safe, no-block] Runs `task` on the loop, after those posted before it.
  virtual void post(Task task) = 0;
  // [loop] Runs `task` at the end of this turn, once everything that was ready has been handled: this is
  // where requests of one tick become one batch. A task deferred by a deferred task still runs in this turn.
  virtual void defer(Task task) = 0;
  // [loop] Runs `task` on the loop at or after that monotonic time.
  virtual TimerId at(uint64_t monotonic_ns, Task task) = 0;
  // [loop] The task will not run. Ids of timers that ran already, and 0, are ignored.
  virtual void cancel(TimerId id) = 0;
  // [loop] Runs `work` on a helper thread, then `done` on the loop.
  virtual void offload(Lane lane, Task work, Task done) = 0;
  // [loop, or before the loop runs] Runs each of `work` once, in any order and perhaps beside each other, and
  // returns when all have ended. It blocks: for the start only.
  virtual void run_all(std::span<Task> work) {
    for (Task& task : work) task();
  }
  virtual Clock& clock() = 0;  // [thread-safe]; monotonic_ns() may be cached per turn of the loop
};

struct Runtime {
  Executor* executor = nullptr;
  FileSystem* files = nullptr;
  Random* random = nullptr;
  Log* log = nullptr;
};

}  // namespace quorate
