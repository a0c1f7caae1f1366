// What a fuzz target is, so that the same body runs under libFuzzer (one program per target, clang,
// -DQUORATE_FUZZ=ON) and in every test run (mutate_test.cc, a fixed number of mutated seeds).
//
// A body takes any bytes. It fails by crashing, by a sanitizer's finding, or by one of GoogleTest's EXPECTs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::fuzz {

struct Target {
  const char* name;
  std::vector<std::string> (*seeds)();  // inputs that lead deep; made anew by each call
  void (*run)(std::string_view input);
  uint64_t rounds;  // of mutated seeds in an ordinary test run: about a second
};

// Those of the program: all, or under libFuzzer one.
std::vector<const Target*>& targets();

struct Registered {
  explicit Registered(const Target* target) { targets().push_back(target); }
};

// Choices taken from the front of an input. Behind its end every choice is 0.
class Choices {
 public:
  explicit Choices(std::string_view input) : rest_(input) {}

  bool empty() const { return rest_.empty(); }
  uint8_t byte() {
    if (rest_.empty()) return 0;
    auto b = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return b;
  }
  uint64_t pick(uint64_t n) { return byte() % n; }
  // Small ones mostly, and those at the edges of the type.
  uint64_t number() {
    uint8_t b = byte();
    if (b < 224) return b % 32;
    if (b < 232) return UINT64_MAX - b % 8;
    if (b < 240) return (uint64_t{1} << 63) + b % 8 - 4;
    uint64_t n = 0;
    for (int i = 0; i < 8; ++i) n = n << 8 | byte();
    return n;
  }
  // Up to `n` bytes, fewer at the end.
  std::string_view bytes(size_t n) {
    std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(out.size());
    return out;
  }
  std::string_view rest() { return bytes(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace quorate::fuzz
