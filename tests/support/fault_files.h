// plugin::Files in memory, with the semantics of a disk that loses power.
//
// A file is a row of 512-byte sectors, each with what is durable and, since the last sync() of the file, what
// is pending. Its size is one more pending thing. Directory changes (create, rename, remove, link, make_dir)
// are pending until sync_dir() of a directory they touch. A power cut keeps any chosen subset of what is
// pending: this is the adversary that POSIX allows, harsher than any one file system. A rename is one thing:
// it happens or does not.
//
// After a cut every open File answers io for ever, every lock is free, and files are reached by opening them
// anew: the same FaultFiles is the machine after its restart.
//
// [thread-safe], all of it. Paths are absolute; "/" exists.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "quorate/runtime.h"

namespace quorate::test {

enum class FileOp : uint32_t {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kAllocate,
  kRename,
  kRemove,
  kLink,
  kList,
  kStat,
  kMakeDir,
  kSyncDir,
  kLock,
};
constexpr size_t kFileOps = 14;
const char* file_op_name(FileOp op);

// An operation that fails. Operations are counted from the moment of fail(); of several faults the first
// added that matches answers.
struct FileFault {
  FileOp op = FileOp::kWrite;
  std::string path_part;  // only paths that contain this
  uint64_t nth = 1;       // of the matching operations; 1: the next
  bool repeated = false;  // every one from the nth on
  plugin::Code code = plugin::Code::kIo;
};

// One thing that a power cut may keep or lose.
struct PendingItem {
  enum Kind : uint32_t { kSector, kSize, kEntry } kind = kSector;
  std::string path;     // of the file, or what a directory change says: "rename /a -> /b"
  uint64_t sector = 0;  // kSector: offset / 512
};

// Which of the pending things survive.
class PowerCut {
 public:
  // A different mood for each file and directory: nothing, little, half, most, everything. `torn`: of some
  // kept sectors only the first bytes are new.
  static PowerCut random(uint64_t seed, bool torn = false);
  static PowerCut keep_all() { return PowerCut(~uint64_t{0}); }
  static PowerCut keep_none() { return PowerCut(0); }
  // Bit i keeps the i-th of pending(); the 64th and all behind it go as bit 63 does.
  static PowerCut mask(uint64_t keep) { return PowerCut(keep); }

 private:
  friend class FaultFiles;
  explicit PowerCut(uint64_t mask) : mask_(mask) {}
  void next_owner();
  bool keep();
  uint64_t kept_bytes();  // of a kept sector: 512 unless torn

  uint64_t mask_ = 0;
  uint64_t position_ = 0;
  std::optional<std::mt19937_64> random_;
  bool torn_ = false;
  uint64_t of_hundred_ = 0;
};

struct FaultCounters {
  std::array<uint64_t, kFileOps> operations{};  // by FileOp, failed ones too
  uint64_t total = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t of(FileOp op) const { return operations[static_cast<size_t>(op)]; }
};

class FaultFiles final : public plugin::Counted<plugin::Files> {
  using Lock = std::unique_lock<std::mutex>;

 public:
  static constexpr uint64_t kSector = 512;

  FaultFiles();

  // ---- plugin::Files
  plugin::Status open(const char* path, uint32_t flags, File** out) noexcept override;
  plugin::Status rename(const char* from, const char* to) noexcept override;
  plugin::Status remove(const char* path) noexcept override;
  plugin::Status link(const char* from, const char* to) noexcept override;
  plugin::Status list(const char* directory, plugin::NameSink* sink) noexcept override;
  plugin::Status stat(const char* path, plugin::FileStat* out) noexcept override;
  plugin::Status make_dir(const char* path) noexcept override;
  plugin::Status sync_dir(const char* path) noexcept override;
  plugin::Status lock(const char* path, File** out) noexcept override;
  plugin::Status free_space(const char* path, uint64_t* bytes) noexcept override;
  void* query(const char* id) noexcept override;

  // ---- Power
  // Cuts the power, and the machine is up again: what `cut` keeps is what is there, durably.
  void power_cut(PowerCut cut);
  // What a cut may keep or lose, in the order that PowerCut::mask() counts. Sectors whose pending bytes equal
  // the durable ones are left out (a cut cannot tell).
  std::vector<PendingItem> pending();
  // The power fails during the nth operation from now that changes anything (1: the next): it is issued, but
  // like every later one answers io, until power_cut(). A sync that power fails under makes nothing durable.
  // 0: never.
  void fail_power_at(uint64_t nth);
  bool power_failed();
  // A copy of the whole machine, pending things included: to try every cut of one state. Handles, locks,
  // faults and counters are not copied.
  plugin::Ref<FaultFiles> clone();

