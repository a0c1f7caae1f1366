// The protobuf wire format's primitives. Reading follows libprotobuf exactly: a tag and a length take at most
// five bytes, a varint at most ten, and whatever exceeds the type's bits is dropped.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace quorate::wire {

enum class WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

// Nested messages and groups allowed in one message, as in libprotobuf.
inline constexpr int kMaxDepth = 100;

constexpr uint32_t make_tag(uint32_t number, WireType type) {
  return number << 3 | static_cast<uint32_t>(type);
}

constexpr size_t varint_size(uint64_t v) {
  return (static_cast<size_t>(std::bit_width(v | 1)) * 9 + 64) / 64;
}
constexpr size_t tag_size(uint32_t number) { return varint_size(uint64_t{number} << 3); }
// A length-delimited field whose payload is `n` bytes, tag and length included.
constexpr size_t bytes_field_size(uint32_t number, size_t n) { return tag_size(number) + varint_size(n) + n; }
// A varint field, or 0 for the default value, which proto3 leaves out.
constexpr size_t varint_field_size(uint32_t number, uint64_t v) {
  return v == 0 ? 0 : tag_size(number) + varint_size(v);
}

inline uint8_t* write_varint(uint8_t* p, uint64_t v) {
  while (v >= 0x80) {
    *p++ = static_cast<uint8_t>(v | 0x80);
    v >>= 7;
  }
  *p++ = static_cast<uint8_t>(v);
  return p;
}

// Each reader returns the position after what it read, or null if the bytes end too early or are not valid.
inline const uint8_t* read_varint(const uint8_t* p, const uint8_t* end, uint64_t* value) {
  if (p != end && *p < 0x80) [[likely]] {
    *value = *p;
    return p + 1;
  }
  uint64_t v = 0;
  for (int shift = 0; shift < 70 && p != end; shift += 7) {
    uint64_t byte = *p++;
    v |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = v;
      return p;
    }
  }
  return nullptr;
}

inline const uint8_t* read_tag(const uint8_t* p, const uint8_t* end, uint32_t* tag) {
  const uint8_t* limit = end - p > 5 ? p + 5 : end;
  uint64_t v = 0;
  p = read_varint(p, limit, &v);
  *tag = static_cast<uint32_t>(v);
  return p;
}

// A length and, checked against what is there, the bytes it announces.
inline const uint8_t* read_bytes(const uint8_t* p, const uint8_t* end, std::string_view* bytes) {
  const uint8_t* limit = end - p > 5 ? p + 5 : end;
  uint64_t n = 0;
  p = read_varint(p, limit, &n);
  if (p == nullptr || n > static_cast<uint64_t>(end - p)) return nullptr;
  *bytes = {reinterpret_cast<const char*>(p), static_cast<size_t>(n)};
  return p + n;
}

// Skips the value of a field of any kind; groups with everything inside them, to at most `depth` levels.
// Sets *too_deep, if given, when that is the reason for null.
const uint8_t* skip_value(const uint8_t* p, const uint8_t* end, uint32_t tag, int depth,
                          bool* too_deep = nullptr);

// Whether `s` is well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF).
bool valid_utf8(std::string_view s);
// The size of the well-formed sequence of two to four bytes at the start of `s`, or 0. REQUIRES: !s.empty().
size_t utf8_sequence_size(std::string_view s);

}  // namespace quorate::wire
