// The program itself: what it prints, how it exits, and that it serves.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>

#include "host_config/process.h"

namespace quorate::test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string kNobody = "http://127.0.0.1:0";

// The arguments of a node below `folder` that nobody else can get in the way of: memory engine, ports of its
// own.
std::vector<std::string> node(const TempFolder& folder, std::vector<std::string> more = {}) {
  std::string plugins = folder.write("plugins.toml", "[storage]\nplugin = 'storage-memory'\n");
  std::vector<std::string> all = {"--name=n1",
                                  "--data-dir=" + (folder / "data"),
                                  "--plugins=" + plugins,
                                  "--listen-client-urls=" + kNobody,
                                  "--advertise-client-urls=http://127.0.0.1:1",
                                  "--listen-peer-urls=" + kNobody};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

constexpr char kReady[] = "\"msg\":\"ready to serve client requests\"";

TEST(Program, Version) {
  Result r = run({"--version"});
  EXPECT_EQ(r.code, 0);
  EXPECT_EQ(r.out.rfind("quorate ", 0), 0u) << r.out;
  EXPECT_TRUE(contains(r.out, "\netcd Version: 3.7.1\n")) << r.out;
  EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 4) << r.out;
  EXPECT_EQ(r.err, "");
}

TEST(Program, Help) {
  for (const char* word : {"--help", "-h"}) {
    Result r = run({word});
    EXPECT_EQ(r.code, 0);
    EXPECT_TRUE(contains(r.out, "--listen-client-urls 'http://localhost:2379'")) << r.out;
  }
}

TEST(Program, ErrorsAndTheirExitCodes) {
  TempFolder folder;
  std::string yaml = folder.write("e.yaml", "name: a\nnmae: b\n");
  std::string plugins = folder.write("p.toml", "[storage]\nplugin = 'storage-memory'\nsah256 = 'x'\n");
  std::string missing = folder.write("m.toml", "[storage]\nplugin = 'storage-nothing'\n");
  const std::string rocksdb = "[storage]\nplugin = 'storage-rocksdb'\n[storage.options]\n";
  std::string option = folder.write("o.toml", rocksdb + "write-bufer = 1\n");
  std::string value = folder.write("v.toml", rocksdb + "# two\nopen_files = 100\nblock_size = 'x'\n");
  std::string inlined =
      folder.write("i.toml",
                   "[storage]\nplugin = 'storage-memory'\n[[transport]]\nplugin = 'transport-grpc'\n"
                   "options = { windows = 1 }\n");
  std::string plain = folder.write("afile", "x");
  std::string data = "--data-dir=" + (folder / "d");
  struct {
    std::vector<std::string> arguments;
    int code;
    std::string message;
  } const kCases[] = {
      {{"--nmae=x"}, 2, "quorate: --nmae: there is no such flag; did you mean --name?\nusage: quorate"},
      {{"--max-txn-ops=x"}, 2, "quorate: --max-txn-ops: \"x\" is not a number"},
      {{"x"}, 1, "\"error\":\"\\\"x\\\" is not a valid flag\""},
      {{"--election-timeout=1"}, 1, "--election-timeout[1ms] should be at least"},
      {{"--config-file=" + yaml}, 1, yaml + ":2: nmae: there is no such key; did you mean name?"},
      {{data, "--plugins=" + plugins},
       1,
       plugins + ":3: storage.sah256: there is no such key; did you mean storage.sha256?"},
      {{data, "--plugins=" + missing}, 1, missing + ":1: plugin "},
      {{data, "--plugins=" + option}, 1, option + ":4: plugin "},
      {{data, "--plugins=" + option},
       1,
       "refuses its options: unknown option 'write-bufer'; known: memtable, block_cache, "},
      {{data, "--plugins=" + value}, 1, value + ":6: plugin "},
      {{data, "--plugins=" + value}, 1, "option block_size: 'x' is not a size"},
      {{data, "--plugins=" + inlined}, 1, inlined + ":5: plugin "},
      {{"--data-dir=" + plain}, 1, "\"error\":\"--data-dir: " + plain + ": Not a directory\""},
      {{"--data-dir=" + plain + "/d"}, 1, "\"error\":\"--data-dir: " + plain + "/d: Not a directory\""},
      {{data, "--wal-dir=" + plain}, 1, "\"error\":\"--wal-dir: " + plain + ": Not a directory\""},
      {{data, "--initial-cluster=b=http://localhost:2380"}, 1, "does not contain \\\"default\\\""},
      {{"--auto-tls"}, 1, "--auto-tls: \\\"true\\\" is refused: there is no TLS yet"},
      {{data, "--log-outputs=/no/such/file"},
       1,
       "--log-outputs: /no/such/file: cannot be opened for the log"},
      {{"plugin"}, 2, "usage: quorate plugin inspect FILE"},
      {{"plugin", "inspect", "/etc/passwd"}, 1, "/etc/passwd"},
  };
  for (const auto& c : kCases) {
    for (bool check : {false, true}) {
      std::vector<std::string> arguments = c.arguments;
      if (check && arguments[0] != "plugin") arguments.insert(arguments.begin(), "--check-config");
      Result r = run(arguments);
      EXPECT_EQ(r.code, c.code) << c.message << r.err;
      EXPECT_TRUE(contains(r.err, c.message)) << c.message << "\n" << r.err;
      EXPECT_EQ(r.out, "");
    }
  }
  Result r = run({"--name=a"}, {{"ETCD_NAME", "b"}});
  EXPECT_EQ(r.code, 1);
  EXPECT_TRUE(
      contains(r.err, "\"level\":\"fatal\"") &&
      contains(
          r.err,
          "\"msg\":\"conflicting environment variable is shadowed by corresponding command-line flag "
          "(either unset environment variable or disable flag))\",\"environment-variable\":\"ETCD_NAME\"}"))
      << r.err;
}

