// One test for each sentence of the Raft paper (extended version) that a member's single step must obey.
#include <gmock/gmock.h>

#include "raft/solo.h"

namespace quorate::raft::testing {
namespace {

using ::testing::ElementsAre;

std::vector<uint64_t> terms(const Node& node) {
  std::vector<uint64_t> out;
  const RaftLog& log = node.core().log();
  for (Index i = log.base().index + 1; i <= log.last().index; ++i) out.push_back(log.at(i).term.value);
  return out;
}

// 5.1: "If one server's current term is smaller than the other's, then it updates its current term to the
// larger value. If a candidate or leader discovers that its term is out of date, it immediately reverts to
// follower."
TEST(Paper, ALargerTermEndsLeadership) {
  Node node = solo(3, 1);
  lead(node, 3);
  node->step(MemberId(2), AppendResponse{Term(9), true, Index(1), {}, {}});
  EXPECT_EQ(node->role(), RoleKind::kFollower);
  EXPECT_EQ(node->term(), Term(9));
}

// 5.1: "If a server receives a request with a stale term number, it rejects the request."
TEST(Paper, AStaleTermIsRejected) {
  Node node = solo(3, 5, {2, 2});
  node->step(MemberId(2), append(4, 3, 2, {entry(4, 4)}));
  std::vector<AppendResponse> answers = sent<AppendResponse>(node);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].rejected);
  EXPECT_EQ(answers[0].term, Term(5));
  node->step(MemberId(2), VoteRequest{Term(4), Index(9), Term(4)});
  EXPECT_FALSE(sent<VoteResponse>(node).at(0).granted);
  EXPECT_THAT(terms(node), ElementsAre(2, 2));
}

// 5.2: "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis."
TEST(Paper, OneVoteInATermAndAgainOnlyForTheSame) {
  Node node = solo(3, 1);
  node->step(MemberId(2), VoteRequest{Term(2), Index(1), Term(1)});
  EXPECT_TRUE(sent<VoteResponse>(node).at(0).granted);
  node->step(MemberId(3), VoteRequest{Term(2), Index(1), Term(1)});
  EXPECT_FALSE(sent<VoteResponse>(node).at(0).granted);
  node->step(MemberId(2), VoteRequest{Term(2), Index(1), Term(1)});
  EXPECT_TRUE(sent<VoteResponse>(node).at(0).granted);
  node.crash();
  node.start();
  node->step(MemberId(3), VoteRequest{Term(2), Index(1), Term(1)});
  EXPECT_FALSE(sent<VoteResponse>(node).at(0).granted) << "nor after a restart";
}

// 5.2 and 8: "Updated on stable storage before responding to RPCs."
TEST(Paper, AVoteLeavesOnlyWhenItIsDurable) {
  Node node = solo(3, 1);
  node->step(MemberId(2), VoteRequest{Term(2), Index(1), Term(1)});
  EXPECT_TRUE(sent<VoteResponse>(node, false).empty());
  EXPECT_EQ(node.disk().hard_state.term, Term(1));
  node.finish_writes();
  EXPECT_EQ(sent<VoteResponse>(node).size(), 1u);
  EXPECT_EQ(node.disk().hard_state, (HardState{Term(2), MemberId(2)}));
}

// 5.2: "While waiting for votes, a candidate may receive an AppendEntries RPC from another server claiming to
// be leader. If the leader's term is at least as large as the candidate's current term, then the candidate
// ... returns to follower state."
TEST(Paper, ACandidateFollowsALeaderOfItsTerm) {
  Node node = solo(3, 1);
  node->campaign();
  node->step(MemberId(2), PreVoteResponse{Term(1), Term(2), true, {}, {}});
  ASSERT_EQ(node->role(), RoleKind::kCandidate);
  node->step(MemberId(3), append(2, 1, 1, {}));
  EXPECT_EQ(node->role(), RoleKind::kFollower);
  EXPECT_EQ(node->leader(), MemberId(3));
}

