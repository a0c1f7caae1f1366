// Reading a log back: every segment in order, judged as the header comment of wal.h says. Writes nothing.
#pragma once

#include <deque>
#include <vector>

#include "wal/segments.h"

namespace quorate::wal {

struct SegmentInfo {
  uint64_t sequence = 0;
  uint64_t bytes = 0;   // claimed
  Index highest_entry;  // of all it holds, overwritten ones too; it may go when that is not needed any more
};

// Where the log continues.
struct Tail {
  std::deque<SegmentInfo> segments;  // the last one is written to
  SegmentHeader header;              // of that one, without its state
  uint64_t offset = 0;               // of the next batch
  uint64_t next_batch = 1;
  bool sealed = false;  // a valid header stands behind the last batch that says something
  LogState state;
};

// not_found, corruption, incompatible, io; with the first problem in recovered->corruption where it has a
// place.
Status read_log(const SegmentDirectory& directory, const std::vector<uint64_t>& sequences,
                Recovered* recovered, Tail* tail);

}  // namespace quorate::wal
