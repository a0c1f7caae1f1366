#include "host/config.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>

#include "base/assert.h"

namespace quorate::host {

using plugin::Code;
using plugin::Status;

namespace {

Status invalid(const std::string& text) { return Status(Code::kInvalid, text); }

// Where the flag was set, for errors; a default is named by its flag.
std::string where(const FlagValues& values, const char* name) {
  const FlagValue& value = values.get(name);
  if (value.source == FlagSource::kEnvironment || value.source == FlagSource::kFile)
    return "--" + std::string(name) + " (" + value.where + ")";
  return "--" + std::string(name);
}

Status at(const FlagValues& values, const char* name, const Status& status) {
  return status.ok() ? status : invalid(where(values, name) + ": " + status.text());
}

bool is_default(const FlagRow& row, const FlagValue& value) {
  if (row.type == FlagType::kBool) return parse_bool(value.text) == parse_bool(row.default_text);
  if (row.type == FlagType::kDuration) return parse_duration(value.text) == parse_duration(row.default_text);
  if (row.type == FlagType::kUnsigned) return parse_unsigned(value.text) == parse_unsigned(row.default_text);
  return value.text == row.default_text;
}

Status check_verdicts(Config* config) {
  for (size_t i = 0; i < kFlags.size(); ++i) {
    const FlagRow& row = kFlags[i];
    const FlagValue& value = config->values.at(i);
    if (!value.given() || row.type == FlagType::kIgnored) continue;
    if (row.verdict == Verdict::kRefused && !is_default(row, value))
      return invalid(where(config->values, row.name) + ": " + in_quotes(value.text) +
                     " is refused: " + row.why);
    if (row.verdict == Verdict::kNoEffect)
      config->notices.push_back({Notice::Level::kWarn,
                                 "flag is without effect",
                                 {{"flag", row.name}, {"value", value.text}, {"why", row.why}}});
  }
  return {};
}

Status one_of(const FlagValues& values, const char* name, std::initializer_list<const char*> words) {
  const std::string& value = values.text(name);
  std::string all;
  for (const char* word : words) {
    if (value == word) return {};
    if (*word != 0) all += (all.empty() ? "" : ", ") + std::string(word);  // "" stands for the default
  }
  return invalid(where(values, name) + ": " + in_quotes(value) + " is not one of " + all);
}

Status read_urls(const FlagValues& values, const char* name, bool to_listen, std::vector<Url>* out) {
  if (Status s = at(values, name, parse_urls(values.text(name), out)); !s.ok()) return s;
  if (out->empty()) return invalid(where(values, name) + ": is empty");
  for (const Url& url : *out) {
    if (to_listen && url.is_secure())
      return invalid(where(values, name) + ": " + url.text + ": there is no TLS yet; use http or unix");
    Status host = to_listen                            ? check_bind_url(url)
                  : url.is_unix() || !url.host.empty() ? Status()
                                                       : invalid("unexpected empty host (" + url.text + ")");
    if (!host.ok()) return at(values, name, host);
  }
  return {};
}

Status read_places(Config* config) {
  const FlagValues& values = config->values;
  std::vector<Url> advertise_client;
  if (Status s = read_urls(values, "listen-peer-urls", true, &config->listen_peer); !s.ok()) return s;
  if (Status s = read_urls(values, "listen-client-urls", true, &config->listen_client); !s.ok()) return s;
  if (Status s = read_urls(values, "initial-advertise-peer-urls", false, &config->advertise_peer); !s.ok())
    return s;
  bool listens_explicitly = values.get("listen-client-urls").given() && config->config_file.empty();
  if (listens_explicitly && !values.get("advertise-client-urls").given())
    return invalid("--advertise-client-urls is required when --listen-client-urls is set explicitly");
  if (Status s = read_urls(values, "advertise-client-urls", false, &advertise_client); !s.ok()) return s;
  config->node.client_urls = texts_of(advertise_client);
  config->node.peer_urls = texts_of(config->advertise_peer);
  return {};
}

Status read_cluster(Config* config) {
  const FlagValues& values = config->values;
  NodeOptions& node = config->node;
  node.name = values.text("name");
  node.cluster_token = values.text("initial-cluster-token");
  if (node.name.empty()) return invalid(where(values, "name") + ": is empty");
  if (Status s = one_of(values, "initial-cluster-state", {"new", "existing"}); !s.ok()) return s;
  config->join_existing = values.text("initial-cluster-state") == "existing";
  if (values.text("initial-cluster").empty()) {
    config->initial_cluster = {{node.name, config->advertise_peer}};
  } else if (Status s = parse_members(values.text("initial-cluster"), &config->initial_cluster); !s.ok()) {
    return at(values, "initial-cluster", s);
  }
  for (const auto& [name, urls] : config->initial_cluster)
    node.initial_cluster.emplace_back(name, texts_of(urls));
  if (node.name == "default")
    config->notices.push_back(
        {Notice::Level::kWarn, "the member has the default name; give each one its own by --name", {}});
  return {};
}

Status absolute(const std::string& path, std::string* out) {
  std::error_code error;
  std::filesystem::path full = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return invalid(in_quotes(path) + ": " + error.message());
  *out = full.string();
  return {};
}

Status read_directories(Config* config) {
  const FlagValues& values = config->values;
  std::string data = values.text("data-dir");
  if (data.empty()) {
    data = config->node.name + ".etcd";
    config->notices.push_back(
        {Notice::Level::kWarn, "'data-dir' was empty; using default", {{"data-dir", data}}});
  }
  if (Status s = at(values, "data-dir", absolute(data, &config->node.data_directory)); !s.ok()) return s;
  const std::string& wal = values.text("wal-dir");
  return wal.empty() ? Status() : at(values, "wal-dir", absolute(wal, &config->node.wal_directory));
}

Status read_times(Config* config) {
  const FlagValues& values = config->values;
  NodeOptions& node = config->node;
  node.heartbeat_ms = values.number("heartbeat-interval");
  node.election_ms = values.number("election-timeout");
  std::string election = where(values, "election-timeout") + "[" + values.text("election-timeout") + "ms]";
  std::string heartbeat =
      where(values, "heartbeat-interval") + "[" + values.text("heartbeat-interval") + "ms]";
  if (node.heartbeat_ms == 0)
    return invalid(where(values, "heartbeat-interval") + " must be >0 (set to 0ms)");
  if (node.election_ms == 0) return invalid(where(values, "election-timeout") + " must be >0 (set to 0ms)");
  if (node.election_ms > 50000)
    return invalid(election + " is too long, and should be set less than 50000ms");
  if (node.heartbeat_ms > node.election_ms / 5)
    return invalid(election + " should be at least as 5 times as " + heartbeat);
  int64_t progress = values.signed_number("watch-progress-notify-interval");
  if (progress < 100'000'000)
    return invalid(where(values, "watch-progress-notify-interval") + ": is less than 100ms");
  node.watch_progress_interval_ns = static_cast<uint64_t>(progress);
  struct {
    const char* name;
    uint64_t* into;
  } const kNotNegative[] = {
      {"compaction-sleep-interval", &node.compaction_sleep_ns},
      {"warning-apply-duration", &node.warning_apply_ns},
      {"warning-unary-request-duration", &node.warning_unary_ns},
      {"grpc-keepalive-min-time", &config->limits.keepalive_min_time_ns},
      {"grpc-keepalive-interval", &config->limits.keepalive_interval_ns},
      {"grpc-keepalive-timeout", &config->limits.keepalive_timeout_ns},
  };
  for (const auto& [name, into] : kNotNegative) {
    int64_t ns = values.signed_number(name);
    if (ns < 0) return invalid(where(values, name) + ": is negative");
    *into = static_cast<uint64_t>(ns);
  }
  return {};
}

Status read_limits(Config* config) {
  const FlagValues& values = config->values;
  NodeOptions& node = config->node;
  node.max_request_bytes = values.number("max-request-bytes");
  node.max_txn_ops = static_cast<uint32_t>(values.number("max-txn-ops"));
  node.quota_bytes = values.signed_number("quota-backend-bytes");
  node.cache_bytes = values.number("cache-bytes");
  node.snapshot_entries = values.number("snapshot-count");
  node.unsafe_no_fsync = values.boolean("unsafe-no-fsync");
  node.pre_vote = values.boolean("pre-vote");
  int64_t batch = values.signed_number("compaction-batch-limit");
  if (batch < 0 || batch > UINT32_MAX)
    return invalid(where(values, "compaction-batch-limit") + ": is out of range");
  if (batch > 0) node.compaction_batch_limit = static_cast<uint32_t>(batch);
  // What etcd adds for the frame around a request; and messages are below 2 GiB.
  constexpr uint64_t kOverhead = 512u << 10;
  constexpr uint64_t kMost = (uint64_t{1} << 31) - 1 - kOverhead;
  if (node.max_request_bytes == 0 || node.max_request_bytes > kMost)
    return invalid(where(values, "max-request-bytes") + ": is not from 1 to " + std::to_string(kMost));
  if (node.max_request_bytes > (10u << 20))
    config->notices.push_back({Notice::Level::kWarn,
                               "exceeded recommended request limit",
                               {{"max-request-bytes", values.text("max-request-bytes")}}});
  config->limits.max_receive_message = node.max_request_bytes + kOverhead;
  config->limits.max_concurrent_streams = static_cast<uint32_t>(values.number("max-concurrent-streams"));
  config->reuse_port = values.boolean("socket-reuse-port");
  if (Status s = one_of(values, "auto-compaction-mode", {"periodic", "revision"}); !s.ok()) return s;
  node.compaction_mode = values.text("auto-compaction-mode") == "revision" ? CompactionMode::kRevision
                                                                           : CompactionMode::kPeriodic;
  return at(values, "auto-compaction-retention",
            parse_retention(node.compaction_mode, values.text("auto-compaction-retention"),
                            &node.compaction_retention));
}

Status read_words(Config* config) {
  const FlagValues& values = config->values;
  if (Status s = one_of(values, "metrics", {"basic", "extensive"}); !s.ok()) return s;
  if (Status s = one_of(values, "backend-bbolt-freelist-type", {"map", "array", ""}); !s.ok()) return s;
  if (values.get("v2-deprecation").given()) {
    Status s = one_of(values, "v2-deprecation",
                      {"write-only", "write-only-skip-check", "write-only-drop-data", "gone"});
    if (!s.ok()) return s;
  }
  return at(values, "feature-gates", check_feature_gates(values.text("feature-gates"), &config->notices));
}

Status read_log(Config* config) {
  const FlagValues& values = config->values;
  if (values.text("logger") == "capnslog") return invalid("--logger=capnslog is removed in v3.5");
  if (Status s = one_of(values, "logger", {"zap"}); !s.ok()) return s;
  if (Status s = one_of(values, "log-format", {"json", "console", ""}); !s.ok()) return s;
  config->log.format = values.text("log-format") == "console" ? LogFormat::kConsole : LogFormat::kJson;
  if (!parse_level(values.text("log-level"), &config->log.level))
    return invalid(where(values, "log-level") + ": " + in_quotes(values.text("log-level")) +
                   " is not one of debug, info, warn, error, panic, fatal");
  config->log.outputs = values.list("log-outputs");
  config->log.rotate = values.boolean("enable-log-rotation");
  if (Status s = at(values, "log-outputs", check_outputs(&config->log)); !s.ok()) return s;
  if (!config->log.rotate) return {};
  return at(values, "log-rotation-config-json",
            parse_rotation(values.text("log-rotation-config-json"), &config->log.rotation));
}

}  // namespace

Status parse_retention(CompactionMode mode, const std::string& text, int64_t* out) {
  *out = 0;
  if (text.empty()) return {};
  std::optional<int64_t> number = parse_signed(text);
  if (mode == CompactionMode::kRevision) {
    if (!number || *number < 0) return invalid(in_quotes(text) + " is not a number of revisions");
    *out = *number;
    return {};
  }
  constexpr int64_t kHour = 3'600'000'000'000;
  if (number) {
    if (*number < 0 || *number > INT64_MAX / kHour)
      return invalid(in_quotes(text) + " is not a number of hours");
    *out = *number * kHour;
    return {};
  }
  std::optional<int64_t> duration = parse_duration(text);
  if (!duration || *duration < 0)
    return invalid(in_quotes(text) + " is neither a duration nor a number of hours");
  *out = *duration;
  return {};
}

Status check_feature_gates(const std::string& text, std::vector<Notice>* notices) {
  struct Gate {
    const char* name;
    bool default_value;
    const char* promise;  // what nobody keeps when it is on; empty: none
  };
  constexpr Gate kGates[] = {
      {"StopGRPCServiceOnDefrag", false, ""},
      {"InitialCorruptCheck", false, "comparing hashes with other members is not implemented yet"},
      {"CompactHashCheck", false, "comparing hashes with other members is not implemented yet"},
      {"TxnModeWriteWithSharedBuffer", true, ""},
      {"LeaseCheckpoint", false, "leases are not checkpointed"},
      {"LeaseCheckpointPersist", false, "leases are not checkpointed"},
      {"SetMemberLocalAddr", false, ""},
      {"FastLeaseKeepAlive", true, ""},
      {"PriorityRequest", false, ""},
      {"AllAlpha", false, "it includes CompactHashCheck, InitialCorruptCheck and LeaseCheckpoint"},
      {"AllBeta", false, ""},
  };
  for (const std::string& part : split_list(text)) {
    size_t equals = part.find('=');
    std::string name = part.substr(0, equals);
    auto gate =
        std::find_if(std::begin(kGates), std::end(kGates), [&](const Gate& g) { return name == g.name; });
    if (gate == std::end(kGates)) {
      std::vector<std::string> names;
      for (const Gate& g : kGates) names.emplace_back(g.name);
      std::string near = nearest(name, names);
      return invalid("unrecognized feature gate: " + name +
                     (near.empty() ? "" : "; did you mean " + near + "?"));
    }
    std::optional<bool> on = equals == std::string::npos ? std::nullopt : parse_bool(part.substr(equals + 1));
    if (!on) return invalid(in_quotes(part) + " is not of the form " + name + "=true or " + name + "=false");
    if (*on == gate->default_value) continue;
    if (*on && *gate->promise != 0) return invalid(name + "=true is refused: " + gate->promise);
    notices->push_back({Notice::Level::kWarn, "feature gate is without effect", {{"gate", part}}});
  }
  return {};
}

Status build_config(Config* config) {
  for (Status (*step)(Config*) : {read_log, check_verdicts, read_places, read_cluster, read_directories,
                                  read_times, read_limits, read_words})
    if (Status s = step(config); !s.ok()) return s;
  return {};
}

namespace {

// --config-file, and the flags that count beside it.
Status read_file(const FlagValues& flags, Config* config) {
  for (const char* name : {"config-file", "plugins", "check-config"}) {
    const FlagValue& flag = flags.get(name);
    if (!flag.given()) continue;
    Status status = config->values.set(flag_index(name), flag.text, flag.source, flag.where);
    if (!status.ok()) return status;
  }
  if (flags.text("config-file").empty()) {
    Status status = config->values.set(flag_index("config-file"), config->config_file,
                                       FlagSource::kEnvironment, "ETCD_CONFIG_FILE");
    if (!status.ok()) return status;
  }
  if (Status s = apply_yaml_file(config->config_file, &config->values); !s.ok()) return s;
  config->notices.push_back(
      {Notice::Level::kInfo,
       "loaded server configuration, other configuration command line flags and environment "
       "variables will be ignored if provided",
       {{"path", config->config_file}}});
  return {};
}

}  // namespace

FlagError read_config(const std::vector<std::string>& arguments, const Environment& environment,
                      Config* config, Action* action) {
  CommandLine line;
  *action = Action::kRun;
  if (FlagError e = parse_command_line(arguments, &line); !e.ok()) return e;
  config->notices = std::move(line.notices);
  if (line.help)
    *action = Action::kHelp;
  else if (line.values.boolean("version"))
    *action = Action::kVersion;
  if (*action != Action::kRun) return {};
  config->plugins_file = line.values.text("plugins");
  config->check_only = line.values.boolean("check-config");
  config->config_file = line.values.text("config-file");
  for (const auto& [name, value] : environment)
    if (config->config_file.empty() && name == "ETCD_CONFIG_FILE") config->config_file = value;
  Status status;
  if (config->config_file.empty()) {
    config->values = std::move(line.values);
    if (FlagError e = apply_environment(environment, &config->values, &config->notices); !e.ok()) return e;
    config->plugins_file = config->values.text("plugins");
    config->check_only = config->values.boolean("check-config");
  } else {
    status = read_file(line.values, config);
  }
  if (status.ok()) status = build_config(config);
  return status.ok() ? FlagError() : FlagError{1, status.text(), {}};
}

Status check_bootstrap(const Config& config) {
  if (config.join_existing)
    return invalid(
        "--initial-cluster-state: \"existing\" is refused: joining a running cluster is not implemented yet");
  const std::string& name = config.node.name;
  auto own = std::find_if(config.initial_cluster.begin(), config.initial_cluster.end(),
                          [&](const auto& member) { return member.first == name; });
  if (own == config.initial_cluster.end())
    return invalid("--initial-cluster: does not contain " + in_quotes(name) +
                   ", the name of this member (--name)");
  if (!same_places(own->second, config.advertise_peer))
    return invalid("--initial-cluster: gives " + in_quotes(name) +
                   " other peer URLs than --initial-advertise-peer-urls");
  if (config.initial_cluster.size() > 1)
    return invalid("--initial-cluster: names " + std::to_string(config.initial_cluster.size()) +
                   " members, but clusters of more than one are not implemented yet");
  return {};
}

}  // namespace quorate::host