// 5.2: "A candidate wins an election if it receives votes from a majority of the servers in the full cluster
// for the same term."
TEST(Paper, AMajorityOfTheSameTermWins) {
  Node node = solo(5, 1);
  node->campaign();
  for (uint64_t id : {2, 3}) node->step(MemberId(id), PreVoteResponse{Term(1), Term(2), true, {}, {}});
  node.pump();
  node.finish_writes();
  node->step(MemberId(2), VoteResponse{Term(2), true, {}, {}});
  node->step(MemberId(2), VoteResponse{Term(2), true, {}, {}});
  EXPECT_FALSE(node->is_leader()) << "one voter counts once";
  node->step(MemberId(9), VoteResponse{Term(2), true, {}, {}});
  node->step(MemberId(3), VoteResponse{Term(1), true, {}, {}});
  EXPECT_FALSE(node->is_leader()) << "strangers and other terms do not count";
  node->step(MemberId(4), VoteResponse{Term(2), true, {}, {}});
  EXPECT_TRUE(node->is_leader());
}

// 5.3: "When sending an AppendEntries RPC, the leader includes the index and term of the entry in its log
// that immediately precedes the new entries. If the follower does not find an entry in its log with the same
// index and term, then it refuses the new entries."
TEST(Paper, TheConsistencyCheckRefuses) {
  for (auto [prev, prev_term] : {std::pair<uint64_t, uint64_t>{3, 3}, {4, 3}, {9, 3}}) {
    Node node = solo(3, 3, {1, 2});
    node->step(MemberId(2), append(3, prev, prev_term, {entry(prev + 1, 3)}));
    std::vector<AppendResponse> answers = sent<AppendResponse>(node);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_TRUE(answers[0].rejected);
    EXPECT_EQ(answers[0].hint_index, Index(3));
    EXPECT_EQ(answers[0].hint_term, Term(2));
    EXPECT_THAT(terms(node), ElementsAre(1, 2));
  }
}

// 5.3: "If an existing entry conflicts with a new one (same index but different terms), delete the existing
// entry and all that follow it. Append any new entries not already in the log."
TEST(Paper, ConflictsAreReplacedAndTheRestIsKept) {
  struct Case {
    uint64_t prev, prev_term;
    std::vector<uint64_t> entries, expected;
  };
  const std::vector<Case> cases = {
      {3, 1, {3}, {1, 1, 3}},        // conflict at 4: it and 5 go
      {4, 2, {3}, {1, 1, 2, 3}},     // conflict at 5
      {5, 2, {3}, {1, 1, 2, 2, 3}},  // new
      {3, 1, {2}, {1, 1, 2, 2}},     // all of it is there: an old message must not cut the log
      {2, 1, {}, {1, 1, 2, 2}},      // nor an empty one
      {1, 1, {1, 1, 3, 3}, {1, 1, 3, 3}},
  };
  for (const Case& c : cases) {
    Node node = solo(3, 3, {1, 1, 2, 2});
    std::vector<Entry> entries;
    for (uint64_t i = 0; i < c.entries.size(); ++i) entries.push_back(entry(c.prev + 1 + i, c.entries[i]));
    node->step(MemberId(2), append(3, c.prev, c.prev_term, entries));
    std::vector<AppendResponse> answers = sent<AppendResponse>(node);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_FALSE(answers[0].rejected);
    EXPECT_EQ(answers[0].index, Index(c.prev + c.entries.size()));
    EXPECT_EQ(terms(node), c.expected);
    node.crash();
    node.start();
    EXPECT_EQ(terms(node), c.expected) << "on the disk too";
  }
}

// Figure 2: "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)."
TEST(Paper, AFollowerCommitsOnlyWhatItSharesWithTheLeader) {
  Node node = solo(3, 2, {1, 1, 1});
  node->step(MemberId(2), append(2, 2, 1, {}, 4));
  EXPECT_EQ(node->commit_index(), Index(2)) << "3 and 4 may not be the leader's";
  node->step(MemberId(2), append(2, 2, 1, {entry(3, 1)}, 9));
  EXPECT_EQ(node->commit_index(), Index(3));
}

// 5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate."
TEST(Paper, AVoteNeedsALogAtLeastAsUpToDate) {
  struct Case {
    uint64_t index, term;
    bool granted;
  };
  for (const Case& c :
       {Case{3, 2, true}, Case{4, 2, true}, Case{1, 3, true}, Case{2, 2, false}, Case{9, 1, false}}) {
    for (bool pre : {true, false}) {
      Node node = solo(3, 3, {1, 2});
      if (pre) {
        node->step(MemberId(2), PreVoteRequest{Term(4), Index(c.index), Term(c.term)});
        EXPECT_EQ(sent<PreVoteResponse>(node).at(0).granted, c.granted);
        EXPECT_EQ(node->term(), Term(3)) << "a pre-vote changes nothing";
      } else {
        node->step(MemberId(2), VoteRequest{Term(4), Index(c.index), Term(c.term)});
        EXPECT_EQ(sent<VoteResponse>(node).at(0).granted, c.granted);
      }
    }
  }
}

