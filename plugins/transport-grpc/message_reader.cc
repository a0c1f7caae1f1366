#include "message_reader.h"

#include <algorithm>
#include <cstring>

namespace quorate::grpc {
namespace {
constexpr uint64_t kFirstBlock = 256;
}

uint32_t MessageReader::announced() const {
  return static_cast<uint32_t>(prefix_[1]) << 24 | static_cast<uint32_t>(prefix_[2]) << 16 |
         static_cast<uint32_t>(prefix_[3]) << 8 | prefix_[4];
}

MessageReader::Outcome MessageReader::read_prefix(const uint8_t** data, uint64_t* size,
                                                  uint64_t max_message) {
  while (prefix_size_<sizeof prefix_&& * size> 0) {
    prefix_[prefix_size_++] = *(*data)++;
    --*size;
  }
  if (prefix_size_ < sizeof prefix_) return Outcome::kNeedMore;
  if (max_message != 0 && announced() > max_message) return Outcome::kTooLarge;
  if (prefix_[0] == 1) return Outcome::kCompressed;
  if (prefix_[0] != 0) return Outcome::kBadFlag;
  return Outcome::kMessage;
}

MessageReader::Outcome MessageReader::feed(const uint8_t** data, uint64_t* size, uint64_t max_message,
                                           plugin::Buffer* message) {
  if (prefix_size_ < sizeof prefix_) {
    if (Outcome prefix = read_prefix(data, size, max_message); prefix != Outcome::kMessage) return prefix;
  }
  uint64_t length = announced();
  uint64_t take = std::min(*size, length - filled_);
  if (filled_ == 0 && take == length) {
    *message = plugin::Buffer::copy_of({*data, take});
  } else {
    if (take == 0) return Outcome::kNeedMore;
    grow(filled_ + take);
    std::memcpy(fill_ + filled_, *data, take);
    filled_ += take;
    if (filled_ == length) *message = partial_.slice(0, length);
  }
  *data += take;
  *size -= take;
  if (filled_ != 0 && filled_ < length) return Outcome::kNeedMore;
  prefix_size_ = 0;
  partial_ = plugin::Buffer();
  filled_ = capacity_ = 0;
  return Outcome::kMessage;
}

// The announced length is only an upper bound: what is allocated follows what has arrived.
void MessageReader::grow(uint64_t at_least) {
  if (at_least <= capacity_) return;
  uint64_t capacity = std::max({at_least, capacity_ * 2, kFirstBlock});
  capacity = std::min<uint64_t>(capacity, announced());
  uint8_t* fill = nullptr;
  plugin::Buffer larger = plugin::Buffer::allocate(capacity, &fill);
  if (filled_ != 0) std::memcpy(fill, fill_, filled_);
  partial_ = std::move(larger);
  fill_ = fill;
  capacity_ = capacity;
}

void MessageReader::hold(const uint8_t* data, uint64_t size) {
  if (held_offset_ != 0) {
    held_.erase(held_.begin(), held_.begin() + static_cast<int64_t>(held_offset_));
    held_offset_ = 0;
  }
  held_.insert(held_.end(), data, data + size);
}

void MessageReader::drop_held(uint64_t size) {
  held_offset_ += size;
  if (held_offset_ < held_.size()) return;
  held_ = std::vector<uint8_t>();  // frees, which {} would not
  held_offset_ = 0;
}

void MessageReader::reset() {
  prefix_size_ = 0;
  partial_ = plugin::Buffer();
  filled_ = capacity_ = 0;
  held_ = std::vector<uint8_t>();  // frees, which {} would not
  held_offset_ = 0;
}

}  // namespace quorate::grpc
