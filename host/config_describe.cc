// What --check-config prints: the configuration as it takes effect.
#include "host/config.h"

namespace quorate::host {

namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

std::string members(const Config& config) {
  std::vector<std::string> parts;
  for (const auto& [name, urls] : config.node.initial_cluster)
    for (const std::string& url : urls) parts.push_back(name + "=" + url);
  return joined(parts);
}

// A number alone is one of hours.
std::string retention(const Config& config) {
  const std::string& text = config.values.text("auto-compaction-retention");
  if (config.node.compaction_retention == 0) return "0";
  if (config.node.compaction_mode == CompactionMode::kRevision)
    return std::to_string(config.node.compaction_retention);
  std::optional<int64_t> hours = parse_signed(text);
  return hours ? std::to_string(*hours) + "h" : text;
}

std::string log_outputs(const Config& config) {
  std::vector<std::string> outputs = config.log.outputs;
  for (std::string& output : outputs)
    if (output == "default") output = "stderr";
  return joined(outputs);
}

// Flags whose text leaves something open, or is put in order before it is used.
struct Effect {
  std::string_view flag;
  std::string (*value)(const Config& config);
};
constexpr Effect kEffects[] = {
    {"data-dir", [](const Config& c) { return c.node.data_directory; }},
    {"wal-dir",
     [](const Config& c) {
       return c.node.wal_directory.empty() ? c.node.data_directory + "/member/wal" : c.node.wal_directory;
     }},
    {"listen-peer-urls", [](const Config& c) { return joined(texts_of(c.listen_peer)); }},
    {"listen-client-urls", [](const Config& c) { return joined(texts_of(c.listen_client)); }},
    {"initial-advertise-peer-urls", [](const Config& c) { return joined(c.node.peer_urls); }},
    {"advertise-client-urls", [](const Config& c) { return joined(c.node.client_urls); }},
    {"initial-cluster", members},
    {"quota-backend-bytes",
     [](const Config& c) {
       return std::to_string(c.node.quota_bytes == 0 ? kDefaultQuotaBytes : c.node.quota_bytes);
     }},
    {"compaction-batch-limit", [](const Config& c) { return std::to_string(c.node.compaction_batch_limit); }},
    {"auto-compaction-retention", retention},
    {"log-outputs", log_outputs},
    {"log-format",
     [](const Config& c) -> std::string { return c.log.format == LogFormat::kConsole ? "console" : "json"; }},
};

std::string effective(const Config& config, const FlagRow& row) {
  for (const Effect& effect : kEffects)
    if (effect.flag == row.name) return effect.value(config);
  switch (row.type) {
    case FlagType::kBool:
      return config.values.boolean(row.name) ? "true" : "false";
    case FlagType::kUnsigned:
    case FlagType::kUnsigned32:
      return std::to_string(config.values.number(row.name));
    case FlagType::kSigned:
      return std::to_string(config.values.signed_number(row.name));
    default:
      return config.values.text(row.name);
  }
}

}  // namespace

std::string describe(const Config& config) {
  std::string text;
  for (const FlagRow& row : kFlags) {
    if (row.type == FlagType::kIgnored) continue;
    const FlagValue& value = config.values.get(row.name);
    text += std::string(row.name) + ": " + in_quotes(effective(config, row));
    text += "  # " + (value.given() ? value.where : std::string("default"));
    if (row.verdict == Verdict::kNoEffect) text += std::string(", without effect: ") + row.why;
    text += "\n";
  }
  return text;
}

}  // namespace quorate::host
