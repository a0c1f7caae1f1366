// Gives memory that nobody uses any more back to the system.
//
// The allocator keeps what was freed: after a burst (an attack, many large answers) the process would stay as
// large as it ever was. Every other second it is compared what the system counts as the process's own memory
// with what the allocator has handed out; where they have moved apart, the free pages go back, on a helper
// thread.
#pragma once

#include <cstdint>
#include <memory>

#include "host/loop.h"

namespace quorate::host {

struct MemoryReturnOptions {
  uint64_t interval_ns = 2'000'000'000;
  uint64_t slack_bytes = 1u << 20;  // that are not worth the trouble; and a 32nd of what is in use
};

// [loop] Works until it is destroyed. Does nothing where the C library is not glibc or a sanitizer allocates.
class MemoryReturn {
 public:
  explicit MemoryReturn(AsioExecutor* executor, const MemoryReturnOptions& options = {});
  ~MemoryReturn();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Bytes of this process that are in memory and belong to no file; 0: unknown. [thread-safe]
uint64_t anonymous_bytes();

}  // namespace quorate::host
