// Three and five members, step by step: elections, replication, failover, membership, snapshots, reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/cluster.h"

namespace quorate::raft::testing {
namespace {

using ::testing::ElementsAre;

ConfChange change(ChangeItem::Kind kind, uint64_t id) {
  ConfChange c;
  c.items.push_back({kind, MemberId(id)});
  return c;
}

TEST(Cluster3, ElectsByTimeoutAndReplicates) {
  Cluster c(3);
  c.run(110);
  ASSERT_NE(c.leader(), 0u);
  ASSERT_TRUE(c.node(c.leader())->propose({bytes("a"), bytes("b")}).ok());
  c.settle();
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_THAT(c.node(id).applied_texts(), ElementsAre("a", "b"));
}

TEST(Cluster3, TheLowestRankCampaignsFirstAndAlone) {
  Cluster c(3);
  c.run(110);
  EXPECT_EQ(c.leader(), 1u);
  EXPECT_EQ(c.node(2)->counters().elections_started + c.node(3)->counters().elections_started, 0u);
}

TEST(Cluster3, ALeaderSendsBeforeItsOwnFsyncAndCommitsWithoutIt) {
  Cluster c(3);
  c.elect(1);
  c.stalled_disk = {MemberId(1)};
  ASSERT_TRUE(c.node(1)->propose({bytes("a")}).ok());
  c.settle();
  EXPECT_EQ(c.node(1)->commit_index(), c.node(1)->log().last().index) << "a majority has it";
  EXPECT_TRUE(c.node(1).applied_texts().empty()) << "it is not durable here";
  EXPECT_THAT(c.node(2).applied_texts(), ElementsAre("a"));
  c.stalled_disk = {};
  c.settle();
  EXPECT_THAT(c.node(1).applied_texts(), ElementsAre("a"));
}

TEST(Cluster3, AFollowerAcknowledgesOnlyWhatIsDurable) {
  Cluster c(3);
  c.elect(1);
  c.stalled_disk = {MemberId(2), MemberId(3)};
  ASSERT_TRUE(c.node(1)->propose({bytes("a")}).ok());
  c.settle();
  EXPECT_LT(c.node(1)->commit_index(), c.node(1)->log().last().index);
  c.stalled_disk = {MemberId(3)};
  c.settle();
  EXPECT_EQ(c.node(1)->commit_index(), c.node(1)->log().last().index);
}

TEST(Cluster3, SilentLossOfTheLeaderIsSurvivedInTime) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Options options;
    options.seed = seed;
    Cluster c(3, options);
    c.elect(2);
    c.run(35);
    c.isolated = {MemberId(2)};
    uint32_t ticks = 0;
    while (c.leader() == 2 || c.leader() == 0) {
      c.run(1);
      ASSERT_LT(++ticks, 130u) << "1.3 s in ticks of 10 ms, seed " << seed;
    }
  }
}

TEST(Cluster3, AClosedConnectionStartsAnElectionAtOnce) {
  Cluster c(3);
  c.elect(1);
  c.run(15);
  c.crash(1);
  c.node(2)->peer_connection_lost(MemberId(1));
  c.node(3)->peer_connection_lost(MemberId(1));
  c.run(30);
  EXPECT_EQ(c.leader(), 2u);
}

TEST(Cluster3, AFalseHintDisturbsNobody) {
  Cluster c(3);
  c.elect(1);
  const Term term = c.node(1)->term();
  c.run(15);
  c.node(2)->peer_connection_lost(MemberId(1));
  c.run(200);
  EXPECT_EQ(c.leader(), 1u);
  EXPECT_EQ(c.node(1)->term(), term);
  EXPECT_GT(c.node(2)->counters().elections_started, 0u);
}

TEST(Cluster3, APartitionedMemberDoesNotDisturbOnItsReturn) {
  Cluster c(3);
  c.elect(1);
  const Term term = c.node(1)->term();
  c.isolated = {MemberId(3)};
  c.run(1000);
  c.isolated = {};
  c.run(50);
  EXPECT_EQ(c.leader(), 1u);
  EXPECT_EQ(c.node(1)->term(), term);
  EXPECT_EQ(c.node(3)->leader(), MemberId(1));
}

TEST(Cluster3, ALeaderWithoutAQuorumStepsDownAndFailsItsReads) {
  Cluster c(3);
  c.elect(1);
  c.isolated = {MemberId(1)};
  ASSERT_TRUE(c.node(1)->read_index(7));
  c.run(210);
  EXPECT_NE(c.leader(), 1u);
  EXPECT_FALSE(c.node(1)->is_leader());
  ASSERT_EQ(c.reads_failed.size(), 1u);
  EXPECT_EQ(c.reads_failed[0].second, 7u);
  EXPECT_TRUE(c.reads.empty());
}