// No line before the refusal claims what the refusal denies.
TEST(Program, SaysNothingUntrueBeforeItRefuses) {
  TempFolder folder;
  Result r = run({"--config-file=" + (folder / "nope.yaml")});
  EXPECT_EQ(r.code, 1);
  EXPECT_TRUE(contains(r.err, (folder / "nope.yaml") + ": No such file or directory")) << r.err;
  EXPECT_FALSE(contains(r.err, "loaded server configuration")) << r.err;
  folder.write("data/member/snap/db", "x");
  r = run(node(folder));
  EXPECT_EQ(r.code, 1);
  EXPECT_TRUE(contains(r.err, "was written by etcd")) << r.err;
  EXPECT_TRUE(contains(r.err, "\"msg\":\"opening the data directory\",\"data-dir\":\"" + (folder / "data")))
      << r.err;
  EXPECT_FALSE(contains(r.err, "initializ")) << r.err;
}

TEST(Program, SaysWhatClientsMaySpeak) {
  for (bool both : {false, true}) {
    TempFolder folder;
    std::string plugins =
        folder.write("both.toml",
                     "[storage]\nplugin = 'storage-memory'\n[[transport]]\nplugin = 'transport-grpc'\n"
                     "[[transport]]\nplugin = 'transport-tcp'\n" +
                         std::string(both ? "" : "listeners = ['peer']\n"));
    Process process(node(folder, {"--plugins=" + plugins}));
    ASSERT_TRUE(process.wait_for("\"msg\":\"serving client traffic insecurely")) << process.err();
    process.signal(SIGTERM);
    EXPECT_EQ(process.wait(), 0) << process.err();
    EXPECT_TRUE(contains(process.err(), both ? "\"traffic\":\"grpc+tcp\"" : "\"traffic\":\"grpc\""))
        << process.err();
  }
}

TEST(Program, CheckConfigPrintsWhatWouldBeUsed) {
  TempFolder folder;
  std::vector<std::string> arguments =
      node(folder, {"--check-config", "--max-wals=9", "--log-outputs=" + (folder / "x.log")});
  Result r = run(arguments, {{"ETCD_MAX_TXN_OPS", "99"}});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "max-txn-ops: \"99\"  # ETCD_MAX_TXN_OPS\n")) << r.out;
  EXPECT_TRUE(contains(r.out, "max-wals: \"9\"  # --max-wals, without effect: ")) << r.out;
  EXPECT_TRUE(contains(r.out, "initial-cluster: \"n1=http://localhost:2380\"  # default\n")) << r.out;
  EXPECT_TRUE(contains(r.out, "log-outputs: \"" + (folder / "x.log") + "\"  # --log-outputs\n")) << r.out;
  EXPECT_TRUE(contains(r.out, "plugin = \"storage-memory\"  # " + (folder / "plugins.toml") + ":1\n"))
      << r.out;
  EXPECT_TRUE(contains(r.err, "flag is without effect")) << r.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "data"));
  EXPECT_FALSE(std::filesystem::exists(folder / "x.log"));
}

TEST(Program, APluginIsThereOnlyOnce) {
  TempFolder folder;
  const std::string grpc = std::string(QUORATE_BINARY_DIR) + "/lib/quorate/plugins/libtransport-grpc.so";
  const std::string begin =
      "[storage]\nplugin = 'storage-memory'\n[[transport]]\nplugin = 'transport-grpc'\n" +
      ("path = '" + grpc + "'\n[[transport]]\n");
  struct {
    std::string second;
    std::string message;
  } const kCases[] = {
      {"plugin = 'transport-grpc'\npath = '" + grpc + "'\n",
       ":6: transport.plugin: \\\"transport-grpc\\\" is there twice\""},
      // The same file under another name.
      {"plugin = 'transport-other'\npath = '" + grpc + "'\n",
       ":6: plugin " + grpc + ": is named grpc, where other is wanted\""},
  };
  for (const auto& c : kCases) {
    const std::string file = folder.write("p.toml", begin + c.second);
    Result r = run({"--data-dir=" + (folder / "data"), "--plugins=" + file});
    EXPECT_EQ(r.code, 1);
    EXPECT_TRUE(contains(r.err, file + c.message)) << r.err;
  }
}

