// The log in memory: entries behind a base, contiguous, with their terms.
//
// Holds no cursor (commit, durable, ...): those are RaftCore's. Breaking a precondition is an assertion; what
// comes from a peer is checked before it gets here.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "raft/message.h"

namespace quorate::raft {

class RaftLog {
 public:
  struct Position {
    Index index;
    Term term;
  };

  // REQUIRES: entries contiguous from base.index + 1, terms not falling.
  RaftLog(Position base, std::vector<Entry> entries);

  Position base() const { return base_; }
  Position last() const {
    return entries_.empty() ? base_ : Position{entries_.back().index, entries_.back().term};
  }
  // Of the entries held; the base itself is none.
  uint64_t bytes() const { return bytes_; }

  // From the base, included, to the last entry; nothing outside.
  std::optional<Term> term_at(Index) const;
  // REQUIRES: base < index <= last.
  const Entry& at(Index index) const;

  // REQUIRES: entry.index follows the last.
  void append(Entry entry);
  // Drops `from` and what follows. REQUIRES: base < from.
  void truncate(Index from);
  // Drops everything up to `to`, which becomes the base. REQUIRES: base <= to <= last.
  void compact(Index to);
  // Forgets everything and starts behind `base`.
  void reset(Position base);

  // Entries of [from, to], as many as fit in max_bytes but at least one. REQUIRES: base < from <= to <= last.
  std::vector<Entry> slice(Index from, Index to, uint64_t max_bytes) const;

  // The highest position at or below `from` whose term is at most `term`: where a log whose entry at `from`
  // has `term` may agree with this one. Below the base nothing is known; then the base is the answer.
  Position last_not_above(Index from, Term term) const;

 private:
  size_t offset(Index index) const { return index - base_.index - 1; }

  Position base_;
  std::deque<Entry> entries_;
  uint64_t bytes_ = 0;
};

}  // namespace quorate::raft
