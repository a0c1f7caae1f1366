// The multi-version store: etcd's data model over any engine.
//
// The engine holds records, revision (main, sub; big-endian, with a tombstone mark) → encoded mvccpb.KeyValue
// and a checksum bound to the revision, and a keyspace of small meta records. Above it, in memory: a counted
// B+tree over keys (KeyIndex), a cache of records with a byte budget (RecordCache) and the batches that the
// engine has not synced yet (EngineWriter). A put is therefore an append; a Range reply is a header plus
// stored bytes.
//
// Everything here is [loop] unless said otherwise. Nothing blocks, except open() and close(): engine writes,
// syncs and cold reads run on the executor's helper lanes. Apply is a pure function of the log: no method of
// Apply looks at a clock, an option or a size on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/ranges.h"
#include "base/types.h"
#include "mvcc/types.h"
#include "quorate/base/function.h"
#include "quorate/plugin/storage.h"
#include "quorate/runtime.h"

namespace quorate::mvcc {

enum class ReadError : uint32_t {
  kNone = 0,
  kCompacted,  // the revision is below the compacted one
  kFuture,     // the revision is above the current one
  kCorrupt,    // a record is damaged: DataLoss; `text` names it
  kEngine,     // the engine failed: Unavailable; `text` says how
  kStopped,
};

// A stored record: the encoded mvccpb.KeyValue, exactly as it goes into a reply. The bytes live for the
// callback only; copy or share what must live longer.
using Record = plugin::ByteView;

enum class SortTarget : uint32_t { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };
enum class SortOrder : uint32_t { kNone = 0, kAscend = 1, kDescend = 2 };

// A Range after validation (etcd-surface §1.3 "Range request evaluation order", steps 4 to 9).
struct RangeQuery {
  api::Interval interval;
  int64_t revision = 0;  // <= 0: current
  int64_t limit = 0;     // <= 0: none
  SortOrder order = SortOrder::kNone;
  SortTarget target = SortTarget::kKey;
  bool keys_only = false;
  bool count_only = false;
  int64_t min_mod = 0, max_mod = 0, min_create = 0, max_create = 0;  // 0: off
  // Records that take more bytes in a reply than this are not read: RangeResult says how many and how large.
  // 0: off. Not with keys_only or an order by value, whose sizes are known too late.
  uint64_t max_bytes = 0;
};

struct RangeResult {
  ReadError error = ReadError::kNone;
  std::string text;              // of kCorrupt and kEngine
  int64_t current_revision = 0;  // of the store when the answer was made: the header's
  int64_t read_revision = 0;     // what was read at
  int64_t count = 0;
  bool more = false;
  // Over max_bytes: `records` is empty, and this is what they would have been.
  int64_t left_out = 0;
  uint64_t left_out_bytes = 0;      // as fields of a reply (tag and length of each included)
  std::span<const Record> records;  // with keys_only: records without value (and, as 3.7 does, without lease)
};
using RangeDone = UniqueFunction<void(const RangeResult&)>;

// One change, as watchers get it.
struct Event {
  bool is_delete = false;
  Revision revision;
  plugin::Buffer record;  // encoded mvccpb.KeyValue; of a delete: key and mod_revision only
  std::string_view key;   // into `record`
  std::optional<KeyVersion>
      previous;  // the version before, unless compacted or absent; its record via fetch()
};

// The changes that one applied entry makes. Reads see the entry's own writes. Keys and values are copied.
// REQUIRES of the caller: leases exist, ignore_value keys exist: all checks that can fail come before the
// first write.
class Apply {
 public:
  virtual ~Apply() = default;
  virtual int64_t revision() const = 0;  // that reads see: the current one, plus 1 once something was changed
  virtual std::optional<KeyVersion> get(std::string_view key) const = 0;
  // Calls visit for each live key in order, until it answers false.
  virtual void scan(const api::Interval&,
                    const std::function<bool(std::string_view key, const KeyVersion&)>& visit) const = 0;
  virtual int64_t count(const api::Interval&) const = 0;
  // Returns the version that this put replaces, if any.
  virtual std::optional<KeyVersion> put(std::string_view key, std::string_view value, int64_t lease) = 0;
  // Deletes the live keys of the interval; calls `deleted` for each, in key order, with the version it had.
  virtual int64_t remove(const api::Interval&,
                         const std::function<void(std::string_view key, const KeyVersion&)>& deleted) = 0;
  // A change to the meta keyspace (leases, alarms, members ...), in the same atomic batch. Empty value:
  // remove.
  virtual void set_meta(std::string_view key, std::string_view value) = 0;
  // A Range as of this point of the entry (records may be cold: they are resolved by Store::fetch once the
  // entry has been committed; the versions named here stay readable until the entry's answers have been
  // sent).
  struct Item {
    std::string key;
    KeyVersion version;
  };
  struct Found {
    ReadError error = ReadError::kNone;
    int64_t count = 0;
    bool more = false;
    std::vector<Item> items;
  };
  // Sorting by VALUE is left to the caller, which has the records then. `revision` of the query is honoured.
  virtual Found range(const RangeQuery&) const = 0;
};

// What open() found, for the node to restore its other state from.
struct Recovered {
  Index applied;
  Term applied_term;
  int64_t revision = 1;
  int64_t compacted = -1;  // never, as etcd reports it
  uint64_t keys = 0;
  std::vector<std::pair<std::string, std::string>> meta;  // the node's own meta records, by key
};

struct StoreOptions {
  uint64_t cache_bytes = 224u << 20;          // budget of the record cache
  uint64_t retained_limit = 128u << 20;       // batches kept in memory until synced
  uint64_t sync_bytes = 32u << 20;            // the engine is synced every so many bytes ...
  uint64_t sync_interval_ns = 5'000'000'000;  // ... or so often ...
  uint64_t sync_entries = 0;                  // ... or after so many entries; 0: however many they are
  uint64_t write_bytes = 256u << 10;          // the writer wakes at so many bytes ...
  uint64_t write_interval_ns = 10'000'000;    // ... or after so long
  uint32_t compaction_batch = 1000;           // records removed per slice
  uint64_t compaction_pause_ns = 10'000'000;  // between slices
  bool is_volatile = false;  // the engine has kCapVolatile: batches are released once written
};

// What writes to the engine meet. Below kFailed the store goes on: batches are kept, reads answered, and the
// engine is reopened and given what it lacks until it is healthy again.
enum class EngineState : uint32_t {
  kHealthy,
  kNoSpace,     // waiting for room on the disk
  kFailed,      // final: it lost more than is kept; the node must rebuild its state from the log
  kRecovering,  // an I/O error; being reopened
};

class Store {
 public:
  // Called on the loop after a change of the engine's state, and when the synced index has moved.
  struct Events {
    UniqueFunction<void(Index)> on_synced;  // the log may be cut up to here
    UniqueFunction<void(EngineState, const std::string& why)> on_engine;
  };

