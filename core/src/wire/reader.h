// Walking over the fields of protobuf bytes without a message struct.
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/primitive.h"

namespace quorate::wire {

// Yields the fields of one message in the order they were written [serial]. Views point into the input.
//
//   FieldReader r(bytes);
//   while (r.next())
//     if (r.number() == 5 && r.is_bytes()) value = r.bytes();
//   if (!r.ok()) ...  // malformed; what was yielded before it was well-formed
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes)
      : next_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(next_ + bytes.size()) {}

  // False at the end and at the first malformed field.
  bool next() {
    if (next_ == end_ || !ok_) return false;
    start_ = next_;
    uint32_t tag = 0;
    const uint8_t* p = read_tag(next_, end_, &tag);
    if (p != nullptr) {
      number_ = tag >> 3;
      type_ = static_cast<WireType>(tag & 7);
      if (number_ == 0)
        p = nullptr;
      else if (type_ == WireType::kVarint)
        p = read_varint(p, end_, &varint_);
      else if (type_ == WireType::kBytes)
        p = read_bytes(p, end_, &bytes_);
      else
        p = skip_value(p, end_, tag, kMaxDepth);
    }
    ok_ = p != nullptr;
    if (ok_) next_ = p;
    return ok_;
  }

  bool ok() const { return ok_; }
  uint32_t number() const { return number_; }
  WireType type() const { return type_; }
  bool is_varint() const { return type_ == WireType::kVarint; }
  bool is_bytes() const { return type_ == WireType::kBytes; }
  // REQUIRES: is_varint() / is_bytes().
  uint64_t varint() const { return varint_; }
  std::string_view bytes() const { return bytes_; }
  // The whole field as it was written, tag included.
  std::string_view raw() const {
    return {reinterpret_cast<const char*>(start_), static_cast<size_t>(next_ - start_)};
  }

 private:
  const uint8_t* start_ = nullptr;
  const uint8_t* next_;
  const uint8_t* end_;
  uint32_t number_ = 0;
  WireType type_ = WireType::kVarint;
  uint64_t varint_ = 0;
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace quorate::wire
