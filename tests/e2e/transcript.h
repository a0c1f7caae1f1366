// What a server answered to a script, as text that can be kept, compared and read.
//
// A transcript is a row of exchanges: the line of the script as its label, and the normalised answer. Scripts
// are files in testdata: one request per line, so that a case costs a line and no compilation.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::test {

struct Exchange {
  std::string request;
  std::string answer;  // lines, each ended by \n
  bool operator==(const Exchange&) const = default;
};
using Transcript = std::vector<Exchange>;

struct Script {
  std::string name;                // the file's name without its ending
  std::vector<std::string> flags;  // of the server: lines `flags: …`
  std::string not_34;              // a line `not-3.4: reason`: etcd 3.4 cannot run it
  std::vector<std::string> lines;  // without comments and blank lines
};

std::string testdata(std::string_view name);
Script load_script(const std::string& file);

// Several transcripts in one file: `== name`, then `> request` and its answer's lines, each after two blanks.
using Recording = std::map<std::string, Transcript>;
Recording load_recording(const std::string& path);
void save_recording(const std::string& path, const Recording& recording, std::string_view comment);

// The exchanges that differ, for a reader; empty if none does. Transcripts of the same script.
struct Difference {
  std::string script, request, expected, got;
};
std::vector<Difference> compare(const std::string& script, const Transcript& expected, const Transcript& got);
std::string describe(const std::vector<Difference>& differences, std::string_view expected_of,
                     std::string_view got_of);

}  // namespace quorate::test
