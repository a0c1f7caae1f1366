// Where an output's lines go. Internal to log.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "host/log.h"

namespace quorate::host {

// A descriptor that lines are written to, by one thread. Owns it.
class LogTarget {
 public:
  // A duplicate of `fd`, which is named `name`.
  static plugin::Status duplicate(int fd, const std::string& name, std::unique_ptr<LogTarget>* out);
  // Appends to the file; rotates it if `rotation` is given.
  static plugin::Status file(const std::string& path, const LogRotation* rotation,
                             std::unique_ptr<LogTarget>* out);
  ~LogTarget();

  // Waits for room, until *abandoned. False: some of it was not written.
  bool write(std::string_view line, const std::atomic<bool>& abandoned);

 private:
  LogTarget() = default;
  plugin::Status open_file();
  void rotate();
  void delete_old_files();

  int fd_ = -1;
  bool is_lost_ = false;  // nobody will ever read it
  std::string path_;      // of a file
  std::unique_ptr<LogRotation> rotation_;
  uint64_t size_ = 0;
};

}  // namespace quorate::host
