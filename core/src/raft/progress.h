// What a leader knows of one other member's log, and how much it may send it.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>

#include "raft/message.h"

namespace quorate::raft {

// Sent and not yet acknowledged appends: a window counted in bytes, so that large values cannot pile up on a
// slow connection and small ones are not held back by a count.
class Inflights {
 public:
  void add(Index last, uint64_t bytes) {
    sent_.push_back({last, bytes});
    bytes_ += bytes;
  }
  void free_to(Index acknowledged) {
    while (!sent_.empty() && sent_.front().last <= acknowledged) {
      bytes_ -= sent_.front().bytes;
      sent_.pop_front();
    }
  }
  void clear() {
    sent_.clear();
    bytes_ = 0;
  }
  uint64_t bytes() const { return bytes_; }
  size_t count() const { return sent_.size(); }

 private:
  struct Sent {
    Index last;
    uint64_t bytes;
  };
  std::deque<Sent> sent_;
  uint64_t bytes_ = 0;
};

enum class ProgressState : uint8_t {
  kProbe = 0,      // where the logs part is not known: one append at a time
  kReplicate = 1,  // appends are pipelined, `next` runs ahead of what is acknowledged
  kSnapshot = 2,   // what it needs next is no longer in the log; nothing is sent until it has a snapshot
};

struct Progress {
  Index match;            // durable there and equal to ours, up to here; never falls
  Index next = Index(1);  // the next to send; > match
  ProgressState state = ProgressState::kProbe;
  bool probe_sent = false;  // kProbe: waiting for the answer, or for a heartbeat's
  bool nudge = false;  // a heartbeat came back while entries are missing: find out whether some were lost
  bool recent_active = true;             // has answered since the last check of the quorum
  std::optional<SnapshotMeta> snapshot;  // kSnapshot: what is on offer, once the caller has something
  Index sent_commit;                     // the highest commit index told
  uint64_t acked_read = 0;               // the highest read sequence answered
  Inflights inflights;

  void become_probe() {
    // Behind a snapshot just sent there is nothing older to find.
    next = std::max(match, snapshot ? snapshot->index : Index(0)) + 1;
    state = ProgressState::kProbe;
    reset();
  }
  void become_replicate() {
    next = match + 1;
    state = ProgressState::kReplicate;
    reset();
  }
  void become_snapshot() {
    state = ProgressState::kSnapshot;
    reset();
  }

 private:
  void reset() {
    snapshot.reset();
    probe_sent = false;
    nudge = false;
    inflights.clear();
  }
};

}  // namespace quorate::raft
