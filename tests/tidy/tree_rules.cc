// Documents, plugins and scripts: what must fit together across files.
#include <sys/wait.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <set>

#include "tidy/rules.h"

namespace quorate::tidy {
namespace {

// Text of a document with code blanked: a link in an example is no link.
std::string prose_of(std::string_view markdown) {
  std::string out;
  bool fenced = false;
  for (std::string_view line : lines_of(markdown)) {
    size_t first = line.find_first_not_of(' ');
    bool fence = first != std::string_view::npos && starts_with(line.substr(first), "```");
    if (fence) fenced = !fenced;
    bool code = false;
    for (char c : line) {
      if (c == '`') code = !code;
      out += fenced || fence || code ? ' ' : c;
    }
    out += '\n';
  }
  return out;
}

// The anchor that a heading gets: lower case, blanks to dashes, punctuation dropped.
std::string anchor_of(std::string_view heading) {
  std::string anchor;
  for (char c : heading) {
    if (c == ' ') anchor += '-';
    if (is_identifier_char(c) || c == '-' || static_cast<unsigned char>(c) >= 0x80)
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return anchor;
}

std::set<std::string> anchors_of(const File& file) {
  std::set<std::string> anchors;
  bool fenced = false;
  for (std::string_view line : lines_of(file.content)) {
    if (starts_with(line, "```")) fenced = !fenced;
    if (fenced || !starts_with(line, "#")) continue;
    size_t text = line.find_first_not_of('#');
    if (text == std::string_view::npos || line[text] != ' ') continue;
    anchors.insert(anchor_of(line.substr(text + 1)));
  }
  return anchors;
}

std::string check_link(const Tree& tree, const File& from, std::string_view target) {
  for (std::string_view scheme : {"http://", "https://", "mailto:"})
    if (starts_with(target, scheme)) return {};
  if (starts_with(target, "/")) return "an absolute link";
  size_t hash = target.find('#');
  std::string_view file = target.substr(0, hash);
  std::string path = file.empty() ? from.path : join(folder_of(from.path), file);
  if (!path.empty() && !tree.has(path)) return "leads nowhere";
  if (hash == std::string_view::npos) return {};
  const File* to = tree.find(path);
  if (to != nullptr && ends_with(path, ".md") &&
      anchors_of(*to).count(std::string(target.substr(hash + 1))) == 0)
    return "no such heading";
  return {};
}

// For the shell, within single quotes.
std::string shell_quoted(std::string_view path) {
  std::string out = "'";
  for (char c : path) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

bool is_shell_script(const File& file) {
  if (ends_with(file.path, ".sh")) return true;
  std::string_view first = file.content;
  first = first.substr(0, first.find('\n'));
  return starts_with(first, "#!") && (ends_with(first, "bash") || ends_with(first, "/sh"));
}

// The folders directly below plugins/ that hold a file.
std::set<std::string> plugin_folders(const Tree& tree) {
  std::set<std::string> folders;
  for (const File& file : tree.files) {
    if (!starts_with(file.path, "plugins/")) continue;
    size_t end = file.path.find('/', 8);
    if (end != std::string::npos) folders.insert(file.path.substr(0, end));
  }
  return folders;
}

bool named_by_kind(std::string_view name) {
  for (std::string_view kind : {"storage-", "transport-", "auth-"})
    if (starts_with(name, kind) && name.size() > kind.size()) return true;
  return false;
}

// The literal that begins at the first quote behind `at`, joined with those that follow it; *at moves behind
// it.
std::string joined_literal(std::string_view code, size_t* at) {
  std::string text;
  size_t next = code.find('"', *at);
  while (next < code.size() && code[next] == '"') {
    for (++next; next < code.size() && code[next] != '"'; ++next) {
      if (code[next] == '\\') ++next;
      if (next < code.size()) text += code[next];
    }
    *at = std::min(next + 1, code.size());
    next = code.find_first_not_of(" \n", *at);
  }
  return text;
}

// The rows of kRefusals, as {Refusal::kName, Code::kName, "text"}.
std::vector<std::string> refusal_texts(std::string_view code) {
  std::vector<std::string> texts;
  constexpr std::string_view kRow = "{Refusal::";
  for (size_t at = code.find(kRow); at != std::string_view::npos; at = code.find(kRow, at))
    texts.push_back(joined_literal(code, &at));
  return texts;
}

}  // namespace

Findings check_links(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!ends_with(file.path, ".md")) continue;
    size_t number = 0;
    std::string prose = prose_of(file.content);
    for (std::string_view line : lines_of(prose)) {
      ++number;
      for (size_t at = line.find("]("); at != std::string_view::npos; at = line.find("](", at + 1)) {
        size_t end = line.find(')', at);
        if (end == std::string_view::npos) break;
        std::string_view target = line.substr(at + 2, end - at - 2);
        std::string why = check_link(tree, file, target);
        if (!why.empty()) findings.push_back({file.path, number, "links", std::string(target) + ": " + why});
      }
    }
  }
  return findings;
}

Findings check_plugins(const Tree& tree) {
  Findings findings;
  for (const std::string& folder : plugin_folders(tree)) {
    auto report = [&](std::string text) { findings.push_back({folder, 0, "plugins", std::move(text)}); };
    std::string name = folder.substr(8);
    if (!named_by_kind(name)) report("is not named <kind>-<name>");
    if (!tree.has(folder + "/README.md")) report("has no README.md: options, capabilities, limits");
    const File* build = tree.find(folder + "/CMakeLists.txt");
    // quorate_add_plugin() is what links with the version script; nothing else may make a plugin.
    if (build == nullptr || build->content.find("quorate_add_plugin(" + name) == std::string::npos)
      report("is not built by quorate_add_plugin(" + name + " ...), which exports the descriptor alone");
  }
  const File* helper = tree.find("cmake/QuoratePlugin.cmake");
  if (helper == nullptr || helper->content.find("--version-script") == std::string::npos)
    findings.push_back({"cmake/QuoratePlugin.cmake", 0, "plugins", "links without a version script"});
  const File* map = tree.find("cmake/quorate_plugin.map");
  if (map == nullptr || map->content.find("local: *") == std::string::npos)
    findings.push_back(
        {"cmake/quorate_plugin.map", 0, "plugins", "does not hide what is not the descriptor"});
  return findings;
}

Findings check_refusals(const Tree& tree) {
  const char* table = "host/loader_refusals.cc";
  const char* guide = "docs/plugin-guide.md";
  const File* source = tree.find(table);
  const File* document = tree.find(guide);
  std::vector<std::string> texts;
  if (source != nullptr) texts = refusal_texts(source->content);
  if (texts.empty())
    return {{table, 0, "refusals", "no row {Refusal::kName, Code::kName, \"text\"} is found"}};
  if (document == nullptr) return {{guide, 0, "refusals", "is not there"}};
  Findings findings;
  size_t from = 0;
  for (const std::string& text : texts) {
    size_t at = document->content.find("| `" + text + "` |", from);
    if (at == std::string::npos)
      findings.push_back({guide, 0, "refusals", "does not list, in its place: " + text});
    else
      from = at;
  }
  return findings;
}

Findings check_scripts(const Tree& tree, const std::string& root) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!is_shell_script(file)) continue;
    std::string command = "bash -n " + shell_quoted(root + "/" + file.path) + " </dev/null >/dev/null 2>&1";
    int status = std::system(command.c_str());
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
      findings.push_back({file.path, 0, "scripts", "bash -n refuses it"});
  }
  return findings;
}

}  // namespace quorate::tidy
