// Compaction by itself: every so often, to what the store was a while ago, or to a number of revisions. Runs
// on the leader only. etcd-surface §6.5.
//
// [loop]
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "quorate/options.h"
#include "quorate/runtime.h"

namespace quorate::server {

class Compactor {
 public:
  struct Hooks {
    std::function<bool()> leading;
    std::function<int64_t()> revision;
    // Proposes; `done` tells whether the store is now compacted there (or was already).
    std::function<void(int64_t revision, UniqueFunction<void(bool)> done)> compact;
  };
  Compactor(Executor& executor, CompactionMode mode, int64_t retention, Hooks hooks);
  ~Compactor();

  void start();

 private:
  void arm(uint64_t after_ns);
  void tick_periodic();
  void tick_revision();
  void compact(int64_t revision);

  Executor& executor_;
  const CompactionMode mode_;
  const int64_t retention_;
  Hooks hooks_;
  TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::deque<int64_t> samples_;  // of the revision, one per tick, over the period
  int64_t last_revision_ = 0;    // compacted to
  uint64_t last_success_ns_ = 0;
  bool first_ = true;  // the first compaction waits for a whole period
};

}  // namespace quorate::server
