#include "output.h"

#include <algorithm>
#include <cstring>

namespace quorate::grpc {
namespace {
constexpr uint64_t kScratchFloor = 64u << 10;
constexpr uint64_t kScratchKept = 1u << 20;
}  // namespace

void Output::copy(const uint8_t* data, uint64_t size) {
  if (used_ + size > scratch_.size()) scratch_.resize(std::max(kScratchFloor, (used_ + size) * 2));
  std::memcpy(scratch_.data() + used_, data, size);
  if (segments_.empty() || !segments_.back().buffer.empty()) segments_.push_back({used_, 0, {}});
  segments_.back().size += size;
  used_ += size;
  bytes_ += size;
}

void Output::share(const plugin::Buffer& buffer, uint64_t offset, uint64_t size) {
  segments_.push_back({0, size, buffer.slice(offset, size)});
  bytes_ += size;
}

void Output::send(plugin::Connection* connection) {
  plugin::Buffer copied = plugin::Buffer::copy_of({scratch_.data(), used_});
  out_.reserve(segments_.size());
  for (Segment& segment : segments_) {
    if (!segment.buffer.empty()) {
      out_.push_back(std::move(segment.buffer));
    } else if (segment.size == used_) {
      out_.push_back(std::move(copied));
    } else {
      out_.push_back(copied.slice(segment.offset, segment.size));
    }
  }
  if (!out_.empty()) connection->send({out_.data(), out_.size()});
  out_.clear();
  segments_.clear();
  used_ = bytes_ = 0;
  if (scratch_.size() > kScratchKept) scratch_ = {};
}

}  // namespace quorate::grpc
