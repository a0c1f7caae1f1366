#include "wal/log_state.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate::wal {

void TermRuns::reset(Position start) {
  start_ = last_ = start;
  runs_.clear();
}

void TermRuns::jump(Position last) {
  QUORATE_ASSERT(runs_.empty() && last.index > start_.index, "a jump within the log");
  if (last.index > start_.index + 1) runs_.push_back({start_.index + 1, Term(0)});
  runs_.push_back({last.index, last.term});
  last_ = last;
}

void TermRuns::truncate_to(Index last) {
  if (last >= last_.index) return;
  QUORATE_ASSERT(last >= start_.index, "truncation below the start of the log");
  while (!runs_.empty() && runs_.back().first > last) runs_.pop_back();
  last_ = {last, runs_.empty() ? start_.term : runs_.back().term};
}

void TermRuns::append(Position entry) {
  QUORATE_ASSERT(entry.index > start_.index && entry.index <= last_.index + 1, "an entry outside the log");
  truncate_to(entry.index - 1);
  if (runs_.empty() || runs_.back().term != entry.term) runs_.push_back({entry.index, entry.term});
  last_ = entry;
}

void TermRuns::start_at(Position start) {
  QUORATE_ASSERT(start.index <= last_.index, "a start behind the end of the log");
  auto behind = std::upper_bound(runs_.begin(), runs_.end(), start.index,
                                 [](Index index, const Run& run) { return index < run.first; });
  // The run that start lies in goes on behind it, if there is anything behind it.
  if (behind != runs_.begin()) {
    --behind;
    behind->first = start.index + 1;
    bool empty =
        start.index == last_.index || (behind + 1 != runs_.end() && (behind + 1)->first == behind->first);
    runs_.erase(runs_.begin(), empty ? behind + 1 : behind);
  }
  start_ = start;
  if (last_.index == start.index) last_ = start;
}

Term TermRuns::term_at(Index index) const {
  if (index == start_.index) return start_.term;
  if (index < start_.index || index > last_.index) return Term(0);
  auto behind = std::upper_bound(runs_.begin(), runs_.end(), index,
                                 [](Index i, const Run& run) { return i < run.first; });
  return std::prev(behind)->term;
}

const char* LogState::objection(Position entry) const {
  if (entry.index <= terms.start().index) return "an entry at or below the start of the log";
  if (entry.index > terms.last().index + 1) return "a gap before an entry";
  if (entry.term < terms.term_at(entry.index - 1)) return "an entry of a lower term than the one before it";
  return nullptr;
}

bool LogState::restarts_behind(const Base& b) const {
  if (b.index < terms.start().index) return false;
  return b.index > terms.last().index || terms.term_at(b.index) != b.term;
}

const char* LogState::set_base(Base b, bool restart) {
  Position at = b.position();
  if (restart) {
    terms.reset(at);
  } else if (at.index >= terms.start().index) {
    if (at.index > terms.last().index) return "a base behind the end of the log";
    terms.start_at(at);
  }
  base = std::move(b);
  return nullptr;
}

void LogState::set_start(Position start) {
  if (start.index > terms.start().index && start.index <= terms.last().index) terms.start_at(start);
}

}  // namespace quorate::wal