  // Blocking; before the loop runs. Opens the engine in `directory`, rebuilds index (and a part of the cache)
  // from it.
  static plugin::Status open(Runtime, plugin::Engine*, std::string directory,
                             std::vector<std::pair<std::string, std::string>> options, const StoreOptions&,
                             Events, std::unique_ptr<Store>* out, Recovered*);
  virtual ~Store() = default;

  // ---- Apply. Entries come in log order, each exactly once.
  // Runs `body` as the apply of entry (index, term) and publishes its changes: revision + 1 if it changed a
  // key, whatever it changed in meta, and the applied (index, term), all in one atomic batch. The events of
  // the entry, in order of sub revision, live until the next apply.
  virtual std::span<const Event> apply(Index index, Term term, const std::function<void(Apply&)>& body) = 0;
  // Whether apply() answers events, as it does at first. Where nobody watches they would be a copy of every
  // change for nothing.
  virtual void collect_events(bool collect) = 0;
  virtual Index applied() const = 0;
  virtual int64_t revision() const = 0;
  virtual int64_t compacted() const = 0;  // -1: never, as etcd reports it

  // ---- Reads.
  // Runs `body` over the current state, as an apply that changes nothing sees it. `body` only reads (get,
  // scan, count, range), which is an assertion; the versions it finds stay readable until the next turn of
  // the loop.
  virtual void view(const std::function<void(Apply&)>& body) = 0;
  // `done` is called before range() returns when every record is in memory, later on the loop otherwise.
  virtual void range(const RangeQuery&, RangeDone done) = 0;
  // The live version of a key at the current revision, and, if it is in memory, its record (valid until the
  // next call).
  virtual std::optional<KeyVersion> get(std::string_view key) const = 0;
  // Calls visit for each live key in order, until it answers false; as of the current revision.
  virtual void scan(const api::Interval&,
                    const std::function<bool(std::string_view key, const KeyVersion&)>& visit) const = 0;
  // Every live key that is attached to a lease, in key order: what the lessor is rebuilt from after open().
  virtual void for_each_leased(const std::function<void(std::string_view key, int64_t lease)>&) const = 0;
  // Inside an apply this also finds what that apply has put.
  virtual bool hot(const KeyVersion&, Record* record) = 0;
  // The records of these versions, in order. An absent one (compacted meanwhile) comes as an empty Record.
  struct Fetched {
    ReadError error = ReadError::kNone;
    std::string text;
    std::span<const Record> records;
  };
  virtual void fetch(std::vector<KeyVersion> versions, UniqueFunction<void(const Fetched&)> done) = 0;

