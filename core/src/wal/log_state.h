// What the log says, without its data: shared by the writer and by recovery, so that both judge alike.
#pragma once

#include <string>
#include <vector>

#include "wal/wal.h"

namespace quorate::wal {

// The terms of the entries in (start, last], as runs. Terms change rarely, so this is small.
class TermRuns {
 public:
  void reset(Position start);
  // The log reaches to `last`, but what is between is only known to segments that are gone: terms there are
  // 0. REQUIRES: empty, last.index > start.index.
  void jump(Position last);
  // REQUIRES: start < index <= last + 1. What was at index and behind it goes.
  void append(Position entry);
  void truncate_to(Index last);   // keeps (start, last]
  void start_at(Position start);  // forgets what is at or below; REQUIRES: start.index <= last
  // Of start and of entries; 0 for anything else.
  Term term_at(Index index) const;
  Position start() const { return start_; }
  Position last() const { return last_; }

 private:
  struct Run {
    Index first;
    Term term;
  };
  Position start_;
  Position last_;
  std::vector<Run> runs_;
};

struct LogState {
  Metadata metadata;
  raft::HardState hard_state;
  std::string members;
  Base base;
  TermRuns terms;

  // Null, or why this cannot be the next entry.
  const char* objection(Position entry) const;
  void add(Position entry) { terms.append(entry); }
  // Whether the log has to restart behind this base: its entry there is not the base's.
  bool restarts_behind(const Base& b) const;
  // The log restarts behind the base, or begins there, or (an older base) stays as it is. Null, or why it
  // cannot.
  const char* set_base(Base b, bool restart);
  // Entries at or below are gone. Ignored unless it moves forward within the log.
  void set_start(Position start);
};

}  // namespace quorate::wal
