#include "wire/base64.h"

#include <array>
#include <cstdint>

namespace quorate::wire {
namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr uint8_t kNotADigit = 0xff;

constexpr std::array<uint8_t, 256> digits_of(std::string_view alphabet) {
  std::array<uint8_t, 256> digits;
  digits.fill(kNotADigit);
  for (size_t i = 0; i < alphabet.size(); i++)
    digits[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  return digits;
}
constexpr std::array<uint8_t, 256> kStandardDigits = digits_of(kStandard);
constexpr std::array<uint8_t, 256> kUrlSafeDigits = digits_of(kUrlSafe);

}  // namespace

void append_base64(std::string_view bytes, std::string* out) {
  size_t at = out->size();
  out->resize(at + (bytes.size() + 2) / 3 * 4);
  char* p = out->data() + at;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t left = bytes.size() - i;
    auto byte = [&](size_t k) { return k < left ? uint32_t{static_cast<uint8_t>(bytes[i + k])} : 0u; };
    uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    *p++ = kStandard[group >> 18];
    *p++ = kStandard[group >> 12 & 63];
    *p++ = left > 1 ? kStandard[group >> 6 & 63] : '=';
    *p++ = left > 2 ? kStandard[group & 63] : '=';
  }
}

bool decode_base64(std::string_view text, Arena& arena, std::string_view* bytes) {
  *bytes = {};
  bool padded = text.size() % 4 == 0;
  const auto& digits = text.find_first_of("-_") == std::string_view::npos ? kStandardDigits : kUrlSafeDigits;
  auto* out = static_cast<char*>(arena.try_allocate(text.size() / 4 * 3 + 3, 1));
  if (out == nullptr) return false;
  size_t size = 0, count = 0, padding = 0;
  uint32_t group = 0;
  for (char c : text) {
    if (c == '\n' || c == '\r') continue;
    uint8_t digit = digits[static_cast<uint8_t>(c)];
    if (c == '=' && padded && (count % 4 == 3 || (count % 4 == 2 && padding <= 1))) {
      if (count % 4 + padding >= 4) return false;
      padding++;
      continue;
    }
    if (digit == kNotADigit || padding != 0) return false;
    group = group << 6 | digit;
    if (++count % 4 == 0) {
      out[size++] = static_cast<char>(group >> 16);
      out[size++] = static_cast<char>(group >> 8);
      out[size++] = static_cast<char>(group);
    }
  }
  size_t rest = count % 4;
  if (rest == 1 || (padded && rest != 0 && rest + padding != 4)) return false;
  if (rest >= 2) out[size++] = static_cast<char>(group >> (rest == 2 ? 4 : 10));
  if (rest == 3) out[size++] = static_cast<char>(group >> 2);
  *bytes = {out, size};
  return true;
}

}  // namespace quorate::wire
