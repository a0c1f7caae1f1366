#include "inbox.h"

#include <algorithm>

namespace quorate::tcp {

// Reads what a frame says about the message that begins with it.
bool Inbox::begin(const Frame& frame, uint64_t* skip, std::string* why) {
  if (window_messages_ <= 0) {
    *why = "a message beyond the window";
    return false;
  }
  const uint64_t size = frame.payload.size;
  if ((frame.header.flags & kMore) == 0) {
    announced_ = static_cast<uint32_t>(size);
  } else {
    if (size < 4 || load<uint32_t>(frame.payload.data) <= size - 4) {
      *why = "a message that goes on does not say by how much";
      return false;
    }
    announced_ = load<uint32_t>(frame.payload.data);
    *skip = 4;
  }
  --window_messages_;
  left_ = announced_;
  dropping_ = false;
  return true;
}

Inbox::Outcome Inbox::feed(const Frame& frame, bool wanted, bool drop, uint64_t max_message,
                           std::string* why) {
  const bool more = (frame.header.flags & kMore) != 0;
  const bool first = left_ == 0;
  uint64_t skip = 0;
  if (first && !begin(frame, &skip, why)) return Outcome::kBroken;
  const plugin::ByteView part{frame.payload.data + skip, frame.payload.size - skip};
  if (part.size > left_ || (part.size == left_) == more) {
    *why = "a message of another length than it said";
    return Outcome::kBroken;
  }
  if (static_cast<int64_t>(part.size) > window_bytes_) {
    *why = "bytes beyond the window";
    return Outcome::kBroken;
  }
  window_bytes_ -= static_cast<int64_t>(part.size);
  left_ -= static_cast<uint32_t>(part.size);
  if (drop) dropping_ = true;
  if (first && !dropping_ && max_message != 0 && announced_ > max_message) {
    dropping_ = true;
    return Outcome::kTooLarge;
  }
  if (dropping_) return Outcome::kPartial;
  (wanted ? return_bytes_ : unreturned_) += part.size;
  if (!more && first) {
    message_ = frame.keep(skip);
    return Outcome::kMessage;
  }
  append(part);
  if (more) return Outcome::kPartial;
  message_ = partial_.slice(0, filled_);
  partial_ = plugin::Buffer();
  filled_ = capacity_ = 0;
  return Outcome::kMessage;
}

// The announced length is only an upper bound: what is allocated follows what has arrived.
void Inbox::append(plugin::ByteView part) {
  if (filled_ + part.size > capacity_) {
    const uint64_t capacity = std::min<uint64_t>(std::max(filled_ + part.size, capacity_ * 2), announced_);
    uint8_t* fill = nullptr;
    plugin::Buffer larger = plugin::Buffer::allocate(capacity, &fill);
    if (filled_ != 0) std::memcpy(fill, fill_, filled_);
    partial_ = std::move(larger);
    fill_ = fill;
    capacity_ = capacity;
  }
  std::memcpy(fill_ + filled_, part.data, part.size);
  filled_ += part.size;
}

void Inbox::hold() {
  held_bytes_ += message_.size() + kHeldCost;
  held_.push_back({std::move(message_), std::exchange(unreturned_, 0)});
}

plugin::Buffer Inbox::take_held() {
  Held& held = held_[first_];
  held_bytes_ -= held.message.size() + kHeldCost;
  give_back(held.unreturned, 0);
  plugin::Buffer message = std::move(held.message);
  if (++first_ == held_.size()) {
    held_.clear();
    first_ = 0;
  } else if (first_ >= 64 && first_ * 2 >= held_.size()) {
    held_.erase(held_.begin(), held_.begin() + static_cast<int64_t>(first_));
    first_ = 0;
  }
  return message;
}

void Inbox::pay(uint32_t* bytes, uint32_t* messages) {
  *bytes = static_cast<uint32_t>(std::exchange(return_bytes_, 0));
  *messages = static_cast<uint32_t>(std::exchange(return_messages_, 0));
  window_bytes_ += *bytes;
  window_messages_ += *messages;
}

void Inbox::drop_all() {
  message_ = partial_ = plugin::Buffer();
  filled_ = capacity_ = held_bytes_ = 0;
  held_.clear();
  first_ = 0;
  dropping_ = true;
}

void Inbox::reset() {
  drop_all();
  dropping_ = false;
  left_ = announced_ = 0;
  return_bytes_ = return_messages_ = unreturned_ = 0;
}

}  // namespace quorate::tcp
