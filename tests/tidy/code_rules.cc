// What no source of ours says. All of it looks at code only: comments and literals are blanked first.
#include <array>

#include "tidy/rules.h"

namespace quorate::tidy {
namespace {

// Where `word` stands as a whole word in `code`.
std::vector<size_t> find_words(std::string_view code, std::string_view word) {
  std::vector<size_t> found;
  for (size_t at = code.find(word); at != std::string_view::npos; at = code.find(word, at + 1)) {
    bool begins = at == 0 || !is_identifier_char(code[at - 1]);
    size_t end = at + word.size();
    bool ends = end == code.size() || !is_identifier_char(code[end]);
    if (begins && ends) found.push_back(at);
  }
  return found;
}

size_t line_at(std::string_view code, size_t at) {
  size_t line = 1;
  for (char c : code.substr(0, at)) line += c == '\n' ? 1 : 0;
  return line;
}

size_t skip_blanks(std::string_view code, size_t at) {
  while (at < code.size() && (code[at] == ' ' || code[at] == '\n')) ++at;
  return at;
}

// Whether the word at [at, at + size) is called as a free function: not a member, not another namespace's,
// not the name in a declaration.
bool is_free_call(std::string_view code, size_t at, size_t size) {
  size_t open = skip_blanks(code, at + size);
  if (open == code.size() || code[open] != '(') return false;
  size_t before = at;
  while (before > 0 && (code[before - 1] == ' ' || code[before - 1] == '\n')) --before;
  if (before == 0) return true;
  std::string_view head = code.substr(0, before);
  if (ends_with(head, "std::")) return true;
  if (ends_with(head, ".") || ends_with(head, "->")) return false;
  if (ends_with(head, "::")) return head.size() < 3 || !is_identifier_char(head[head.size() - 3]);
  if (ends_with(head, "*") || ends_with(head, "&") || ends_with(head, ">") || ends_with(head, "~")) {
    return before == at;  // "a *time(...)" is a declaration; "a*time(0)" a call, written tight
  }
  if (!is_identifier_char(head.back())) return true;
  return ends_with(head, "return") || ends_with(head, "co_return") || ends_with(head, "else");
}

class Scan {
 public:
  Scan(const File& file, std::string rule, Findings* findings)
      : file_(file), code_(code_of(file.content)), rule_(std::move(rule)), findings_(findings) {}

  void ban_word(std::string_view word, std::string_view why) {
    for (size_t at : find_words(code_, word)) report(at, word, why);
  }
  void ban_call(std::string_view name, std::string_view why) {
    for (size_t at : find_words(code_, name))
      if (is_free_call(code_, at, name.size())) report(at, std::string(name) + "()", why);
  }
  void ban_text(std::string_view text, std::string_view why) {
    for (size_t at = code_.find(text); at != std::string::npos; at = code_.find(text, at + 1))
      report(at, text, why);
  }

 private:
  void report(size_t at, std::string_view what, std::string_view why) {
    findings_->push_back(
        {file_.path, line_at(code_, at), rule_, std::string(what) + ": " + std::string(why)});
  }

  const File& file_;
  std::string code_;
  std::string rule_;
  Findings* findings_;
};

}  // namespace

Findings check_banned_code(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!is_cpp(file.path)) continue;
    Scan scan(file, "banned", &findings);
    scan.ban_word("NDEBUG", "assertions are on in every build");
    scan.ban_call("assert", "use QUORATE_ASSERT, which is always on and says why");
    scan.ban_text("std::regex", "it recurses over its input, and outside input is hostile");
    scan.ban_text("<regex>", "it recurses over its input, and outside input is hostile");
    scan.ban_text("<cassert>", "use QUORATE_ASSERT, which is always on and says why");
    scan.ban_text("<bits/", "a private header of one standard library");
    for (std::string_view name : {"strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "alloca"})
      scan.ban_call(name, "unbounded");
  }
  return findings;
}

// What the standard library still offers; system calls need headers that the layering rule keeps out of core.
Findings check_core_purity(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!is_cpp(file.path) || !starts_with(file.path, "core/")) continue;
    if (is_posix_runtime(file.path)) continue;
    Scan scan(file, "core-purity", &findings);
    constexpr std::string_view kThreads = "core starts no thread: post to the Executor";
    for (std::string_view text : {"std::thread", "std::jthread", "std::async", "std::this_thread"})
      scan.ban_text(text, kThreads);
    constexpr std::string_view kTime = "core reads time from the Clock it is given";
    for (std::string_view word :
         {"system_clock", "steady_clock", "high_resolution_clock", "utc_clock", "file_clock"})
      scan.ban_word(word, kTime);
    for (std::string_view name : {"time", "gettimeofday", "clock_gettime"}) scan.ban_call(name, kTime);
    constexpr std::string_view kRandom =
        "core's randomness comes from the Random it is given, or from a seed";
    for (std::string_view name : {"rand", "srand", "drand48"}) scan.ban_call(name, kRandom);
    scan.ban_word("random_device", kRandom);
    constexpr std::string_view kFiles = "core reaches files through the Files it is given";
    for (std::string_view name : {"fopen", "freopen", "tmpfile"}) scan.ban_call(name, kFiles);
    for (std::string_view word : {"ifstream", "ofstream", "fstream"}) scan.ban_word(word, kFiles);
    for (std::string_view name : {"getenv", "setenv", "system"})
      scan.ban_call(name, "core does not touch the process it runs in");
  }
  return findings;
}

Findings check_headers(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!ends_with(file.path, ".h")) continue;
    std::string code = code_of(file.content);
    if (find_words(code, "pragma").empty() || code.find("#pragma once") == std::string::npos)
      findings.push_back({file.path, 1, "header", "no #pragma once"});
    for (size_t at : find_words(code, "using"))
      if (starts_with(std::string_view(code).substr(at), "using namespace"))
        findings.push_back(
            {file.path, line_at(code, at), "header", "using namespace leaks into every includer"});
    if (starts_with(file.path, "core/include/") && !starts_with(file.content, "//"))
      findings.push_back(
          {file.path, 1, "header", "a public header begins with a comment: contract and threads"});
  }
  return findings;
}

}  // namespace quorate::tidy
