// The messages of one call that wait for the socket or for the peer's window.
#pragma once

#include <vector>

#include "quorate/plugin/transport_support.h"
#include "wire.h"

namespace quorate::tcp {

class SendQueue {
 public:
  // Adds a message: a reference to each piece.
  void push(plugin::View<plugin::Buffer> pieces, uint32_t size);
  bool empty() const { return first_ == pieces_.size(); }
  // Part of the first message was taken already.
  bool inside() const { return inside_; }
  // Bytes of the first message that are left. REQUIRES: !empty().
  uint32_t left() const { return inside_ ? left_ : pieces_[first_].message_size; }
  // Moves `size` of them to `out`, pieces of at least `share_threshold` without a copy, and adds them to
  // *crc. REQUIRES: !empty(), size <= left().
  void take(uint32_t size, uint64_t share_threshold, plugin::Output* out, uint32_t* crc);
  uint64_t bytes() const { return bytes_; }  // of all messages
  uint64_t memory() const { return bytes_ + (pieces_.size() - first_) * kPieceCost; }
  uint64_t messages() const { return messages_; }
  void clear();

 private:
  static constexpr uint64_t kPieceCost = 32;
  struct Piece {
    plugin::Buffer buffer;
    uint32_t message_size;  // of the message that starts here; 0 inside one
  };
  void pop();
  void forget();
  std::vector<Piece> pieces_;
  uint64_t first_ = 0;   // pieces before it are gone
  uint64_t offset_ = 0;  // into the first piece
  uint64_t bytes_ = 0;
  uint64_t messages_ = 0;
  uint32_t left_ = 0;
  bool inside_ = false;
};

}  // namespace quorate::tcp
