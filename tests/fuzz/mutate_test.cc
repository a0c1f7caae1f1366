// Every fuzz target in an ordinary test run: its seeds, then mutations of them. libFuzzer goes further
// (scripts/soak.d/10-fuzz); what it finds becomes a test of the part that was wrong.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "fuzz/target.h"

namespace quorate::fuzz {
namespace {

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string one_of(const std::vector<std::string>& seeds) {
    std::string bytes = seeds[pick(seeds.size())];
    if (pick(8) == 0) {  // the beginning of one and the end of another
      const std::string& other = seeds[pick(seeds.size())];
      bytes = bytes.substr(0, pick(bytes.size() + 1)) + other.substr(pick(other.size() + 1));
    }
    for (uint64_t edits = 1 + pick(5); edits > 0; --edits) edit(&bytes);
    return bytes;
  }

 private:
  uint64_t pick(uint64_t n) { return random_() % n; }
  void edit(std::string* bytes) {
    size_t at = pick(bytes->size() + 1);
    if (at == bytes->size() || pick(5) == 0) {
      for (uint64_t n = 1 + pick(8); n > 0; --n) bytes->insert(at, 1, static_cast<char>(random_()));
      return;
    }
    switch (pick(5)) {
      case 0:
        (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << pick(8)));
        break;
      case 1:
        bytes->erase(at, 1 + pick(pick(4) == 0 ? 512 : 8));
        break;
      case 2:
        bytes->insert(at, bytes->substr(pick(bytes->size()), 1 + pick(64)));
        break;
      case 3:
        (*bytes)[at] = "\x00\x01\x7f\x80\xff"[pick(5)];
        break;
      default:
        (*bytes)[at] = static_cast<char>(random_());
    }
  }
  std::mt19937_64 random_;
};

uint64_t first_seed() {
  const char* s = std::getenv("QUORATE_SEED");
  return s == nullptr ? 1 : std::strtoull(s, nullptr, 10);
}
uint64_t rounds(const Target& target) {
  return std::getenv("QUORATE_SOAK") == nullptr ? target.rounds : target.rounds * 20;
}

class FuzzTarget : public testing::TestWithParam<const Target*> {};

TEST_P(FuzzTarget, Seeds) {
  std::vector<std::string> seeds = GetParam()->seeds();
  ASSERT_FALSE(seeds.empty());
  GetParam()->run({});
  for (const std::string& seed : seeds) GetParam()->run(seed);
}

TEST_P(FuzzTarget, MutatedSeeds) {
  const std::vector<std::string> seeds = GetParam()->seeds();
  ASSERT_FALSE(seeds.empty());
  for (uint64_t i = 0; i < rounds(*GetParam()); ++i) {
    uint64_t seed = first_seed() * 1'000'003 + i;
    SCOPED_TRACE("QUORATE_SEED=" + std::to_string(first_seed()) + " round " + std::to_string(i));
    GetParam()->run(Mutator(seed).one_of(seeds));
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FuzzTarget, testing::ValuesIn(targets()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace quorate::fuzz