// 5.4.2, figure 8: "Raft never commits log entries from previous terms by counting replicas. Only log entries
// from the leader's current term are committed by counting replicas."
TEST(Paper, EntriesOfEarlierTermsAreNotCommittedByCounting) {
  Node node = solo(3, 3, {2, 2});
  lead(node, 3);  // its no-op is entry 4 of term 4
  node.pump();
  node.finish_writes();
  node->step(MemberId(2), AppendResponse{Term(4), false, Index(3), {}, {}});
  EXPECT_EQ(node->commit_index(), Index(1)) << "a majority has 2 and 3, but they are of term 2";
  node->step(MemberId(2), AppendResponse{Term(4), false, Index(4), {}, {}});
  EXPECT_EQ(node->commit_index(), Index(4));
}

// 5.3: "A log entry is committed once the leader that created the entry has replicated it on a majority":
// durably.
TEST(Paper, OnlyDurableCopiesCount) {
  Node node = solo(3, 1);
  lead(node, 3);
  node.pump();
  EXPECT_EQ(node->commit_index(), Index(1));
  node.finish_writes();
  EXPECT_EQ(node->commit_index(), Index(1)) << "one of three";
  node->step(MemberId(3), AppendResponse{Term(2), false, Index(2), {}, {}});
  EXPECT_EQ(node->commit_index(), Index(2));
}

// 5.3: "If followers crash or run slowly, ... the leader retries AppendEntries RPCs indefinitely",
// decrementing nextIndex; here by a term at a time.
TEST(Paper, TheLeaderFindsWhereTheLogsPart) {
  Node node = solo(3, 6, {2, 2, 2, 5, 5, 5});
  lead(node, 3);
  node.pump();
  // The follower has only entries of term 3 behind index 2: nothing of ours from term 5 can match.
  node->step(MemberId(2), AppendResponse{Term(7), true, Index(7), Index(7), Term(3)});
  std::vector<AppendEntries> next = sent<AppendEntries>(node, false);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].prev_index, Index(4)) << "the last entry of a term not above 3";
  node->step(MemberId(2), AppendResponse{Term(7), false, Index(4), {}, {}});
  EXPECT_EQ(sent<AppendEntries>(node, false).at(0).entries.size(), 4u);
}

// 6: "If a server receives a RequestVote RPC within the minimum election timeout of hearing from a current
// leader, it does not update its term or grant its vote."
TEST(Paper, ALiveLeaderIsNotVotedOut) {
  Node node = solo(3, 1);
  node->step(MemberId(2), append(2, 1, 1, {}));
  node.pump();
  node->step(MemberId(3), VoteRequest{Term(9), Index(9), Term(2)});
  EXPECT_EQ(node->term(), Term(2));
  for (uint32_t i = 0; i < node.options().election_ticks; ++i) node->tick();
  node->step(MemberId(3), VoteRequest{Term(9), Index(9), Term(2)});
  EXPECT_EQ(node->term(), Term(9));
}

// 8: "a leader must have the latest information on which entries are committed ... a no-op entry into the log
// at the start of its term"; "check whether it has been deposed before processing a read-only request".
TEST(Paper, AReadNeedsTheNoOpAndAMajority) {
  Node node = solo(3, 1);
  lead(node, 3);
  ASSERT_TRUE(node->read_index(1));
  node.pump();
  node.finish_writes();
  node->step(MemberId(2), HeartbeatResponse{Term(2), 0});
  EXPECT_TRUE(node.pump().reads.empty());
  node->step(MemberId(2), AppendResponse{Term(2), false, Index(2), {}, {}});
  EXPECT_TRUE(node.pump().reads.empty()) << "the no-op is committed, the round has only begun";
  node->step(MemberId(2), HeartbeatResponse{Term(2), 1});
  Ready ready = node.pump();
  ASSERT_EQ(ready.reads.size(), 1u);
  EXPECT_EQ(ready.reads[0].index, Index(2));
}

