// plugin::Files on the machine's own file system, by raw system calls: what production runs on.
//
// Files are created with mode 0600, directories with 0700. A file that is opened for writing, created or
// locked must not be a symbolic link (its directories may be). Every descriptor is closed on exec.
// Interrupted calls are repeated, short reads and writes are continued. Errors are classed as host.h says; a
// text reads "open /var/lib/quorate/wal/lock: Permission denied (errno 13)".
//
// A failed sync is final for its File: the kernel drops the pages it could not write and calls them clean, so
// a second sync would answer ok over lost data. The File then answers io to everything, and its descriptor is
// never synced again.
#pragma once

#include <atomic>
#include <mutex>

#include "base/recent_max.h"
#include "quorate/runtime.h"

namespace quorate {

// What has gone through one PosixFiles since it was made.
struct FileStats {
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t syncs = 0;
  uint64_t directory_syncs = 0;
  uint64_t failed_syncs = 0;
  uint64_t unsupported = 0;   // fallocate, directory sync or O_DIRECT that the file system does not offer
  uint64_t last_sync_ns = 0;  // how long it took
  uint64_t recent_max_sync_ns = 0;  // the longest within the last RecentMax::kSeconds, files and directories
};

class PosixFiles final : public plugin::Counted<plugin::Files> {
 public:
  // `clock` times syncs; it must outlive this and every File.
  explicit PosixFiles(Clock* clock) : clock_(clock) {}

  plugin::Status open(const char* path, uint32_t flags, File** out) noexcept override;
  plugin::Status rename(const char* from, const char* to) noexcept override;
  plugin::Status remove(const char* path) noexcept override;
  plugin::Status link(const char* from, const char* to) noexcept override;
  plugin::Status list(const char* directory, plugin::NameSink* sink) noexcept override;
  plugin::Status stat(const char* path, plugin::FileStat* out) noexcept override;
  plugin::Status make_dir(const char* path) noexcept override;
  // A file system that cannot sync directories (EINVAL) is counted in `unsupported` and answers ok.
  plugin::Status sync_dir(const char* path) noexcept override;
  // An open-file-description lock: it also keeps out a second lock() of this process.
  plugin::Status lock(const char* path, File** out) noexcept override;
  plugin::Status free_space(const char* path, uint64_t* bytes) noexcept override;
  void* query(const char* id) noexcept override;

  FileStats stats();  // [thread-safe]

 private:
  friend class PosixFile;
  void count_sync(uint64_t began_ns, bool ok, bool directory);

  Clock* const clock_;
  std::atomic<uint64_t> bytes_read_{0};
  std::atomic<uint64_t> bytes_written_{0};
  std::atomic<uint64_t> unsupported_{0};
  std::mutex mutex_;  // of what follows
  FileStats syncs_;
  RecentMax recent_max_;
};

}  // namespace quorate
