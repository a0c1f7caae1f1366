// The host's services to plugins. A plugin gets a HostServices at create() and asks it, with query(), for
// those it needs; each answer may be null in a host that does not offer it. Core itself does its file I/O,
// timekeeping and randomness through the same interfaces: one place counts bytes and syncs, injects faults
// and cuts the power.
#pragma once

#include "quorate/plugin/base.h"

namespace quorate::plugin {

// ---- Files
// --------------------------------------------------------------------------------------------------- The
// file system below the directories that the host hands out. Paths are absolute, UTF-8, without "..". All
// methods are [thread-safe] (different files, or reads of one; writes to one file are [serial]) and may
// block. Errors: not_found, no_space (ENOSPC, EDQUOT), busy (a lock is held), invalid, io (everything else),
// each with a text that names the path and the errno.

enum OpenFlags : uint32_t {
  kOpenRead = 1,
  kOpenWrite = 2,
  kOpenCreate = 4,     // create when absent; the directory entry is durable after sync_dir()
  kOpenExclusive = 8,  // with create: fail (invalid) when it exists
  kOpenTruncate = 16,
  kOpenDirect = 32,  // a wish: bypass the page cache where the file system allows it
};

struct FileStat {
  uint64_t struct_size = sizeof(FileStat);
  uint64_t size = 0;       // bytes
  uint64_t allocated = 0;  // bytes on the disk
  uint64_t modified_unix_ns = 0;
  uint32_t is_directory = 0;
  uint32_t mode = 0;  // permission bits
};

class File : public Object {
 public:
  // Reads up to `size` bytes at `offset`; fewer only at the end of the file. *got tells how many.
  virtual Status read_at(uint64_t offset, void* into, uint64_t size, uint64_t* got) noexcept = 0;
  // [serial] Appends at the end of the file as this handle knows it.
  virtual Status append(ByteView bytes) noexcept = 0;
  // [serial] All or an error; after an error the range's content is undefined.
  virtual Status write_at(uint64_t offset, ByteView bytes) noexcept = 0;
  // Everything written before the call survives a power cut (fdatasync: contents and size). After one failure
  // the file is never to be trusted or synced again; the implementation answers io from then on.
  virtual Status sync() noexcept = 0;
  virtual Status truncate(uint64_t size) noexcept = 0;
  // Claims disk space for [0, size) without changing contents; the file grows to `size` (reads give zeros).
  virtual Status allocate(uint64_t size) noexcept = 0;
  virtual Status size(uint64_t* out) noexcept = 0;

 protected:
  ~File() = default;
};

// Receives list() entries, in no particular order.
class NameSink {
 public:
  virtual void name(ByteView name) noexcept = 0;

 protected:
  ~NameSink() = default;
};

class Files : public Object {
 public:
  static constexpr const char* kId = "quorate.host.files/draft";
  virtual Status open(const char* path, uint32_t flags, File** out) noexcept = 0;
  // Atomic; durable after sync_dir() of both directories.
  virtual Status rename(const char* from, const char* to) noexcept = 0;
  virtual Status remove(const char* path) noexcept = 0;  // a file or an empty directory
  virtual Status link(const char* from, const char* to) noexcept = 0;
  virtual Status list(const char* directory, NameSink* sink) noexcept = 0;  // without "." and ".."
  virtual Status stat(const char* path, FileStat* out) noexcept = 0;
  virtual Status make_dir(const char* path) noexcept = 0;  // mode 0700; ok when it is there already
  virtual Status sync_dir(const char* path) noexcept = 0;
  // An exclusive advisory lock on the file, created when absent, held until the File is released. busy:
  // someone else holds it.
  virtual Status lock(const char* path, File** out) noexcept = 0;
  virtual Status free_space(const char* path, uint64_t* bytes) noexcept = 0;

 protected:
  ~Files() = default;
};

// ---- Log, clock, randomness
// ------------------------------------------------------------------------------------

enum class LogLevel : int32_t { kDebug = -1, kInfo = 0, kWarn = 1, kError = 2, kPanic = 4, kFatal = 5 };

class Log : public Object {
 public:
  static constexpr const char* kId = "quorate.host.log/draft";
  virtual bool enabled(LogLevel level) noexcept = 0;  // [thread-safe, no-block]
  // [thread-safe, no-block] `fields_json` is empty or a JSON object whose members join the line:
  // {"path":"/x"}. Lines that cannot be written at once are dropped and counted, never waited for.
  virtual void write(LogLevel level, ByteView message, ByteView fields_json) noexcept = 0;

 protected:
  ~Log() = default;
};

class Clock : public Object {
 public:
  static constexpr const char* kId = "quorate.host.clock/draft";
  virtual uint64_t monotonic_ns() noexcept = 0;  // [thread-safe, no-block] never goes back
  virtual uint64_t unix_ns() noexcept = 0;       // [thread-safe, no-block] wall clock; display only

 protected:
  ~Clock() = default;
};

class Random : public Object {
 public:
  static constexpr const char* kId = "quorate.host.random/draft";
  virtual void fill(void* into, uint64_t size) noexcept = 0;  // [thread-safe]

 protected:
  ~Random() = default;
};

// ---- Offload
// ---------------------------------------------------------------------------------------------------

class Job : public Object {
 public:
  virtual void run() noexcept = 0;   // on a helper thread; may block
  virtual void done() noexcept = 0;  // afterwards, on the loop that called submit()

 protected:
  ~Job() = default;
};

class Offload : public Object {
 public:
  static constexpr const char* kId = "quorate.host.offload/draft";
  // [loop] Keeps a reference until done() has returned. retryable: the queue is full.
  virtual Status submit(Job* job) noexcept = 0;

 protected:
  ~Offload() = default;
};

// What create() is given. Outlives every object of the plugin.
class HostServices : public Object {
 public:
  static constexpr const char* kId = "quorate.host/draft";

 protected:
  ~HostServices() = default;
};

template <typename T>
T* service(HostServices* host) {
  return host == nullptr ? nullptr : static_cast<T*>(host->query(T::kId));
}

}  // namespace quorate::plugin
