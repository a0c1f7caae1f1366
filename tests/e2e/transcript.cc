#include "e2e/transcript.h"

#include <sstream>
#include <stdexcept>

#include "support/process.h"

namespace quorate::test {

std::string testdata(std::string_view name) {
  return QUORATE_SOURCE_DIR "/tests/e2e/testdata/" + std::string(name);
}

Script load_script(const std::string& file) {
  Script script;
  script.name = file.substr(0, file.rfind('.'));
  for (const std::string& line : split_lines(read_text(testdata(file)))) {
    if (line.empty() || line[0] == '#') continue;
    if (line.starts_with("flags: ")) {
      std::istringstream words(line.substr(7));
      for (std::string word; words >> word;) script.flags.push_back(word);
    } else if (line.starts_with("not-3.4: ")) {
      script.not_34 = line.substr(9);
    } else {
      script.lines.push_back(line);
    }
  }
  if (script.lines.empty()) throw std::runtime_error("no such script, or an empty one: " + file);
  return script;
}

Recording load_recording(const std::string& path) {
  Recording recording;
  Transcript* transcript = nullptr;
  for (const std::string& line : split_lines(read_text(path))) {
    if (line.starts_with("== ")) {
      transcript = &recording[line.substr(3)];
    } else if (transcript != nullptr && line.starts_with("> ")) {
      transcript->push_back({line.substr(2), ""});
    } else if (transcript != nullptr && !transcript->empty() && line.starts_with("  ")) {
      transcript->back().answer += line.substr(2) + "\n";
    }
  }
  return recording;
}

void save_recording(const std::string& path, const Recording& recording, std::string_view comment) {
  std::string text = "# " + std::string(comment) + "\n";
  for (const auto& [name, transcript] : recording) {
    text += "== " + name + "\n";
    for (const Exchange& exchange : transcript) {
      text += "> " + exchange.request + "\n";
      for (const std::string& line : split_lines(exchange.answer)) text += "  " + line + "\n";
    }
  }
  write_text(path, text);
}

std::vector<Difference> compare(const std::string& script, const Transcript& expected,
                                const Transcript& got) {
  std::vector<Difference> differences;
  for (size_t i = 0; i < std::max(expected.size(), got.size()); ++i) {
    const Exchange nothing{"(the script has other lines than the recording)", ""};
    const Exchange& e = i < expected.size() ? expected[i] : nothing;
    const Exchange& g = i < got.size() ? got[i] : nothing;
    if (e != g) differences.push_back({script, g.request, e.answer, g.answer});
    if (e.request != g.request) break;
  }
  return differences;
}

std::string describe(const std::vector<Difference>& differences, std::string_view expected_of,
                     std::string_view got_of) {
  constexpr size_t kShown = 20;
  std::ostringstream out;
  for (size_t i = 0; i < std::min(differences.size(), kShown); ++i) {
    const Difference& d = differences[i];
    out << d.script << "> " << d.request << "\n  " << expected_of << ":\n"
        << d.expected << "  " << got_of << ":\n"
        << d.got;
  }
  if (differences.size() > kShown) out << "... and " << differences.size() - kShown << " more\n";
  return out.str();
}

}  // namespace quorate::test
