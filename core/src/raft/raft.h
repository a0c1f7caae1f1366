// RaftCore: one member's consensus state machine, as values in and values out.
//
// Contract. The core does no I/O, reads no clock, starts no thread and calls nobody back: inputs are method
// calls, outputs are what take_ready() returns, randomness comes from Options::seed. The same calls in the
// same order give the same outputs. [serial], [no-block]: one caller at a time, every call is short.
//
// The caller's loop, in order:
//   1. Feed what happened: tick, step, propose, read_index, on_append_done, on_applied, ... as often as
//   wanted;
//      nothing has to be taken between them, and what is fed together is batched (one AppendTask, one
//      AppendEntries per follower, one read round).
//   2. `Ready r = core.take_ready()`, then
//      a. put r.messages on the wire. All of them may leave now: what depends on durability is held back by
//      the
//         core until on_append_done, and a leader sends entries before its own fsync on purpose.
//      b. if r.append, hand it to the write-ahead log. Tasks are written in the order taken; once one (and
//      all
//         before it) is durable, call on_append_done(task.id). Several may be in flight; completing one
//         completes those before it. A task that fails is never completed: the member stops, or goes on
//         without voting.
//      c. apply r.committed in order, each exactly once, then on_applied. They are committed *and* durable
//      here.
//         r.config_changes says which of the membership changes among them (or soon to be among them) took
//         effect.
//      d. answer reads: each of r.reads may be served when the state machine has applied its index;
//         r.reads_failed have failed and may be retried.
//      e. for each of r.need_snapshot make one and call offer_snapshot (or report_snapshot with false).
//   3. While has_ready(), again.
//
// Outcome of a proposal: propose() gives index and term. *Done* when r.committed has an entry of that index
// and term; *failed, safe to retry* when it has one of that index and another term (or another index's
// snapshot took its place: then unknown); *unknown* until then, also when the node stops leading. An error of
// propose() means nothing happened.
//
// Membership. A change takes effect on a member when that member learns that it is committed (as etcd does
// when it applies; a joint change is committed by the old configuration, so `member add` answers before the
// new member runs). That is safe because a leader proposes a change only when the one before is committed and
// it has committed an entry of its own term, so neighbouring configurations, whose majorities overlap, are
// the only ones in use at a time; a restart concludes from a change in its log that all changes before it are
// committed.
//
// A removed member's id is never used again: whoever knows of the removal ignores what comes under that id.
//
// Errors. Misuse by the caller is an assertion. Anything a peer sends that is wrong is ignored and counted
// (Counters): never a crash, never a truncated committed entry, never unbounded memory.
//
// Source of the rules: D. Ongaro, "Consensus: Bridging Theory and Practice" (2014), cited as "thesis".
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "raft/log.h"
#include "raft/message.h"
#include "raft/progress.h"
#include "raft/quorum.h"

