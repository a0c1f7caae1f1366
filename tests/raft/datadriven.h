// Tests as text: a file holds commands, each followed by `----` and the output expected from it.
//
//   # a comment
//   command key=value key=(a,b) word
//   input lines
//   ----
//   expected output, up to an empty line
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace quorate::raft::testing {

struct TestCase {
  std::string command;
  std::vector<std::string> words;                         // arguments without `=`
  std::map<std::string, std::vector<std::string>> named;  // key=value, key=(a,b)
  std::string input;
  std::string expected;
  std::string comment;  // lines before the command, kept when the file is rewritten
  std::string line;     // the command's own
  int number = 0;       // of that line
};

std::vector<TestCase> parse_cases(const std::string& path);

// Runs every case of the file. A different output fails the test; with QUORATE_REWRITE set the file is
// written anew with the outputs found instead (`rewritable` files only).
void run_file(const std::string& path, bool rewritable,
              const std::function<std::string(const TestCase&)>& run);

std::vector<std::string> files_in(const std::string& folder);

}  // namespace quorate::raft::testing
