// The write-ahead log: what a member has promised to remember. Raft's entries, its term and vote, the
// membership, and which storage directory the log continues (Base). Nothing is acknowledged to a client or a
// peer before the record that says it is synced here.
//
// On disk (docs/formats.md has every byte): a directory of segments `<sequence, 16 hex digits>.wal`, each
// claimed whole when it is made, and spare files `spare-<n>` that wait to become segments. A segment begins
// with its header, stored twice: a fresh random salt, the number of its first batch, and all state in force
// there, so that older segments may go. Then batches, each on a 512-byte boundary, each written by one write
// and one sync; the next one is written only when that has returned. A valid header of a later batch
// therefore proves that everything before it was durable once, and recovery can tell a torn tail (never
// acknowledged: dropped whole) from corruption (never guessed at: named).
//
// Threads. recover() and create() block: they run before the loop does. Everything else is [loop] and
// [no-block], except that append() may sync inline when it was allowed to. Disk work runs on Lane::kWal
// (writes) and Lane::kBulk (zero-filling, recycling, spare segments). Callbacks come on the loop, never
// inside the call they belong to, in the order of the appends. Destroying the Wal drops callbacks that have
// not run; work that a helper thread already has goes on by itself, and nothing it finishes has been
// acknowledged.
//
// Errors.
//   no_space   the append does not count, and may be made again: nothing of it, or a part that the same
//   append writes
//              once more. Appends made before this answer came are refused with it, so that an append that
//              succeeds always vouches for every one before it. Raft's own records (no entries, or one no-op)
//              have the reserved spare segment and go on; they are refused only behind one that was refused.
//   invalid    the batch contradicts the log or exceeds a limit; nothing was written.
//   io         a write or sync failed: fail-stop. failed() is true, every waiting and later append answers
//   io, the file
//              is never written, synced or acknowledged from again. Only a restart (recover) gets out of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quorate/runtime.h"
#include "raft/types.h"

namespace quorate::wal {

using plugin::Status;

struct Position {
  Index index;
  Term term;
  friend bool operator==(const Position&, const Position&) = default;
};

// Who this member is; written when the log is created, and whenever it changes. `config` is the caller's,
// versioned by it.
struct Metadata {
  ClusterId cluster;
  MemberId member;
  std::string node_id;  // distinguishes this log from every other, also from a copy
  std::string config;
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

// What the log continues: the state machine at (index, term), its membership, and the directory that holds
// it. Appending one is the switch to that directory. The log restarts behind it unless the entry at `index`
// has `term`.
struct Base {
  Index index;
  Term term;
  std::string members;    // the caller's encoding
  std::string directory;  // a name, not a path
  Position position() const { return {index, term}; }
  friend bool operator==(const Base&, const Base&) = default;
};

struct Options {
  std::string directory;                      // of the segments; its parent exists
  uint64_t segment_bytes = 64 << 20;          // of new segments: [64 KiB, 1 GiB], a multiple of 4 KiB
  uint64_t zero_ahead_bytes = 4 << 20;        // zero-filled in front of the writer; 0: not at all
  uint64_t batch_bytes = 2 << 20;             // appends that wait are written together up to this
  uint64_t inline_sync_limit_ns = 1'000'000;  // no inline sync while many of the latest took longer
  bool sync = true;                           // false: --unsafe-no-fsync, a power cut may lose anything
  Clock* clock = nullptr;                     // times syncs, uncached; null: the executor's
};

// Largest things a log takes, by its segment size; one batch never exceeds half a segment.
uint64_t max_entry_bytes(const Options& options);
constexpr uint64_t kMaxBlobBytes = 256 << 10;  // each of members, metadata config

// One append, made durable in this order: metadata, base, hard state, members, entries. Entries are
// contiguous; the first one's index says where the log is overwritten: at most last + 1, above start.
struct Batch {
  std::optional<Metadata> metadata;
  std::optional<Base> base;
  std::optional<raft::HardState> hard_state;
  std::optional<std::string> members;  // in force now, for the segment headers; the caller's encoding
  std::vector<raft::Entry> entries;

