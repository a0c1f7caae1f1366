// The largest of the values seen within the last few seconds, in constant space.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace quorate {

// [serial] One slot a second: a value is forgotten between kSeconds - 1 and kSeconds seconds after it was
// seen.
class RecentMax {
 public:
  static constexpr uint64_t kSeconds = 10;

  void add(uint64_t now_ns, uint64_t value) {
    forget(now_ns);
    auto& slot = slots_[second_ % kSeconds];
    slot = std::max(slot, value);
  }
  uint64_t max(uint64_t now_ns) {
    forget(now_ns);
    return *std::max_element(slots_.begin(), slots_.end());
  }

 private:
  void forget(uint64_t now_ns) {
    uint64_t second = now_ns / 1'000'000'000;
    if (second <= second_) return;
    for (uint64_t i = std::min(second - second_, kSeconds); i > 0; --i)
      slots_[(second - i + 1) % kSeconds] = 0;
    second_ = second;
  }
  std::array<uint64_t, kSeconds> slots_{};
  uint64_t second_ = 0;
};

}  // namespace quorate
