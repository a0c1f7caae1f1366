// Peers that mean harm, and a system that runs out.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <filesystem>

#include "net_fixture.h"

namespace quorate::host::test {
namespace {

using plugin::Code;
using plugin::Status;

class AbuseTest : public NetTest {};

size_t open_descriptors() {
  size_t n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++n;
  return n;
}

TEST_F(AbuseTest, FiveHundredSlowLorisesAreGoneAfterTheHandshakesTime) {
  start();
  ListenOptions options;
  options.limits.handshake_timeout_ns = 200 * kMs;
  std::string bound = listen(options);
  size_t before = open_descriptors();
  {
    std::vector<Client> clients(500);
    for (Client& c : clients) c.connect(bound);
    ASSERT_TRUE(until([&] { return net->connections() == 500; }));
    size_t step = 0;
    // One byte now and then is no progress: the time runs from accept.
    ASSERT_TRUE(until([&] {
      if (step < 3)
        for (Client& c : clients) c.write(std::string(1, "ECH"[step]));
      ++step;
      return net->connections() == 0;
    }));
    EXPECT_EQ(echo.served, 0);
  }
  EXPECT_EQ(open_descriptors(), before);
  Client honest(bound);
  std::string got;
  bool wrote = false;
  ASSERT_TRUE(until([&] {
    if (!wrote) wrote = honest.write("ECHO") == 4;
    honest.read(&got);
    return got == "ECHO";
  }));
}

TEST_F(AbuseTest, NoTransportMayAskForEverMoreFirstBytes) {
  echo.preface = std::string(1 << 20, 'E');  // never satisfied by what a connection may offer
  start();
  Client c(listen());
  std::string got;
  ASSERT_TRUE(until([&] {
    c.write(std::string(1000, 'E'));
    return !c.read(&got);
  }));
  EXPECT_EQ(echo.served, 0);
}

TEST_F(AbuseTest, OverTheCapConnectionsWaitAndComeInWhenThereIsRoom) {
  NetOptions options;
  options.max_connections = 2;
  start(options);
  std::string bound = listen();
  ListenOptions peers;
  peers.role = plugin::ListenerRole::kPeer;
  std::string peer_bound = listen(peers);
  std::vector<Client> clients(4);
  for (Client& c : clients) {
    c.connect(bound);
    ASSERT_TRUE(until([&] { return c.write("ECHO") == 4; }));
  }
  ASSERT_TRUE(until([&] { return net->connections() == 2; }));
  for (int i = 0; i < 50; ++i) loop.turn(false);
  EXPECT_EQ(echo.served, 2);
  Client peer(peer_bound);
  ASSERT_TRUE(until([&] { return peer.write("ECHO") == 4; }));
  ASSERT_TRUE(until([&] { return echo.served == 3; })) << "peers do not wait";
  for (size_t i = 0; i < 2; ++i) {
    clients[i].close();
    ASSERT_TRUE(until([&] { return echo.served == 4 + static_cast<int>(i); }, 1000)) << i;
  }
}

// In a child of its own, since the limit is the process'.
int run_out_of_descriptors() {
  rlimit limit{64, 64};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  Echo echo;
  auto transport = plugin::make<EchoTransport>(&echo);
  LoopOptions loop_options;
  loop_options.stall_ns = 0;  // no watchdog: a sanitizer does not like threads of a forked child
  AsioExecutor loop(loop_options);
  NetOptions net_options;
  net_options.max_connections = 1'000'000;  // so that only the system says no
  Net net(&loop, nullptr, net_options);
  ListenOptions options;
  options.address = "127.0.0.1:0";
  options.transports = {transport.get()};
  std::string bound;
  if (!net.listen(options, &bound).ok()) return 2;
  std::vector<SocketAddress> to;
  if (!resolve(bound, false, &to).ok()) return 3;

  // Another process connects, since this one has no descriptors to spare.
  int go[2];
  if (pipe(go) != 0) return 4;
  pid_t crowd = fork();
  if (crowd == 0) {
    close(go[1]);
    rlimit more{1024, 1024};
    setrlimit(RLIMIT_NOFILE, &more);
    std::vector<int> fds;
    for (int i = 0; i < 200; ++i) {
      int fd = socket(AF_INET, SOCK_STREAM, 0);
      if (fd < 0 || ::connect(fd, to[0].raw(), to[0].size) != 0) break;
      fds.push_back(fd);
    }
    char b;
    [[maybe_unused]] ssize_t n = read(go[0], &b, 1);  // until the parent lets go
    _exit(0);
  }
  close(go[0]);
  auto turns_until = [&](auto condition, uint64_t ms) {
    uint64_t limit_ns = loop.clock().monotonic_ns() + ms * kMs;
    while (!condition()) {
      loop.at(loop.clock().monotonic_ns() + 2 * kMs, [] {});
      loop.turn(true);
      if (loop.clock().monotonic_ns() > limit_ns) return false;
    }
    return true;
  };
  // Full: no descriptor is left but the reserve.
  auto is_full = [] {
    int fd = open("/dev/null", O_RDONLY);
    if (fd >= 0) close(fd);
    return fd < 0;
  };
  if (!turns_until(is_full, 10'000)) return 5;
  uint64_t spins = loop.turns();
  uint64_t until_ns = loop.clock().monotonic_ns() + 300 * kMs;
  while (loop.clock().monotonic_ns() < until_ns) {
    loop.at(until_ns, [] {});
    loop.turn(true);
  }
  if (loop.turns() - spins > 200) return 6;  // it must not spin on a listener that it cannot serve

  close(go[1]);  // the crowd leaves
  if (waitpid(crowd, nullptr, 0) != crowd) return 7;
  Client honest;
  if (!turns_until([&] { return !is_full(); }, 1000)) return 8;
  honest.connect(bound);
  bool wrote = false;
  std::string got;
  bool served = turns_until(
      [&] {
        if (!wrote) wrote = honest.write("ECHO") == 4;
        honest.read(&got);
        return got == "ECHO";
      },
      1000);
  return served ? 0 : 9;
}

TEST_F(AbuseTest, OutOfDescriptorsAndBack) {
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(run_out_of_descriptors());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the number of the step that failed";
}

TEST_F(AbuseTest, ListenSaysWhatIsWrong) {
  start();
  ListenOptions options;
  options.transports = {transport.get()};
  std::string folder = std::filesystem::temp_directory_path().string();
  struct Case {
    std::string address;
    Code code;
    std::string text;
  };
  std::string taken = listen();
  std::string long_path = folder + "/" + std::string(200, 'x');
  for (const Case& c : std::vector<Case>{
           {"127.0.0.1", Code::kInvalid, "127.0.0.1: has no port"},
           {"127.0.0.1:65536", Code::kInvalid, "127.0.0.1:65536: the port is not a number from 0 to 65535"},
           {"127.0.0.1:http", Code::kInvalid, "127.0.0.1:http: the port is not a number from 0 to 65535"},
           {"::1:80", Code::kInvalid, "::1:80: an IPv6 address belongs in brackets"},
           {"unix:" + long_path, Code::kInvalid, "unix:" + long_path + ": the path is longer than 107 bytes"},
           {taken, Code::kBusy, "listen " + taken + ": bind: Address already in use"},
           {"unix:" + folder, Code::kBusy, "listen unix:" + folder + ": bind: Address already in use"}}) {
    options.address = c.address;
    Status s = net->listen(options, nullptr);
    EXPECT_EQ(s.code(), c.code) << c.address;
    EXPECT_STREQ(s.text(), c.text.c_str());
  }
}

TEST_F(AbuseTest, AStaleUnixSocketIsReplacedALiveOneIsNot) {
  start();
  std::string path =
      (std::filesystem::temp_directory_path() / ("quorate-stale-" + std::to_string(getpid()))).string();
  std::vector<SocketAddress> a;
  ASSERT_TRUE(resolve("unix:" + path, true, &a).ok());
  int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(dead, a[0].raw(), a[0].size), 0);
  ::close(dead);  // the file stays, as after a crash
  ListenOptions options;
  options.address = "unix:" + path;
  EXPECT_EQ(listen(options), "unix:" + path);
  options.transports = {transport.get()};
  Net second(&loop, nullptr);
  Status s = second.listen(options, nullptr);
  EXPECT_EQ(s.code(), Code::kBusy) << s.text();
  net->stop_listening();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(AbuseTest, DiallingFailsWithAReason) {
  start();
  DialOptions options;
  options.transport = transport.get();
  options.limits.handshake_timeout_ns = 10'000 * kMs;
  int fd = socket(AF_INET, SOCK_STREAM, 0);  // bound, never listening: refused at once
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof in;
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&in), size), 0);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&in), &size), 0);
  std::string refused = "127.0.0.1:" + std::to_string(ntohs(in.sin_port));
  for (auto& [address, text] : std::vector<std::pair<std::string, std::string>>{
           {refused, "dial " + refused + ": Connection refused"},
           {"unix:/nonexistent/socket", "dial unix:/nonexistent/socket: No such file or directory"},
           {"nonsense", "nonsense: has no port"}}) {
    options.address = address;
    std::string got;
    bool called = false;
    net->dial(
        options,
        [&](const Status& s, plugin::ClientSession* session) {
          called = true;
          got = s.text();
          EXPECT_EQ(session, nullptr);
        },
        [](const Status&) { ADD_FAILURE() << "closed without having been open"; });
    EXPECT_FALSE(called);
    ASSERT_TRUE(until([&] { return called; }));
    EXPECT_EQ(got, text);
  }
  ::close(fd);

  // The transport refuses: the error arrives, and the connection is gone.
  std::string bound = listen();
  Echo refusing;
  refusing.preface = "REFUSE";
  auto other = plugin::make<EchoTransport>(&refusing);
  options.transport = other.get();
  options.address = bound;
  std::string got;
  net->dial(
      options, [&](const Status& s, plugin::ClientSession*) { got = s.text(); }, nullptr);
  ASSERT_TRUE(until([&] { return got == "no dialling today"; }));
  ASSERT_TRUE(until([&] { return net->connections() == 0; }));
}

