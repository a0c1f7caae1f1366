// A loop, a Net and plain client sockets, driven by one thread.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "echo_transport.h"
#include "host/address.h"
#include "host/net.h"

namespace quorate::host::test {

inline constexpr uint64_t kMs = 1'000'000;

// A plain, non-blocking client socket.
struct Client {
  int fd = -1;
  Client() = default;
  explicit Client(const std::string& address) { connect(address); }
  Client(Client&& o) noexcept : fd(std::exchange(o.fd, -1)) {}
  ~Client() { close(); }
  void connect(const std::string& address) {
    std::vector<SocketAddress> a;
    ASSERT_TRUE(resolve(address, false, &a).ok());
    fd = socket(a[0].family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT_GE(fd, 0);
    int r = ::connect(fd, a[0].raw(), a[0].size);
    ASSERT_TRUE(r == 0 || errno == EINPROGRESS) << strerror(errno);
  }
  void close() {
    if (fd >= 0) ::close(std::exchange(fd, -1));
  }
  ssize_t write(const std::string& s) { return ::send(fd, s.data(), s.size(), MSG_NOSIGNAL); }
  // Appends what is there. False when the connection has ended.
  bool read(std::string* into) {
    char b[65536];
    for (;;) {
      ssize_t n = ::recv(fd, b, sizeof b, 0);
      if (n > 0)
        into->append(b, static_cast<size_t>(n));
      else
        return !(n == 0 || (errno != EAGAIN && errno != ENOTCONN));
    }
  }
};

class NetTest : public ::testing::Test {
 protected:
  NetTest() { EchoSession::re_entered = false; }
  ~NetTest() override {
    net.reset();
    EXPECT_FALSE(EchoSession::re_entered);
    EXPECT_TRUE(echo.live.empty());
    EXPECT_EQ(echo.served, echo.closed);
  }
  void start(NetOptions options = {}) { net = std::make_unique<Net>(&loop, nullptr, options); }
  std::string listen(ListenOptions options = {}) {
    if (options.address.empty()) options.address = "127.0.0.1:0";
    if (options.transports.empty()) options.transports = {transport.get()};
    std::string bound;
    plugin::Status s = net->listen(options, &bound);
    EXPECT_TRUE(s.ok()) << s.text();
    return bound;
  }
  // Turns until the condition holds.
  template <typename F>
  ::testing::AssertionResult until(F condition, uint64_t limit_ms = 10'000) {
    bool late = false;
    TimerId guard = loop.at(loop.clock().monotonic_ns() + limit_ms * kMs, [&] { late = true; });
    // A client's side moves without the loop hearing of it: look every 2 ms too.
    while (!condition() && !late) {
      TimerId look = loop.at(loop.clock().monotonic_ns() + 2 * kMs, [] {});
      loop.turn(true);
      loop.cancel(look);
    }
    loop.cancel(guard);
    return condition() ? ::testing::AssertionSuccess()
                       : ::testing::AssertionFailure() << "not within " << limit_ms << " ms";
  }

  AsioExecutor loop;
  Echo echo;
  plugin::Ref<EchoTransport> transport = plugin::make<EchoTransport>(&echo);
  std::unique_ptr<Net> net;
};

}  // namespace quorate::host::test