// Not the paper's, but the reason for Restored's rule: an append under way, taken back and come again.
TEST(AsyncAppend, ACompletionProvesNothingAboutWhatWasTakenBackSince) {
  Node node = solo(3, 2);
  node->step(MemberId(2), append(2, 1, 1, {entry(2, 2, "A")}));
  Ready a = node.pump();
  node->step(MemberId(3), append(3, 1, 1, {entry(2, 3, "B")}));
  Ready b = node.pump();
  EXPECT_EQ(b.truncated_from, Index(2));
  // A leader of term 4 that has A brings the very same entry back.
  node->step(MemberId(2), append(4, 1, 1, {entry(2, 2, "A")}, 2));
  Ready again = node.pump();
  ASSERT_TRUE(a.append && b.append && again.append);
  EXPECT_EQ(again.append->entries.size(), 1u) << "it must be written again, after B";

  node.finish_write();
  EXPECT_EQ(node->durable_index(), Index(1)) << "B is still to be written over it";
  EXPECT_TRUE(sent<AppendResponse>(node, false).empty());
  EXPECT_TRUE(node.applied.empty());
  node.finish_write();
  EXPECT_EQ(node->durable_index(), Index(1)) << "the disk holds B now";
  node.finish_write();
  EXPECT_EQ(node->durable_index(), Index(2));
  std::vector<AppendResponse> answers = sent<AppendResponse>(node, false);
  ASSERT_EQ(answers.size(), 1u) << "those of terms 2 and 3 are history";
  EXPECT_EQ(answers[0].term, Term(4));
  EXPECT_EQ(text(node.applied.at(Index(2)).data), "A");
}

TEST(AsyncAppend, OneCompletionCompletesWhatWasTakenBefore) {
  Node node = solo(3, 2);
  std::vector<AppendId> ids;
  for (uint64_t i = 2; i <= 4; ++i) {
    node->step(MemberId(2), append(2, i - 1, i == 2 ? 1 : 2, {entry(i, 2)}));
    ids.push_back(node.pump().append->id);
  }
  node->on_append_done(ids[1]);
  EXPECT_EQ(node->durable_index(), Index(3));
  node->on_append_done(ids[0]);
  EXPECT_EQ(node->durable_index(), Index(3));
  node->on_append_done(ids[2]);
  EXPECT_EQ(node->durable_index(), Index(4));
}

TEST(Membership, AJointConfigNeedsBothMajoritiesToCommitAndToElect) {
  Options options;
  options.id = MemberId(1);
  Disk disk;
  disk.config.voters = {MemberId(1), MemberId(2), MemberId(3)};
  disk.config.voters_outgoing = {MemberId(1), MemberId(4), MemberId(5)};
  Node node(options, disk);
  node->campaign();
  node->step(MemberId(2), PreVoteResponse{Term(1), Term(2), true, {}, {}});
  EXPECT_EQ(node->role(), RoleKind::kPreCandidate);
  node->step(MemberId(4), PreVoteResponse{Term(1), Term(2), true, {}, {}});
  node.pump();
  node.finish_writes();
  node->step(MemberId(2), VoteResponse{Term(2), true, {}, {}});
  EXPECT_EQ(node->role(), RoleKind::kCandidate);
  node->step(MemberId(4), VoteResponse{Term(2), true, {}, {}});
  ASSERT_TRUE(node->is_leader());
  node.pump();
  node.finish_writes();
  ASSERT_TRUE(node->read_index(1));
  for (uint64_t id : {2, 3}) node->step(MemberId(id), AppendResponse{Term(2), false, Index(2), {}, {}});
  EXPECT_EQ(node->commit_index(), Index(1)) << "the outgoing majority does not have it";
  node->step(MemberId(5), AppendResponse{Term(2), false, Index(2), {}, {}});
  EXPECT_EQ(node->commit_index(), Index(2));
  node.pump();
  for (uint64_t id : {2, 3}) node->step(MemberId(id), HeartbeatResponse{Term(2), 1});
  EXPECT_TRUE(node.pump().reads.empty());
  node->step(MemberId(4), HeartbeatResponse{Term(2), 1});
  EXPECT_EQ(node.pump().reads.size(), 1u);
}

