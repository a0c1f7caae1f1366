// Child processes, ports and folders for tests that run real binaries.
//
// [thread-safe] between objects; one object belongs to one thread. Nothing here outlives its object: a
// Process is killed and reaped, a TempDir removed (unless QUORATE_KEEP is set, which keeps folders for a
// look).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::test {

using Millis = std::chrono::milliseconds;

// A fresh folder on a real disk: under QUORATE_TEST_DIR, else /var/tmp (/tmp is often memory).
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// A loopback port that nobody listens on. From below the range that the system gives to outgoing connections,
// so that none of those takes it before its server does.
uint16_t free_port();

std::string env_or(const char* name, std::string_view fallback);
// The file that a shell would run for this name; empty: none.
std::string find_program(std::string_view name);
std::string read_text(const std::string& path);
void write_text(const std::string& path, std::string_view text);
std::vector<std::string> split_lines(std::string_view text);
void replace_all(std::string* text, std::string_view from, std::string_view to);

// Asks until the condition holds or the time is over, resting a little in between.
bool wait_until(Millis limit, const std::function<bool()>& condition);

struct Command {
  std::vector<std::string> argv;  // [0]: a path
  std::vector<std::string> env;   // NAME=value, added to this process's environment
  std::string input;              // standard input; then its end
};

// How a process ended: its exit code, or 128 and the number of the signal, as a shell has it.
struct Ended {
  int code = -1;
  std::string out, err;
  bool timed_out = false;
};

class Process {
 public:
  // Starts it with both outputs in files `<log>.out` and `<log>.err`, appended to.
  Process(const Command& command, const std::string& log);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number);
  // The code of its end, none if it runs on.
  std::optional<int> wait(Millis limit);
  void kill();
  std::string out() const { return read_text(log_ + ".out"); }
  std::string err() const { return read_text(log_ + ".err"); }

 private:
  pid_t pid_ = -1;
  std::string log_;
  std::optional<int> code_;
};

// Runs it to its end; one that takes longer than the limit is killed.
Ended run(const Command& command, Millis limit = Millis(30000));

// What a process occupies, in bytes (VmRSS).
uint64_t resident_bytes(pid_t pid);

}  // namespace quorate::test
