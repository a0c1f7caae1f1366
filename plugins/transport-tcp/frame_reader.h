// Cuts the bytes of a connection into frames and checks their sums.
//
// Memory: at most twice what has arrived of one frame; a frame that lies whole in the bytes given is not
// copied.
#pragma once

#include <string>

#include "wire.h"

namespace quorate::tcp {

struct Frame {
  FrameHeader header;
  plugin::ByteView payload;
  plugin::Buffer owner;  // of the payload; empty: it lies in the bytes that were given
  uint32_t number = 0;

  // The payload from `from` on, for keeps.
  plugin::Buffer keep(uint64_t from) const {
    if (!owner.empty()) return owner.slice(from, payload.size - from);
    return plugin::Buffer::copy_of({payload.data + from, payload.size - from});
  }
};

class FrameReader {
 public:
  enum class Outcome : uint32_t { kNeedMore = 0, kFrame = 1, kBroken = 2 };

  explicit FrameReader(uint64_t max_frame) : max_frame_(max_frame) {}
  // Takes bytes from *in up to the end of one frame. Broken: *why says what and where.
  Outcome next(plugin::ByteView* in, Frame* out, std::string* why);
  // The bytes so far end inside a frame.
  bool inside() const { return header_size_ != 0; }
  uint64_t memory() const { return capacity_; }
  uint32_t number() const { return number_; }

 private:
  bool read_header(plugin::ByteView* in, std::string* why);
  void gather(plugin::ByteView* in);
  bool deliver(plugin::ByteView payload, Frame* out, std::string* why);

  const uint64_t max_frame_;
  uint32_t number_ = 0;  // of the frame being read
  uint8_t raw_[kHeaderSize] = {};
  uint64_t header_size_ = 0;
  FrameHeader header_;
  uint32_t sum_ = 0;
  plugin::Buffer partial_;   // of a payload that did not come in one piece
  uint8_t* fill_ = nullptr;  // partial_'s bytes
  uint64_t filled_ = 0;
  uint64_t capacity_ = 0;
};

}  // namespace quorate::tcp
