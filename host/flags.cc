#include "host/flags.h"

#include <algorithm>

#include "base/assert.h"
#include "quorate/plugin/options.h"

namespace quorate::host {

const char* type_name(FlagType type) {
  switch (type) {
    case FlagType::kText:
      return "text";
    case FlagType::kBool:
      return "bool";
    case FlagType::kUnsigned:
      return "number";
    case FlagType::kUnsigned32:
      return "32-bit number";
    case FlagType::kSigned:
      return "signed number";
    case FlagType::kDuration:
      return "duration";
    case FlagType::kUrls:
      return "URLs";
    case FlagType::kList:
      return "list";
    case FlagType::kIgnored:
      return "anything";
  }
  return "";
}

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHonoured:
      return "honoured";
    case Verdict::kNoEffect:
      return "without effect";
    case Verdict::kRefused:
      return "refused";
  }
  return "";
}

size_t flag_index(std::string_view name) {
  for (size_t i = 0; i < kFlags.size(); ++i)
    if (name == kFlags[i].name) return i;
  return kNoFlag;
}

const FlagRow& flag_row(std::string_view name) {
  size_t i = flag_index(name);
  QUORATE_ASSERT(i != kNoFlag, "a flag that is not in the table");
  return kFlags[i];
}

std::string env_name(const FlagRow& row) {
  std::string name = row.section == std::string_view("Quorate") ? "QUORATE_" : "ETCD_";
  for (const char* c = row.name; *c != 0; ++c) name += *c == '-' ? '_' : static_cast<char>(std::toupper(*c));
  return name;
}

std::string yaml_key(const FlagRow& row) { return row.yaml == nullptr ? row.name : row.yaml; }

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  size_t least = word.size() / 2 + 1;  // farther than half of the word is no likeness
  for (const std::string& k : known) {
    if (size_t d = plugin::OptionTable::distance(word, k); d < least) {
      least = d;
      best = k;
    }
  }
  return best;
}

std::string nearest_flag(std::string_view word) {
  std::vector<std::string> names;
  for (const FlagRow& row : kFlags)
    if (row.type != FlagType::kIgnored) names.emplace_back(row.name);
  return nearest(word, names);
}

std::string usage_text() {
  return "usage: quorate [--flag=value ...]       start a node\n"
         "       quorate --config-file FILE       start it as etcd's YAML file says\n"
         "       quorate --check-config [...]     check everything, print what would be used\n"
         "       quorate plugin inspect FILE      what a plugin says of itself\n"
         "       quorate --version | --help\n";
}

std::string help_text() {
  std::string text = usage_text();
  const char* section = "";
  for (const FlagRow& row : kFlags) {
    if (row.type == FlagType::kIgnored) continue;
    if (std::string_view(section) != row.section) {
      section = row.section;
      text += std::string("\n") + section + ":\n";
    }
    text += std::string("  --") + row.name + " '" + row.default_text + "'\n    " + row.help;
    if (row.verdict == Verdict::kNoEffect) text += std::string(" Without effect: ") + row.why + ".";
    if (row.verdict == Verdict::kRefused) text += std::string(" Refused: ") + row.why + ".";
    text += "\n";
  }
  return text;
}

namespace {

std::string code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

}  // namespace

std::string flags_document() {
  std::string text =
      "# Flags\n\n"
      "Generated from the table in `host/flags_table.cc`; a test compares the two. Verdicts: *honoured*; "
      "*without\n"
      "effect*, accepted and logged when given; *refused* when set to anything but the default, because "
      "ignoring it\n"
      "would break a promise. How flags, environment and file go together is in "
      "[operations](operations.md).\n";
  const char* section = "";
  for (const FlagRow& row : kFlags) {
    if (std::string_view(section) != row.section) {
      section = row.section;
      text += std::string("\n## ") + section +
              "\n\n| Flag | Type | Default | Environment | YAML | Verdict | Meaning |\n"
              "|---|---|---|---|---|---|---|\n";
    }
    std::string verdict = verdict_name(row.verdict);
    if (*row.why != 0) verdict += std::string(": ") + row.why;
    text += "| `--" + std::string(row.name) + "` | " + type_name(row.type) + " | " + code(row.default_text) +
            " | " + code(env_name(row)) + " | " + code(yaml_key(row)) + " | " + verdict + " | " + row.help +
            " |\n";
  }
  text +=
      "\n## Removed\n\nUnknown to etcd 3.7.1, and so to Quorate; the error says what to use instead.\n\n"
      "| Flag | Advice |\n|---|---|\n";
  for (const RemovedFlag& flag : kRemovedFlags)
    text += "| `--" + std::string(flag.name) + "` | " + flag.advice + " |\n";
  return text;
}

}  // namespace quorate::host