namespace quorate::raft {

// Times are in ticks; how long a tick is, is the caller's choice. From 10 ms ticks the defaults give etcd's
// timers.
struct Options {
  MemberId id;
  uint64_t seed = 0;  // another one at every start: answers to reads of an earlier life must not be mistaken
  uint32_t heartbeat_ticks = 10;
  uint32_t election_ticks =
      100;  // silence of the leader before anyone campaigns, and the interval of check_quorum
  // Fast failover: a voter waits election_ticks + rank * rank_ticks + U(0, jitter_ticks), rank being its
  // place among the voters other than the leader. Split votes become rare, so the whole spread can be small.
  uint32_t rank_ticks = 10;
  uint32_t jitter_ticks = 4;
  uint32_t retry_ticks = 10;                  // after a refused (pre-)vote
  uint64_t max_append_bytes = 1 << 20;        // entries in one AppendEntries
  uint64_t max_inflight_bytes = 8 << 20;      // sent to one member and not acknowledged
  uint64_t max_uncommitted_bytes = 64 << 20;  // a leader refuses proposals beyond
  uint64_t max_apply_bytes = 16 << 20;        // committed entries in one Ready
  uint32_t max_peer_reads = 64;               // ReadIndex requests of one member waiting at the leader
  uint32_t max_reads = 1 << 20;               // local reads waiting
  bool pre_vote = true;
  bool check_quorum = true;
};

// Timers for ticks of `tick_ms` milliseconds: ranks 100 ms apart, jitter 40 ms, retry after 100 ms.
Options options_for_timers(uint32_t tick_ms, uint32_t heartbeat_ms, uint32_t election_ms);

// What a member starts from: its bootstrap, or what it finds on its disk.
//
// The founding members of a cluster start from the same base, {index 1, term 1} (so that their first
// leader's term is 2, as etcd's is), with the same config. A member
// that joins later starts with base 0 and an empty config, so that the leader must begin with a snapshot,
// which brings the membership that no log entry tells.
struct Restored {
  HardState hard_state;
  RaftLog::Position base;      // of the log; the bootstrap's is the same on every founding member
  std::vector<Entry> entries;  // durable, contiguous behind the base
  Index applied;               // by the state machine, durably; base.index <= applied <= last
  Config config;               // in force at `applied`
  Index commit;                // a hint, if known; 0 is always right
};

// Something to make durable, in this order: base (the log restarts behind it unless the entry at base.index
// has base.term), then hard_state, then entries (the first one's index says where the log is overwritten).
struct AppendId {
  uint64_t number = 0;  // ascending by one
  Term term;            // the member's when the task was made
  Index last;           // of the log when the task was made
  friend bool operator==(const AppendId&, const AppendId&) = default;
};
struct AppendTask {
  AppendId id;
  std::optional<SnapshotMeta> base;
  std::optional<HardState> hard_state;
  std::vector<Entry> entries;
};

enum class RoleKind : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
const char* role_name(RoleKind);

struct SoftState {
  RoleKind role = RoleKind::kFollower;
  Term term;
  MemberId leader;  // 0: none known
  friend bool operator==(const SoftState&, const SoftState&) = default;
};

struct ReadState {
  uint64_t context = 0;  // the caller's
  Index index;
};

struct ConfigApplied {
  Index index;                  // of the entry
  Config config;                // in force from now on
  const char* error = nullptr;  // set: the change did not fit and changed nothing (the same on every member)
};

struct SnapshotOffer {
  MemberId from;
  SnapshotMeta snapshot;
};

struct Ready {
  std::vector<Envelope> messages;
  std::optional<AppendTask> append;
  std::vector<Entry> committed;
  std::vector<ConfigApplied> config_changes;
  std::vector<ReadState> reads;
  std::vector<uint64_t> reads_failed;
  std::vector<MemberId> need_snapshot;
  std::vector<SnapshotOffer>
      snapshot_offers;  // fetch, verify, make durable, then install_snapshot; or snapshot_failed
  std::optional<SoftState> soft_state;  // set when it changed
  std::optional<Index> truncated_from;  // entries from here on were taken back: their outcome is unknown
};

enum class ProposeError : uint8_t {
  kNone,
  kNotLeader,
  kNoSpace,             // max_uncommitted_bytes
  kTransferInProgress,  // leadership is being handed over
  kChangePending,       // membership: one at a time, and not before the leader's first entry is committed
  kInvalidChange,       // membership: Proposed::detail says why
};
struct Proposed {
  ProposeError error = ProposeError::kNone;
  Index first;
  Term term;
  const char* detail = nullptr;
  bool ok() const { return error == ProposeError::kNone; }
};

// Ignored input and events worth a metric.
struct Counters {
  uint64_t unknown_sender = 0;  // an answer from, or a request that only a member may make by, a stranger
  uint64_t removed_sender = 0;  // a member whose removal is committed
  uint64_t stale_term = 0;
  uint64_t term_too_high = 0;       // a jump no honest cluster makes
  uint64_t malformed = 0;           // holes, falling terms, unknown types, sizes over the limit
  uint64_t second_leader = 0;       // two leaders in one term: one of them lies
  uint64_t conflict_committed = 0;  // an append that contradicts a committed entry
  uint64_t beyond_log = 0;          // an index further than any log we know
  uint64_t wrong_role = 0;          // an answer nobody waits for
  uint64_t in_lease = 0;            // (pre-)votes refused because the leader is alive
  uint64_t too_many_reads = 0;
  uint64_t elections_started = 0;
  uint64_t elections_won = 0;
  uint64_t lost_quorum = 0;  // stepped down by check_quorum
};

struct Follower {
  MemberId leader;  // 0: none known
};
struct PreCandidate {
  std::map<MemberId, bool> votes;
};
struct Candidate {
  std::map<MemberId, bool> votes;
  bool transfer = false;
};
struct Leader {
  std::map<MemberId, Progress> members;  // everyone but this member
  Index first_own;       // its no-op: until it is committed, no reads and no membership changes
  Index pending_change;  // the last membership change in the log; < commit: none pending
  MemberId transfer_to;  // 0: none
  uint32_t transfer_ticks = 0;
  uint32_t heartbeat_elapsed = 0;
  uint32_t quorum_elapsed = 0;
  uint64_t uncommitted_bytes = 0;
  // Reads. A round is one read_sequence, carried by heartbeats; a majority's answers resolve it and all
  // before it.
  struct Read {
    MemberId origin;  // 0: local
    uint64_t id = 0;  // context, or the origin's id
    uint64_t sequence = 0;
    Index index;
  };
  std::deque<Read> waiting_reads;  // for the next round
  std::deque<Read> reads;          // in a round
  uint64_t read_sequence = 0;
  std::map<MemberId, uint32_t> peer_reads;
};

class RaftCore {
 public:
  RaftCore(const Options& options, Restored restored);

