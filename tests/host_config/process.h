// The real binary, run by the tests.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace quorate::test {

// A folder of its own, removed at the end.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file below it and returns its path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

std::string read_file(const std::string& path);

// A process of the node's binary. Its standard output and error are collected; it is killed at the end if it
// lives.
class Process {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;
  explicit Process(const std::vector<std::string>& arguments, const Environment& environment = {});
  ~Process();

  // Waits until standard error contains `text`. False: it ended, or 30 s are over.
  bool wait_for(const std::string& text);
  // Waits for its end (30 s). The exit code, or minus the signal that ended it.
  int wait();
  void signal(int number);
  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }
  pid_t pid() const { return pid_; }

 private:
  bool pump(int timeout_ms);  // false: both pipes are at their end

  pid_t pid_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  std::string out_;
  std::string err_;
};

// Runs it to its end.
struct Result {
  int code;
  std::string out;
  std::string err;
};
Result run(const std::vector<std::string>& arguments, const Process::Environment& environment = {});

}  // namespace quorate::test