TEST(Cluster3, ReadsOfATickShareOneRound) {
  Cluster c(3);
  c.elect(1);
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(c.node(1)->read_index(i));
  c.pump(1);
  EXPECT_EQ(c.flying.size(), 2u);
  EXPECT_TRUE(c.reads.empty());
  c.settle();
  EXPECT_EQ(c.reads.size(), 100u);
}

TEST(Cluster3, AFollowerAsksTheLeader) {
  Cluster c(3);
  c.elect(1);
  ASSERT_TRUE(c.node(1)->propose({bytes("a")}).ok());
  c.settle();
  ASSERT_TRUE(c.node(3)->read_index(1));
  ASSERT_TRUE(c.node(3)->read_index(2));
  c.settle();
  ASSERT_EQ(c.reads.size(), 2u);
  EXPECT_EQ(c.reads[0].first, MemberId(3));
  EXPECT_EQ(c.reads[0].second.index, c.node(1)->commit_index());
}

TEST(Cluster3, AForwardedReadIsAskedAgainAndFailsInTheEnd) {
  Cluster c(3);
  c.elect(1);
  ASSERT_TRUE(c.node(3)->read_index(1));
  c.pump(3);
  c.flying.clear();
  c.run(11);
  EXPECT_EQ(c.reads.size(), 1u) << "asked again";
  c.isolated = {MemberId(3)};
  ASSERT_TRUE(c.node(3)->read_index(2));
  c.run(150);
  EXPECT_EQ(c.reads_failed.size(), 1u);
}

TEST(Cluster3, LeadershipIsTransferredWithinMessages) {
  Cluster c(3);
  c.elect(1);
  ASSERT_TRUE(c.node(1)->propose({bytes("a")}).ok());
  ASSERT_TRUE(c.node(1)->transfer_leadership(MemberId(3)));
  EXPECT_EQ(c.node(1)->propose({bytes("b")}).error, ProposeError::kTransferInProgress);
  c.settle();
  EXPECT_EQ(c.leader(), 3u);
  EXPECT_THAT(c.node(3).applied_texts(), ElementsAre("a"));
}

TEST(Cluster3, AFailedTransferIsGivenUp) {
  Cluster c(3);
  c.elect(1);
  EXPECT_FALSE(c.node(1)->transfer_leadership(MemberId(1)));
  EXPECT_FALSE(c.node(1)->transfer_leadership(MemberId(9)));
  c.isolated = {MemberId(3)};
  ASSERT_TRUE(c.node(1)->transfer_leadership(MemberId(3)));
  c.run(101);
  EXPECT_TRUE(c.node(1)->propose({bytes("b")}).ok());
}

TEST(Cluster3, ALostAppendIsFoundByTheHeartbeat) {
  Cluster c(3);
  c.elect(1);
  ASSERT_TRUE(c.node(1)->propose({bytes("a")}).ok());
  c.pump(1);
  c.flying.clear();
  c.run(25);
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_THAT(c.node(id).applied_texts(), ElementsAre("a"));
}

TEST(Cluster3, BytesInFlightAreBounded) {
  Options options;
  options.max_inflight_bytes = 1000;
  options.max_append_bytes = 300;
  Cluster c(3, options);
  c.elect(1);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(c.node(1)->propose({bytes(std::string(68, 'x'))}).ok());
  c.pump(1);
  uint64_t sent = 0;
  for (const Flying& f : c.flying)
    if (f.to == MemberId(2))
      for (const Entry& e : std::get<AppendEntries>(f.message).entries) sent += e.bytes();
  EXPECT_GE(sent, 1000u);
  EXPECT_LE(sent, 1300u);
  c.settle();
  EXPECT_EQ(c.node(2).applied_texts().size(), 100u);
}

TEST(Cluster3, AFarBehindFollowerGetsASnapshot) {
  Cluster c(3);
  c.elect(1);
  c.isolated = {MemberId(3)};
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(c.node(1)->propose({bytes(std::to_string(i))}).ok());
  c.settle();
  c.node(1)->compact(c.node(1)->applied_index());
  ASSERT_TRUE(c.node(1)->propose({bytes("after")}).ok());
  c.isolated = {};
  c.run(40);
  EXPECT_EQ(c.node(3).applied_texts(), c.node(1).applied_texts());
  EXPECT_EQ(c.node(3).disk().base.index, c.node(3)->log().base().index);
  c.crash(3);
  c.restart(3);
  c.run(40);
  EXPECT_EQ(c.node(3)->commit_index(), c.node(1)->commit_index());
}

