#include "send_queue.h"

#include <algorithm>

namespace quorate::tcp {

void SendQueue::push(plugin::View<plugin::Buffer> pieces, uint32_t size) {
  ++messages_;
  bool started = false;
  for (const plugin::Buffer& piece : pieces) {
    if (piece.empty()) continue;
    pieces_.push_back({piece, started ? 0 : size});
    bytes_ += piece.size();
    started = true;
  }
  if (started) return;
  pieces_.push_back({plugin::Buffer(), 0});
}

void SendQueue::take(uint32_t size, uint64_t share_threshold, plugin::Output* out, uint32_t* crc) {
  left_ = left() - size;
  inside_ = left_ != 0;
  if (!inside_) --messages_;
  if (size == 0) {  // an empty message
    pop();
    return;
  }
  while (size > 0) {
    const Piece& piece = pieces_[first_];
    const uint64_t part = std::min<uint64_t>(size, piece.buffer.size() - offset_);
    *crc = plugin::crc32c(piece.buffer.data() + offset_, part, *crc);
    if (part >= share_threshold) {
      out->share(piece.buffer, offset_, part);
    } else {
      out->copy(piece.buffer.data() + offset_, part);
    }
    offset_ += part;
    bytes_ -= part;
    size -= static_cast<uint32_t>(part);
    if (offset_ == piece.buffer.size()) pop();
  }
}

void SendQueue::pop() {
  pieces_[first_].buffer = plugin::Buffer();
  offset_ = 0;
  if (++first_ == pieces_.size()) {
    forget();
    first_ = 0;
  } else if (first_ >= 64 && first_ * 2 >= pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<int64_t>(first_));
    first_ = 0;
  }
}

// An empty queue keeps a little memory for the next messages.
void SendQueue::forget() {
  constexpr size_t kKept = 256;
  if (pieces_.capacity() > kKept) pieces_ = std::vector<Piece>();
  pieces_.clear();
}

void SendQueue::clear() {
  forget();
  first_ = offset_ = bytes_ = messages_ = 0;
  left_ = 0;
  inside_ = false;
}

}  // namespace quorate::tcp
