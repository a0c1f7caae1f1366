// Every flag of the server: one table that drives the command line, the environment, the YAML file, --help,
// --check-config and docs/flags.md. Names, defaults and meanings are those of etcd 3.7.1, but for the default
// of snapshot-count; the flags that only Quorate has are in the section of that name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quorate::host {

enum class FlagType : uint32_t {
  kText,
  kBool,      // --flag or --flag=false; also 1 t T true TRUE True 0 f F false FALSE False
  kUnsigned,  // 64 bits; decimal, 0x, 0o, 0b
  kUnsigned32,
  kSigned,    // 64 bits
  kDuration,  // 1h30m, 300ms; in YAML an integer: nanoseconds
  kUrls,      // comma-separated
  kList,      // comma-separated; in YAML a list
  kIgnored,   // of long ago: accepted with whatever value
};
const char* type_name(FlagType type);

enum class Verdict : uint32_t {
  kHonoured,
  kNoEffect,  // accepted and, when given, logged as without effect
  kRefused,   // a value other than the default stops the start: to ignore it would break a promise
};
const char* verdict_name(Verdict verdict);

struct FlagRow {
  const char* section;
  const char* name;
  FlagType type;
  const char* default_text;
  Verdict verdict;
  const char* help;
  const char* why = "";  // of the other two verdicts
  // Its key in the YAML file, dotted where it lies in a map; nullptr: its name; "": none.
  const char* yaml = nullptr;
};

extern const std::vector<FlagRow> kFlags;

// Flags that older releases had and 3.7.1 refuses as unknown: what to say about them.
struct RemovedFlag {
  const char* name;
  const char* advice;
};
extern const std::vector<RemovedFlag> kRemovedFlags;

constexpr size_t kNoFlag = ~size_t{0};
size_t flag_index(std::string_view name);        // kNoFlag: there is none
const FlagRow& flag_row(std::string_view name);  // REQUIRES: there is one
std::string env_name(const FlagRow& row);        // "ETCD_DATA_DIR"; empty: none
std::string yaml_key(const FlagRow& row);        // empty: none
// The known word that `word` most likely means, or "".
std::string nearest(std::string_view word, const std::vector<std::string>& known);
std::string nearest_flag(std::string_view word);

std::string usage_text();      // a few lines
std::string help_text();       // every flag
std::string flags_document();  // docs/flags.md

}  // namespace quorate::host