TEST_F(AbuseTest, DiallingThatTakesTooLongEnds) {
  start();
  // A listener whose queue is full answers no more: connections to it hang.
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof in;
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&in), size), 0);
  ASSERT_EQ(::listen(fd, 0), 0);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&in), &size), 0);
  std::string address = "127.0.0.1:" + std::to_string(ntohs(in.sin_port));
  std::vector<Client> fill(4);
  for (Client& c : fill) c.connect(address);
  DialOptions options;
  options.transport = transport.get();
  options.address = address;
  options.limits.handshake_timeout_ns = 50 * kMs;
  std::string got;
  net->dial(
      options, [&](const Status& s, plugin::ClientSession*) { got = s.text(); }, nullptr);
  ASSERT_TRUE(until([&] { return !got.empty(); }));
  EXPECT_EQ(got, "dial " + address + ": no connection in time");
  // And the same when the whole Net goes while it dials.
  got.clear();
  options.limits.handshake_timeout_ns = 0;
  net->dial(
      options, [&](const Status& s, plugin::ClientSession*) { got = s.text(); }, nullptr);
  for (int i = 0; i < 10; ++i) loop.turn(false);
  net.reset();
  EXPECT_EQ(got, "the host stops");
  for (int i = 0; i < 10; ++i) loop.turn(false);
  ::close(fd);
}

}  // namespace
}  // namespace quorate::host::test
