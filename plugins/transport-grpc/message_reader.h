// Cuts the bytes of one call's DATA frames into gRPC messages.
//
// Memory: never more than twice what has arrived (plus a constant), whatever length a prefix announces; bytes
// that core has given no credit for stay raw in one block that the stream's window bounds.
#pragma once

#include <cstdint>
#include <vector>

#include "quorate/plugin/base.h"

namespace quorate::grpc {

class MessageReader {
 public:
  enum class Outcome : uint32_t {
    kNeedMore = 0,
    kMessage = 1,
    kTooLarge = 2,    // announced() tells the length
    kCompressed = 3,  // the compressed flag is set
    kBadFlag = 4,     // neither 0 nor 1; flag() tells
  };

  // Takes bytes from *data up to the end of one message, which goes to *message, and moves *data and *size
  // on.
  Outcome feed(const uint8_t** data, uint64_t* size, uint64_t max_message, plugin::Buffer* message);
  // True when the bytes so far end in the middle of a message.
  bool inside_message() const { return prefix_size_ != 0; }
  bool knows_length() const { return prefix_size_ == sizeof prefix_; }
  uint32_t announced() const;  // REQUIRES: knows_length()
  uint8_t flag() const { return prefix_[0]; }

  // Bytes kept raw until there is credit again.
  void hold(const uint8_t* data, uint64_t size);
  uint64_t held() const { return held_.size() - held_offset_; }
  const uint8_t* held_data() const { return held_.data() + held_offset_; }
  void drop_held(uint64_t size);

  uint64_t memory() const { return capacity_ + held_.capacity(); }
  void reset();

 private:
  Outcome read_prefix(const uint8_t** data, uint64_t* size, uint64_t max_message);
  void grow(uint64_t at_least);

  uint8_t prefix_[5] = {};
  uint8_t prefix_size_ = 0;
  plugin::Buffer partial_;   // the message so far, when it did not come in one piece
  uint8_t* fill_ = nullptr;  // partial_'s bytes
  uint64_t filled_ = 0;
  uint64_t capacity_ = 0;
  std::vector<uint8_t> held_;
  uint64_t held_offset_ = 0;
};

}  // namespace quorate::grpc
