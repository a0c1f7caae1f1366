#include "frame_reader.h"

#include <algorithm>

namespace quorate::tcp {
namespace {

constexpr uint64_t kFirstBlock = 512;

void advance(plugin::ByteView* in, uint64_t size) {
  in->data += size;
  in->size -= size;
}

}  // namespace

FrameReader::Outcome FrameReader::next(plugin::ByteView* in, Frame* out, std::string* why) {
  if (header_size_ < kHeaderSize) {
    if (!read_header(in, why)) return Outcome::kBroken;
    if (header_size_ < kHeaderSize) return Outcome::kNeedMore;
  }
  plugin::ByteView payload;
  if (filled_ == 0 && in->size >= header_.length) {
    payload = {in->data, header_.length};
    advance(in, header_.length);
  } else {
    gather(in);
    if (filled_ < header_.length) return Outcome::kNeedMore;
    payload = {fill_, header_.length};
  }
  return deliver(payload, out, why) ? Outcome::kFrame : Outcome::kBroken;
}

bool FrameReader::read_header(plugin::ByteView* in, std::string* why) {
  const uint64_t part = std::min(in->size, kHeaderSize - header_size_);
  if (part != 0) std::memcpy(raw_ + header_size_, in->data, part);
  advance(in, part);
  header_size_ += part;
  if (header_size_ < kHeaderSize) return true;
  header_ = decode_header(raw_);
  sum_ = header_sum(raw_, number_);
  if (header_check(sum_) != header_.check) {
    *why = "frame " + std::to_string(number_) + ": the header's checksum is wrong";
    return false;
  }
  if (header_.length <= max_frame_) return true;
  *why = "frame " + std::to_string(number_) + ": " + std::to_string(header_.length) + " bytes of payload, " +
         std::to_string(max_frame_) + " are the most";
  return false;
}

// The length is only an upper bound: what is allocated follows what has arrived.
void FrameReader::gather(plugin::ByteView* in) {
  const uint64_t part = std::min(in->size, header_.length - filled_);
  if (part == 0) return;
  if (filled_ + part > capacity_) {
    const uint64_t wanted = std::max({filled_ + part, capacity_ * 2, kFirstBlock});
    const uint64_t capacity = std::min<uint64_t>(wanted, header_.length);
    uint8_t* fill = nullptr;
    plugin::Buffer larger = plugin::Buffer::allocate(capacity, &fill);
    if (filled_ != 0) std::memcpy(fill, fill_, filled_);
    partial_ = std::move(larger);
    fill_ = fill;
    capacity_ = capacity;
  }
  std::memcpy(fill_ + filled_, in->data, part);
  filled_ += part;
  advance(in, part);
}

bool FrameReader::deliver(plugin::ByteView payload, Frame* out, std::string* why) {
  if (plugin::crc32c(payload.data, payload.size, sum_) != header_.crc) {
    *why = "frame " + std::to_string(number_) + " (" + type_name(header_.type) + " of call " +
           std::to_string(header_.call) + "): the checksum is wrong";
    return false;
  }
  out->header = header_;
  out->payload = payload;
  out->owner = filled_ == 0 ? plugin::Buffer() : partial_.slice(0, header_.length);
  out->number = number_++;
  partial_ = plugin::Buffer();
  fill_ = nullptr;
  header_size_ = filled_ = capacity_ = 0;
  return true;
}

}  // namespace quorate::tcp
