#include "host/memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace quorate::host {
namespace {

// Bytes that the allocator has handed out.
uint64_t used_bytes() {
#if defined(__GLIBC__)
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

void give_back() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace

uint64_t anonymous_bytes() {
  const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[128] = {};
  const ssize_t got = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  unsigned long long resident = 0, shared = 0;
  if (got <= 0 || std::sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || shared > resident) return 0;
  return (resident - shared) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

struct MemoryReturn::State : std::enable_shared_from_this<MemoryReturn::State> {
  AsioExecutor* executor;
  MemoryReturnOptions options;
  TimerId timer = 0;
  bool alive = true;
  // Of the helper's work, one piece at a time: what lay idle after the latest return, in pages that are in
  // use, too.
  uint64_t stays = 0;

  void arm() {
    timer = executor->at(executor->clock().monotonic_ns() + options.interval_ns, [this] {
      timer = 0;
      executor->offload(
          Lane::kBulk, [self = shared_from_this()] { self->look(); },
          [self = shared_from_this()] {
            if (self->alive) self->arm();
          });
    });
  }

  void look() {
    const uint64_t used = used_bytes();
    if (used == 0 || anonymous_bytes() < used + stays + options.slack_bytes + used / 32) return;
    give_back();
    const uint64_t resident = anonymous_bytes();
    stays = resident > used ? resident - used : 0;
  }
};

MemoryReturn::MemoryReturn(AsioExecutor* executor, const MemoryReturnOptions& options)
    : state_(std::make_shared<State>()) {
  state_->executor = executor;
  state_->options = options;
  state_->arm();
}

MemoryReturn::~MemoryReturn() {
  state_->alive = false;
  state_->executor->cancel(state_->timer);
}

}  // namespace quorate::host
