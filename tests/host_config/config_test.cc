// From flags, environment and YAML to a checked configuration.
#include "host/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "host_config/process.h"

namespace quorate::host {
namespace {

using test::TempFolder;

FlagError read(const std::vector<std::string>& arguments, Config* config,
               const Environment& environment = {}) {
  Action action = Action::kRun;
  return read_config(arguments, environment, config, &action);
}

bool has_notice(const Config& config, const std::string& message, const std::string& value = "") {
  for (const Notice& notice : config.notices) {
    if (notice.message != message) continue;
    if (value.empty()) return true;
    for (const auto& field : notice.fields)
      if (field.second == value) return true;
  }
  return false;
}

TEST(Defaults, AreThoseOfEtcd) {
  Config config;
  ASSERT_TRUE(read({}, &config).ok());
  char* here = get_current_dir_name();
  EXPECT_EQ(config.node.data_directory, std::string(here) + "/default.etcd");
  std::free(here);
  EXPECT_EQ(config.node.name, "default");
  ASSERT_EQ(config.node.initial_cluster.size(), 1u);
  EXPECT_EQ(config.node.initial_cluster[0].first, "default");
  EXPECT_EQ(config.node.initial_cluster[0].second, std::vector<std::string>{"http://localhost:2380"});
  EXPECT_EQ(config.node.cluster_token, "etcd-cluster");
  EXPECT_EQ(config.node.max_request_bytes, 1572864u);
  EXPECT_EQ(config.limits.max_receive_message, 1572864u + 512 * 1024);
  EXPECT_EQ(config.limits.keepalive_interval_ns, 7200'000'000'000u);
  EXPECT_EQ(config.node.client_urls, std::vector<std::string>{"http://localhost:2379"});
  EXPECT_TRUE(check_bootstrap(config).ok());
}

// The one default that is not etcd's; its own holds when somebody says so.
TEST(Defaults, SnapshotCountIsNoneUnlessItIsGiven) {
  Config config;
  ASSERT_TRUE(read({}, &config).ok());
  EXPECT_EQ(config.node.snapshot_entries, 0u);
  EXPECT_STREQ(flag_row("snapshot-count").default_text, "0");
  Config given;
  ASSERT_TRUE(read({"--snapshot-count=10000"}, &given).ok());
  EXPECT_EQ(given.node.snapshot_entries, 10000u);
}

TEST(Flags, ReachTheNode) {
  Config config;
  FlagError error = read({"--name=a",
                          "--data-dir=/d/../e",
                          "--wal-dir=/w",
                          "--heartbeat-interval=10",
                          "--election-timeout=50",
                          "--quota-backend-bytes=-1",
                          "--max-txn-ops=7",
                          "--max-request-bytes=1000",
                          "--watch-progress-notify-interval=1s",
                          "--compaction-batch-limit=9",
                          "--compaction-sleep-interval=4ms",
                          "--unsafe-no-fsync",
                          "--pre-vote=false",
                          "--cache-bytes=65536",
                          "--auto-compaction-mode=revision",
                          "--auto-compaction-retention=1000",
                          "--initial-cluster-token=t",
                          "--initial-advertise-peer-urls=http://1.1.1.1:1,http://1.1.1.1:2",
                          "--max-concurrent-streams=5",
                          "--grpc-keepalive-min-time=1s",
                          "--grpc-keepalive-interval=0",
                          "--grpc-keepalive-timeout=6s",
                          "--socket-reuse-port",
                          "--listen-client-urls=http://127.0.0.1:0,unix:///s,unix://rel:1",
                          "--advertise-client-urls=http://h:1",
                          "--listen-peer-urls=http://[::1]:3"},
                         &config);
  ASSERT_TRUE(error.ok()) << error.message;
  const NodeOptions& node = config.node;
  EXPECT_EQ(node.name, "a");
  EXPECT_EQ(node.data_directory, "/e");
  EXPECT_EQ(node.wal_directory, "/w");
  EXPECT_EQ(node.heartbeat_ms, 10u);
  EXPECT_EQ(node.election_ms, 50u);
  EXPECT_EQ(node.quota_bytes, -1);
  EXPECT_EQ(node.max_txn_ops, 7u);
  EXPECT_EQ(node.max_request_bytes, 1000u);
  EXPECT_EQ(node.watch_progress_interval_ns, 1'000'000'000u);
  EXPECT_EQ(node.compaction_batch_limit, 9u);
  EXPECT_EQ(node.compaction_sleep_ns, 4'000'000u);
  EXPECT_TRUE(node.unsafe_no_fsync);
  EXPECT_FALSE(node.pre_vote);
  EXPECT_EQ(node.cache_bytes, 65536u);
  EXPECT_EQ(node.compaction_mode, CompactionMode::kRevision);
  EXPECT_EQ(node.compaction_retention, 1000);
  EXPECT_EQ(node.cluster_token, "t");
  EXPECT_EQ(node.peer_urls, (std::vector<std::string>{"http://1.1.1.1:1", "http://1.1.1.1:2"}));
  EXPECT_EQ(node.initial_cluster[0].second, node.peer_urls);
  EXPECT_EQ(node.client_urls, std::vector<std::string>{"http://h:1"});
  EXPECT_EQ(config.limits.max_concurrent_streams, 5u);
  EXPECT_EQ(config.limits.keepalive_min_time_ns, 1'000'000'000u);
  EXPECT_EQ(config.limits.keepalive_interval_ns, 0u);
  EXPECT_EQ(config.limits.keepalive_timeout_ns, 6'000'000'000u);
  EXPECT_TRUE(config.reuse_port);
  ASSERT_EQ(config.listen_client.size(), 3u);
  EXPECT_EQ(config.listen_client[0].address(), "127.0.0.1:0");
  EXPECT_EQ(config.listen_client[1].address(), "unix:/s");
  EXPECT_EQ(config.listen_client[2].address(), "unix:rel:1");
  EXPECT_EQ(config.listen_peer[0].address(), "[::1]:3");
}

TEST(Retention, Texts) {
  struct {
    CompactionMode mode;
    const char* text;
    int64_t value;
  } const kCases[] = {{CompactionMode::kPeriodic, "1h", 3'600'000'000'000},
                      {CompactionMode::kPeriodic, "30m", 1'800'000'000'000},
                      {CompactionMode::kPeriodic, "2", 7'200'000'000'000},
                      {CompactionMode::kPeriodic, "0", 0},
                      {CompactionMode::kPeriodic, "", 0},
                      {CompactionMode::kRevision, "1000", 1000}};
  for (const auto& c : kCases) {
    int64_t value = -1;
    EXPECT_TRUE(parse_retention(c.mode, c.text, &value).ok()) << c.text;
    EXPECT_EQ(value, c.value) << c.text;
  }
  int64_t value = 0;
  for (const char* wrong : {"1d", "-1h", "-1", "9999999999999"})
    EXPECT_FALSE(parse_retention(CompactionMode::kPeriodic, wrong, &value).ok()) << wrong;
  for (const char* wrong : {"1h", "-1", "x"})
    EXPECT_FALSE(parse_retention(CompactionMode::kRevision, wrong, &value).ok()) << wrong;
}

struct Wrong {
  std::vector<std::string> arguments;
  const char* message;
};

TEST(Rules, AreEnforced) {
  const char kNoTls[] = " is refused: there is no TLS yet";
  const Wrong kCases[] = {
      {{"--listen-client-urls=http://127.0.0.1:1"},
       "--advertise-client-urls is required when --listen-client-urls is set explicitly"},
      {{"--listen-peer-urls=http://example.org:1"},
       "--listen-peer-urls: expected IP in URL for binding (http://example.org:1)"},
      {{"--listen-peer-urls=http://:1"}, "--listen-peer-urls: expected IP in URL for binding (http://:1)"},
      {{"--listen-peer-urls="}, "--listen-peer-urls: is empty"},
      {{"--listen-peer-urls=http://127.0.0.1"},
       "--listen-peer-urls: URL address does not have the form \"host:port\": http://127.0.0.1"},
      {{"--listen-peer-urls=http://::1:5"},
       "--listen-peer-urls: URL address does not have the form \"host:port\": http://::1:5"},
      {{"--listen-peer-urls=http://127.0.0.1:1/"},
       "--listen-peer-urls: URL must not contain a path: http://127.0.0.1:1/"},
      {{"--listen-peer-urls=http://127.0.0.1:x"},
       "--listen-peer-urls: the port is not a number from 0 to 65535: http://127.0.0.1:x"},
      {{"--listen-peer-urls=http://127.0.0.1:70000"},
       "--listen-peer-urls: the port is not a number from 0 to 65535: http://127.0.0.1:70000"},
      {{"--listen-peer-urls=ftp://127.0.0.1:1"},
       "--listen-peer-urls: URL scheme must be http, https, unix, or unixs: ftp://127.0.0.1:1"},
      {{"--listen-peer-urls=unix:"}, "--listen-peer-urls: URL does not name a socket: unix:"},
      {{"--listen-peer-urls=https://127.0.0.1:1"},
       "--listen-peer-urls: https://127.0.0.1:1: there is no TLS yet; use http or unix"},
      {{"--listen-peer-urls=unixs:///s"},
       "--listen-peer-urls: unixs:///s: there is no TLS yet; use http or unix"},
      {{"--advertise-client-urls=http://:1"}, "--advertise-client-urls: unexpected empty host (http://:1)"},
      {{"--election-timeout=400"},
       "--election-timeout[400ms] should be at least as 5 times as --heartbeat-interval[100ms]"},
      {{"--election-timeout=50001"},
       "--election-timeout[50001ms] is too long, and should be set less than 50000ms"},
      {{"--election-timeout=0"}, "--election-timeout must be >0 (set to 0ms)"},
      {{"--heartbeat-interval=0"}, "--heartbeat-interval must be >0 (set to 0ms)"},
      {{"--heartbeat-interval=18446744073709551615"},
       "--election-timeout[1000ms] should be at least as 5 times as "
       "--heartbeat-interval[18446744073709551615ms]"},
      {{"--watch-progress-notify-interval=99ms"}, "--watch-progress-notify-interval: is less than 100ms"},
      {{"--grpc-keepalive-timeout=-1s"}, "--grpc-keepalive-timeout: is negative"},
      {{"--max-request-bytes=0"}, "--max-request-bytes: is not from 1 to 2146959359"},
      {{"--name="}, "--name: is empty"},
      {{"--initial-cluster=a"}, "--initial-cluster: \"a\" is not of the form NAME=URL"},
      {{"--initial-cluster-state=old"}, "--initial-cluster-state: \"old\" is not one of new, existing"},
      {{"--auto-compaction-mode=x"}, "--auto-compaction-mode: \"x\" is not one of periodic, revision"},
      {{"--auto-compaction-retention=x"},
       "--auto-compaction-retention: \"x\" is neither a duration nor a number of hours"},
      {{"--logger=capnslog"}, "--logger=capnslog is removed in v3.5"},
      {{"--log-level=loud"}, "--log-level: \"loud\" is not one of debug, info, warn, error, panic, fatal"},
      {{"--log-format=xml"}, "--log-format: \"xml\" is not one of json, console"},
      {{"--backend-bbolt-freelist-type=x"}, "--backend-bbolt-freelist-type: \"x\" is not one of map, array"},
      {{"--log-outputs=default,stdout"},
       "--log-outputs: multi logoutput for \"default\" is not supported yet; use stderr"},
      {{"--log-outputs=systemd/journal"},
       "--log-outputs: systemd/journal is refused: log to stderr, which systemd puts into the journal"},
      {{"--enable-log-rotation"},
       "--log-outputs: --enable-log-rotation needs exactly one file among --log-outputs"},
      {{"--metrics=all"}, "--metrics: \"all\" is not one of basic, extensive"},
      {{"--v2-deprecation=not-yet"},
       "--v2-deprecation: \"not-yet\" is not one of write-only, write-only-skip-check, write-only-drop-data, "
       "gone"},
      {{"--feature-gates=Foo=true"}, "--feature-gates: unrecognized feature gate: Foo"},
      {{"--feature-gates=CompactHashChek=true"},
       "--feature-gates: unrecognized feature gate: CompactHashChek; did you mean CompactHashCheck?"},
      {{"--feature-gates=LeaseCheckpoint=true"},
       "--feature-gates: LeaseCheckpoint=true is refused: leases are not checkpointed"},
      {{"--feature-gates=LeaseCheckpoint"},
       "--feature-gates: \"LeaseCheckpoint\" is not of the form LeaseCheckpoint=true or "
       "LeaseCheckpoint=false"},
  };
  for (const Wrong& c : kCases) {
    Config config;
    FlagError error = read(c.arguments, &config);
    EXPECT_EQ(error.exit_code, 1) << c.arguments[0];
    EXPECT_EQ(error.message, c.message);
  }
  Config config;
  EXPECT_EQ(read({"--cert-file=/c"}, &config).message, std::string("--cert-file: \"/c\"") + kNoTls);
}

// Each flag that is refused is refused by name, whatever it is set to but its default; each without effect
// warns.
TEST(Rules, VerdictsHold) {
  for (const FlagRow& row : kFlags) {
    if (row.verdict == Verdict::kHonoured || row.type == FlagType::kIgnored) continue;
    std::string other;
    switch (row.type) {
      case FlagType::kBool:
        other = *parse_bool(row.default_text) ? "false" : "true";
        break;
      case FlagType::kDuration:
        other = "123s";
        break;
      case FlagType::kUrls:
        other = "http://127.0.0.1:1";
        break;
      case FlagType::kUnsigned:
      case FlagType::kUnsigned32:
      case FlagType::kSigned:
        other = "17";
        break;
      default:
        other = "x";
        break;
    }
    std::string flag = "--" + std::string(row.name);
    Config config;
    FlagError error = read({flag + "=" + other}, &config);
    if (row.verdict == Verdict::kRefused) {
      EXPECT_EQ(error.message, flag + ": \"" + other + "\" is refused: " + row.why);
      Config same;
      EXPECT_TRUE(read({flag + "=" + row.default_text}, &same).ok()) << flag;
    } else {
      EXPECT_TRUE(has_notice(config, "flag is without effect", row.name)) << flag;
    }
  }
}

TEST(Rules, OfBootstrap) {
  struct {
    std::vector<std::string> arguments;
    const char* message;
  } const kCases[] = {
      {{"--name=a"}, ""},
      {{"--name=a", "--initial-cluster=a=http://127.0.0.1:2380"}, ""},  // localhost
      {{"--name=a", "--initial-cluster=b=http://localhost:2380"},
       "--initial-cluster: does not contain \"a\", the name of this member (--name)"},
      {{"--name=a", "--initial-cluster=a=http://localhost:2381"},
       "--initial-cluster: gives \"a\" other peer URLs than --initial-advertise-peer-urls"},
      {{"--name=a", "--initial-cluster=a=http://localhost:2380,b=http://localhost:2382"},
       "--initial-cluster: names 2 members, but clusters of more than one are not implemented yet"},
      {{"--initial-cluster-state=existing"},
       "--initial-cluster-state: \"existing\" is refused: joining a running cluster is not implemented yet"},
      {{"--name=a", "--initial-advertise-peer-urls=http://1.1.1.1:1,http://1.1.1.1:2",
        "--initial-cluster=a=http://1.1.1.1:2,a=http://1.1.1.1:1"},
       ""},
  };
  for (const auto& c : kCases) {
    Config config;
    FlagError error = read(c.arguments, &config);
    ASSERT_TRUE(error.ok()) << error.message;
    EXPECT_STREQ(check_bootstrap(config).text(), c.message);
  }
}

// ---- YAML

TEST(Yaml, SetsEveryKey) {
  for (size_t i = 0; i < kFlags.size(); ++i) {
    std::string key = yaml_key(kFlags[i]);
    if (key.empty()) continue;
    std::string value = kFlags[i].type == FlagType::kBool       ? "true"
                        : kFlags[i].type == FlagType::kDuration ? "5000000000"
                        : kFlags[i].type == FlagType::kList     ? "[a, b]"
                                                                : "7";
    std::string text;
    int depth = 0;
    for (const std::string& part : split_list(key, '.')) text += (depth++ == 0 ? "" : " {") + part + ":";
    text += " " + value + std::string(static_cast<size_t>(depth - 1), '}') + "\n";
    FlagValues values;
    plugin::Status status = apply_yaml(text, "f.yaml", &values);
    ASSERT_TRUE(status.ok()) << status.text() << "\n" << text;
    std::string expected = kFlags[i].type == FlagType::kDuration ? "5000000000ns"
                           : value == "[a, b]"                   ? "a,b"
                                                                 : value;
    EXPECT_EQ(values.at(i).text, expected) << text;
    EXPECT_EQ(values.at(i).where, "f.yaml:1");
  }
}

TEST(Yaml, Errors) {
  struct {
    const char* text;
    const char* message;
  } const kCases[] = {
      {"name: a\nnmae: b\n", "f.yaml:2: nmae: there is no such key; did you mean name?"},
      {"# x\n\ncert-file: b\n",
       "f.yaml:3: cert-file: there is no such key; did you mean client-transport-security.cert-file?"},
      {"plugins: b\n", "f.yaml:1: plugins: there is no such key; --plugins is a flag only"},
      {"peer-transport-security:\n  cert-fil: b\n",
       "f.yaml:2: peer-transport-security.cert-fil: there is no such key; did you mean "
       "peer-transport-security.cert-file?"},
      {"peer-transport-security: 7\n", "f.yaml:1: peer-transport-security: is not a map"},
      {"name: a\nname: b\n", "f.yaml:2: name: is there twice"},
      {"max-txn-ops: many\n", "f.yaml:1: max-txn-ops: \"many\" is not a number from 0 to 2^32-1"},
      {"pre-vote: maybe\n", "f.yaml:1: pre-vote: \"maybe\" is not true or false"},
      {"corrupt-check-time: 5s\n",
       "f.yaml:1: corrupt-check-time: \"5s\" is not a whole number of nanoseconds"},
      {"name: [a]\n", "f.yaml:1: name: is not a single value"},
      {"log-outputs: {a: b}\n", "f.yaml:1: log-outputs: is not a list"},
      {"log-outputs:\n- a\n- [b]\n", "f.yaml:3: log-outputs: is not a list of words"},
      {"- a\n", "f.yaml:1: is not a map of keys to values"},
      {"[a]: b\n", "f.yaml:1: a key is not a word"},
  };
  for (const auto& c : kCases) {
    FlagValues values;
    EXPECT_STREQ(apply_yaml(c.text, "f.yaml", &values).text(), c.message);
  }
  FlagValues values;
  std::string broken = apply_yaml("name: \"a\nb: [", "f.yaml", &values).text();
  EXPECT_EQ(broken.rfind("f.yaml:", 0), 0u) << broken;
  EXPECT_NE(broken.find("is not YAML"), std::string::npos) << broken;
  std::string deep(100'000, '[');
  EXPECT_FALSE(apply_yaml(deep, "f.yaml", &values).ok());
}

TEST(Yaml, JsonAndNothingAreYaml) {
  FlagValues values;
  EXPECT_TRUE(
      apply_yaml("{\"name\": \"a\", \"log-outputs\": [\"stderr\"], \"pre-vote\": false, \"wal-dir\": null}",
                 "f", &values)
          .ok());
  EXPECT_EQ(values.text("name"), "a");
  EXPECT_EQ(values.text("pre-vote"), "false");
  EXPECT_FALSE(values.get("wal-dir").given());
  EXPECT_TRUE(apply_yaml("", "f", &values).ok());
  EXPECT_TRUE(apply_yaml("# nothing\n", "f", &values).ok());
  EXPECT_TRUE(apply_yaml("peer-transport-security:\n", "f", &values).ok());
}

constexpr char kLoaded[] =
    "loaded server configuration, other configuration command line flags and environment variables will be "
    "ignored if provided";

TEST(Yaml, ReplacesFlagsAndEnvironment) {
  TempFolder folder;
  std::string file = folder.write("etcd.yaml", "name: from-file\nlisten-client-urls: http://127.0.0.1:9\n");
  for (bool by_environment : {false, true}) {
    std::vector<std::string> arguments = {"--name=from-flag", "--check-config", "--plugins=p.toml"};
    Environment environment = {{"ETCD_DATA_DIR", "/from-environment"}, {"ETCD_NAME", "x"}};
    if (by_environment)
      environment.emplace_back("ETCD_CONFIG_FILE", file);
    else
      arguments.push_back("--config-file=" + file);
    Config config;
    FlagError error = read(arguments, &config, environment);
    ASSERT_TRUE(error.ok()) << error.message;  // also: advertise-client-urls keeps its default here
    EXPECT_EQ(config.node.name, "from-file");
    EXPECT_NE(config.node.data_directory, "/from-environment");
    EXPECT_TRUE(config.check_only);
    EXPECT_EQ(config.plugins_file, "p.toml");
    EXPECT_TRUE(has_notice(config, kLoaded, file));
    std::string text = describe(config);
    std::string from = by_environment ? "ETCD_CONFIG_FILE" : "--config-file";
    for (const std::string& line :
         {"config-file: \"" + file + "\"  # " + from, std::string("check-config: \"true\"  # --check-config"),
          std::string("plugins: \"p.toml\"  # --plugins"), "name: \"from-file\"  # " + file + ":1"})
      EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\n" << text;
  }
  Config config;
  EXPECT_EQ(read({"--config-file=/no/such.yaml"}, &config).message,
            "--config-file: /no/such.yaml: No such file or directory");
  EXPECT_FALSE(has_notice(config, kLoaded));
  std::string refused = folder.write("tls.yaml", "name: a\npeer-transport-security:\n  auto-tls: true\n");
  EXPECT_EQ(read({"--config-file=" + refused}, &config).message,
            "--peer-auto-tls (" + refused + ":3): \"true\" is refused: there is no TLS yet");
}

TEST(Rotation, Json) {
  LogRotation rotation;
  ASSERT_TRUE(
      parse_rotation(R"({"maxsize": 2, "maxage": 3, "maxbackups": 4, "localtime": true, "compress": false})",
                     &rotation)
          .ok());
  EXPECT_EQ(rotation.max_bytes, 2u << 20);
  EXPECT_EQ(rotation.max_age_days, 3u);
  EXPECT_EQ(rotation.max_backups, 4u);
  EXPECT_TRUE(rotation.local_time);
  for (const char* wrong : {"", "[]", "{\"maxsize\": \"x\"}", "{\"maxsize\": -1}", "{\"size\": 1}",
                            "{\"compress\": true}", "{\"maxsize\": [1]}", "{", "{\"localtime\": 5}"})
    EXPECT_FALSE(parse_rotation(wrong, &rotation).ok()) << wrong;
}

TEST(Describe, NamesSourcesOfValues) {
  Config config;
  ASSERT_TRUE(read({"--name=a\"b"}, &config, {{"ETCD_MAX_WALS", "7"}}).ok());
  std::string text = describe(config);
  EXPECT_NE(text.find("name: \"a\\\"b\"  # --name\n"), std::string::npos) << text;
  EXPECT_NE(text.find("max-wals: \"7\"  # ETCD_MAX_WALS, without effect: "), std::string::npos) << text;
  EXPECT_NE(text.find("election-timeout: \"1000\"  # default\n"), std::string::npos) << text;
  EXPECT_NE(text.find("max-snapshots: \"5\"  # default, without effect: "), std::string::npos) << text;
}

// The value of each flag that `text` of describe() shows.
std::map<std::string, std::string> described(const std::string& text) {
  std::map<std::string, std::string> values;
  for (const std::string& line : split_list(text, '\n')) {
    size_t begin = line.find(": \"");
    size_t end = line.find("\"  # ");
    if (begin == std::string::npos || end == std::string::npos) continue;
    std::string& value = values[line.substr(0, begin)];
    for (size_t i = begin + 3; i < end; ++i) {
      if (line[i] == '\\') ++i;
      value += line[i];
    }
  }
  return values;
}

TEST(Describe, ShowsWhatTakesEffect) {
  char* current = get_current_dir_name();
  const std::string here = current;
  std::free(current);
  Config config;
  ASSERT_TRUE(read({"--name=n1"}, &config).ok());
  std::map<std::string, std::string> values = described(describe(config));
  EXPECT_EQ(values["data-dir"], here + "/n1.etcd");
  EXPECT_EQ(values["wal-dir"], here + "/n1.etcd/member/wal");
  EXPECT_EQ(values["initial-cluster"], "n1=http://localhost:2380");
  EXPECT_EQ(values["advertise-client-urls"], "http://localhost:2379");
  EXPECT_EQ(values["quota-backend-bytes"], "2147483648");
  EXPECT_EQ(values["snapshot-count"], "0");
  EXPECT_EQ(values["log-outputs"], "stderr");
  EXPECT_EQ(values["log-format"], "json");

  Config other;
  FlagError error =
      read({"--name=n1", "--data-dir=d/../e", "--wal-dir=w",
            "--initial-advertise-peer-urls=http://2.2.2.2:2,http://1.1.1.1:1", "--quota-backend-bytes=-7",
            "--max-txn-ops=0x10", "--compaction-batch-limit=0", "--auto-compaction-retention=2",
            "--pre-vote=F", "--log-format=", "--log-outputs=stdout,/dev/null", "--snapshot-count=10000"},
           &other);
  ASSERT_TRUE(error.ok()) << error.message;
  values = described(describe(other));
  EXPECT_EQ(values["data-dir"], here + "/e");
  EXPECT_EQ(values["wal-dir"], here + "/w");
  EXPECT_EQ(values["initial-advertise-peer-urls"], "http://1.1.1.1:1,http://2.2.2.2:2");
  EXPECT_EQ(values["initial-cluster"], "n1=http://1.1.1.1:1,n1=http://2.2.2.2:2");
  EXPECT_EQ(values["quota-backend-bytes"], "-7");
  EXPECT_EQ(values["max-txn-ops"], "16");
  EXPECT_EQ(values["compaction-batch-limit"], "1000");
  EXPECT_EQ(values["auto-compaction-retention"], "2h");
  EXPECT_EQ(values["pre-vote"], "false");
  EXPECT_EQ(values["log-format"], "json");
  EXPECT_EQ(values["log-outputs"], "/dev/null");
  EXPECT_EQ(values["snapshot-count"], "10000");
}

// What it shows may be given as flags, and then means the same.
TEST(Describe, SaysTheSameWhenItIsGivenAsFlags) {
  const std::vector<std::string> kCases[] = {
      {},
      {"--name=x", "--auto-compaction-retention=3", "--log-outputs=stdout,stderr"},
      {"--auto-compaction-mode=revision", "--auto-compaction-retention=0x10", "--quota-backend-bytes=-1"},
  };
  for (const std::vector<std::string>& arguments : kCases) {
    Config config;
    ASSERT_TRUE(read(arguments, &config).ok());
    const std::map<std::string, std::string> values = described(describe(config));
    std::vector<std::string> flags;
    for (const FlagRow& row : kFlags) {
      if (row.type == FlagType::kIgnored) continue;
      ASSERT_EQ(values.count(row.name), 1u) << row.name;
      flags.push_back("--" + std::string(row.name) + "=" + values.at(row.name));
    }
    Config again;
    FlagError error = read(flags, &again);
    ASSERT_TRUE(error.ok()) << error.message;
    EXPECT_EQ(described(describe(again)), values);
    EXPECT_EQ(again.node.compaction_retention, config.node.compaction_retention);
    EXPECT_EQ(again.node.initial_cluster, config.node.initial_cluster);
    EXPECT_EQ(again.node.snapshot_entries, config.node.snapshot_entries);
    EXPECT_EQ(again.node.compaction_batch_limit, config.node.compaction_batch_limit);
  }
}

}  // namespace
}  // namespace quorate::host
