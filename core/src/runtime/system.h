// The machine's own clock and randomness, behind the interfaces that everything else uses.
#pragma once

#include "quorate/runtime.h"

namespace quorate {

// CLOCK_MONOTONIC and CLOCK_REALTIME. [thread-safe, no-block]
class SystemClock final : public plugin::Counted<plugin::Clock> {
 public:
  uint64_t monotonic_ns() noexcept override;
  uint64_t unix_ns() noexcept override;
  void* query(const char* id) noexcept override;
};

// getrandom(): the kernel's generator, fit for keys and tokens. Waits, once after the machine's boot, until
// the kernel has gathered enough. [thread-safe]
class SystemRandom final : public plugin::Counted<plugin::Random> {
 public:
  void fill(void* into, uint64_t size) noexcept override;
  void* query(const char* id) noexcept override;
};

}  // namespace quorate
