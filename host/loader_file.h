// Opens a plugin's file so that what was checked is what will be loaded: every folder on the way, links
// included, is visited by descriptor and checked, and the file is used through the one descriptor from then
// on.
#pragma once

#include <string>

#include "host/loader_refusals.h"

namespace quorate::host {

// Owns a descriptor.
class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(OpenFile&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  OpenFile& operator=(OpenFile o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~OpenFile();
  int get() const { return fd_; }
  // Where the kernel shows the file under this descriptor; names the same inode whatever happens to its path.
  std::string proc_path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_ = -1;
};

// Opens a regular file for reading. Safe: the file and every folder on the way belong to root or to the user
// that this process runs as, and nobody else may write there (a group other than root's and the process' own,
// or everyone); sticky folders of root, such as /tmp, pass. `path` names the file in refusals.
plugin::Status open_safely(const std::string& path, OpenFile* out);

// Opens without asking who owns it: for looking at a file without running it.
plugin::Status open_for_reading(const std::string& path, OpenFile* out);

// A copy of the file that nobody can change any more (a sealed memfd), and its SHA-256 as 64 lower-case
// digits.
plugin::Status copy_sealed(const std::string& path, const OpenFile& file, OpenFile* copy,
                           std::string* sha256);
plugin::Status sha256_of(const std::string& path, const OpenFile& file, std::string* sha256);

}  // namespace quorate::host