  // ---- Inputs
  // ------------------------------------------------------------------------------------------------
  void tick();
  // A message that `from` (authenticated by the caller's transport) sent to this member.
  void step(MemberId from, Message message);
  // Normal entries, in order, all or none. REQUIRES: not empty.
  Proposed propose(std::vector<plugin::Buffer> batch);
  Proposed propose_conf_change(const ConfChange& change);
  // An index that a linearizable read must wait for; `context` comes back in reads or reads_failed. False: no
  // leader is known or too many wait; nothing was recorded.
  bool read_index(uint64_t context);
  // Leader only; false: not the leader, or the target is not another voter. Given up after election_ticks.
  bool transfer_leadership(MemberId target);
  // Starts an election now (unless leading or not a voter). A lone voter needs no other: it leads once its
  // vote is durable.
  void campaign();
  // A hint: the connection to `member` was closed and a new one refused. If it leads, a pre-vote starts soon.
  void peer_connection_lost(MemberId member);
  // Leader: messages to `member` may have been lost.
  void report_unreachable(MemberId member);
  // Leader: offers `snapshot` to `member`, which Ready::need_snapshot named.
  void offer_snapshot(MemberId member, const SnapshotMeta& snapshot);
  // Leader: the transfer to `member` ended. Not ok: it is asked for again after the next heartbeat.
  void report_snapshot(MemberId member, bool ok);
  // Follower: the offered snapshot is on the disk, verified and synced; the log shall restart behind it.
  // False: not needed any more. True: the state machine is at snapshot.index from now on (on_applied is not
  // called for it), and the switch is final when the AppendTask that carries it as `base` is durable.
  bool install_snapshot(const SnapshotMeta& snapshot);
  void snapshot_failed(MemberId from, const SnapshotMeta& snapshot);
  void on_append_done(const AppendId& id);
  void on_applied(Index index);
  // Forgets entries up to `to` in memory. REQUIRES: to <= applied. Already forgotten: nothing happens.
  void compact(Index to);
  // A member that may have lost what it promised (wiped, rolled back, corrupt) must not vote; one that could
  // not serve (no space, apply paused) should not campaign. Both are allowed at first.
  void restrict(bool may_vote, bool may_campaign);

  // ---- Output
  // ------------------------------------------------------------------------------------------------ Whether
  // anything was fed, or is left over, since take_ready (which may still turn out to be nothing).
  bool has_ready() const { return dirty_; }
  Ready take_ready();

  // ---- State, for status, metrics and checks
  // -------------------------------------------------------------------
  MemberId id() const { return options_.id; }
  HardState hard_state() const { return {term_, vote_}; }
  Term term() const { return term_; }
  RoleKind role() const { return static_cast<RoleKind>(role_.index()); }
  bool is_leader() const { return role() == RoleKind::kLeader; }
  MemberId leader() const;
  Index commit_index() const { return commit_; }
  Index durable_index() const { return durable_; }
  Index applied_index() const { return applied_; }
  Index released_index() const { return released_; }  // handed out in Ready::committed
  const RaftLog& log() const { return log_; }
  const Config& config() const { return config_; }
  const Counters& counters() const { return counters_; }
  // Leader only, else null: what it knows of the others.
  const Leader* as_leader() const { return std::get_if<Leader>(&role_); }

 private:
  struct InFlight {
    AppendId id;
    Index durable_to;  // what this task proves durable: falls when the log is truncated below it
    HardState hard_state;
    std::vector<Envelope> held;  // may leave when it is durable
  };
  struct ForwardedReads {
    std::vector<uint64_t> contexts;
    uint32_t ticks = 0;
  };

  // election.cc
  void tick_election();
  void start_election(bool force);
  void become_pre_candidate();
  void become_candidate(bool transfer);
  void become_follower(Term term, MemberId leader);
  void become_leader();
  void leader_alive(MemberId leader);
  void set_timer(uint32_t base_ticks);
  void vote_refused();
  void count_vote(MemberId from, bool granted);
  bool learn_commit(MemberId from, Index commit, Term term);
  bool in_lease() const;
  bool promotable() const;
  bool log_is_current(Index last_index, Term last_term) const;
  uint32_t rank() const;
  uint64_t random(uint64_t bound);
  void receive(MemberId from, PreVoteRequest& m);
  void receive(MemberId from, PreVoteResponse& m);
  void receive(MemberId from, VoteRequest& m);
  void receive(MemberId from, VoteResponse& m);
  void receive(MemberId from, TimeoutNow& m);

