#include "raft/quorum.h"

#include <gtest/gtest.h>

#include <random>

namespace quorate::raft {
namespace {

MemberSet set(std::initializer_list<uint64_t> ids) {
  MemberSet out;
  for (uint64_t id : ids) out.insert(MemberId(id));
  return out;
}

struct Reached {
  std::map<MemberId, uint64_t> acked;
  std::optional<uint64_t> operator()(MemberId id) const {
    auto at = acked.find(id);
    return at == acked.end() ? std::nullopt : std::optional<uint64_t>(at->second);
  }
};
Reached reached(std::initializer_list<std::pair<uint64_t, uint64_t>> values) {
  Reached r;
  for (auto [id, value] : values) r.acked[MemberId(id)] = value;
  return r;
}

TEST(Quorum, WhatAMajorityHas) {
  EXPECT_EQ(majority_reached(set({}), reached({})), kUnlimited);
  EXPECT_EQ(majority_reached(set({1}), reached({})), 0u);
  EXPECT_EQ(majority_reached(set({1}), reached({{1, 12}})), 12u);
  EXPECT_EQ(majority_reached(set({1, 2}), reached({{1, 12}, {2, 5}})), 5u);
  EXPECT_EQ(majority_reached(set({1, 2, 3}), reached({{1, 12}, {2, 5}})), 5u);
  EXPECT_EQ(majority_reached(set({1, 2, 3}), reached({{1, 12}, {2, 5}, {3, 6}})), 6u);
  EXPECT_EQ(majority_reached(set({1, 2, 3, 4}), reached({{1, 9}, {2, 8}, {3, 7}, {4, 6}})), 7u);
  EXPECT_EQ(majority_reached(set({1, 2, 3}), reached({{7, 12}, {8, 12}, {9, 12}})), 0u) << "strangers";
}

TEST(Quorum, JointNeedsBoth) {
  EXPECT_EQ(joint_reached(set({1, 2, 3}), set({}), reached({{1, 3}, {2, 3}})), 3u);
  EXPECT_EQ(joint_reached(set({1}), set({2}), reached({{1, 100}})), 0u);
  EXPECT_EQ(joint_reached(set({1, 2, 3}), set({3, 4, 5}), reached({{1, 9}, {2, 9}, {3, 4}, {4, 7}})), 4u);
}

TEST(Quorum, AgreesWithCountingForEverySize) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    MemberSet voters;
    Reached r;
    const uint64_t n = 1 + random() % 20;
    for (uint64_t id = 1; id <= n; ++id) {
      voters.insert(MemberId(id));
      if (random() % 4 != 0) r.acked[MemberId(id)] = random() % 8;
    }
    uint64_t expected = 0;
    for (uint64_t index = 1; index < 8; ++index) {
      uint64_t count = 0;
      for (MemberId id : voters) count += r(id).value_or(0) >= index;
      if (count > n / 2) expected = index;
    }
    ASSERT_EQ(majority_reached(voters, r), expected) << "round " << round;
  }
}

TEST(Quorum, Votes) {
  auto vote = [](const MemberSet& a, const MemberSet& b, std::map<uint64_t, bool> votes) {
    return joint_vote(a, b, [&](MemberId id) {
      auto at = votes.find(id.value);
      return at == votes.end() ? std::nullopt : std::optional<bool>(at->second);
    });
  };
  const MemberSet three = set({1, 2, 3});
  EXPECT_EQ(vote(set({}), set({}), {}), VoteResult::kWon);
  EXPECT_EQ(vote(three, set({}), {{1, true}}), VoteResult::kPending);
  EXPECT_EQ(vote(three, set({}), {{1, true}, {3, true}}), VoteResult::kWon);
  EXPECT_EQ(vote(three, set({}), {{1, false}, {3, false}}), VoteResult::kLost);
  EXPECT_EQ(vote(set({1, 2}), set({}), {{1, false}}), VoteResult::kLost);
  EXPECT_EQ(vote(three, set({4}), {{1, true}, {2, true}}), VoteResult::kPending);
  EXPECT_EQ(vote(three, set({4}), {{1, true}, {2, true}, {4, true}}), VoteResult::kWon);
  EXPECT_EQ(vote(three, set({4}), {{4, false}}), VoteResult::kLost);
}

TEST(Quorum, Picture) {
  EXPECT_EQ(describe_reached(set({1, 2, 3}), reached({{1, 100}, {2, 101}, {3, 99}}).acked),
            "       idx\n"
            "x>     100    (id=1)\n"
            "xx>    101    (id=2)\n"
            ">       99    (id=3)\n");
  EXPECT_EQ(describe_reached(set({1}), {}), "     idx\n?      0    (id=1)\n");
}

}  // namespace
}  // namespace quorate::raft
