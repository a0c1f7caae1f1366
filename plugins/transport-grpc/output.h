// What one flush sends: small pieces copied side by side, large ones shared.
#pragma once

#include <cstdint>
#include <vector>

#include "quorate/plugin/transport.h"

namespace quorate::grpc {

// Collects the bytes of a flush in order. One per thread is enough: it is empty between flushes.
class Output {
 public:
  void copy(const uint8_t* data, uint64_t size);
  void share(const plugin::Buffer& buffer, uint64_t offset, uint64_t size);
  uint64_t bytes() const { return bytes_; }
  // One Connection::send for everything, then empty again.
  void send(plugin::Connection* connection);

 private:
  // A run of copied bytes (buffer empty) or a shared slice.
  struct Segment {
    uint64_t offset;
    uint64_t size;
    plugin::Buffer buffer;
  };
  std::vector<uint8_t> scratch_;  // its size is its capacity in use: used_ says how much counts
  uint64_t used_ = 0;
  uint64_t bytes_ = 0;
  std::vector<Segment> segments_;
  std::vector<plugin::Buffer> out_;
};

}  // namespace quorate::grpc
