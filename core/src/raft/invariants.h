// Raft's promises as assertions about one core and about a whole cluster. For tests and simulators: call
// check_basic and check_delta after every step, ClusterInvariants::observe after every step of any member.
// A violation comes back as text; empty: none found.
#pragma once

#include <map>
#include <string>

#include "raft/raft.h"

namespace quorate::raft {

// What check_delta remembers of a core.
struct CoreSnapshot {
  HardState hard_state;
  RoleKind role = RoleKind::kFollower;
  MemberId leader;
  Index commit;
  Index applied;
  Index released;
  RaftLog::Position base;
  RaftLog::Position last;
};
CoreSnapshot snapshot_of(const RaftCore&);

// Cursors in order, log contiguous with terms that never fall, configuration consistent, the leader's view
// sane.
std::string check_basic(const RaftCore&);
// Between two moments of one life: term, commit and applied never fall; one vote per term; a leader only
// appends.
std::string check_delta(const CoreSnapshot& before, const RaftCore& now);

class ClusterInvariants {
 public:
  // Election safety (one leader per term), leader completeness (a leader's log holds what was ever seen
  // committed), state-machine safety (no two members commit different entries at an index), log matching.
  std::string observe(const RaftCore&);
  // The same for entries handed to a state machine.
  std::string applied(const Entry&);
  Index highest_committed() const { return committed_.empty() ? Index(0) : committed_.rbegin()->first; }

 private:
  std::string note_committed(Index index, Term term);

  std::map<Term, MemberId> leaders_;
  std::map<Index, Term> committed_;
  std::map<MemberId, Index> seen_;  // committed entries of a member compared up to here
  // Log matching by induction: an entry (index, term) has one predecessor term, whoever holds it.
  std::map<std::pair<Index, Term>, Term> predecessor_;
};

}  // namespace quorate::raft
