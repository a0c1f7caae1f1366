// A loop's timers: a binary heap whose entries stay behind when their timer is cancelled, and are dropped in
// passing. Arming and cancelling allocate nothing once the heap has grown. [serial]
#pragma once

#include <algorithm>
#include <vector>

#include "quorate/runtime.h"

namespace quorate::host {

class Timers {
 public:
  TimerId add(uint64_t at_ns, Task task) {
    uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Slot& s = slots_[slot];
    s.task = std::move(task);
    s.sequence = ++sequence_;
    heap_.push_back({at_ns, s.sequence, slot});
    std::push_heap(heap_.begin(), heap_.end(), later);
    ++live_;
    return id_of(slot, s.sequence);
  }

  void cancel(TimerId id) {
    uint32_t slot = static_cast<uint32_t>(id & kSlotMask);
    if (id == 0 || slot >= slots_.size() || slots_[slot].sequence == 0) return;
    if (id_of(slot, slots_[slot].sequence) != id) return;
    Task dropped = retire(slot);  // destroyed last: its destructor may come back here
    if (heap_.size() > 64 && heap_.size() > 2 * live_) drop_dead();
  }

  // The earliest deadline, or 0 when there is none.
  uint64_t next() {
    while (!heap_.empty() && is_dead(heap_.front())) pop();
    return heap_.empty() ? 0 : heap_.front().at_ns;
  }

  // Takes the earliest task out if it is due and was armed before this call of the loop (`limit`, see
  // mark()).
  bool take_due(uint64_t now_ns, uint64_t limit, Task* out) {
    while (!heap_.empty() && is_dead(heap_.front())) pop();
    if (heap_.empty() || heap_.front().at_ns > now_ns || heap_.front().sequence > limit) return false;
    uint32_t slot = heap_.front().slot;
    pop();
    *out = retire(slot);
    return true;
  }
  // Timers armed later than this have a higher mark: a task that arms a timer in the past cannot hold up a
  // turn.
  uint64_t mark() const { return sequence_; }
  uint64_t size() const { return live_; }

 private:
  static constexpr uint64_t kSlotBits = 24;
  static constexpr uint64_t kSlotMask = (uint64_t{1} << kSlotBits) - 1;
  struct Slot {
    Task task;
    uint64_t sequence = 0;  // 0: free
  };
  struct Entry {
    uint64_t at_ns;
    uint64_t sequence;
    uint32_t slot;
  };
  // Equal deadlines run in the order armed.
  static bool later(const Entry& a, const Entry& b) {
    return a.at_ns != b.at_ns ? a.at_ns > b.at_ns : a.sequence > b.sequence;
  }
  static TimerId id_of(uint32_t slot, uint64_t sequence) { return (sequence << kSlotBits) | slot; }
  bool is_dead(const Entry& e) const { return slots_[e.slot].sequence != e.sequence; }
  void pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
  }
  Task retire(uint32_t slot) {
    Task task = std::move(slots_[slot].task);
    slots_[slot].sequence = 0;
    free_.push_back(slot);
    --live_;
    return task;
  }
  void drop_dead() {
    std::erase_if(heap_, [this](const Entry& e) { return is_dead(e); });
    std::make_heap(heap_.begin(), heap_.end(), later);
  }

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<Entry> heap_;
  uint64_t sequence_ = 0;
  uint64_t live_ = 0;
};

}  // namespace quorate::host