// Found by the random clusters, seed 148: the leader committed leaving a joint configuration that it was in
// only by its outgoing half, nobody heard of it, and the others needed its vote, which its longer log refused
// them.
TEST(Membership, ACandidateLearnsFromARefusalWhatIsCommitted) {
  Options options;
  options.id = MemberId(1);
  Disk disk;
  disk.config.voters = {MemberId(1), MemberId(4)};
  disk.config.voters_outgoing = {MemberId(1), MemberId(2)};
  disk.config.auto_leave = true;
  disk.hard_state.term = Term(2);
  disk.entries = {{Term(2), Index(2), EntryType::kConfChange, encode_conf_change(ConfChange{})}};
  Node node(options, disk);
  node->campaign();
  node->step(MemberId(2), PreVoteResponse{Term(2), Term(3), false, Index(2), Term(1)});
  EXPECT_EQ(node->commit_index(), Index(1)) << "another entry";
  node->campaign();
  node->step(MemberId(2), PreVoteResponse{Term(2), Term(3), false, Index(2), Term(2)});
  EXPECT_EQ(to_string(node->config()), "voters=(1 4)");
  node->step(MemberId(4), PreVoteResponse{Term(2), Term(3), true, {}, {}});
  EXPECT_EQ(node->role(), RoleKind::kCandidate);
}

// Seed 1572: a learner was made a voter, had a longer log than anyone, and never heard of its promotion.
TEST(Membership, AMemberLearnsFromARequestThatItIsAVoter) {
  Options options;
  options.id = MemberId(3);
  Disk disk;
  disk.config.voters = {MemberId(1)};
  disk.config.learners = {MemberId(3)};
  disk.hard_state.term = Term(2);
  ConfChange promote;
  promote.items.push_back({ChangeItem::Kind::kAddVoter, MemberId(3)});
  disk.entries = {{Term(2), Index(2), EntryType::kConfChange, encode_conf_change(promote)}, entry(3, 2)};
  Node node(options, disk);
  node->campaign();
  EXPECT_EQ(node->role(), RoleKind::kFollower);
  node->step(MemberId(1), PreVoteRequest{Term(3), Index(2), Term(2), Index(2), Term(2)});
  EXPECT_FALSE(sent<PreVoteResponse>(node).at(0).granted);
  EXPECT_EQ(to_string(node->config()), "voters=(1 3)");
  node->campaign();
  EXPECT_EQ(node->role(), RoleKind::kPreCandidate);
}

TEST(Snapshots, InstalledIsSaidOnlyWhenTheNewBaseIsDurable) {
  for (uint64_t term_at_5 : {2, 3}) {  // the log there agrees, or is another's
    Node node = solo(3, 3, {2, 2, 2, term_at_5, term_at_5});
    const SnapshotMeta snapshot{Index(5), Term(2), node->config()};
    node->step(MemberId(2), InstallSnapshot{Term(3), snapshot});
    node->step(MemberId(2), InstallSnapshot{Term(3), snapshot});
    ASSERT_EQ(node.pump().snapshot_offers.size(), 1u) << "a repeated offer is told once";
    ASSERT_TRUE(node->install_snapshot(snapshot));
    EXPECT_EQ(node->log().last().index, Index(term_at_5 == 2 ? 6 : 5));
    EXPECT_TRUE(sent<SnapshotStatus>(node, false).empty());
    node.finish_writes();
    std::vector<SnapshotStatus> said = sent<SnapshotStatus>(node, false);
    ASSERT_EQ(said.size(), 1u);
    EXPECT_EQ(said[0].outcome, SnapshotOutcome::kInstalled);
    EXPECT_EQ(said[0].index, Index(5));
    EXPECT_EQ(node.disk().base.index, Index(5));
    EXPECT_FALSE(node->install_snapshot(snapshot)) << "not needed any more";
    node->step(MemberId(2), InstallSnapshot{Term(3), snapshot});
    EXPECT_EQ(sent<SnapshotStatus>(node, false).at(0).outcome, SnapshotOutcome::kNotNeeded);
  }
}

TEST(Membership, ARestartKnowsThatAllChangesButTheLastAreCommitted) {
  auto change = [](uint64_t index, ChangeItem::Kind kind, uint64_t id) {
    ConfChange c;
    c.items.push_back({kind, MemberId(id)});
    return Entry{Term(2), Index(index), EntryType::kConfChange, encode_conf_change(c)};
  };
  Options options;
  options.id = MemberId(1);
  Disk disk;
  disk.config.voters = {MemberId(1), MemberId(2), MemberId(3)};
  disk.hard_state.term = Term(2);
  disk.entries = {change(2, ChangeItem::Kind::kAddVoter, 4), change(3, ChangeItem::Kind::kAddVoter, 5),
                  change(4, ChangeItem::Kind::kAddVoter, 6)};
  Node node(options, disk);
  EXPECT_EQ(to_string(node->config()), "voters=(1 2 3 4 5)");
  EXPECT_EQ(node->commit_index(), Index(3));
}

}  // namespace
}  // namespace quorate::raft::testing
