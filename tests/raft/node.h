// A member in a test: a RaftCore, a disk that loses what was not synced, and a state machine that only
// remembers.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/invariants.h"
#include "raft/raft.h"

namespace quorate::raft::testing {

inline plugin::Buffer bytes(const std::string& s) { return plugin::Buffer::copy_of({s.data(), s.size()}); }
inline std::string text(const plugin::Buffer& b) { return std::string(b.chars(), b.size()); }

// What survives a crash.
struct Disk {
  HardState hard_state;
  RaftLog::Position base{Index(1), Term(1)};
  std::vector<Entry> entries;  // contiguous behind the base
  Index applied{1};            // by the state machine, durably
  Config config;               // at `applied`

  void write(const AppendTask& task);
  // Forgets entries up to `to`. REQUIRES: to <= applied.
  void compact(Index to);
};

class Node {
 public:
  Node(Options options, Disk disk) : options_(options), disk_(std::move(disk)) { start(); }

  RaftCore& core() { return *core_; }
  const RaftCore& core() const { return *core_; }
  RaftCore* operator->() { return core_.get(); }
  bool running() const { return core_ != nullptr; }
  MemberId id() const { return options_.id; }
  const Options& options() const { return options_; }
  Disk& disk() { return disk_; }

  // Takes what is ready; messages, reads and snapshots are returned, writes queued, entries applied.
  Ready pump();
  size_t writes_in_flight() const { return writes_.size(); }
  // The oldest write becomes durable and, unless told otherwise, is reported.
  void finish_write(bool report = true);
  void finish_writes() {
    while (!writes_.empty()) finish_write();
  }
  // The state machine's own sync. A state machine from a snapshot counts only once the log's new base is
  // durable.
  void persist_applied() {
    if (installing) return;
    disk_.applied = core_->applied_index();
    disk_.config = config_at(disk_.applied);
  }
  Config config_at(Index index) const;
  // Loses whatever is not on the disk.
  void crash();
  void start();

  // What the state machine has applied, in order, without no-ops and membership changes.
  std::vector<std::string> applied_texts() const;
  std::map<Index, Entry> applied;
  Index installing;  // a snapshot whose base is not durable yet

 private:
  Options options_;
  Disk disk_;
  std::unique_ptr<RaftCore> core_;
  std::deque<AppendTask> writes_;
  std::map<Index, Config> configs_;
};

}  // namespace quorate::raft::testing
