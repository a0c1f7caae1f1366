// Files of the tree as the tidy rules see them.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::tidy {

// What a rule has to say about one line. `line` counts from 1; 0 means the whole file.
struct Finding {
  std::string path;
  size_t line = 0;
  std::string rule;
  std::string text;
};

std::string describe(const Finding& finding);

// One file: path from the root of the tree with '/' between names, and its bytes.
struct File {
  std::string path;
  std::string content;
};

// The whole tree: what is in it, and which paths (files and folders) exist.
struct Tree {
  std::vector<File> files;
  std::set<std::string> paths;

  void add(std::string path, std::string content);
  bool has(std::string_view path) const { return paths.count(std::string(path)) != 0; }
  const File* find(std::string_view path) const;
};

// Reads everything below `root` but build/ and names that begin with a dot (of those, .ci belongs to us).
// Files over 1 MiB and binary ones keep their path and lose their content. Needs no version control.
Tree read_tree(const std::string& root);

bool starts_with(std::string_view text, std::string_view prefix);
bool ends_with(std::string_view text, std::string_view suffix);
bool is_cpp(std::string_view path);
bool is_identifier_char(char c);
// The one place in core that implements the runtime interfaces on the operating system, and may therefore use
// it.
bool is_posix_runtime(std::string_view path);
std::string folder_of(std::string_view path);                      // "a/b.h" -> "a"; "b.h" -> ""
std::string join(std::string_view folder, std::string_view path);  // resolves "." and ".."
std::vector<std::string_view> lines_of(std::string_view text);

// C++ with comments, string and character literals blanked, byte for byte and line for line: what is left is
// code. The text of an #include directive stays.
std::string code_of(std::string_view source);

}  // namespace quorate::tidy
