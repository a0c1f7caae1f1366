#include "host/net.h"

#include <filesystem>

#include "net_fixture.h"

namespace quorate::host::test {
namespace {

TEST_F(NetTest, EchoesOverIPv4AndIPv6AndUnix) {
  start();
  std::string path =
      (std::filesystem::temp_directory_path() / ("quorate-net-" + std::to_string(getpid()))).string();
  std::vector<std::string> addresses = {"127.0.0.1:0", "unix:" + path};
  if (int probe = socket(AF_INET6, SOCK_STREAM, 0); probe >= 0) {
    ::close(probe);
    addresses.push_back("[::1]:0");
    addresses.push_back(":0");
  }
  for (const std::string& a : addresses) {
    ListenOptions options;
    options.address = a;
    std::string bound = listen(options);
    if (a == ":0") bound = "127.0.0.1" + bound.substr(bound.rfind(':'));
    Client c(bound);
    std::string got;
    ASSERT_TRUE(until([&] { return loop.turns() > 0; }));
    bool wrote = false;
    ASSERT_TRUE(until([&] {
      if (!wrote) wrote = c.write("ECHO hello") == 10;
      c.read(&got);
      return got == "ECHO hello";
    })) << a;
    ASSERT_EQ(echo.live.size(), 1u);
    const plugin::ConnectionInfo& info = echo.live[0]->connection->info();
    EXPECT_EQ(info.unix_uid, a[0] == 'u' ? static_cast<int64_t>(getuid()) : -1) << a;
    EXPECT_EQ(std::string(info.local_address.chars(), info.local_address.size), bound);
    c.close();
    ASSERT_TRUE(until([&] { return echo.live.empty(); }));
  }
  net->stop_listening();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(NetTest, FirstBytesMayComeOneByOne) {
  start();
  Client c(listen());
  std::string got;
  for (char b : std::string("ECHO!")) {
    bool wrote = false;
    ASSERT_TRUE(until([&] {
      if (!wrote) wrote = c.write(std::string(1, b)) == 1;
      return wrote;
    }));
    ASSERT_TRUE(until([&] { return net->connections() == 1; }));
    loop.turn(false);
  }
  ASSERT_TRUE(until([&] {
    c.read(&got);
    return got == "ECHO!";
  }));
}

TEST_F(NetTest, AnUnknownProtocolIsClosed) {
  start();
  Client c(listen());
  std::string got;
  bool wrote = false, open = true;
  ASSERT_TRUE(until([&] {
    if (!wrote) wrote = c.write("ECHx and so on") > 0;
    open = c.read(&got);
    return !open;
  }));
  EXPECT_EQ(got, "");
  EXPECT_EQ(echo.served, 0);
  ASSERT_TRUE(until([&] { return net->connections() == 0; }));
}

TEST_F(NetTest, DialsItself) {
  start();
  std::string bound = listen();
  struct Events : plugin::DialEvents {
    int ready = 0;
    void on_ready() noexcept override { ++ready; }
    void on_draining() noexcept override {}
  } events;
  Echo client_side;
  client_side.echoes = false;
  auto client = plugin::make<EchoTransport>(&client_side);
  DialOptions options;
  options.transport = client.get();
  options.events = &events;
  for (const std::string& a : {bound, "localhost" + bound.substr(bound.rfind(':'))}) {
    options.address = a;
    plugin::ClientSession* session = nullptr;
    bool closed = false;
    net->dial(
        options,
        [&](const plugin::Status& s, plugin::ClientSession* made) {
          EXPECT_TRUE(s.ok()) << s.text();
          session = made;
        },
        [&](const plugin::Status&) { closed = true; });
    EXPECT_EQ(session, nullptr);
    ASSERT_TRUE(
        until([&] { return session != nullptr && static_cast<EchoSession*>(session)->received == 4; }));
    EXPECT_EQ(std::string(static_cast<EchoSession*>(session)->connection->info().remote_address.chars(), 9),
              "127.0.0.1");
    static_cast<EchoSession*>(session)->connection->close(plugin::CloseMode::kGraceful);
    ASSERT_TRUE(until([&] { return closed && net->connections() == 0; }));
  }
  EXPECT_EQ(events.ready, 2);
  EXPECT_EQ(client_side.closed, 2);
}

}  // namespace
}  // namespace quorate::host::test
