// What members of a cluster say to each other, one struct per message, and what their log holds.
//
// These are plain values; how they travel (codec, lanes, retries) is the server's. Everything here that comes
// from a peer is untrusted until RaftCore::step has judged it.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/types.h"
#include "quorate/plugin/base.h"
#include "raft/config.h"
#include "raft/types.h"

namespace quorate::raft {

// A point in the log that a state-machine snapshot stands for, and the membership in force there.
struct SnapshotMeta {
  Index index;
  Term term;
  Config config;
};

// (Pre-)votes and their answers also tell what their sender knows to be committed. Members' configurations
// follow their knowledge of the commit index, and a leader may be gone before it has told: one who holds the
// same entry learns that it is committed. Otherwise a candidate could need the vote of a member that it does
// not know to be removed, or that does not know itself to be a voter, and both could refuse for ever.

// Would you vote for me in `term`? Changes nobody's term or vote (Raft thesis 9.6).
struct PreVoteRequest {
  Term term;  // the sender's next term, not its current one
  Index last_index;
  Term last_term;
  Index commit{};
  Term commit_term{};
};
struct PreVoteResponse {
  Term term;           // the responder's own
  Term campaign_term;  // the request's, so that a late answer is recognised
  bool granted = false;
  Index commit{};
  Term commit_term{};
};

struct VoteRequest {
  Term term;
  Index last_index;
  Term last_term;
  bool transfer = false;  // the leader asked for this election: a live leader is no reason to refuse
  Index commit{};
  Term commit_term{};
};
struct VoteResponse {
  Term term;
  bool granted = false;
  Index commit{};
  Term commit_term{};
};

struct AppendEntries {
  Term term;
  Index prev_index;
  Term prev_term;
  Index commit;
  std::vector<Entry> entries;  // contiguous from prev_index + 1; may be empty
};
struct AppendResponse {
  Term term;
  bool rejected = false;
  Index index;  // accepted: everything up to here is durable and equal to the leader's; rejected: the
                // prev_index refused
  // Rejected only: the highest index, and its term, at which the two logs may agree, so that the leader skips
  // a whole term of conflict per round trip instead of one entry.
  Index hint_index;
  Term hint_term;
};

struct Heartbeat {
  Term term;
  Index commit;  // never beyond what the leader knows the receiver to hold
  uint64_t read_sequence = 0;
};
struct HeartbeatResponse {
  Term term;
  uint64_t read_sequence = 0;
};

// A follower asks the leader for an index that a linearizable read must wait for.
struct ReadIndexRequest {
  Term term;
  uint64_t id = 0;
};
struct ReadIndexResponse {
  Term term;
  uint64_t id = 0;
  Index index;
};

// The leader hands over: campaign now (Raft thesis 3.10).
struct TimeoutNow {
  Term term;
};

// The leader offers a snapshot because the entries needed are gone. Its bytes travel outside the core.
struct InstallSnapshot {
  Term term;
  SnapshotMeta snapshot;
};
enum class SnapshotOutcome : uint8_t { kInstalled = 0, kNotNeeded = 1, kFailed = 2 };
struct SnapshotStatus {
  Term term;
  Index index;  // kInstalled, kNotNeeded: everything up to here is durable on the sender
  SnapshotOutcome outcome = SnapshotOutcome::kFailed;
};

using Message = std::variant<PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse, AppendEntries,
                             AppendResponse, Heartbeat, HeartbeatResponse, ReadIndexRequest,
                             ReadIndexResponse, TimeoutNow, InstallSnapshot, SnapshotStatus>;

struct Envelope {
  MemberId to;
  Message message;
};

// The name of a message's type, for logs and counters: "AppendEntries".
const char* message_name(const Message&);

}  // namespace quorate::raft
