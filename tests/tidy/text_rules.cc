// Sizes, blanks and words of everything that people edit.
#include <array>

#include "tidy/rules.h"

namespace quorate::tidy {
namespace {

constexpr size_t kMaxLines = 800;
constexpr size_t kMaxColumns = 120;

bool is_script(const File& file) {
  return ends_with(file.path, ".sh") || ends_with(file.path, ".py") || starts_with(file.content, "#!");
}

bool is_build_file(std::string_view path) {
  return ends_with(path, ".cmake") || ends_with(path, "CMakeLists.txt");
}

// What people write and read as source. Test data, transcripts and licences are none of it.
bool is_source(const File& file) {
  return is_cpp(file.path) || is_script(file) || is_build_file(file.path) || ends_with(file.path, ".proto");
}

bool is_text(const File& file) {
  if (is_source(file)) return true;
  for (std::string_view suffix : {".md", ".toml", ".json", ".yaml", ".yml", ".service", ".map", ".in"})
    if (ends_with(file.path, suffix)) return true;
  return false;
}

// Characters, not bytes: a continuation byte of UTF-8 takes no column.
size_t columns(std::string_view line) {
  size_t count = 0;
  for (char c : line) count += (static_cast<unsigned char>(c) & 0xc0) == 0x80 ? 0 : 1;
  return count;
}

struct Word {
  std::string text;
  std::string why;
};

// Put together from parts, so that the rule does not find itself.
const std::vector<Word>& banned_words() {
  static const std::vector<Word> words = {
      {std::string("TO") + "DO", "finish it, or write it into docs/status.md"},
      {std::string("FIX") + "ME", "finish it, or write it into docs/status.md"},
      {std::string("XX") + "X", "finish it, or write it into docs/status.md"},
  };
  return words;
}

const std::vector<Word>& machine_paths() {
  static const std::string why = "a path of one machine";
  static const std::vector<Word> paths = {
      {std::string("/wo") + "rk/", why},  {std::string("/tmp") + "/ref", why},
      {std::string("/tmp") + "/q/", why}, {std::string("/ro") + "ot/", why},
      {std::string("/fa") + "rm/", why},
  };
  return paths;
}

bool stands_alone(std::string_view line, size_t at, size_t size) {
  bool begins = at == 0 || !is_identifier_char(line[at - 1]);
  bool ends = at + size >= line.size() || !is_identifier_char(line[at + size]);
  return begins && ends;
}

// A path stands at its beginning: "a/work/b" is another one.
bool begins_path(std::string_view line, size_t at) {
  return at == 0 || (!is_identifier_char(line[at - 1]) && line[at - 1] != '.' && line[at - 1] != '/' &&
                     line[at - 1] != '-' && line[at - 1] != '}');
}

}  // namespace

Findings check_sizes(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!is_source(file)) continue;
    std::vector<std::string_view> lines = lines_of(file.content);
    if (lines.size() > kMaxLines)
      findings.push_back({file.path, 0, "size", std::to_string(lines.size()) + " lines; 800 are the most"});
    for (size_t i = 0; i < lines.size(); ++i) {
      if (columns(lines[i]) > kMaxColumns)
        findings.push_back(
            {file.path, i + 1, "size", std::to_string(columns(lines[i])) + " columns; 120 are the most"});
    }
  }
  return findings;
}

Findings check_blanks(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!is_text(file) || file.content.empty()) continue;
    size_t number = 0;
    for (std::string_view line : lines_of(file.content)) {
      ++number;
      if (line.find('\t') != std::string_view::npos)
        findings.push_back({file.path, number, "blanks", "a tab"});
      if (!line.empty() && (line.back() == ' ' || line.back() == '\r'))
        findings.push_back({file.path, number, "blanks", "blanks at the end of the line"});
    }
    if (file.content.back() != '\n')
      findings.push_back({file.path, number, "blanks", "no newline at the end"});
  }
  return findings;
}

Findings check_words(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    size_t number = 0;
    for (std::string_view line : lines_of(file.content)) {
      ++number;
      for (const Word& word : banned_words()) {
        size_t at = line.find(word.text);
        if (is_text(file) && at != std::string_view::npos && stands_alone(line, at, word.text.size()))
          findings.push_back({file.path, number, "words", word.text + ": " + word.why});
      }
      for (const Word& path : machine_paths()) {
        size_t at = line.find(path.text);
        if (at != std::string_view::npos && begins_path(line, at))
          findings.push_back({file.path, number, "words", path.text + ": " + path.why});
      }
    }
  }
  return findings;
}

}  // namespace quorate::tidy
