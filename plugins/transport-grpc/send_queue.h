// The messages of one call that wait for the peer's window.
#pragma once

#include <cstdint>
#include <vector>

#include "quorate/plugin/transport_support.h"

namespace quorate::grpc {

inline uint64_t total_size(plugin::View<plugin::Buffer> pieces) {
  uint64_t size = 0;
  for (const plugin::Buffer& piece : pieces) size += piece.size();
  return size;
}

class SendQueue {
 public:
  // Adds a message: its five-byte prefix and a reference to each piece.
  void push(plugin::View<plugin::Buffer> pieces, uint64_t message_size);
  // The same in two steps: the prefix of a message of that size, then its bytes.
  void begin(uint64_t message_size) { push({}, message_size, 5); }
  void append(plugin::View<plugin::Buffer> pieces);
  // Moves the first `size` bytes to `out`: pieces of at least `share_threshold` are shared. REQUIRES: size <=
  // bytes().
  void take(uint64_t size, uint64_t share_threshold, plugin::Output* out);
  uint64_t bytes() const { return bytes_; }
  void clear();

 private:
  struct Piece {
    plugin::Buffer buffer;
    uint32_t message_size;  // of the message that starts here
    uint32_t prefix_size;   // 5 where a message starts, else 0
  };
  void push(plugin::Buffer buffer, uint64_t message_size, uint32_t prefix_size) {
    bytes_ += prefix_size + buffer.size();
    pieces_.push_back({std::move(buffer), static_cast<uint32_t>(message_size), prefix_size});
  }
  void pop();
  std::vector<Piece> pieces_;
  uint64_t first_ = 0;   // pieces before it are gone
  uint64_t offset_ = 0;  // into the first piece, its prefix included
  uint64_t bytes_ = 0;
};

}  // namespace quorate::grpc
