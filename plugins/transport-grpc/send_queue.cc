#include "send_queue.h"

#include <algorithm>

namespace quorate::grpc {

void SendQueue::push(plugin::View<plugin::Buffer> pieces, uint64_t message_size) {
  push(pieces.empty() ? plugin::Buffer() : pieces[0], message_size, 5);
  if (pieces.size > 1) append({pieces.begin() + 1, pieces.size - 1});
}

void SendQueue::append(plugin::View<plugin::Buffer> pieces) {
  for (const plugin::Buffer& piece : pieces) {
    if (!piece.empty()) push(piece, 0, 0);
  }
}

void SendQueue::take(uint64_t size, uint64_t share_threshold, plugin::Output* out) {
  bytes_ -= size;
  while (size > 0) {
    Piece& piece = pieces_[first_];
    if (offset_ < piece.prefix_size) {
      const uint32_t n = piece.message_size;
      const uint8_t prefix[5] = {0, static_cast<uint8_t>(n >> 24), static_cast<uint8_t>(n >> 16),
                                 static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)};
      uint64_t part = std::min(size, piece.prefix_size - offset_);
      out->copy(prefix + offset_, part);
      offset_ += part;
      size -= part;
    }
    uint64_t start = offset_ - piece.prefix_size;
    if (offset_ >= piece.prefix_size && size > 0) {
      uint64_t part = std::min(size, piece.buffer.size() - start);
      if (part >= share_threshold) {
        out->share(piece.buffer, start, part);
      } else if (part > 0) {
        out->copy(piece.buffer.data() + start, part);
      }
      offset_ += part;
      size -= part;
    }
    if (offset_ == piece.prefix_size + piece.buffer.size()) pop();
  }
}

void SendQueue::pop() {
  pieces_[first_].buffer = plugin::Buffer();
  offset_ = 0;
  if (++first_ == pieces_.size()) {
    pieces_.clear();
    first_ = 0;
  } else if (first_ >= 64 && first_ * 2 >= pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<int64_t>(first_));
    first_ = 0;
  }
}

void SendQueue::clear() {
  pieces_.clear();
  first_ = offset_ = bytes_ = 0;
}

}  // namespace quorate::grpc
