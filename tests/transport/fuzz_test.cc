// Recorded valid conversations, mutated: an error or a close is fine, a crash or a broken contract is not.
#include <gtest/gtest.h>

#include <cstdlib>

#include "transport/conversation.h"
#include "transport/raw_tcp.h"

namespace quorate::test {
namespace {

uint64_t seed_from_environment() {
  const char* s = std::getenv("QUORATE_SEED");
  return s == nullptr ? 1 : std::strtoull(s, nullptr, 10);
}

uint64_t rounds(uint64_t normal) { return std::getenv("QUORATE_SOAK") == nullptr ? normal : normal * 30; }

std::string mutate(std::string bytes, std::mt19937_64* random, size_t spare) {
  auto pick = [&](uint64_t n) { return (*random)() % n; };
  for (uint64_t edits = 1 + pick(4); edits > 0; --edits) {
    if (bytes.size() <= spare + 20) break;
    size_t at = spare + pick(bytes.size() - spare - 10);
    switch (pick(6)) {
      case 0:
        bytes[at] = static_cast<char>(pick(256));
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << pick(8)));
        break;
      case 2:
        bytes.erase(at, 1 + pick(9));
        break;
      case 3:
        bytes.insert(at, bytes.substr(spare + pick(bytes.size() - spare), 1 + pick(60)));
        break;
      case 4:
        bytes.resize(at + 1);
        break;
      default:
        for (size_t i = 0; i < 1 + pick(8) && at + i < bytes.size(); ++i)
          bytes[at + i] = static_cast<char>(pick(2) * 255);
    }
  }
  return bytes;
}

// The parameter: the plugin. The sums of transport-tcp are made right again after most mutations, or they
// would catch everything.
class Fuzz : public testing::TestWithParam<std::string> {
 protected:
  std::string mutated(const std::string& recorded, uint64_t round, std::mt19937_64* random) {
    std::string bytes = mutate(recorded, random, round % 8 == 0 ? 0 : 32);
    if (GetParam() == kTcp && round % 8 > 1)
      bytes = round % 8 > 4 ? tcp::repaired(bytes) : tcp::shuffled(recorded, random);
    return bytes;
  }
};

TEST_P(Fuzz, Server) {
  const Recording recording = record_conversation(GetParam());
  const uint64_t seed = seed_from_environment();
  auto transport = load_transport(QUORATE_BINARY_DIR, {}, GetParam());
  uint64_t failed = 0, served = 0;
  for (uint64_t i = 0; i < rounds(10'000); ++i) {
    std::mt19937_64 random(seed * 1'000'003 + i);
    SCOPED_TRACE("QUORATE_SEED=" + std::to_string(seed) + " round " + std::to_string(i));
    Served one =
        serve_bytes(transport.get(), mutated(recording.from_client, i, &random), i % 4 == 0, &random);
    failed += one.failed ? 1 : 0;
    served += one.calls;
    if (HasFailure()) return;
  }
  EXPECT_GT(failed, rounds(10'000) / 10);
  EXPECT_GT(served, rounds(10'000));
}

TEST_P(Fuzz, Client) {
  const Recording recording = record_conversation(GetParam());
  const uint64_t seed = seed_from_environment();
  auto transport = load_transport(QUORATE_BINARY_DIR, {}, GetParam());
  uint64_t ended = 0;
  for (uint64_t i = 0; i < rounds(5'000); ++i) {
    std::mt19937_64 random(seed * 1'000'003 + i);
    SCOPED_TRACE("QUORATE_SEED=" + std::to_string(seed) + " round " + std::to_string(i));
    ended += dial_bytes(transport.get(), mutated(recording.from_server, i, &random), &random);
    if (HasFailure()) return;
  }
  EXPECT_GT(ended, rounds(5'000));
}

INSTANTIATE_TEST_SUITE_P(Transports, Fuzz, testing::Values(kGrpc, kTcp),
                         [](const auto& info) { return info.param.substr(sizeof "transport-" - 1); });

}  // namespace
}  // namespace quorate::test