  bool is_raft_own() const {
    return entries.empty() ||
           (entries.size() == 1 && entries[0].type == raft::EntryType::kNoOp && entries[0].data.empty());
  }
};

// Where the log stood once the append was durable (ok), or stands without it.
struct Appended {
  Position last;
};
using AppendDone = UniqueFunction<void(const Status&, const Appended&)>;

struct Corruption {
  std::string file;     // path
  uint64_t offset = 0;  // bytes, of the batch or header that is wrong
  std::string what;
};

struct TornTail {
  std::string file;
  uint64_t offset = 0;
};

struct Recovered {
  Metadata metadata;
  raft::HardState hard_state;
  std::string members;
  Base base;
  Position start;  // the log begins behind it; at or above base.position() unless that is older
  Position last;   // == start when there are no entries
  std::vector<raft::Entry>
      entries;  // start.index + 1 .. last.index; buffers share what was read, batch by batch
  uint64_t next_batch = 1;
  std::optional<TornTail> torn_tail;  // a batch that was being written when the power failed was dropped
  // Set exactly when recover() answers corruption or a read fails: everything above is then what stands
  // before it, good for reports and for repair from peers, not for voting.
  std::optional<Corruption> corruption;
};

struct Stats {
  uint64_t batches = 0;
  uint64_t bytes_written = 0;  // batches and headers, with padding; zero-filling is not counted
  uint64_t syncs = 0;
  uint64_t last_sync_ns = 0;
  uint64_t recent_max_sync_ns = 0;  // within the last RecentMax::kSeconds
  uint64_t waiting_since_ns =
      0;  // monotonic; the write in flight began then; 0: none is. For stall detection
  uint64_t segments = 0;
  uint64_t spares = 0;
  uint64_t bytes_on_disk = 0;  // claimed by segments and spares
  uint64_t rotations = 0;
  uint64_t inline_syncs = 0;
};

class Writer;

class Wal {
 public:
  // Makes the directory and the log's first segment, durably, with a spare. invalid: there is a log already;
  // busy: someone has it open; no_space. A crash inside leaves either no log (recover() answers not_found;
  // create() again) or a whole one.
  static Status create(const Runtime& runtime, const Options& options, const Metadata& metadata,
                       const Base& base, const raft::HardState& hard_state, std::unique_ptr<Wal>* out);
  // Reads the log, makes durable what it read, erases a torn tail, and opens it for appending. not_found:
  // there is none; corruption, io: see Recovered::corruption; incompatible: a later version wrote it; busy.
  // May be interrupted at any point and run again.
  static Status recover(const Runtime& runtime, const Options& options, Recovered* recovered,
                        std::unique_ptr<Wal>* out);

  ~Wal();
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  // Queues; what waits while a write is in flight becomes one batch.
  void append(Batch batch, AppendDone done);
  // Entries up to `index` are not needed any more: the storage engine has synced them. Segments wholly below
  // are recycled once a record that says so is durable. REQUIRES: index is durable here, and
  // committed: it is not overwritten any more. Lower than before: ignored.
  void release(Index index);
  // To be called when a second has passed without an append: seals the last batch with an empty one behind
  // it, so that damage to it can no longer look like a torn tail. Does nothing when that has happened, or
  // anything is in flight.
  void idle_mark();
  // A cluster of one voter gains by syncing on the loop; see Options::inline_sync_limit_ns.
  void allow_inline(bool allow);

  bool idle() const;         // nothing queued or in flight
  bool failed() const;       // see io above
  Position last() const;     // of everything accepted, durable or not
  Position durable() const;  // the last entry that is durable
  Position start() const;
  Index released() const;
  Stats stats() const;

 private:
  explicit Wal(std::shared_ptr<Writer> writer);
  std::shared_ptr<Writer> writer_;
};

}  // namespace quorate::wal
