#include "raft/log.h"

#include "base/assert.h"

namespace quorate::raft {

RaftLog::RaftLog(Position base, std::vector<Entry> entries) : base_(base) {
  for (Entry& entry : entries) append(std::move(entry));
}

std::optional<Term> RaftLog::term_at(Index index) const {
  if (index == base_.index) return base_.term;
  if (index < base_.index || index > last().index) return std::nullopt;
  return entries_[offset(index)].term;
}

const Entry& RaftLog::at(Index index) const {
  QUORATE_ASSERT(index > base_.index && index <= last().index, "the entry is not in the log");
  return entries_[offset(index)];
}

void RaftLog::append(Entry entry) {
  QUORATE_ASSERT(entry.index == last().index + 1, "the log has no holes");
  QUORATE_ASSERT(entry.term >= last().term, "terms in the log never fall");
  bytes_ += entry.bytes();
  entries_.push_back(std::move(entry));
}

void RaftLog::truncate(Index from) {
  QUORATE_ASSERT(from > base_.index, "the base cannot be truncated");
  while (!entries_.empty() && entries_.back().index >= from) {
    bytes_ -= entries_.back().bytes();
    entries_.pop_back();
  }
}

void RaftLog::compact(Index to) {
  std::optional<Term> term = term_at(to);
  QUORATE_ASSERT(term.has_value(), "compaction stays inside the log");
  while (!entries_.empty() && entries_.front().index <= to) {
    bytes_ -= entries_.front().bytes();
    entries_.pop_front();
  }
  base_ = {to, *term};
}

void RaftLog::reset(Position base) {
  entries_.clear();
  bytes_ = 0;
  base_ = base;
}

std::vector<Entry> RaftLog::slice(Index from, Index to, uint64_t max_bytes) const {
  QUORATE_ASSERT(from > base_.index && from <= to && to <= last().index, "the slice is not in the log");
  std::vector<Entry> out;
  uint64_t bytes = 0;
  for (Index i = from; i <= to; ++i) {
    const Entry& entry = entries_[offset(i)];
    bytes += entry.bytes();
    if (!out.empty() && bytes > max_bytes) break;
    out.push_back(entry);
  }
  return out;
}

RaftLog::Position RaftLog::last_not_above(Index from, Term term) const {
  for (Index i = std::min(from, last().index); i > base_.index; i = i - 1)
    if (entries_[offset(i)].term <= term) return {i, entries_[offset(i)].term};
  return base_;
}

}  // namespace quorate::raft
