// Random histories: ours and etcd 3.7.1 answer every request of one alike. What 3.7.1 answered is kept as a
// checksum per request, so that ours is checked where there is no 3.7.1; with it, the first difference is
// shown in full.
//
//   QUORATE_ETCD_NEW   compares with a running 3.7.1, over as many seeds as QUORATE_ROUNDS says (default 1)
//   QUORATE_RECORD=1   writes the checksums
#include <gtest/gtest.h>

#include <chrono>

#include "e2e/player.h"

namespace quorate::test {
namespace {

// A fresh server, and the history of that seed on it.
struct Game {
  Game(const ServerKind& kind, uint64_t seed) : server(kind) {
    if (server.start()) player = std::make_unique<Player>(server, seed);
  }
  bool started() const { return player != nullptr && player->started(); }
  Server server;
  std::unique_ptr<Player> player;
};

TEST(RandomHistory, AnswersHaveTheRecordedChecksums) {
  Game ours(quorate(), kRecordedSeed);
  ASSERT_TRUE(ours.started()) << ours.server.log();
  EXPECT_EQ(play_recorded(*ours.player), "");
}

TEST(RandomHistory, OursAndEtcd371AnswerAlike) {
  if (etcd_371().binary.empty())
    GTEST_SKIP() << "no etcd 3.7.1: set QUORATE_ETCD_NEW to compare answers in full";
  const int rounds = std::stoi(env_or("QUORATE_ROUNDS", "1"));
  const auto first = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  for (int round = 0; round < rounds; ++round) {
    const uint64_t seed = env_or("QUORATE_SEED", "").empty() ? first + static_cast<uint64_t>(round)
                                                             : std::stoull(env_or("QUORATE_SEED", ""));
    std::printf("seed %lu\n", seed);
    Game ours(quorate(), seed), theirs(etcd_371(), seed);
    ASSERT_TRUE(ours.started() && theirs.started()) << ours.server.log() << theirs.server.log();
    for (int i = 0; i < kRecordedSteps; ++i) {
      const std::string answer = ours.player->step(), expected = theirs.player->step();
      ASSERT_EQ(ours.player->request(), theirs.player->request());
      ASSERT_EQ(answer, expected) << "QUORATE_SEED=" << seed << ", step " << i << "\n"
                                  << ours.player->request();
    }
  }
}

TEST(RandomHistory, IsRecordedWhenAsked) {
  if (env_or("QUORATE_RECORD", "").empty()) GTEST_SKIP() << "writes only with QUORATE_RECORD=1";
  ASSERT_FALSE(etcd_371().binary.empty()) << "set QUORATE_ETCD_NEW";
  Game theirs(etcd_371(), kRecordedSeed);
  ASSERT_TRUE(theirs.started()) << theirs.server.log();
  std::string text =
      "# crc32c of what etcd 3.7.1 answered to each step of random_test.cc. Written by QUORATE_RECORD=1.\n";
  for (int i = 0; i < kRecordedSteps; ++i) text += checksum(theirs.player->step()) + "\n";
  write_text(recorded_history(), text);
}

}  // namespace
}  // namespace quorate::test
