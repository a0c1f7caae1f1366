// Messages from a peer that lies, mutates or replays: never a crash, never a broken promise to the others.
#include <gtest/gtest.h>

#include <cstdlib>

#include "raft/cluster.h"
#include "raft/liar.h"

namespace quorate::raft::testing {
namespace {

uint64_t rounds(uint64_t normally) {
  return std::getenv("QUORATE_SOAK") != nullptr ? normally * 50 : normally;
}

TEST(Garbage, NeverCrashesAMember) {
  for (uint64_t seed = 1; seed <= rounds(300); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Liar liar(seed);
    int steps = 0;
    lie_to_a_member(&liar, seed, [&] { return ++steps > 1000 || ::testing::Test::HasFailure(); });
    ASSERT_FALSE(HasFailure());
  }
}

TEST(Garbage, ALiarThatDoesNotClaimToLeadCannotHurtTheMajority) {
  uint64_t written = 0;
  for (uint64_t seed = 1; seed <= rounds(60); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Liar liar(seed);
    Options options;
    options.seed = seed;
    options.election_ticks = 12;
    options.heartbeat_ticks = 3;
    Cluster c(3, options);
    c.crash(3);  // the liar speaks in its name
    for (int i = 0; i < 400; ++i) {
      for (uint64_t id : {1, 2}) {
        if (liar.pick(3) != 0) continue;
        c.node(id)->step(MemberId(3), liar.harmless());
        c.check(c.node(id));
      }
      if (liar.pick(2) == 0) c.tick_all(1);
      if (c.leader() != 0 && c.node(c.leader())->propose({bytes("v")}).ok()) ++written;
      c.settle();
      ASSERT_FALSE(HasFailure());
    }
    c.run(100);
    ASSERT_NE(c.leader(), 0u) << "when it is silent the others go on";
    ASSERT_TRUE(c.node(c.leader())->propose({bytes("end")}).ok());
    c.settle();
    EXPECT_EQ(c.node(1).applied_texts(), c.node(2).applied_texts());
    EXPECT_EQ(c.node(1).applied_texts().back(), "end");
  }
  EXPECT_GT(written, 1000u);
}

TEST(Garbage, EachLieIsCounted) {
  Cluster c(3);
  c.elect(1);
  RaftCore& leader = c.node(1).core();
  const Term term = leader.term();
  leader.step(MemberId(9), AppendResponse{term, false, Index(2), {}, {}});
  EXPECT_EQ(leader.counters().unknown_sender, 1u);
  leader.step(MemberId(2), AppendResponse{term, false, Index(99), {}, {}});
  EXPECT_EQ(leader.counters().beyond_log, 1u);
  leader.step(MemberId(2), AppendEntries{term, Index(1), Term(1), Index(1), {}});
  EXPECT_EQ(leader.counters().second_leader, 1u);
  leader.step(MemberId(2), VoteResponse{Term(UINT64_MAX), true, {}, {}});
  EXPECT_EQ(leader.counters().term_too_high, 1u);
  RaftCore& follower = c.node(2).core();
  follower.step(MemberId(1),
                AppendEntries{term, Index(1), Term(1), Index(1), {{term, Index(5), EntryType::kNormal, {}}}});
  EXPECT_EQ(follower.counters().malformed, 1u);
  follower.step(MemberId(1), AppendEntries{term, Index(2), Term(1), Index(1), {}});
  EXPECT_EQ(follower.counters().conflict_committed, 1u) << "contradicts a committed entry";
  follower.step(MemberId(3), Heartbeat{term, Index(1), 0});
  EXPECT_EQ(follower.counters().second_leader, 1u);
  follower.step(MemberId(1), Heartbeat{term, Index(99), 0});
  EXPECT_EQ(follower.counters().beyond_log, 1u);
  EXPECT_EQ(leader.role(), RoleKind::kLeader);
}

// Found by NeverCrashesAMember: entries that begin before the log's base and contradict it there.
TEST(Garbage, AnAppendThatContradictsTheBaseIsIgnored) {
  Options options;
  options.id = MemberId(1);
  Disk disk;
  disk.config.voters = {MemberId(1), MemberId(2), MemberId(3)};
  disk.base = {Index(5), Term(4)};
  disk.applied = Index(5);
  Node node(options, disk);
  const Term low(2);
  std::vector<Entry> entries;
  for (uint64_t i = 4; i <= 6; ++i) entries.push_back({low, Index(i), EntryType::kNormal, {}});
  node->step(MemberId(2), AppendEntries{Term(4), Index(3), low, Index(6), entries});
  EXPECT_EQ(node->counters().conflict_committed, 1u);
  EXPECT_EQ(node->log().last().index, Index(5));
}

TEST(Garbage, AMembersReadsAreBounded) {
  Cluster c(3);
  c.elect(1);
  for (uint64_t i = 0; i < 1000; ++i) c.node(1)->step(MemberId(2), ReadIndexRequest{c.node(1)->term(), i});
  EXPECT_EQ(c.node(1)->as_leader()->waiting_reads.size(), 64u);
  EXPECT_EQ(c.node(1)->counters().too_many_reads, 936u);
  c.settle();
  c.node(1)->step(MemberId(2), ReadIndexRequest{c.node(1)->term(), 1});
  EXPECT_EQ(c.node(1)->as_leader()->waiting_reads.size(), 1u) << "the bound is on those waiting";
}

}  // namespace
}  // namespace quorate::raft::testing
