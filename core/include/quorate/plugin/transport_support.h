// What transport plugins have in common: rates of what a peer may do for nothing, and the bytes of one flush.
// Compiled into the plugin; nothing of it crosses the boundary. Everything here is [loop].
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

#include "quorate/plugin/transport.h"

namespace quorate::plugin {

// `burst` tokens, refilled at `rate` a second, on the host's clock.
class TokenBucket {
 public:
  TokenBucket(uint64_t burst, uint64_t rate) : burst_(burst), rate_(rate), tokens_(burst) {}

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

// Collects the bytes of a flush in order: small pieces copied side by side, large ones shared. One per thread
// is enough, since it is empty between flushes.
class Output {
 public:
  // Answers where the bytes lie, for patch().
  uint64_t copy(const uint8_t* data, uint64_t size) {
    if (used_ + size > scratch_.size()) scratch_.resize(std::max(kScratchFloor, (used_ + size) * 2));
    std::memcpy(scratch_.data() + used_, data, size);
    if (segments_.empty() || !segments_.back().buffer.empty()) segments_.push_back({used_, 0, {}});
    segments_.back().size += size;
    used_ += size;
    bytes_ += size;
    return used_ - size;
  }
  // Writes over bytes that copy() took.
  void patch(uint64_t at, const uint8_t* data, uint64_t size) {
    std::memcpy(scratch_.data() + at, data, size);
  }
  void share(const Buffer& buffer, uint64_t offset, uint64_t size) {
    segments_.push_back({0, size, buffer.slice(offset, size)});
    bytes_ += size;
  }
  uint64_t bytes() const { return bytes_; }

  // One Connection::send for everything, then empty again.
  void send(Connection* connection) {
    if (segments_.empty()) return;
    Buffer copied = Buffer::copy_of({scratch_.data(), used_});
    out_.reserve(segments_.size());
    for (Segment& segment : segments_) {
      if (!segment.buffer.empty()) {
        out_.push_back(std::move(segment.buffer));
      } else if (segment.size == used_) {
        out_.push_back(std::move(copied));
      } else {
        out_.push_back(copied.slice(segment.offset, segment.size));
      }
    }
    connection->send({out_.data(), out_.size()});
    out_.clear();
    segments_.clear();
    used_ = bytes_ = 0;
    if (scratch_.size() > kScratchKept) scratch_ = std::vector<uint8_t>();  // frees, which {} would not
  }

 private:
  static constexpr uint64_t kScratchFloor = 64u << 10;
  static constexpr uint64_t kScratchKept = 1u << 20;
  // A run of copied bytes (buffer empty) or a shared slice.
  struct Segment {
    uint64_t offset;
    uint64_t size;
    Buffer buffer;
  };
  std::vector<uint8_t> scratch_;  // its size is its capacity in use: used_ says how much counts
  uint64_t used_ = 0;
  uint64_t bytes_ = 0;
  std::vector<Segment> segments_;
  std::vector<Buffer> out_;
};

// ---- Sessions and calls

// The interface of one side, forwarded to the plugin's own session, which has data(), flush(), timer(),
// eof(), closed() and open_calls().
template <typename Interface, typename Core>
class SessionOf : public Counted<Interface>, public Core {
 public:
  Status on_data(ByteView bytes) noexcept override {
    return guarded([&] { return this->data(bytes); });
  }
  Status on_writable() noexcept override {
    return guarded([&] { return this->flush(); });
  }
  Status on_flush() noexcept override {
    return guarded([&] { return this->flush(); });
  }
  Status on_timer(uint64_t now_ns) noexcept override {
    return guarded([&] { return this->timer(now_ns); });
  }
  Status on_eof() noexcept override {
    return guarded([&] { return this->eof(); });
  }
  void on_closed(const Status& why) noexcept override { this->closed(why); }
  uint64_t open_calls() noexcept override { return Core::open_calls(); }

 protected:
  using Core::Core;
};

// The reference count of a call under one of core's interfaces. Counted<> would do but for only_reference(),
// by which the session sees that it may use the object again.
template <typename Interface, typename Call>
class SharedCall : public Interface, public Call {
 public:
  void retain() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept override {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  void* query(const char*) noexcept override { return nullptr; }
  void release_call() noexcept override { release(); }
  bool only_reference() const noexcept override { return references_.load(std::memory_order_acquire) == 1; }

 protected:
  virtual ~SharedCall() = default;

 private:
  std::atomic<uint32_t> references_{1};
};

}  // namespace quorate::plugin
