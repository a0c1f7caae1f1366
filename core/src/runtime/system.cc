#include "runtime/system.h"

#include <sys/random.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace quorate {
namespace {

uint64_t read_clock(clockid_t id) {
  timespec t{};
  QUORATE_ASSERT(clock_gettime(id, &t) == 0, "every Linux has this clock");
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace

uint64_t SystemClock::monotonic_ns() noexcept { return read_clock(CLOCK_MONOTONIC); }
uint64_t SystemClock::unix_ns() noexcept { return read_clock(CLOCK_REALTIME); }
void* SystemClock::query(const char* id) noexcept {
  return std::strcmp(id, plugin::Clock::kId) == 0 ? static_cast<plugin::Clock*>(this) : nullptr;
}

void SystemRandom::fill(void* into, uint64_t size) noexcept {
  auto* out = static_cast<uint8_t*>(into);
  while (size != 0) {
    ssize_t got = getrandom(out, size, 0);
    if (got < 0) {
      // There is no safe answer without randomness, and no kernel we run on lacks the call.
      QUORATE_ASSERT(errno == EINTR, "getrandom() failed");
      continue;
    }
    out += got;
    size -= static_cast<uint64_t>(got);
  }
}
void* SystemRandom::query(const char* id) noexcept {
  return std::strcmp(id, plugin::Random::kId) == 0 ? static_cast<plugin::Random*>(this) : nullptr;
}

}  // namespace quorate