  // ---- History, for watchers that are behind. Events of [from, current], oldest first, whole revisions, at
  // most about `max_bytes` (at least one revision). `next`: where to go on; current + 1: caught up as of the
  // call.
  struct History {
    ReadError error = ReadError::kNone;
    std::string text;
    std::vector<Event> events;  // `previous` filled when with_previous
    int64_t next = 0;
    int64_t current = 0;
  };
  virtual void history(int64_t from, uint64_t max_bytes, bool with_previous,
                       UniqueFunction<void(History)> done) = 0;

  // ---- Compaction: logical now (inside an apply, through `apply`), physical in slices.
  // REQUIRES: called within `body` of apply(); compacted() < revision <= this->revision().
  virtual void compact(Apply&, int64_t revision) = 0;
  // Calls `done` once everything up to compacted() is physically gone.
  virtual void when_scrubbed(Task done) = 0;

  // ---- Hashes.
  // CRC-32C exactly as etcd's HashKV (3.7.1) at `revision` (0: current).
  struct Hash {
    ReadError error = ReadError::kNone;
    std::string text;
    uint32_t hash = 0;
    int64_t revision = 0;  // that was hashed
    int64_t compacted = -1;
    int64_t current_revision = 0;
  };
  virtual void hash_kv(int64_t revision, UniqueFunction<void(const Hash&)> done) = 0;
  // Of everything the engine holds (Maintenance.Hash).
  virtual void hash_all(UniqueFunction<void(const Hash&)> done) = 0;
  // Chains the effects of every apply; equal on all members at an equal applied index, however far each
  // compacted.
  virtual uint64_t state_hash() const = 0;

  // ---- Space.
  virtual uint64_t disk_size() const = 0;     // of the engine; refreshed now and then
  virtual uint64_t logical_size() const = 0;  // sum of the records' sizes: what the quota counts
  virtual uint64_t keys() const = 0;          // live
  virtual uint64_t cache_bytes() const = 0;
  virtual Index synced_index() const = 0;
  virtual uint64_t retained_bytes() const = 0;
  virtual EngineState engine_state() const = 0;
  virtual void compact_engine(
      UniqueFunction<void(plugin::Status)> done) = 0;  // Defragment: gives space back, online

  // Writes and syncs everything, then closes the engine. Blocking; after the loop has ended.
  virtual plugin::Status close() = 0;
};

}  // namespace quorate::mvcc
