#include "lease/lessor.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace quorate::lease {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

TEST(Lessor, RaisesShortTimesToTheMinimum) {
  Lessor lessor(2);
  EXPECT_EQ(lessor.effective_ttl(-5), 2);
  EXPECT_EQ(lessor.effective_ttl(0), 2);
  EXPECT_EQ(lessor.effective_ttl(2), 2);
  EXPECT_EQ(lessor.effective_ttl(3), 3);
}

TEST(Lessor, ExpiresOnlyAfterTheFullTimeAndOnlyOnce) {
  Lessor lessor(2);
  lessor.lead(0);
  lessor.grant(7, 5, 100 * kSecond);
  EXPECT_TRUE(lessor.take_expired(105 * kSecond - 1, 10).empty());
  EXPECT_EQ(lessor.take_expired(105 * kSecond, 10), std::vector<LeaseId>{7});
  EXPECT_TRUE(lessor.take_expired(200 * kSecond, 10).empty());
  EXPECT_EQ(lessor.renew(7, 105 * kSecond), 0) << "a lease whose revoke is under way must not be renewed";
  lessor.revoke_failed(7);
  EXPECT_EQ(lessor.take_expired(200 * kSecond, 10), std::vector<LeaseId>{7});
}

TEST(Lessor, RenewalMovesTheDeadline) {
  Lessor lessor(2);
  lessor.lead(0);
  lessor.grant(1, 10, 0);
  EXPECT_EQ(lessor.renew(1, 9 * kSecond), 10);
  EXPECT_EQ(lessor.remaining_seconds(1, 9 * kSecond), 10);
  EXPECT_TRUE(lessor.take_expired(18 * kSecond, 10).empty());
  EXPECT_EQ(lessor.take_expired(19 * kSecond, 10).size(), 1u);
  EXPECT_EQ(lessor.renew(2, 0), 0);
}

TEST(Lessor, ANewLeaderGivesTheFullTimeAgain) {
  Lessor lessor(2);
  lessor.grant(1, 10, 0);
  EXPECT_EQ(lessor.renew(1, 0), 0) << "a follower renews nothing";
  EXPECT_TRUE(lessor.take_expired(1000 * kSecond, 10).empty());
  lessor.lead(1000 * kSecond);
  EXPECT_TRUE(lessor.take_expired(1009 * kSecond, 10).empty());
  EXPECT_EQ(lessor.take_expired(1010 * kSecond, 10).size(), 1u);
}

TEST(Lessor, AStallIsAddedToEveryDeadline) {
  Lessor lessor(2);
  lessor.lead(0);
  lessor.grant(1, 10, 0);
  lessor.add_stall(30 * kSecond);
  EXPECT_TRUE(lessor.take_expired(39 * kSecond, 10).empty());
  lessor.grant(2, 10, 39 * kSecond);
  EXPECT_EQ(lessor.take_expired(40 * kSecond, 10), std::vector<LeaseId>{1});
  EXPECT_EQ(lessor.take_expired(49 * kSecond, 10), std::vector<LeaseId>{2});
}

TEST(Lessor, KeysFollowTheirLease) {
  Lessor lessor(2);
  lessor.grant(1, 10, 0);
  lessor.grant(2, 10, 0);
  lessor.move_key("b", 0, 1);
  lessor.move_key("a", 0, 1);
  lessor.move_key("c", 0, 1);
  lessor.move_key("c", 1, 2);
  lessor.move_key("b", 1, 0);
  EXPECT_EQ(lessor.revoke(1), std::vector<std::string>{"a"});
  EXPECT_FALSE(lessor.exists(1));
  lessor.move_key("c", 2, 99);  // an id that is unknown: detached all the same
  EXPECT_TRUE(lessor.revoke(2).empty());
}

TEST(Lessor, ListsByRemainingTimeAndLimitsASweep) {
  Lessor lessor(2);
  lessor.lead(0);
  lessor.grant(3, 30, 0);
  lessor.grant(1, 10, 0);
  lessor.grant(2, 20, 0);
  EXPECT_EQ(lessor.by_remaining_time(), (std::vector<LeaseId>{1, 2, 3}));
  EXPECT_EQ(lessor.take_expired(100 * kSecond, 2).size(), 2u);
  EXPECT_EQ(lessor.take_expired(100 * kSecond, 2), std::vector<LeaseId>{3});
}

// Distribution: 20,000 steps; grant 20 %, renew 40 %, revoke 10 %, time +[0,2) s 30 %; a stall in 1 % of
// them.
TEST(Lessor, AgreesWithANaiveModel) {
  constexpr uint32_t kSeed = 20260811;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937_64 random(kSeed);
  Lessor lessor(2);
  lessor.lead(0);
  std::map<LeaseId, uint64_t> model;  // deadlines
  std::map<LeaseId, int64_t> ttl;
  uint64_t now = 0;
  for (int step = 0; step < 20'000; ++step) {
    LeaseId id = 1 + static_cast<LeaseId>(random() % 50);
    switch (random() % 10) {
      case 0:
      case 1:
        if (model.contains(id)) break;
        ttl[id] = 2 + static_cast<int64_t>(random() % 20);
        lessor.grant(id, ttl[id], now);
        model[id] = now + static_cast<uint64_t>(ttl[id]) * kSecond;
        break;
      case 2:
      case 3:
      case 4:
      case 5: {
        int64_t got = lessor.renew(id, now);
        ASSERT_EQ(got, model.contains(id) ? ttl[id] : 0);
        if (got != 0) model[id] = now + static_cast<uint64_t>(ttl[id]) * kSecond;
        break;
      }
      case 6:
        if (model.erase(id) != 0) lessor.revoke(id);
        break;
      default:
        now += random() % (2 * kSecond);
        if (random() % 30 == 0) {
          uint64_t stall = random() % (5 * kSecond);
          lessor.add_stall(stall);
          now += stall;
          for (auto& [lease, deadline] : model) deadline += stall;
        }
        for (LeaseId expired : lessor.take_expired(now, 1000)) {
          ASSERT_TRUE(model.contains(expired));
          ASSERT_LE(model[expired], now) << "lease " << expired << " ended early";
          lessor.revoke(expired);
          model.erase(expired);
        }
        for (auto& [lease, deadline] : model) ASSERT_GT(deadline, now) << "lease " << lease << " is overdue";
    }
  }
}

}  // namespace
}  // namespace quorate::lease
