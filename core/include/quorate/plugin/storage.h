// Storage plugins: an ordered byte map with a few numbered keyspaces.
//
// What core asks of one, and no more: batches are atomic across keyspaces, and after any crash or power cut
// the contents are a *prefix* of the sequence of batches, not before the last sync() that returned ok.
// Acknowledged data never depends on the engine alone: core keeps each batch until the engine has synced it,
// and its own log beside it.
//
//     write(b1,m1) write(b2,m2) sync(m2)→ok write(b3,m3)  ── crash ──▶  {b1,b2} or {b1,b2,b3}, nothing else
//
// Concurrency: one thread writes; sync() runs beside write(); any number of read views are taken and used
// beside both. A view taken after write() returned sees that batch.
#pragma once

#include "quorate/plugin/abi.h"

namespace quorate::plugin {

// Core's number of a batch, ascending. 0 after open: core reads its own applied record to learn where it
// stands.
using Mark = uint64_t;

enum class WriteKind : uint32_t { kPut = 1, kDelete = 2, kDeleteRange = 3 };

// One change of a batch. For kDeleteRange `value` holds the end of [key, value), and only engines with
// kCapDeleteRange are given one. Ops of a batch apply in order.
struct WriteOp {
  WriteKind kind = WriteKind::kPut;
  uint32_t keyspace = 0;
  ByteView key;
  ByteView value;
};
static_assert(sizeof(WriteOp) == 40);

struct OpenInfo {
  uint64_t struct_size = sizeof(OpenInfo);
  const char* directory = nullptr;  // absolute, exists, is the engine's alone
  uint32_t keyspaces = 0;           // numbered 0 .. keyspaces-1; the same number at every open
  uint32_t read_only = 0;
  View<Option> options;
};

// What happens inside the engine by itself. [thread-safe, no-block]; outlives the store.
class StorageEvents {
 public:
  // Everything up to the mark survives a power cut (also from flushes that nobody asked for).
  virtual void on_durable(Mark mark) noexcept = 0;
  // A flush or compaction failed: writes on the handle are poisoned from now on.
  virtual void on_background_error(const Status& status) noexcept = 0;
  // 0: no pressure; 1: slow down; 2: writes stall.
  virtual void on_pressure(uint32_t level) noexcept = 0;

 protected:
  ~StorageEvents() = default;
};

// Receives the answers of reads. The bytes live for the call only.
class ReadSink {
 public:
  // get and multi_get: the place in the list of keys; scan: counts from 0. A key that is absent is reported
  // by multi_get with `found` 0. Answer 0 to stop a scan.
  virtual uint32_t entry(uint64_t position, uint32_t found, ByteView key, ByteView value) noexcept = 0;

 protected:
  ~ReadSink() = default;
};

struct ScanOptions {
  uint64_t struct_size = sizeof(ScanOptions);
  uint32_t keyspace = 0;
  uint32_t reverse = 0;
  ByteView begin;           // inclusive
  ByteView end;             // exclusive; empty: to the last key
  uint64_t read_ahead = 0;  // bytes, a hint; large for a scan of everything
  uint32_t fill_cache = 1;  // 0: do not displace the engine's cache
};

// A frozen point in time. [serial], may change threads.
// Errors: view_expired (the store was closed or reopened: take a new view and resume behind the last key),
// corruption (that record; the handle stays good), io.
class ReadView : public Object {
 public:
  virtual Mark mark() noexcept = 0;  // a lower bound of what the view holds
  virtual Status get(uint32_t keyspace, ByteView key, ReadSink* sink) noexcept = 0;  // not_found when absent
  virtual Status multi_get(uint32_t keyspace, View<ByteView> keys, ReadSink* sink) noexcept = 0;
  virtual Status scan(const ScanOptions& options, ReadSink* sink) noexcept = 0;

 protected:
  ~ReadView() = default;
};

// Receives statistics(): names are stable, values are the engine's own text.
class StatisticsSink {
 public:
  virtual void statistic(ByteView name, ByteView value) noexcept = 0;

 protected:
  ~StatisticsSink() = default;
};

// An open engine. After no_space or io, *writes* on the handle are poisoned (answered with the first error):
// core closes the store, and opens it again once there is space. Reads and new views stay legal meanwhile.
class Store : public Object {
 public:
  // [serial] Atomic. A mark is never below an earlier one.
  virtual Status write(View<WriteOp> batch, Mark mark) noexcept = 0;
  // [thread-safe, beside write; may block] On ok everything up to `mark` survives a power cut.
  virtual Status sync(Mark mark) noexcept = 0;
  virtual Mark durable_mark() noexcept = 0;                   // [thread-safe, no-block]
  virtual Status new_read_view(ReadView** out) noexcept = 0;  // [thread-safe]
  // [thread-safe, may block] Gives space of deleted entries in [begin, end) back; both empty: everything.
  virtual Status compact(uint32_t keyspace, ByteView begin, ByteView end) noexcept = 0;
  virtual uint64_t approximate_size() noexcept = 0;            // [thread-safe] bytes on the disk
  virtual void statistics(StatisticsSink* sink) noexcept = 0;  // [thread-safe]
  // [serial] Joins threads, frees files and the lock. Afterwards views answer view_expired, everything else
  // invalid.
  virtual Status close() noexcept = 0;

 protected:
  ~Store() = default;
};

// The plugin's root. create() touches no disk; open() may be called again after the store was closed.
class Engine : public Object {
 public:
  static constexpr const char* kId = "quorate.storage/draft";
  // [serial] What a store opens with survives a power cut: open() syncs what it had to recover.
  // Errors: busy (someone else has it open), corruption, no_space, io, invalid (an option), incompatible.
  virtual Status open(const OpenInfo& info, StorageEvents* events, Store** out) noexcept = 0;

 protected:
  ~Engine() = default;
};

}  // namespace quorate::plugin
