// Turns committed entries into changes of the replicated state. A pure function of the log and that state: it
// looks at no clock, no local option, no size on the disk. What is local (deadlines of leases, answers) is
// kept apart.
//
// [loop]
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/errors.h"
#include "base/types.h"
#include "lease/lessor.h"
#include "mvcc/store.h"
#include "server/alarms.h"
#include "server/entry.h"
#include "server/membership.h"
#include "server/txn.h"

namespace quorate::server {

// What a client that waits for the entry is told.
struct Outcome {
  std::optional<api::RpcError> error;
  int64_t revision = 0;  // of the store after the entry
  OpOutcome op;          // of a put or a delete
  TxnOutcome txn;
  int64_t lease_id = 0;
  int64_t lease_ttl = 0;
  std::vector<Alarms::Alarm> alarms;
};

class Applier {
 public:
  // The other parts of the replicated state; all outlive the applier.
  struct State {
    mvcc::Store& store;
    lease::Lessor& lessor;
    Alarms& alarms;
    Membership& membership;
  };
  explicit Applier(State state) : state_(state) {}

  // Restores the state that meta records hold. An error names the record.
  plugin::Status restore(const mvcc::Recovered&, uint64_t now_ns);

  // The versions whose records decide how the entry applies and that are not in memory; empty: apply() may be
  // called. The caller fetches them and hands them to resolve(), then asks again.
  std::vector<mvcc::KeyVersion> missing(const plugin::Buffer& data);
  // False: the record is not what it should be.
  bool resolve(const mvcc::KeyVersion&, mvcc::Record);

  // Applies the entry. `answer`: someone waits for the outcome. The events live until the next apply.
  std::span<const mvcc::Event> apply(Index, Term, const plugin::Buffer& data, bool answer, uint64_t now_ns,
                                     Outcome* out);
  // An entry that changes no state of ours (a no-op, a membership change): only the applied index moves.
  void apply_nothing(Index, Term);

 private:
  void dispatch(mvcc::Apply&, const EntryView&, bool answer, uint64_t now_ns, Outcome* out);
  void put(mvcc::Apply&, std::string_view request, bool answer, Outcome* out);
  void remove(mvcc::Apply&, std::string_view request, bool answer, Outcome* out);
  void txn(mvcc::Apply&, std::string_view request, bool answer, Outcome* out);
  void compact(mvcc::Apply&, std::string_view request, Outcome* out);
  void grant(mvcc::Apply&, std::string_view request, uint64_t now_ns, Outcome* out);
  void revoke(mvcc::Apply&, std::string_view request, Outcome* out);
  void alarm(mvcc::Apply&, std::string_view request, Outcome* out);
  void publish(mvcc::Apply&, std::string_view request, Outcome* out);
  void cluster_version(mvcc::Apply&, std::string_view request, Outcome* out);
  Execution execution(mvcc::Apply& apply, bool answer) {
    return Execution(apply, state_.lessor, deciding_, answer, state_.store.compacted());
  }
  // Decides under the active alarms; true: refused.
  bool refused(bool needs_space, Outcome* out) const;

  State state_;
  DecidingRecords deciding_;
};

}  // namespace quorate::server
