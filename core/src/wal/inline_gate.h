// Whether the next sync may block the loop.
#pragma once

#include <bit>
#include <cstdint>

namespace quorate::wal {

// [serial] Looks at the latest syncs, not at a span of time: on a busy machine a sync is late now and then,
// and a helper thread would be so, too, after two wake-ups more. Closed while a quarter of them were slow, or
// after a single one that took very long: a disk that hangs does so again.
class InlineGate {
 public:
  static constexpr uint32_t kSyncs = 16;
  static constexpr int kSlow = 4;               // of kSyncs: closed
  static constexpr uint64_t kStallFactor = 20;  // times the limit: counts for all of kSyncs

  explicit InlineGate(uint64_t limit_ns) : limit_ns_(limit_ns) {}
  void add(uint64_t sync_ns) {
    slow_ = static_cast<uint16_t>(slow_ << 1 | static_cast<uint16_t>(sync_ns > limit_ns_));
    if (sync_ns / kStallFactor > limit_ns_) slow_ = UINT16_MAX;
  }
  bool open() const { return std::popcount(slow_) < kSlow; }

 private:
  const uint64_t limit_ns_;
  uint16_t slow_ = 0;  // a bit per sync, the latest lowest
  static_assert(kSyncs == 16, "the width of slow_");
};

}  // namespace quorate::wal
