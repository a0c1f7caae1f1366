// Writing protobuf bytes piece by piece, for the hot paths that do without message structs.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include <quorate/plugin/base.h>

#include "wire/primitive.h"

namespace quorate::wire {

// A growing run of bytes [serial]. take() hands it over as a shared Buffer without a copy.
//
//   Writer w(expected_size);
//   w.message_field(1, header_bytes);
//   for (...) w.message_field(2, stored_key_value);
//   w.varint_field(4, count);
//   plugin::Buffer reply = w.take();
class Writer {
 public:
  // Room for `reserve` bytes from the start: with the exact size there is one allocation.
  explicit Writer(size_t reserve = 0) {
    if (reserve != 0) reallocate(reserve);
  }

  // Room for `n` more bytes; the caller writes them at the result and calls advance_to() with where it
  // stopped.
  uint8_t* reserve(size_t n) {
    if (n > static_cast<size_t>(end_ - next_)) reallocate(size() + n);
    return next_;
  }
  void advance_to(uint8_t* p) { next_ = p; }

  void append(std::string_view bytes) {
    uint8_t* p = reserve(bytes.size());
    if (!bytes.empty()) std::memcpy(p, bytes.data(), bytes.size());
    next_ = p + bytes.size();
  }
  void varint(uint64_t v) { next_ = write_varint(reserve(10), v); }
  void tag(uint32_t number, WireType type) { varint(make_tag(number, type)); }

  // A varint field; nothing for 0, as in proto3. Negative int64 and enums: cast to uint64_t after sign
  // extension.
  void varint_field(uint32_t number, uint64_t v) {
    if (v == 0) return;
    uint8_t* p = write_varint(reserve(15), make_tag(number, WireType::kVarint));
    next_ = write_varint(p, v);
  }
  // A bytes or string field; nothing if empty.
  void bytes_field(uint32_t number, std::string_view bytes) {
    if (!bytes.empty()) message_field(number, bytes);
  }
  // A sub-message (or an element of repeated bytes) given as its encoded bytes; written even if empty.
  void message_field(uint32_t number, std::string_view bytes) {
    message_header(number, bytes.size());
    append(bytes);
  }
  // The tag and length of a field whose `size` bytes of payload the caller appends next.
  void message_header(uint32_t number, size_t size) {
    uint8_t* p = write_varint(reserve(15), make_tag(number, WireType::kBytes));
    next_ = write_varint(p, size);
  }

  size_t size() const { return static_cast<size_t>(next_ - begin_); }
  std::string_view view() const { return {reinterpret_cast<const char*>(begin_), size()}; }
  // Leaves the writer empty.
  plugin::Buffer take();

 private:
  void reallocate(size_t needed);

  plugin::Buffer storage_;
  uint8_t* begin_ = nullptr;
  uint8_t* next_ = nullptr;
  uint8_t* end_ = nullptr;
};

}  // namespace quorate::wire
