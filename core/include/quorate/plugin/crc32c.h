// CRC-32C (Castagnoli): the checksum of what core stores, of the framed transport and of LevelDB's logs.
// Compiled into its user; nothing of it crosses the boundary.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace quorate::plugin {

namespace crc32c_internal {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

inline constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected
template <size_t N>
using Tables = std::array<std::array<uint32_t, 256>, N>;

constexpr Tables<8> byte_tables() {
  Tables<8> t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? kPolynomial : 0);
    t[0][i] = c;
  }
  for (uint32_t i = 0; i < 256; ++i)
    for (size_t k = 1; k < t.size(); ++k) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
  return t;
}
inline constexpr Tables<8> kByte = byte_tables();

// The instruction has a latency of three cycles and may start in each: three runs side by side are three
// times as fast as one. Their registers are joined by moving one over the bytes of the next, which is linear:
// a table for each byte of the register.
inline constexpr size_t kLane = 256;

constexpr Tables<4> lane_tables() {
  std::array<uint32_t, 32> bits{};
  for (size_t i = 0; i < 32; ++i) {
    uint32_t c = uint32_t{1} << i;
    for (size_t n = 0; n < kLane; ++n) c = (c >> 8) ^ kByte[0][c & 0xff];
    bits[i] = c;
  }
  Tables<4> t{};
  for (size_t k = 0; k < 4; ++k)
    for (size_t v = 0; v < 256; ++v)
      for (size_t bit = 0; bit < 8; ++bit)
        if ((v >> bit & 1) != 0) t[k][v] ^= bits[8 * k + bit];
  return t;
}
inline constexpr Tables<4> kOverLane = lane_tables();

inline uint32_t over_lane(uint32_t c) {
  return kOverLane[0][c & 0xff] ^ kOverLane[1][c >> 8 & 0xff] ^ kOverLane[2][c >> 16 & 0xff] ^
         kOverLane[3][c >> 24];
}

inline uint64_t word_at(const uint8_t* p) {
  uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}

#if defined(__x86_64__)
#define QUORATE_CRC_TARGET __attribute__((target("sse4.2")))
QUORATE_CRC_TARGET inline uint32_t step(uint32_t c, uint64_t word) {
  return static_cast<uint32_t>(__builtin_ia32_crc32di(c, word));
}
QUORATE_CRC_TARGET inline uint32_t step(uint32_t c, uint8_t byte) { return __builtin_ia32_crc32qi(c, byte); }
inline bool has_instruction() {
  static const bool kHas = __builtin_cpu_supports("sse4.2") != 0;
  return kHas;
}
#elif defined(__ARM_FEATURE_CRC32)
#define QUORATE_CRC_TARGET
inline uint32_t step(uint32_t c, uint64_t word) { return __crc32cd(c, word); }
inline uint32_t step(uint32_t c, uint8_t byte) { return __crc32cb(c, byte); }
inline bool has_instruction() { return true; }
#endif

#if defined(QUORATE_CRC_TARGET)
QUORATE_CRC_TARGET inline uint32_t by_instruction(const uint8_t* p, size_t n, uint32_t crc) {
  uint32_t c = ~crc;
  for (; n >= 3 * kLane; p += 3 * kLane, n -= 3 * kLane) {
    uint32_t second = 0, third = 0;
    for (size_t i = 0; i < kLane; i += 8) {
      c = step(c, word_at(p + i));
      second = step(second, word_at(p + kLane + i));
      third = step(third, word_at(p + 2 * kLane + i));
    }
    c = over_lane(over_lane(c) ^ second) ^ third;
  }
  for (; n >= 8; p += 8, n -= 8) c = step(c, word_at(p));
  for (; n != 0; ++p, --n) c = step(c, *p);
  return ~c;
}
#undef QUORATE_CRC_TARGET
#endif

}  // namespace crc32c_internal

// [thread-safe] The same as crc32c() by table alone.
inline uint32_t crc32c_portable(const void* data, size_t size, uint32_t crc = 0) {
  const auto* p = static_cast<const uint8_t*>(data);
  uint32_t c = ~crc;
  for (; size >= 8; p += 8, size -= 8) {
    const uint64_t word = crc32c_internal::word_at(p) ^ c;
    c = 0;
    for (size_t k = 0; k < 8; ++k) c ^= crc32c_internal::kByte[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; size != 0; ++p, --size) c = (c >> 8) ^ crc32c_internal::kByte[0][(c ^ *p) & 0xff];
  return ~c;
}

// [thread-safe] Continues `crc` (0: begin) over `size` bytes: crc32c(b, nb, crc32c(a, na)) is that of a
// followed by b. Uses the processor's instruction where there is one (asked at run time on x86-64, when
// compiled on ARM), else a table.
inline uint32_t crc32c(const void* data, size_t size, uint32_t crc = 0) {
#if defined(__x86_64__) || defined(__ARM_FEATURE_CRC32)
  if (crc32c_internal::has_instruction())
    return crc32c_internal::by_instruction(static_cast<const uint8_t*>(data), size, crc);
#endif
  return crc32c_portable(data, size, crc);
}

}  // namespace quorate::plugin