TEST(Cluster3, AMemberIsAddedBeforeItRuns) {
  Cluster c(1);
  c.elect(1);
  ASSERT_TRUE(c.node(1)->propose_conf_change(change(ChangeItem::Kind::kAddVoter, 2)).ok());
  c.settle();
  EXPECT_EQ(to_string(c.node(1)->config()), "voters=(1 2)");
  ASSERT_TRUE(c.node(1)->propose({bytes("a")}).ok());
  c.settle();
  EXPECT_TRUE(c.node(1).applied_texts().empty()) << "needs both now";
  c.add_blank(2);
  c.run(30);
  EXPECT_THAT(c.node(2).applied_texts(), ElementsAre("a"));
  EXPECT_EQ(c.node(2)->config(), c.node(1)->config());
}

TEST(Cluster3, AChangeOfSeveralVotersGoesThroughAJointConfig) {
  Cluster c(3);
  for (uint64_t id = 4; id <= 5; ++id) c.add_blank(id);
  c.elect(1);
  ConfChange swap;
  for (uint64_t id = 4; id <= 5; ++id) swap.items.push_back({ChangeItem::Kind::kAddVoter, MemberId(id)});
  for (uint64_t id = 2; id <= 3; ++id) swap.items.push_back({ChangeItem::Kind::kRemove, MemberId(id)});
  ASSERT_TRUE(c.node(1)->propose_conf_change(swap).ok());
  EXPECT_EQ(c.node(1)->propose_conf_change(swap).error, ProposeError::kChangePending);
  c.run(60);
  EXPECT_EQ(to_string(c.node(1)->config()), "voters=(1 4 5)");
  EXPECT_EQ(c.node(5)->config(), c.node(1)->config());
  EXPECT_EQ(c.node(2)->config(), c.node(1)->config()) << "those who leave are told";
}

TEST(Cluster3, ALeaderThatRemovesItselfStepsDownAndIsFollowed) {
  Cluster c(3);
  c.elect(1);
  ASSERT_TRUE(c.node(1)->propose_conf_change(change(ChangeItem::Kind::kRemove, 1)).ok());
  c.settle();
  EXPECT_FALSE(c.node(1)->is_leader());
  EXPECT_EQ(to_string(c.node(2)->config()), "voters=(2 3)");
  c.run(20);
  EXPECT_EQ(c.leader(), 2u) << "nobody waits for a leader known to be gone";
  c.run(500);
  EXPECT_EQ(c.node(1)->counters().elections_started, 1u) << "a removed member does not campaign";
}

TEST(Cluster3, ALearnerReceivesAndDoesNotCount) {
  Cluster c(1);
  c.elect(1);
  ASSERT_TRUE(c.node(1)->propose_conf_change(change(ChangeItem::Kind::kAddLearner, 2)).ok());
  c.settle();
  ASSERT_TRUE(c.node(1)->propose({bytes("a")}).ok());
  c.settle();
  EXPECT_THAT(c.node(1).applied_texts(), ElementsAre("a"));
  c.add_blank(2);
  c.run(30);
  EXPECT_THAT(c.node(2).applied_texts(), ElementsAre("a"));
  c.crash(1);
  c.run(500);
  EXPECT_EQ(c.leader(), 0u);
}

TEST(Cluster3, InvalidChangesAreRefusedWithAReason) {
  Cluster c(1);
  c.elect(1);
  Proposed p = c.node(1)->propose_conf_change(change(ChangeItem::Kind::kRemove, 1));
  EXPECT_EQ(p.error, ProposeError::kInvalidChange);
  EXPECT_STREQ(p.detail, "removed all voters");
  p = c.node(1)->propose_conf_change(ConfChange{});
  EXPECT_STREQ(p.detail, "can't leave a non-joint config");
}

TEST(Cluster3, AMemberThatMayNotVoteStillFollows) {
  Cluster c(3);
  c.node(3)->restrict(false, false);
  c.crash(2);
  c.node(1)->campaign();
  c.run(300);
  EXPECT_EQ(c.leader(), 0u);
  c.node(3)->restrict(true, false);
  c.run(300);
  EXPECT_EQ(c.leader(), 1u);
}

}  // namespace
}  // namespace quorate::raft::testing
