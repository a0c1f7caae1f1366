// One voter: the fast path of a node that is its own cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/node.h"

namespace quorate::raft::testing {
namespace {

using ::testing::ElementsAre;

Node lone_node() {
  Options options;
  options.id = MemberId(1);
  Disk disk;
  disk.config.voters = {MemberId(1)};
  return Node(options, disk);
}

// A leader with its no-op applied.
Node leading_node() {
  Node node = lone_node();
  node->campaign();
  for (int i = 0; i < 3; ++i) {
    node.pump();
    node.finish_writes();
  }
  node.pump();
  return node;
}

TEST(Single, LeadsOnceItsVoteIsDurableWithoutATick) {
  Node node = lone_node();
  node->campaign();
  EXPECT_EQ(node->role(), RoleKind::kCandidate);
  Ready ready = node.pump();
  ASSERT_TRUE(ready.append);
  EXPECT_EQ(ready.append->hard_state, (HardState{Term(2), MemberId(1)}));
  EXPECT_TRUE(ready.messages.empty());
  EXPECT_EQ(node->role(), RoleKind::kCandidate) << "its vote is not durable yet";
  node.finish_write();
  EXPECT_TRUE(node->is_leader());
}

TEST(Single, CommitsWhenDurableWithoutATick) {
  Node node = leading_node();
  Proposed p = node->propose({bytes("a"), bytes("b")});
  ASSERT_TRUE(p.ok());
  Ready ready = node.pump();
  ASSERT_TRUE(ready.append);
  EXPECT_EQ(ready.append->entries.size(), 2u);
  EXPECT_EQ(ready.append->entries.front().index, p.first);
  EXPECT_TRUE(ready.committed.empty()) << "not durable yet";
  node.finish_write();
  ready = node.pump();
  ASSERT_EQ(ready.committed.size(), 2u);
  EXPECT_EQ(ready.committed.front().index, p.first);
  EXPECT_EQ(ready.committed.front().term, p.term);
  EXPECT_THAT(node.applied_texts(), ElementsAre("a", "b"));
}

TEST(Single, ReadsAreAnsweredAtOnceButNotBeforeTheNoOp) {
  Node node = lone_node();
  EXPECT_FALSE(node->read_index(1)) << "no leader yet";
  node->campaign();
  node.pump();
  node.finish_write();
  ASSERT_TRUE(node->read_index(2));
  EXPECT_TRUE(node.pump().reads.empty()) << "its no-op is not committed";
  node.finish_write();
  Ready ready = node.pump();
  ASSERT_EQ(ready.reads.size(), 1u);
  EXPECT_EQ(ready.reads[0].context, 2u);
  EXPECT_EQ(ready.reads[0].index, node->commit_index());
}

TEST(Single, SurvivesARestartWithWhatWasDurable) {
  Node node = leading_node();
  ASSERT_TRUE(node->propose({bytes("a")}).ok());
  node.pump();
  node.finish_writes();
  node.pump();
  ASSERT_TRUE(node->propose({bytes("lost")}).ok());
  node.pump();
  node.crash();
  node.start();
  node->campaign();
  for (int i = 0; i < 3; ++i) {
    node.pump();
    node.finish_writes();
  }
  node.pump();
  EXPECT_THAT(node.applied_texts(), ElementsAre("a"));
  EXPECT_EQ(node->term(), Term(3));
}

TEST(Single, CampaignsByItselfAfterTheTimeout) {
  Node node = lone_node();
  for (int i = 0; i < 105; ++i) node->tick();
  EXPECT_EQ(node->role(), RoleKind::kCandidate);
}

TEST(Single, RefusesProposalsBeyondTheLimitUntilSomeAreCommitted) {
  Options options;
  options.id = MemberId(1);
  options.max_uncommitted_bytes = 100;
  Disk disk;
  disk.config.voters = {MemberId(1)};
  Node node(options, disk);
  EXPECT_EQ(node->propose({bytes("x")}).error, ProposeError::kNotLeader);
  node->campaign();
  for (int i = 0; i < 3; ++i) {
    node.pump();
    node.finish_writes();
  }
  ASSERT_TRUE(node->propose({bytes(std::string(200, 'x'))}).ok()) << "a single large one must get through";
  EXPECT_EQ(node->propose({bytes("y")}).error, ProposeError::kNoSpace);
  node.pump();
  node.finish_writes();
  EXPECT_TRUE(node->propose({bytes("y")}).ok());
}

TEST(Single, CompactsItsLog) {
  Node node = leading_node();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(node->propose({bytes("v")}).ok());
  node.pump();
  node.finish_writes();
  node.pump();
  const uint64_t before = node->log().bytes();
  node->compact(node->applied_index() - 2);
  EXPECT_LT(node->log().bytes(), before);
  EXPECT_EQ(node->log().base().index, node->applied_index() - 2);
  EXPECT_EQ(check_basic(node.core()), "");
}

}  // namespace
}  // namespace quorate::raft::testing
