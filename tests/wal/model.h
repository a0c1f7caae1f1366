// What a log should remember, kept apart from the log: the oracle of the crash tests.
#pragma once

#include <deque>
#include <map>
#include <random>
#include <string>

#include "machine.h"

namespace quorate::wal {

struct Model {
  std::map<uint64_t, std::string> entries;  // by index, as text()
  Position start, last;
  raft::HardState hard_state;
  std::string members = "m0";
  Base base{Index(0), Term(0), "m0", "db-1"};

  Term term_at(uint64_t index) const {
    if (index == start.index.value) return start.term;
    auto it = entries.find(index);
    return it == entries.end() ? Term(0) : Term(std::stoull(it->second));
  }
  void apply(const Batch& b) {
    if (b.base) {
      base = *b.base;
      bool fits =
          base.index >= start.index && base.index <= last.index && term_at(base.index.value) == base.term;
      entries.erase(entries.begin(), fits ? entries.upper_bound(base.index.value) : entries.end());
      start = base.position();
      if (!fits || last.index == start.index) last = start;
    }
    if (b.hard_state) hard_state = *b.hard_state;
    if (b.members) members = *b.members;
    for (auto& e : b.entries) {
      entries.erase(entries.lower_bound(e.index.value), entries.end());
      entries[e.index.value] = text(e);
      last = {e.index, e.term};
    }
  }
  // Whether this is what was recovered. The log may begin later, where something up to `released` was given
  // up.
  bool equals(const Recovered& r, Index released) const {
    if (r.last != last || r.hard_state != hard_state || r.members != members || r.base != base) return false;
    if (r.start.index < start.index || r.start.index > std::max(released, start.index)) return false;
    if (r.start.term != term_at(r.start.index.value)) return false;
    if (r.entries.size() != r.last.index - r.start.index) return false;
    for (auto& e : r.entries) {
      auto it = entries.find(e.index.value);
      if (it == entries.end() || it->second != text(e)) return false;
    }
    return true;
  }
  void start_at(Position p) {
    entries.erase(entries.begin(), entries.upper_bound(p.index.value));
    start = p;
  }
};

// A log under random work: what was submitted, and how much of that was acknowledged.
class Workload {
 public:
  Workload(Machine* machine, uint64_t seed) : m_(*machine), random_(seed) {}

  // Submits one random request; or lets the disk work, releases, marks.
  void step() {
    switch (pick(12)) {
      case 0:
        return m_.executor.run_until_idle();
      case 1:
        return release();
      case 2:
        return m_.wal->idle_mark();
      case 3: {
        Batch b;
        b.hard_state = raft::HardState{Term(++term_), MemberId(pick(5))};
        return submit(std::move(b));
      }
      case 4: {
        Batch b;
        if (pick(3) == 0) {
          b.members = "members " + std::to_string(random_());
        } else if (pick(4) == 0) {
          bool fits = pick(2) == 0 && pending().last.index > pending().start.index;
          Index index = fits ? pending().start.index + 1 : pending().last.index + pick(5);
          b.base = Base{index, fits ? pending().term_at(index.value) : Term(++term_), "mb",
                        "db-" + std::to_string(random_())};
        }
        return submit(std::move(b));
      }
      default:
        submit(some_entries());
        if (pick(3) == 0) m_.executor.run_until_idle();
    }
  }

  // What must hold after a crash: everything acknowledged, and of what was submitted behind it a whole
  // prefix.
  testing::AssertionResult check(const Recovered& r) {
    Model state = acknowledged_;
    for (size_t i = 0;; ++i) {
      if (state.equals(r, released_)) {
        adopt(state, r);
        return testing::AssertionSuccess();
      }
      if (i == in_flight_.size()) break;
      state.apply(in_flight_[i]);
    }
    return testing::AssertionFailure()
           << differences(r) << "\n"
           << "recovered start " << r.start.index.value << " last " << r.last.index.value
           << " is no prefix; acknowledged last " << acknowledged_.last.index.value << ", "
           << in_flight_.size() << " in flight, released " << released_.value;
  }
  uint64_t pick(uint64_t n) { return random_() % n; }
  size_t acknowledged_count() const { return acknowledged_count_; }

 private:
  std::string differences(const Recovered& r) const {
    std::string all;
    Model state = acknowledged_;
    for (size_t i = 0;; ++i) {
      all += "\n  with " + std::to_string(i) + " of them: start " + std::to_string(state.start.index.value) +
             " last " + std::to_string(state.last.term.value) + ":" + std::to_string(state.last.index.value) +
             " term " + std::to_string(state.hard_state.term.value) + " base " +
             std::to_string(state.base.index.value) + " members " + state.members;
      if (i == in_flight_.size()) break;
      state.apply(in_flight_[i]);
    }
    return all + "\n  recovered: start " + std::to_string(r.start.term.value) + ":" +
           std::to_string(r.start.index.value) + " last " + std::to_string(r.last.term.value) + ":" +
           std::to_string(r.last.index.value) + " term " + std::to_string(r.hard_state.term.value) +
           " base " + std::to_string(r.base.index.value) + " members " + r.members + ", " +
           std::to_string(r.entries.size()) + " entries";
  }
  // Only what is committed is released: durable, and not about to be overwritten.
  void release() {
    Index index = durable_.index - std::min(durable_.index.value, pick(8));
    for (auto& b : in_flight_)
      if (!b.entries.empty()) index = std::min(index, b.entries.front().index - 1);
    if (index > m_.wal->durable().index) return;
    released_ = std::max(released_, index);
    m_.wal->release(index);
  }
  Model pending() const {
    Model state = acknowledged_;
    for (auto& b : in_flight_) state.apply(b);
    return state;
  }
  Batch some_entries() {
    Model now = pending();
    uint64_t index = now.last.index.value + 1;
    uint64_t lowest = std::max(now.start.index.value, released_.value) + 1;
    if (pick(6) == 0 && lowest < index) index = lowest + pick(index - lowest), ++term_;  // a conflict
    term_ = std::max(term_, now.last.term.value);
    Batch b;
    for (uint64_t n = 1 + pick(4); n > 0; --n)
      b.entries.push_back(
          entry(term_, index++,
                std::string(pick(4) == 0 ? pick(4000) : pick(300), static_cast<char>('a' + pick(26)))));
    return b;
  }
  void submit(Batch b) {
    in_flight_.push_back(b);
    uint64_t life = life_;
    m_.wal->append(std::move(b), [this, life](const Status& s, const Appended&) {
      ASSERT_EQ(life, life_);
      if (!s.ok()) return;  // the power has failed; the rest is never acknowledged
      ASSERT_FALSE(in_flight_.empty());
      acknowledged_.apply(in_flight_.front());
      in_flight_.pop_front();
      durable_ = acknowledged_.last;
      ++acknowledged_count_;
    });
  }
  void adopt(const Model& state, const Recovered& r) {
    acknowledged_ = state;
    acknowledged_.start_at(r.start);
    durable_ = r.last;
    in_flight_.clear();
    term_ = std::max({term_, r.last.term.value, r.hard_state.term.value});
    ++life_;
  }

  Machine& m_;
  std::mt19937_64 random_;
  Model acknowledged_;
  std::deque<Batch> in_flight_;
  Index released_;
  Position durable_;
  uint64_t term_ = 1;
  uint64_t life_ = 0;
  size_t acknowledged_count_ = 0;
};

}  // namespace quorate::wal
