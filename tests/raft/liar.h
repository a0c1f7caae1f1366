// A peer that says anything, from any source of choices: what garbage_test.cc and the fuzzer share.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "raft/node.h"
#include "support/raft_messages.h"

namespace quorate::raft::testing {

class Liar : public test::RandomMessages {
 public:
  using RandomMessages::RandomMessages;

  // What a member may say without anyone having to believe it: no claim to lead, no copy it does not have, no
  // vote.
  Message harmless() {
    for (;;) {
      Message m = any();
      if (auto* r = std::get_if<AppendResponse>(&m)) r->rejected = true;
      if (auto* r = std::get_if<VoteResponse>(&m)) *r = {r->term, false, {}, {}};
      if (auto* r = std::get_if<PreVoteResponse>(&m)) r->commit = Index(0);
      if (auto* r = std::get_if<PreVoteRequest>(&m)) r->commit = Index(0);
      if (auto* r = std::get_if<VoteRequest>(&m)) r->commit = Index(0);
      if (auto* r = std::get_if<HeartbeatResponse>(&m)) r->read_sequence = 0;
      if (auto* r = std::get_if<SnapshotStatus>(&m)) r->outcome = SnapshotOutcome::kFailed;
      const bool leads = std::holds_alternative<AppendEntries>(m) || std::holds_alternative<Heartbeat>(m) ||
                         std::holds_alternative<InstallSnapshot>(m) ||
                         std::holds_alternative<ReadIndexResponse>(m);
      if (!leads) return m;
    }
  }
};

// Whatever its peers say, a member does not crash and keeps its invariants. Ends when `enough` says so, asked
// before each step.
inline void lie_to_a_member(Liar* liar, uint64_t seed, const std::function<bool()>& enough) {
  Options options;
  options.id = MemberId(1);
  options.seed = seed;
  options.election_ticks = 12;
  options.heartbeat_ticks = 3;
  Disk disk;
  disk.config.voters = {MemberId(1), MemberId(2), MemberId(3)};
  Node node(options, disk);
  while (!enough()) {
    node->step(MemberId(liar->pick(6)), liar->any());
    if (liar->pick(4) == 0) node->tick();
    if (liar->pick(8) == 0) node->campaign();
    if (liar->pick(8) == 0) node->propose({bytes("x")});
    if (liar->pick(8) == 0) node->read_index(1);
    if (liar->pick(3) == 0) {
      Ready ready = node.pump();
      for (const SnapshotOffer& o : ready.snapshot_offers)
        if (liar->flip())
          node->install_snapshot(o.snapshot);
        else
          node->snapshot_failed(o.from, o.snapshot);
    }
    if (liar->pick(3) == 0) node.finish_writes();
    ASSERT_EQ(check_basic(node.core()), "");
  }
}

}  // namespace quorate::raft::testing
