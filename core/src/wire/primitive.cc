#include "wire/primitive.h"

namespace quorate::wire {
namespace {

const uint8_t* skip_group(const uint8_t* p, const uint8_t* end, uint32_t number, int depth, bool* too_deep) {
  if (depth <= 0) {
    if (too_deep != nullptr) *too_deep = true;
    return nullptr;
  }
  while (p != end) {
    uint32_t tag = 0;
    p = read_tag(p, end, &tag);
    if (p == nullptr) return nullptr;
    if ((tag & 7) == static_cast<uint32_t>(WireType::kEndGroup)) return tag >> 3 == number ? p : nullptr;
    p = skip_value(p, end, tag, depth - 1, too_deep);
    if (p == nullptr) return nullptr;
  }
  return nullptr;
}

// The length of the well-formed multi-byte sequence at `p`, or 0 (Unicode 15, table 3-7).
size_t utf8_sequence(const uint8_t* p, const uint8_t* end) {
  auto continues = [&](int i, uint8_t low = 0x80, uint8_t high = 0xbf) {
    return end - p > i && p[i] >= low && p[i] <= high;
  };
  uint8_t c = *p;
  if (c >= 0xc2 && c <= 0xdf) return continues(1) ? 2 : 0;
  if (c >= 0xe0 && c <= 0xef) {
    uint8_t low = c == 0xe0 ? 0xa0 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : 0xbf;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (c >= 0xf0 && c <= 0xf4) {
    uint8_t low = c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

size_t utf8_sequence_size(std::string_view s) {
  auto* p = reinterpret_cast<const uint8_t*>(s.data());
  return utf8_sequence(p, p + s.size());
}

const uint8_t* skip_value(const uint8_t* p, const uint8_t* end, uint32_t tag, int depth, bool* too_deep) {
  if (tag >> 3 == 0) return nullptr;
  uint64_t number = 0;
  std::string_view bytes;
  switch (static_cast<WireType>(tag & 7)) {
    case WireType::kVarint:
      return read_varint(p, end, &number);
    case WireType::kFixed64:
      return end - p >= 8 ? p + 8 : nullptr;
    case WireType::kBytes:
      return read_bytes(p, end, &bytes);
    case WireType::kGroup:
      return skip_group(p, end, tag >> 3, depth, too_deep);
    case WireType::kFixed32:
      return end - p >= 4 ? p + 4 : nullptr;
    default:
      return nullptr;
  }
}

bool valid_utf8(std::string_view s) {
  auto* p = reinterpret_cast<const uint8_t*>(s.data());
  const uint8_t* end = p + s.size();
  while (p != end) {
    uint64_t word = 0;
    if (end - p >= 8) std::memcpy(&word, p, 8);
    if (end - p >= 8 && (word & 0x8080808080808080u) == 0) {
      p += 8;
    } else if (*p < 0x80) {
      p++;
    } else {
      size_t n = utf8_sequence(p, end);
      if (n == 0) return false;
      p += n;
    }
  }
  return true;
}

}  // namespace quorate::wire
