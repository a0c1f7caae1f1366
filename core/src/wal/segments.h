// The files of a log's directory: blocking steps, each leaving a state that recovery understands when it is
// cut off.
#pragma once

#include <string>
#include <vector>

#include "wal/format.h"

namespace quorate::wal {

// Left to the writer at the front of what is zero-filled, so that it need not wait for it at once.
constexpr uint64_t kZeroGap = 256 << 10;

// [thread-safe] for different files; holds no state but where things are.
class SegmentDirectory {
 public:
  SegmentDirectory(FileSystem* files, Random* random, const Options& options)
      : files_(files),
        random_(random),
        directory_(options.directory),
        sync_(options.sync),
        zeros_(options.zero_ahead_bytes != 0) {}

  std::string segment_path(uint64_t sequence) const { return directory_ + "/" + segment_name(sequence); }
  std::string spare_path(uint64_t number) const { return directory_ + "/" + spare_name(number); }
  FileSystem* files() const { return files_; }

  Status lock(plugin::Ref<File>* out) const;
  // Sorted. Names that are neither are left alone.
  Status list(std::vector<uint64_t>* segments, std::vector<uint64_t>* spares) const;
  // Claims the space, and zero-fills where the zero-filler will not; the file goes again when that fails.
  Status make_spare(uint64_t number, uint64_t bytes) const;
  // Makes a segment of a spare: the header (with a fresh salt) is durable before the name is, and both are
  // when this returns.
  Status install(uint64_t spare, SegmentHeader* header, plugin::Ref<File>* out) const;
  // REQUIRES: the oldest segment. Durable on return, so that the next oldest may follow.
  Status recycle(uint64_t sequence, uint64_t spare) const;
  Status remove_segment(uint64_t sequence) const;
  Status remove_spare(uint64_t number) const;
  // Zeros over [from, to), synced, through a handle of its own. fill: every block is written, so that the
  // file system has it in place; erase: only blocks that are not zero yet.
  Status fill(uint64_t sequence, uint64_t from, uint64_t to) const { return zeros(sequence, from, to, true); }
  Status erase(uint64_t sequence, uint64_t from, uint64_t to) const {
    return zeros(sequence, from, to, false);
  }
  Status sync(File* file) const { return sync_ ? file->sync() : Status(); }
  Status sync_directory() const { return sync_ ? files_->sync_dir(directory_.c_str()) : Status(); }

 private:
  Status zeros(uint64_t sequence, uint64_t from, uint64_t to, bool always) const;

  FileSystem* files_;
  Random* random_;
  std::string directory_;
  bool sync_;
  bool zeros_;  // Options::zero_ahead_bytes is set
};

}  // namespace quorate::wal