TEST(Program, InspectsPlugins) {
  Result r = run({"plugin", "inspect", QUORATE_BINARY_DIR "/lib/quorate/plugins/libstorage-memory.so"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "memory")) << r.out;
}

TEST(Program, ServesUntilSigterm) {
  for (int number : {SIGTERM, SIGINT}) {
    TempFolder folder;
    Process process(node(folder));
    ASSERT_TRUE(process.wait_for(kReady)) << process.err();
    EXPECT_TRUE(contains(process.err(), "\"msg\":\"serving client traffic\",\"address\":\"127.0.0.1:"));
    EXPECT_TRUE(contains(process.err(), "\"msg\":\"serving peer traffic\",\"address\":\"127.0.0.1:"));
    process.signal(number);
    EXPECT_EQ(process.wait(), 0) << process.err();
    EXPECT_TRUE(contains(process.err(), "\"msg\":\"closed server\"")) << process.err();
    struct stat info {};
    ASSERT_EQ(stat((folder / "data").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u);
  }
}

TEST(Program, ASecondProcessOnItsDataEndsAtOnce) {
  TempFolder folder;
  Process first(node(folder));
  ASSERT_TRUE(first.wait_for(kReady)) << first.err();
  Result second = run(node(folder));
  EXPECT_EQ(second.code, 1);
  EXPECT_TRUE(contains(second.err, "another process")) << second.err;
  EXPECT_TRUE(contains(second.err, folder / "data")) << second.err;
  first.signal(SIGTERM);
  EXPECT_EQ(first.wait(), 0) << first.err();
}

TEST(Program, AnAddressInUseIsNamed) {
  TempFolder folder;
  TempFolder other;
  std::string socket = "unix://" + (folder / "c.sock");
  Process first(node(folder, {"--listen-client-urls=" + socket}));
  ASSERT_TRUE(first.wait_for(kReady)) << first.err();
  Result second = run(node(other, {"--listen-client-urls=" + socket}));
  EXPECT_EQ(second.code, 1);
  EXPECT_TRUE(contains(second.err, "--listen-client-urls: ")) << second.err;
  EXPECT_TRUE(contains(second.err, folder / "c.sock")) << second.err;
  first.signal(SIGTERM);
  EXPECT_EQ(first.wait(), 0) << first.err();
  EXPECT_FALSE(std::filesystem::exists(folder / "c.sock"));
}

// An idle client is told to go; one that does not even begin is not waited for.
TEST(Program, AnIdleConnectionDoesNotKeepItAlive) {
  TempFolder folder;
  Process process(node(folder, {"--listen-client-urls=unix://" + (folder / "c.sock")}));
  ASSERT_TRUE(process.wait_for(kReady)) << process.err();
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "c.sock").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0) << process.err();
  close(fd);
}

TEST(Program, TellsSystemd) {
  TempFolder folder;
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "notify").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  timeval patience{30, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  Process process(node(folder), {{"NOTIFY_SOCKET", folder / "notify"}});
  auto receive = [fd] {
    char buffer[256];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  };
  EXPECT_EQ(receive(), "READY=1");
  process.signal(SIGTERM);
  EXPECT_EQ(receive(), "STOPPING=1");
  EXPECT_EQ(process.wait(), 0) << process.err();
  close(fd);
}

TEST(Program, LogsWhereAndHowItIsTold) {
  TempFolder folder;
  Process process(
      node(folder, {"--log-outputs=stderr,stdout," + (folder / "n.log"), "--log-format=console"}));
  ASSERT_TRUE(process.wait_for("\tready to serve client requests")) << process.err();
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0) << process.err();
  EXPECT_EQ(process.out(), process.err());
  EXPECT_EQ(process.out(), read_file(folder / "n.log"));
  TempFolder quiet;
  Result r = run(node(quiet, {"--log-level=fatal", "--initial-cluster-state=existing"}));
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
}

TEST(Program, ReadsPluginsOfTheDataDirectory) {
  TempFolder folder;
  std::string file = folder.write("data/plugins.toml", "[storage]\nplugin = 'storage-memory'\n");
  Result r = run({"--check-config", "--data-dir=" + (folder / "data"), "--name=a"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "# plugins: " + file)) << r.out;
  chmod(file.c_str(), 0666);
  r = run({"--check-config", "--data-dir=" + (folder / "data"), "--name=a"});
  EXPECT_EQ(r.code, 1);
  EXPECT_TRUE(contains(r.err, file)) << r.err;
}

}  // namespace
}  // namespace quorate::test
