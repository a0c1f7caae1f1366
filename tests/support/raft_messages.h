// Random messages of Raft, honest in form or not.
#pragma once

#include <functional>
#include <random>
#include <string>

#include "raft/message.h"

namespace quorate::test {

// QUORATE_SEED, or the same every time; printed.
uint64_t seed();

class RandomMessages {
 public:
  explicit RandomMessages(uint64_t seed) : random_(std::mt19937_64(seed)) {}
  // From any source of numbers, such as a fuzzer's input.
  explicit RandomMessages(std::function<uint64_t()> source) : random_(std::move(source)) {}

  // A number that is often at an edge.
  uint64_t number();
  bool flip() { return random_() % 2 == 0; }
  uint64_t pick(uint64_t n) { return random_() % n; }
  // Entries that are mostly contiguous behind `after`; `honest`: always.
  std::vector<raft::Entry> entries(Index after, bool honest = false);
  raft::SnapshotMeta snapshot(bool honest = false);
  // Anything.
  raft::Message any() { return make(false); }
  // Anything that a frame can carry: contiguous entries, a config that fits together.
  raft::Message valid() { return make(true); }

 private:
  raft::Message make(bool honest);
  std::function<uint64_t()> random_;
};

bool equal(const raft::Message& a, const raft::Message& b);

}  // namespace quorate::test
