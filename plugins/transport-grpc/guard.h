// Rates of what a peer may do for nothing, on the host's clock (nghttp2's own limiter reads the system's).
#pragma once

#include <algorithm>
#include <cstdint>

namespace quorate::grpc {

// `burst` tokens, refilled at `rate` a second.
class TokenBucket {
 public:
  TokenBucket(uint32_t burst, uint32_t rate) : burst_(burst), rate_(rate), tokens_(burst) {}

  // False: there were fewer than `count` left.
  bool take(uint64_t count, uint64_t now_ns) {
    refill(now_ns);
    if (tokens_ < count) return false;
    tokens_ -= count;
    return true;
  }
  // Useful work earns tokens back: a peer that is served may also talk.
  void give(uint64_t count) { tokens_ = std::min(burst_, tokens_ + count); }

 private:
  void refill(uint64_t now_ns) {
    if (now_ns <= last_ns_) return;
    uint64_t elapsed = std::min<uint64_t>(now_ns - last_ns_, 3'600'000'000'000);
    uint64_t earned = elapsed / 1000 * rate_ / 1'000'000;  // in microseconds: the product stays below 2^63
    if (earned == 0) return;                               // the fraction stays in last_ns_
    last_ns_ = now_ns;
    give(earned);
  }
  uint64_t burst_;
  uint64_t rate_;
  uint64_t tokens_;
  uint64_t last_ns_ = 0;
};

}  // namespace quorate::grpc
