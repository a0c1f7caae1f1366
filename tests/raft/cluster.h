// Members and a network in one process. Messages wait in a list until the test delivers, drops or reorders
// them; Raft's invariants are checked after every step.
#pragma once

#include <gtest/gtest.h>

#include "raft/node.h"

namespace quorate::raft::testing {

struct Flying {
  MemberId from;
  MemberId to;
  Message message;
};

class Cluster {
 public:
  // Voters 1..n.
  explicit Cluster(uint32_t voters, Options options = {});

  Node& node(uint64_t id) { return *nodes_.at(MemberId(id)); }
  const Config& founders() const { return founders_; }
  std::map<MemberId, std::unique_ptr<Node>>& nodes() { return nodes_; }
  // A member that knows nobody yet: it gets its configuration with a snapshot.
  void add_blank(uint64_t id);

  // Takes what is ready at `id` and lets its messages fly. Snapshots asked for are offered, those offered
  // installed.
  Ready pump(uint64_t id);
  // Hands the oldest flying message from `from` to `to` (0: any) over. False: there is none.
  bool deliver_one(uint64_t from = 0, uint64_t to = 0);
  void deliver(const Flying& flying);
  // Pumps, writes and delivers until nothing happens any more; messages to or from `isolated` are lost.
  void settle();
  void tick_all(uint32_t ticks);
  // Settles after each tick.
  void run(uint32_t ticks);
  void check(Node& node);
  void crash(uint64_t id);
  void restart(uint64_t id) { node(id).start(); }

  // One line per member.
  std::string status() const;
  // The leader of the highest term; 0: none.
  uint64_t leader() const;
  // Elects `id` by a campaign of its own.
  void elect(uint64_t id);

  std::deque<Flying> flying;
  MemberSet isolated;
  MemberSet stalled_disk;  // their writes do not finish in settle()
  std::vector<std::pair<MemberId, ReadState>> reads;
  std::vector<std::pair<MemberId, uint64_t>> reads_failed;
  ClusterInvariants invariants;

 private:
  void install(Node& node, const SnapshotOffer& offer);

  Options options_;
  Config founders_;
  std::map<MemberId, std::unique_ptr<Node>> nodes_;
  std::map<MemberId, CoreSnapshot> before_;
};

}  // namespace quorate::raft::testing