  // replication.cc
  void tick_leader(Leader& leader);
  bool check_quorum(Leader& leader);
  bool accept_leader(MemberId from, Term term);
  const char* malformed(const AppendEntries& m) const;
  void receive(MemberId from, AppendEntries& m);
  void receive(MemberId from, AppendResponse& m);
  void receive(MemberId from, Heartbeat& m);
  void receive(MemberId from, HeartbeatResponse& m);
  void append_own(EntryType type, plugin::Buffer data);
  bool store_entries(AppendEntries& m);
  void truncate_log(Index from);
  void broadcast_heartbeat(Leader& leader);
  void send_heartbeat(Leader& leader, MemberId to);
  void fill_appends(Leader& leader);
  void fill_appends(Leader& leader, MemberId to, Progress& p);
  bool send_append(Leader& leader, MemberId to, Progress& p, bool empty);
  void on_accepted(MemberId from, Progress& p, Index index);
  void on_rejected(Progress& p, const AppendResponse& m);
  void maybe_commit();
  void commit_to(Index index);
  void finish_transfer(Leader& leader);
  // The progress of `from` if this member leads in `term`; null, with the reason counted, if not.
  Progress* answering_member(MemberId from, Term term);

  // membership.cc
  void apply_change_entry(const Entry& entry);
  void adopt(Config config);
  void restore_changes(Index hint);
  void maybe_leave_joint();
  void say_goodbye(const Config& next);

  // reads.cc
  void start_read_round(Leader& leader);
  void resolve_reads(Leader& leader);
  void answer_read(Leader& leader, const Leader::Read& read);
  void forward_reads();
  void tick_forwarded_reads();
  void fail_forwarded_reads();
  void fail_leader_reads(Leader& leader);
  void receive(MemberId from, ReadIndexRequest& m);
  void receive(MemberId from, ReadIndexResponse& m);

  // snapshot.cc
  void restart_log(const SnapshotMeta& snapshot);
  void receive(MemberId from, InstallSnapshot& m);
  void receive(MemberId from, SnapshotStatus& m);

  // raft_core.cc
  bool admissible(MemberId from, const Message& m);
  void send(MemberId to, Message m) { outbox_.push_back({to, std::move(m)}); }
  void send_durable(MemberId to, Message m) { waiting_.push_back({to, std::move(m)}); }
  bool must_append() const;
  void fill_append(Ready& ready);
  void fill_committed(Ready& ready);
  void completed(InFlight& task);
  SoftState soft_state() const { return {role(), term_, leader()}; }

  Options options_;
  uint64_t random_state_;
  RaftLog log_;
  Config config_;
  Term term_;
  MemberId vote_;
  std::variant<Follower, PreCandidate, Candidate, Leader> role_;

  // base <= applied <= released <= min(commit, durable); durable <= handed <= last
  Index commit_;
  Index durable_;  // in our log and on our disk, up to here
  Index handed_;   // in our log and in an AppendTask, up to here
  Index released_;
  Index applied_;

  uint32_t since_leader_ = 0;    // ticks since the leader was heard
  uint32_t timer_ = 0;           // ticks until this member campaigns
  bool leader_suspect_ = false;  // its connection is lost: its lease counts for nothing here
  MemberId last_leader_;         // for rank(), also after it is gone
  bool may_vote_ = true;
  bool may_campaign_ = true;
  std::set<MemberId> removed_;

  HardState handed_hard_state_;
  std::optional<SnapshotMeta> new_base_;
  std::optional<SnapshotOffer> offered_;  // told the caller, so that a repeated offer is not told again
  uint64_t task_number_ = 0;
  std::deque<InFlight> in_flight_;
  std::vector<Envelope> waiting_;  // until what is not yet handed or durable is durable
  std::vector<Envelope> outbox_;

  std::vector<uint64_t> local_reads_;  // not leading: to be forwarded
  std::map<uint64_t, ForwardedReads> forwarded_;
  uint64_t forward_id_ = 0;

  bool dirty_ = false;
  Ready pending_;  // collects reads, config changes, snapshots and truncation until they are taken
  SoftState taken_soft_state_;
  Counters counters_;
};

}  // namespace quorate::raft
