// Who may include what: design rule, not taste. Core knows no backend, a plugin knows the SDK and its
// backend, the libraries of the host stay in the host.
#include <array>
#include <optional>

#include "tidy/rules.h"

namespace quorate::tidy {
namespace {

struct Include {
  size_t line;
  bool angled;
  std::string_view name;
};

std::vector<Include> includes_of(std::string_view code) {
  std::vector<Include> found;
  size_t number = 0;
  for (std::string_view line : lines_of(code)) {
    ++number;
    size_t hash = line.find_first_not_of(' ');
    if (hash == std::string_view::npos || line[hash] != '#') continue;
    size_t word = line.find_first_not_of(' ', hash + 1);
    if (word == std::string_view::npos || !starts_with(line.substr(word), "include")) continue;
    size_t open = line.find_first_of("<\"", word);
    if (open == std::string_view::npos) continue;
    size_t close = line.find_first_of(">\"", open + 1);
    if (close == std::string_view::npos) continue;
    found.push_back({number, line[open] == '<', line.substr(open + 1, close - open - 1)});
  }
  return found;
}

template <size_t N>
bool any_prefix(std::string_view name, const std::array<std::string_view, N>& prefixes) {
  for (std::string_view prefix : prefixes)
    if (starts_with(name, prefix)) return true;
  return false;
}

// Backends: of a plugin, of quoratectl, or of the tests.
constexpr std::array<std::string_view, 9> kBackends = {"grpc/",           "grpc++/",  "grpcpp/",
                                                       "google/protobuf", "absl/",    "rocksdb/",
                                                       "leveldb/",        "nghttp2/", "openssl/"};
// Libraries of the host.
constexpr std::array<std::string_view, 12> kHostOnly = {
    "boost/asio",       "boost/beast",  "boost/dll", "boost/program_options",
    "boost/filesystem", "boost/system", "boost/log", "boost/process",
    "toml++",           "yaml-cpp",     "spdlog",    "fmt/"};
// Headers that would let core do I/O, start threads or depend on a locale behind the runtime interfaces.
constexpr std::array<std::string_view, 8> kNotInCore = {"thread",     "future", "regex",    "fstream",
                                                        "filesystem", "ctime",  "iostream", "syncstream"};
// Of Boost, core may use what is header-only and does no I/O.
constexpr std::array<std::string_view, 8> kCoreBoost = {
    "boost/uuid",   "boost/intrusive", "boost/container", "boost/container_hash",
    "boost/endian", "boost/unordered", "boost/version",   "boost/config"};

bool is_system_header(std::string_view name) {  // <unistd.h>, <sys/stat.h>
  return ends_with(name, ".h") &&
         (name.find('/') == std::string_view::npos || starts_with(name, "sys/") || starts_with(name, "net") ||
          starts_with(name, "linux/") || starts_with(name, "arpa/"));
}

// Compiler intrinsics (for crc32c) and memory are no way to the outside.
bool is_harmless(std::string_view name) {
  return name == "sys/mman.h" || ends_with(name, "intrin.h") || name == "arm_acle.h" ||
         name == "arm_neon.h" || name == "cpuid.h";
}

bool is_std(std::string_view name) {
  return name.find('/') == std::string_view::npos && name.find('.') == std::string_view::npos;
}

using Verdict = std::optional<std::string>;

Verdict judge_sdk(const Include& inc) {
  if (inc.angled && (is_std(inc.name) || inc.name == "arm_acle.h")) return {};  // crc32c.h's instruction
  if (starts_with(inc.name, "quorate/plugin/")) return {};
  return "the SDK is self-contained: only the standard library and quorate/plugin/*";
}

Verdict judge_core(std::string_view path, const Include& inc) {
  if (any_prefix(inc.name, kBackends)) return "core knows no backend";
  if (any_prefix(inc.name, kHostOnly)) return "only the host knows this library";
  if (!inc.angled || starts_with(inc.name, "quorate/")) return {};
  for (std::string_view name : kNotInCore)
    if (inc.name == name) return "core does I/O, time and threads only through quorate/runtime.h";
  if (is_std(inc.name) || is_harmless(inc.name)) return {};
  if (is_system_header(inc.name) && is_posix_runtime(path) && inc.name != "dlfcn.h") return {};
  if (is_system_header(inc.name)) return "core includes no system header";
  if (any_prefix(inc.name, kCoreBoost) || starts_with(inc.name, "cereal/")) return {};
  return "core includes the standard library, header-only Boost parts and cereal, nothing else";
}

// The backend's header prefix, by the plugin's folder.
std::string_view backend_of(std::string_view plugin) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kOwn = {
      {{"storage-rocksdb", "rocksdb/"},
       {"storage-leveldb", "leveldb/"},
       {"storage-lmdb", "lmdb.h"},
       {"storage-sqlite", "sqlite3.h"},
       {"transport-grpc", "nghttp2/"},
       {"auth-tls", "openssl/"}}};
  for (const auto& [folder, prefix] : kOwn)
    if (folder == plugin) return prefix;
  return {};
}

Verdict judge_plugin(std::string_view plugin, const Include& inc) {
  if (starts_with(inc.name, "quorate/"))
    return starts_with(inc.name, "quorate/plugin/") ? Verdict()
                                                    : "a plugin sees of Quorate only quorate/plugin/*";
  if (!inc.angled) {
    constexpr std::array<std::string_view, 13> kCoreFolders = {
        "base/",  "runtime/", "wire/", "api/",      "raft/",   "wal/",      "mvcc/",
        "watch/", "lease/",   "auth/", "snapshot/", "server/", "telemetry/"};
    return any_prefix(inc.name, kCoreFolders) ? Verdict("a plugin sees nothing of core's src/") : Verdict();
  }
  std::string_view own = backend_of(plugin);
  if (!own.empty() && starts_with(inc.name, own)) return {};
  if (any_prefix(inc.name, kBackends)) return "not this plugin's backend";
  if (any_prefix(inc.name, kHostOnly) || starts_with(inc.name, "boost/"))
    return "a plugin includes the SDK, its backend and the standard library";
  if (is_std(inc.name) || is_harmless(inc.name)) return {};
  if (is_system_header(inc.name) && starts_with(plugin, "storage-") && inc.name != "dlfcn.h") return {};
  return "transports and auth are sans-I/O: bytes, time and randomness come from the host";
}

Verdict judge_host(const Include& inc) {
  // The hash of a pinned plugin, and no more: TLS is a plugin's.
  if (inc.name == "openssl/evp.h" || inc.name == "openssl/sha.h") return {};
  if (any_prefix(inc.name, kBackends)) return "backends live in plugins";
  return {};
}

Verdict judge_tool(const Include& inc) {
  if (inc.name == "boost/program_options.hpp" || starts_with(inc.name, "fmt/")) return {};
  if (any_prefix(inc.name, kHostOnly)) return "only the host knows this library";
  return {};
}

Verdict judge(std::string_view path, const Include& inc) {
  if (starts_with(path, "core/include/quorate/plugin/")) return judge_sdk(inc);
  if (starts_with(path, "core/")) return judge_core(path, inc);
  if (starts_with(path, "plugins/")) {
    std::string_view rest = path.substr(8);
    return judge_plugin(rest.substr(0, rest.find('/')), inc);
  }
  if (starts_with(path, "host/")) return judge_host(inc);
  if (starts_with(path, "ctl/") || starts_with(path, "bench/")) return judge_tool(inc);
  return {};
}

// Where "x" may lie, beside the including file's own folder.
std::vector<std::string> include_roots(std::string_view path) {
  if (starts_with(path, "plugins/")) {
    std::string_view rest = path.substr(8);
    std::string plugin = "plugins/" + std::string(rest.substr(0, rest.find('/')));
    return {"core/include", plugin, plugin + "/src"};
  }
  if (starts_with(path, "core/")) return {"core/include", "core/src"};
  if (starts_with(path, "host/")) return {"core/include", "core/src", "host", ""};
  return {"core/include", "core/src", "tests", "host",    "host/src",
          "host/include", "ctl",      "bench", "plugins", ""};
}

bool is_generated(const Tree& tree, std::string_view name) {
  for (std::string_view suffix : {".grpc.pb.h", ".pb.h"}) {
    if (!ends_with(name, suffix)) continue;
    std::string stem(name.substr(0, name.size() - suffix.size()));
    std::string proto = stem.substr(stem.rfind('/') + 1) + ".proto";
    for (const File& file : tree.files)
      if (file.path == proto || ends_with(file.path, "/" + proto)) return true;
  }
  for (const File& file : tree.files)
    if (ends_with(file.path, std::string(name) + ".in")) return true;
  return false;
}

bool include_exists(const Tree& tree, std::string_view path, std::string_view name) {
  if (tree.has(join(folder_of(path), name))) return true;
  for (const std::string& root : include_roots(path))
    if (tree.has(join(root, name))) return true;
  return is_generated(tree, name);
}

}  // namespace

Findings check_layering(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!is_cpp(file.path)) continue;
    std::string code = code_of(file.content);
    for (const Include& inc : includes_of(code))
      if (Verdict why = judge(file.path, inc))
        findings.push_back({file.path, inc.line, "layering", std::string(inc.name) + ": " + *why});
  }
  return findings;
}

Findings check_includes_exist(const Tree& tree) {
  Findings findings;
  for (const File& file : tree.files) {
    if (!is_cpp(file.path)) continue;
    std::string code = code_of(file.content);
    for (const Include& inc : includes_of(code)) {
      bool ours = !inc.angled || starts_with(inc.name, "quorate/");
      if (ours && !include_exists(tree, file.path, inc.name))
        findings.push_back({file.path, inc.line, "include-exists", "no such file: " + std::string(inc.name)});
    }
  }
  return findings;
}

}  // namespace quorate::tidy
