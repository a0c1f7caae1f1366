// What a Raft log holds and what a member must never forget: shared by the consensus core and the write-ahead
// log.
#pragma once

#include <cstdint>

#include "base/types.h"
#include "quorate/plugin/base.h"

namespace quorate::raft {

// Stored and sent by value: numbers are never reused.
enum class EntryType : uint8_t {
  kNormal = 0,      // the state machine's
  kConfChange = 1,  // data is encode_conf_change(); the core itself acts on it when it commits
  kNoOp = 2,        // a new leader's first entry; data is empty
};
constexpr uint8_t kEntryTypes = 3;

struct Entry {
  Term term;
  Index index;
  EntryType type = EntryType::kNormal;
  plugin::Buffer data;  // shared, never copied by the core

  // What an entry counts for in every byte limit: its data and a fixed cost for the rest.
  static constexpr uint64_t kOverhead = 32;
  uint64_t bytes() const { return data.size() + kOverhead; }
};

// What must be durable before a message that depends on it leaves.
struct HardState {
  Term term;
  MemberId vote;
  friend bool operator==(const HardState&, const HardState&) = default;
};

}  // namespace quorate::raft
