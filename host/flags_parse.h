// The command line and the environment, into FlagValues.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "host/flags_values.h"

namespace quorate::host {

using Environment = std::vector<std::pair<std::string, std::string>>;  // name, value

// A line for the log that is not there yet while flags are read.
struct Notice {
  enum class Level : uint32_t { kInfo, kWarn } level = Level::kInfo;
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields;
};

// Why the start ends here.
struct FlagError {
  int exit_code =
      0;  // 0: there is no error; 2: the command line cannot be understood; 1: it can, but not be obeyed
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields;

  bool ok() const { return exit_code == 0; }
};

struct CommandLine {
  FlagValues values;
  bool help = false;
  std::vector<Notice> notices;
};

// `arguments` without the program's name. By the rules of Go's flag package: one dash or two, --f=v, --f v, a
// bool takes its value only with "=", the last one wins, and the first word that is no flag ends the flags,
// which is an error.
FlagError parse_command_line(const std::vector<std::string>& arguments, CommandLine* out);

// Sets what the command line did not from ETCD_* (and QUORATE_*). A variable whose flag is given, too, is an
// error; an unknown one is a warning.
FlagError apply_environment(const Environment& environment, FlagValues* values, std::vector<Notice>* notices);

// The process' own.
Environment process_environment();

}  // namespace quorate::host
