// Back-pressure, closing, order and re-entrancy of connections.
#include <sys/ioctl.h>

#include "net_fixture.h"

namespace quorate::host::test {
namespace {

using plugin::CloseMode;
using plugin::Code;
using plugin::Status;

// A session in reach of the test, and its client.
class FlowTest : public NetTest {
 protected:
  EchoSession* connect(Client* c, const ListenOptions& options = {}) {
    c->connect(listen(options));
    return greet(c);
  }
  EchoSession* greet(Client* c) {
    size_t before = echo.live.size();
    bool wrote = false;
    EXPECT_TRUE(until([&] {
      if (!wrote) wrote = c->write("ECHO") == 4;
      return echo.live.size() > before;
    }));
    return echo.live.empty() ? nullptr : echo.live.back();
  }
};

TEST_F(FlowTest, ASlowReaderIsToldOnceWhenItsQueueHasHalved) {
  start();
  echo.echoes = false;
  ListenOptions options;
  options.limits.send_mark = 100'000;
  Client c;
  EchoSession* s = connect(&c, options);
  ASSERT_NE(s, nullptr);
  uint64_t at_call = UINT64_MAX;
  echo.on_writable = [&](EchoSession* me) { at_call = std::min(at_call, me->connection->queued_bytes()); };
  const std::string chunk(1'000'000, 'x');
  for (int i = 0; i < 16; ++i) s->send(chunk);  // always accepted
  EXPECT_EQ(s->connection->queued_bytes(), 16'000'000u);
  for (int i = 0; i < 20; ++i) loop.turn(false);
  EXPECT_GT(s->connection->queued_bytes(), 100'000u) << "the kernel cannot hold all of it";
  EXPECT_EQ(echo.writable, 0);
  std::string got;
  ASSERT_TRUE(until([&] {
    c.read(&got);
    return got.size() == 16'000'000;
  }));
  EXPECT_EQ(echo.writable, 1);
  EXPECT_LE(at_call, 50'000u);
  EXPECT_EQ(s->connection->queued_bytes(), 0u);
  // Never over the mark: no call.
  s->send("small");
  ASSERT_TRUE(until([&] {
    c.read(&got);
    return got.size() == 16'000'005;
  }));
  EXPECT_EQ(echo.writable, 1);
}

TEST_F(FlowTest, PiecesOfATurnLeaveInOrderAndManyAtOnce) {
  start();
  echo.echoes = false;
  Client c;
  EchoSession* s = connect(&c);
  ASSERT_NE(s, nullptr);
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    std::string piece = "piece " + std::to_string(i) + ";";
    expected += piece;
    s->send(piece);
    s->send("");
  }
  uint64_t before = loop.turns();
  loop.turn(false);
  std::string got;
  c.read(&got);
  ASSERT_TRUE(until([&] {
    c.read(&got);
    return got.size() == expected.size();
  }));
  EXPECT_EQ(got, expected);
  EXPECT_LE(loop.turns() - before, 10u);
}

TEST_F(FlowTest, FlushComesOnceAtTheEndOfTheTurnAfterDeferredTasks) {
  start();
  echo.echoes = false;
  Client c;
  EchoSession* s = connect(&c);
  ASSERT_NE(s, nullptr);
  std::string order;
  echo.on_flush = [&](EchoSession* me) {
    order += "F";
    me->send("flushed");
  };
  loop.post([&] {
    s->connection->request_flush();
    s->connection->request_flush();
    loop.defer([&] {
      order += "d";
      s->connection->request_flush();
    });
    order += "p";
  });
  loop.turn(false);
  EXPECT_EQ(order, "pdF");
  std::string got;
  ASSERT_TRUE(until([&] {
    c.read(&got);
    return got == "flushed";
  }));
  EXPECT_EQ(order, "pdF");
}

TEST_F(FlowTest, APausedConnectionReadsNothingAndLosesNothing) {
  start();
  Client c;
  EchoSession* s = connect(&c);
  ASSERT_NE(s, nullptr);
  s->connection->pause_read();
  uint64_t before = s->received;
  std::string sent(300'000, 'y');  // more than one turn's share, so that some is left over on purpose
  size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    ssize_t n = c.write(sent.substr(at));
    if (n > 0) at += static_cast<size_t>(n);
    loop.turn(false);
  }
  EXPECT_EQ(s->received, before);
  loop.post([&] { s->connection->resume_read(); });
  std::string got;
  ASSERT_TRUE(until([&] {
    ssize_t n = at < sent.size() ? c.write(sent.substr(at)) : 0;
    if (n > 0) at += static_cast<size_t>(n);
    c.read(&got);
    return s->received == before + sent.size();
  }));
}

TEST_F(FlowTest, GracefulCloseWritesWhatIsQueuedAndThenEnds) {
  start();
  echo.echoes = false;
  Client c;
  EchoSession* s = connect(&c);
  ASSERT_NE(s, nullptr);
  echo.on_data = [&](EchoSession* me, plugin::ByteView) {
    me->send(std::string(3'000'000, 'z'));
    me->connection->close(CloseMode::kGraceful);
    me->send("never");
    me->connection->close(CloseMode::kGraceful);
    EXPECT_EQ(echo.closed, 0) << "not while on_data runs";
    return Status();
  };
  // The client has sent more than the session will read: a plain close() would turn into a reset and lose the
  // answer.
  ASSERT_GT(c.write("go"), 0);
  ASSERT_TRUE(until([&] { return echo.live.empty() || s->connection->queued_bytes() != 0; }));
  ASSERT_GT(c.write("unread bytes"), 0);
  std::string got;
  ASSERT_TRUE(until([&] { return !c.read(&got); }));
  EXPECT_EQ(got.size(), 3'000'000u);
  EXPECT_EQ(got.find('n'), std::string::npos);
  EXPECT_EQ(echo.closed, 1);
  c.close();
  ASSERT_TRUE(until([&] { return net->connections() == 0; }));
}

TEST_F(FlowTest, APeerThatStaysAfterAGracefulCloseIsDropped) {
  start();
  Client c;
  EchoSession* s = connect(&c);
  ASSERT_NE(s, nullptr);
  s->connection->close(CloseMode::kGraceful);
  ASSERT_TRUE(until([&] { return net->connections() == 0; }, 5'000));  // the client keeps its end open
  EXPECT_EQ(echo.closed, 1);
}

TEST_F(FlowTest, AbortInsideOnDataComesAfterIt) {
  start();
  echo.echoes = false;
  Client c;
  EchoSession* s = connect(&c);
  ASSERT_NE(s, nullptr);
  plugin::Ref<plugin::Connection> connection = s->connection;
  echo.on_data = [&](EchoSession* me, plugin::ByteView) {
    me->connection->close(CloseMode::kAbort);
    EXPECT_EQ(echo.closed, 0);
    me->send("lost");
    return Status();
  };
  ASSERT_GT(c.write("go"), 0);
  std::string got;
  ASSERT_TRUE(until([&] { return !c.read(&got); }));
  EXPECT_EQ(got, "");
  EXPECT_EQ(echo.closed, 1);
  // Whoever still holds the connection holds something harmless.
  plugin::Buffer b = plugin::Buffer::copy_of({"x", 1});
  connection->send({&b, 1});
  connection->request_flush();
  connection->arm(1);
  connection->pause_read();
  connection->resume_read();
  connection->close(CloseMode::kAbort);
  EXPECT_TRUE(connection->charge(1 << 30));
  EXPECT_GT(connection->now_ns(), 0u);
  EXPECT_EQ(connection->queued_bytes(), 0u);
  EXPECT_EQ(connection->info().limits->send_mark, 256u << 10);
  net.reset();
  connection->send({&b, 1});
  EXPECT_EQ(echo.closed, 1);
}

TEST_F(FlowTest, ABadStatusAbortsWithItsText) {
  start();
  Client c;
  ASSERT_NE(connect(&c), nullptr);
  echo.on_data = [&](EchoSession*, plugin::ByteView) { return Status(Code::kInvalid, "frame 7 is wrong"); };
  ASSERT_GT(c.write("go"), 0);
  std::string got;
  ASSERT_TRUE(until([&] { return !c.read(&got); }));
  ASSERT_EQ(echo.reasons.size(), 1u);
  EXPECT_EQ(echo.reasons[0], "frame 7 is wrong");
}

TEST_F(FlowTest, HalfOpen) {
  start();
  Client c;
  ASSERT_NE(connect(&c), nullptr);
  echo.echoes = false;  // on_eof only counts
  EchoSession* s = echo.live.back();
  shutdown(c.fd, SHUT_WR);
  ASSERT_TRUE(until([&] { return echo.eof == 1; }));
  EXPECT_EQ(echo.closed, 0) << "our half stays open until the session closes it";
  s->send("still here");
  std::string got;
  ASSERT_TRUE(until([&] {
    c.read(&got);
    return got.find("still here") != std::string::npos;
  }));
  // Now the peer is gone altogether: the next bytes find out.
  linger reset{1, 0};
  setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  c.close();
  ASSERT_TRUE(until([&] { return echo.closed == 1; }));
  EXPECT_EQ(echo.eof, 1);
}

TEST_F(FlowTest, AResetReachesAPausedSession) {
  start();
  echo.echoes = false;
  Client c;
  EchoSession* s = connect(&c);
  ASSERT_NE(s, nullptr);
  s->connection->pause_read();
  linger reset{1, 0};
  setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  c.close();
  ASSERT_TRUE(until([&] { return echo.closed == 1; }));
}

TEST_F(FlowTest, TimersFireOnceAndMoveBothWays) {
  start();
  echo.echoes = false;
  Client c;
  EchoSession* s = connect(&c);
  ASSERT_NE(s, nullptr);
  uint64_t now = s->connection->now_ns();
  s->connection->arm(now + 5 * kMs);
  s->connection->arm(now + 30 * kMs);
  ASSERT_TRUE(until([&] { return echo.timers == 1; }));
  EXPECT_GE(s->connection->now_ns(), now + 30 * kMs);
  now = s->connection->now_ns();
  s->connection->arm(now + 3'600'000 * kMs);
  s->connection->arm(now + 5 * kMs);
  ASSERT_TRUE(until([&] { return echo.timers == 2; }, 1000));
  s->connection->arm(s->connection->now_ns() + 5 * kMs);
  s->connection->arm(0);
  bool later = false;
  loop.at(s->connection->now_ns() + 20 * kMs, [&] { later = true; });
  ASSERT_TRUE(until([&] { return later; }));
  EXPECT_EQ(echo.timers, 2);
}

TEST_F(FlowTest, ChargesAreCountedPerConnectionAndInAll) {
  NetOptions options;
  options.connection_budget = 1000;
  options.total_budget = 1500;
  options.fair_share = 400;
  start(options);
  std::string bound = listen();
  Client a(bound), b(bound);
  EchoSession* one = greet(&a);
  EchoSession* two = greet(&b);
  ASSERT_TRUE(one != nullptr && two != nullptr);
  EXPECT_TRUE(one->connection->charge(1000));
  EXPECT_FALSE(one->connection->charge(1));
  EXPECT_TRUE(one->connection->charge(-1));
  EXPECT_TRUE(two->connection->charge(500));
  EXPECT_FALSE(two->connection->charge(1)) << "its own budget would allow it, the total does not";
  EXPECT_EQ(net->charged_bytes(), 1501u);
  EXPECT_TRUE(two->connection->charge(-101));
  EXPECT_FALSE(one->connection->charge(200)) << "over the total again, and it holds most of it";
  EXPECT_TRUE(two->connection->charge(0)) << "who holds less than a fair share is served on";
  EXPECT_FALSE(two->connection->charge(101));
  one->connection->close(CloseMode::kAbort);
  ASSERT_TRUE(until([&] { return net->charged_bytes() == 501; }));
  EXPECT_TRUE(two->connection->charge(-1'000'000)) << "no more goes back than was counted";
  EXPECT_EQ(net->charged_bytes(), 0u);
}

TEST_F(FlowTest, TwoSessionsThatWakeEachOtherDoNotHoldUpTheTurn) {
  start();
  echo.echoes = false;
  std::string bound = listen();
  Client a(bound), b(bound);
  EchoSession* one = greet(&a);
  EchoSession* two = greet(&b);
  ASSERT_TRUE(one != nullptr && two != nullptr);
  int flushes = 0;
  echo.on_flush = [&](EchoSession* me) {
    if (++flushes < 1000) (me == one ? two : one)->connection->request_flush();
  };
  one->connection->request_flush();
  loop.turn(false);
  EXPECT_LT(flushes, 100);
  ASSERT_TRUE(until([&] { return flushes == 1000; }));
}

TEST_F(FlowTest, DrainLetsSessionsEndAndThenTells) {
  start();
  std::string bound = listen();
  Client a(bound), b(bound), silent(bound);
  ASSERT_TRUE(greet(&a) != nullptr && greet(&b) != nullptr);
  ASSERT_TRUE(until([&] { return net->connections() == 3; }));
  bool drained = false;
  net->drain([&] { drained = true; });
  std::string got;
  bool a_ended = false, b_ended = false;
  ASSERT_TRUE(until([&] {
    a_ended = a_ended || !a.read(&got);
    b_ended = b_ended || !b.read(&got);
    if (a_ended) a.close();
    if (b_ended) b.close();
    return drained;
  }));
  EXPECT_EQ(net->connections(), 0u);
  Client late;
  std::vector<SocketAddress> to;
  ASSERT_TRUE(resolve(bound, false, &to).ok());
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_NE(::connect(fd, to[0].raw(), to[0].size), 0) << "nobody listens any more";
  ::close(fd);
}

TEST_F(FlowTest, ManyConnectionsEchoConcurrently) {
  start();
  std::string bound = listen();
  std::vector<Client> clients(100);
  std::vector<std::string> got(clients.size());
  for (Client& c : clients) c.connect(bound);
  std::vector<int> sent(clients.size(), 0);
  ASSERT_TRUE(until([&] {
    bool all = true;
    for (size_t i = 0; i < clients.size(); ++i) {
      std::string message = "ECHO" + std::to_string(i) + std::string(2000, 'm');
      if (sent[i] < 20 && got[i].size() == static_cast<size_t>(sent[i]) * message.size() &&
          clients[i].write(message) == static_cast<ssize_t>(message.size()))
        ++sent[i];
      clients[i].read(&got[i]);
      all = all && got[i].size() == 20 * message.size();
    }
    return all;
  }));
  EXPECT_EQ(echo.served, 100);
}

}  // namespace
}  // namespace quorate::host::test
