#include "raft/datadriven.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace quorate::raft::testing {
namespace {

std::vector<std::string> split(const std::string& s, char at) {
  std::vector<std::string> out;
  std::stringstream in(s);
  for (std::string part; std::getline(in, part, at);) {
    part.erase(std::remove(part.begin(), part.end(), ' '), part.end());
    out.push_back(part);
  }
  return out;
}

// Words; blanks inside parentheses do not separate.
std::vector<std::string> tokens(const std::string& line) {
  std::vector<std::string> out;
  std::string word;
  int depth = 0;
  for (char c : line) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == ' ' && depth == 0) {
      if (!word.empty()) out.push_back(std::exchange(word, ""));
    } else {
      word += c;
    }
  }
  if (!word.empty()) out.push_back(word);
  return out;
}

void parse_command(TestCase& test, const std::string& line) {
  test.line = line;
  std::vector<std::string> words = tokens(line);
  test.command = words.front();
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals == std::string::npos) {
      test.words.push_back(words[i]);
      continue;
    }
    std::string value = words[i].substr(equals + 1);
    const bool list = value.size() >= 2 && value.front() == '(';
    if (list) value = value.substr(1, value.size() - 2);
    test.named[words[i].substr(0, equals)] = list ? split(value, ',') : std::vector<std::string>{value};
  }
}

}  // namespace

std::vector<TestCase> parse_cases(const std::string& path) {
  std::vector<TestCase> cases;
  std::ifstream in(path);
  EXPECT_TRUE(in) << "cannot read " << path;
  std::string comment;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.empty() || line[0] == '#') {
      comment += line + "\n";
      continue;
    }
    TestCase test;
    test.comment = std::exchange(comment, "");
    test.number = number;
    parse_command(test, line);
    while (std::getline(in, line) && ++number && line != "----") test.input += line + "\n";
    while (std::getline(in, line) && ++number && !line.empty()) test.expected += line + "\n";
    comment = "\n";
    cases.push_back(std::move(test));
  }
  return cases;
}

void run_file(const std::string& path, bool rewritable,
              const std::function<std::string(const TestCase&)>& run) {
  const bool rewrite = rewritable && std::getenv("QUORATE_REWRITE") != nullptr;
  std::string out;
  const std::vector<TestCase> cases = parse_cases(path);
  EXPECT_FALSE(cases.empty()) << path << " has no cases";
  for (const TestCase& test : cases) {
    std::string actual = run(test);
    if (!actual.empty() && actual.back() != '\n') actual += '\n';
    if (!rewrite) {
      EXPECT_EQ(actual, test.expected) << path << ":" << test.number << ": " << test.line << "\n"
                                       << test.input;
    }
    out += test.comment + test.line + "\n" + test.input + "----\n" + actual;
  }
  if (rewrite) std::ofstream(path) << out;
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder, error))
    if (file.path().extension() == ".txt") out.push_back(file.path().string());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace quorate::raft::testing