  // ---- Faults
  // A sync that fails also drops what was pending in that file: the kernel calls such pages clean.
  void fail(FileFault fault) {
    Lock lock(mutex_);
    faults_.emplace_back(std::move(fault), 0);
  }
  void clear_faults() {
    Lock lock(mutex_);
    faults_.clear();
  }
  // sync() and sync_dir() answer ok and make nothing durable: a disk that lies.
  void lie_about_syncs(bool lie) {
    Lock lock(mutex_);
    lie_ = lie;
  }
  // Bytes (in pages of 4 KiB) that all files together may claim; what does not fit answers no_space.
  void set_quota(uint64_t bytes) {
    Lock lock(mutex_);
    quota_ = bytes;
  }
  uint64_t used() {
    Lock lock(mutex_);
    return *used_pages_ * 4096;
  }
  // A disk of its own for the files whose paths contain this: they may claim so many bytes together, whatever
  // set_quota() says. "": no such disk any more.
  void set_part_quota(std::string path_part, uint64_t bytes) {
    Lock lock(mutex_);
    part_ = std::move(path_part);
    part_quota_ = bytes;
  }
  uint64_t used(const std::string& path_part) {
    Lock lock(mutex_);
    return used_by(path_part);
  }
  void flip_bit(const std::string& path, uint64_t offset, uint32_t bit);  // pending and durable alike
  // Called before each operation, on its thread, without locks: may block (a stalled disk) or inspect.
  void set_hook(std::function<void(FileOp, const std::string& path)> hook) {
    Lock lock(mutex_);
    hook_ = std::move(hook);
  }

  // ---- Convenience: for tests, durable at once, never failing or counted
  void make_dirs(const std::string& path);
  void put(const std::string& path, plugin::ByteView bytes);
  std::string get(const std::string& path);  // "" when absent
  bool exists(const std::string& path);
  std::vector<std::string> names(const std::string& directory);  // sorted

  FaultCounters counters() {
    Lock lock(mutex_);
    return counters_;
  }

 private:
  friend class FaultFile;
  struct Inode;
  struct Change;
  using InodePtr = std::shared_ptr<Inode>;
  struct Place {  // where a path leads
    InodePtr directory;
    std::string name;
    InodePtr inode;  // null: nothing there
  };

  bool changes(FileOp op) const;
  // Counts, calls the hook, applies faults. Not ok: the operation answers this. *dying: the power fails
  // during it.
  plugin::Status begin(FileOp op, const std::string& path, Lock* lock, bool* dying);
  plugin::Status died(FileOp op, const std::string& path) const;
  plugin::Status find(const std::string& path, Place* out);
  void change(std::string what, std::vector<std::tuple<InodePtr, std::string, InodePtr>> entries);
  bool settle(Inode* inode, PowerCut* cut);
  InodePtr new_inode(bool directory);
  std::vector<InodePtr> alive();  // inodes in the order of their numbers
  static void set_entry(std::map<std::string, InodePtr>* entries, const std::string& name,
                        const InodePtr& inode);

  // Of the file behind `inode`; all called with the lock held.
  uint64_t write(Inode* inode, uint64_t offset, plugin::ByteView bytes);  // how many fitted
  void read(const Inode& inode, uint64_t offset, uint8_t* into, uint64_t size) const;
  void resize(Inode* inode, uint64_t size);
  bool claim(Inode* inode, uint64_t page);
  uint64_t used_by(const std::string& path_part) const;
  void make_durable(Inode* inode);
  void drop_pending(Inode* inode);

  mutable std::mutex mutex_;
  InodePtr root_;
  std::map<uint64_t, std::weak_ptr<Inode>> inodes_;
  std::vector<Change> changes_;                         // of directories, pending, in order
  std::vector<std::pair<FileFault, uint64_t>> faults_;  // and how many operations matched
  std::function<void(FileOp, const std::string&)> hook_;
  FaultCounters counters_;
  uint64_t next_inode_ = 1;
  uint64_t boot_ = 1;  // handles of an earlier boot are dead
  uint64_t power_fails_at_ = 0;
  uint64_t operations_until_cut_ = 0;
  bool power_failed_ = false;
  bool lie_ = false;
  uint64_t quota_ = uint64_t{1} << 40;
  std::string part_;  // of the paths that part_quota_ is for
  uint64_t part_quota_ = 0;
  std::shared_ptr<uint64_t> used_pages_ = std::make_shared<uint64_t>(0);
};

}  // namespace quorate::test
