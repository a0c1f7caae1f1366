// One member alone with messages made by hand: for what the rules say about a single step.
#pragma once

#include <gtest/gtest.h>

#include "raft/node.h"

namespace quorate::raft::testing {

inline Entry entry(uint64_t index, uint64_t term, const std::string& value = "") {
  return {Term(term), Index(index), EntryType::kNormal, bytes(value)};
}

// Member 1 of voters 1..n, in `term`, with a log of entries 2, 3, ... of the given terms behind the base 1/1.
inline Node solo(uint64_t voters, uint64_t term, const std::vector<uint64_t>& log = {}, MemberId vote = {}) {
  Options options;
  options.id = MemberId(1);
  Disk disk;
  for (uint64_t id = 1; id <= voters; ++id) disk.config.voters.insert(MemberId(id));
  disk.hard_state = {Term(term), vote};
  for (uint64_t i = 0; i < log.size(); ++i) disk.entries.push_back(entry(i + 2, log[i]));
  return Node(options, disk);
}

inline AppendEntries append(uint64_t term, uint64_t prev, uint64_t prev_term, std::vector<Entry> entries,
                            uint64_t commit = 0) {
  return {Term(term), Index(prev), Term(prev_term), Index(commit), std::move(entries)};
}

// What leaves at once, and what leaves after every write is done; of the given type only.
template <typename T>
std::vector<T> sent(Node& node, bool finish = true) {
  std::vector<T> out;
  auto collect = [&] {
    for (Envelope& e : node.pump().messages)
      if (auto* m = std::get_if<T>(&e.message)) out.push_back(*m);
  };
  collect();
  if (finish) {
    node.finish_writes();
    collect();
  }
  return out;
}

// Makes member 1 the leader of `voters` with the votes of the others.
inline void lead(Node& node, uint64_t voters) {
  node->campaign();
  const Term next = node->term() + 1;
  for (uint64_t id = 2; id <= voters; ++id)
    if (!node->is_leader()) node->step(MemberId(id), PreVoteResponse{node->term(), next, true, {}, {}});
  node.pump();
  node.finish_writes();
  for (uint64_t id = 2; id <= voters; ++id)
    if (!node->is_leader()) node->step(MemberId(id), VoteResponse{next, true, {}, {}});
  ASSERT_TRUE(node->is_leader());
}

}  // namespace quorate::raft::testing
