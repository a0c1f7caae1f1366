#include "tidy/source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace quorate::tidy {

namespace fs = std::filesystem;

std::string describe(const Finding& finding) {
  return finding.path + ":" + std::to_string(finding.line) + ": " + finding.rule + ": " + finding.text;
}

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool ends_with(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

bool is_cpp(std::string_view path) { return ends_with(path, ".h") || ends_with(path, ".cc"); }

bool is_posix_runtime(std::string_view path) {
  return starts_with(path, "core/src/runtime/posix_") || starts_with(path, "core/src/runtime/system.");
}

bool is_identifier_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string folder_of(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

std::string join(std::string_view folder, std::string_view path) {
  std::string joined = (fs::path(folder) / fs::path(path)).lexically_normal().generic_string();
  while (ends_with(joined, "/")) joined.pop_back();
  return joined == "." ? std::string() : joined;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

void Tree::add(std::string path, std::string content) {
  for (std::string folder = folder_of(path); !folder.empty(); folder = folder_of(folder))
    paths.insert(folder);
  paths.insert(path);
  files.push_back({std::move(path), std::move(content)});
}

const File* Tree::find(std::string_view path) const {
  auto it = std::find_if(files.begin(), files.end(), [&](const File& f) { return f.path == path; });
  return it == files.end() ? nullptr : &*it;
}

namespace {

bool is_skipped(const fs::path& name, bool top) {
  std::string text = name.string();
  if (top && text == ".ci") return false;
  return text.front() == '.' || text == "__pycache__" || (top && text == "build");
}

std::string read_text(const fs::path& path) {
  constexpr uintmax_t kMaxBytes = 1u << 20;
  if (fs::file_size(path) > kMaxBytes) return {};
  std::ifstream in(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return content.find('\0') == std::string::npos ? content : std::string();
}

}  // namespace

Tree read_tree(const std::string& root) {
  Tree tree;
  fs::recursive_directory_iterator it(root);
  for (; it != fs::recursive_directory_iterator(); ++it) {
    if (is_skipped(it->path().filename(), it.depth() == 0)) {
      if (it->is_directory()) it.disable_recursion_pending();
      continue;
    }
    std::string path = it->path().lexically_relative(root).generic_string();
    if (it->is_regular_file() && !it->is_symlink()) tree.add(std::move(path), read_text(it->path()));
  }
  std::sort(tree.files.begin(), tree.files.end(),
            [](const File& a, const File& b) { return a.path < b.path; });
  return tree;
}

// ---- code_of
// -------------------------------------------------------------------------------------------------

namespace {

class Blanker {
 public:
  explicit Blanker(std::string_view source) : in_(source), out_(source) {}

  std::string run() {
    while (at_ < in_.size()) step();
    return std::move(out_);
  }

 private:
  void step() {
    std::string_view rest = in_.substr(at_);
    if (starts_with(rest, "//")) return blank_until(line_end(at_));
    if (starts_with(rest, "/*")) return blank_until(after("*/", at_ + 2));
    if (starts_with(rest, "#include") || starts_with(rest, "# include")) {
      at_ = std::min(line_end(at_), in_.find("//", at_));
      return;
    }
    char c = in_[at_];
    if (c == '"') return is_raw() ? raw_string() : literal('"');
    // A quote after a digit or letter separates digits: 1'000.
    if (c == '\'' && !(at_ > 0 && is_identifier_char(in_[at_ - 1]) && !is_prefix(at_ - 1)))
      return literal('\'');
    ++at_;
  }

  bool is_raw() const {
    return at_ > 0 && in_[at_ - 1] == 'R' &&
           (at_ < 2 || !is_identifier_char(in_[at_ - 2]) || is_prefix(at_ - 2));
  }

  // u, U or L in front of a literal, not the end of a longer word.
  bool is_prefix(size_t i) const {
    if (in_[i] != 'u' && in_[i] != 'U' && in_[i] != 'L') return false;
    return i == 0 || !is_identifier_char(in_[i - 1]);
  }

  void raw_string() {
    size_t open = in_.find('(', at_);
    if (open == std::string_view::npos) return blank_until(in_.size());
    std::string close = ")" + std::string(in_.substr(at_ + 1, open - at_ - 1)) + "\"";
    blank_until(after(close, open));
  }

  void literal(char quote) {
    size_t end = at_ + 1;
    while (end < in_.size() && in_[end] != quote && in_[end] != '\n') end += in_[end] == '\\' ? 2 : 1;
    blank_until(std::min(end + 1, in_.size()));
  }

  void blank_until(size_t end) {
    for (; at_ < end; ++at_)
      if (out_[at_] != '\n') out_[at_] = ' ';
  }

  size_t line_end(size_t from) const { return std::min(in_.find('\n', from), in_.size()); }

  size_t after(std::string_view text, size_t from) const {
    size_t found = in_.find(text, from);
    return found == std::string_view::npos ? in_.size() : found + text.size();
  }

  std::string_view in_;
  std::string out_;
  size_t at_ = 0;
};

}  // namespace

std::string code_of(std::string_view source) { return Blanker(source).run(); }

}  // namespace quorate::tidy
