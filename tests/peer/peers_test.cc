// Members that talk over a transport plugin and a network that misbehaves, on virtual time.
#include "peer/peers.h"

#include <gtest/gtest.h>

#include "peer/methods.h"
#include "support/manual_executor.h"
#include "support/plugin_host.h"
#include "support/raft_messages.h"
#include "support/virtual_net.h"

namespace quorate::peer {
namespace {

using namespace test;
using api::GrpcCode;
using api::RpcError;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kMillisecond = 1'000'000;

std::string url_of(uint64_t id) { return "http://machine" + std::to_string(id) + ":2380"; }
std::string machine_of(uint64_t id) { return "machine" + std::to_string(id); }
plugin::Buffer buffer(std::string_view s) { return plugin::Buffer::copy_of({s.data(), s.size()}); }

class PeersTest : public ::testing::Test {
 protected:
  struct Member final : plugin::CallHandler {
    void on_call(const plugin::CallInfo& info, plugin::ServerWriter* writer,
                 plugin::StreamReader** out) noexcept override {
      peers->on_call(info, writer, out);
    }
    std::unique_ptr<VirtualDialer> dialer;
    std::unique_ptr<Peers> peers;
    std::vector<std::pair<uint64_t, raft::Message>> received;
    std::vector<uint64_t> gone, unreachable, removed, welcomed;
    Promised promises{Term(3), Index(30)};
    std::function<bool(Request, Answer)> on_request;
  };

  PeersTest() {
    const plugin::Descriptor& d = load_plugin(plugin_path(QUORATE_BINARY_DIR, "transport-grpc"));
    plugin::Object* object = nullptr;
    host = plugin::make<PluginHost>(nullptr, log.get(), &executor.clock(), random.get());
    EXPECT_TRUE(d.create(host.get(), {}, &object).ok());
    transport = plugin::Ref<plugin::Transport>::adopt(
        static_cast<plugin::Transport*>(object->query(plugin::Transport::kId)));
    limits.handshake_timeout_ns = 2 * kSecond;
    limits.keepalive_interval_ns = 2 * kSecond;
    limits.keepalive_timeout_ns = 2 * kSecond;
    limits.keepalive_min_time_ns = 0;
    limits.max_receive_message = 32u << 20;
  }
  ~PeersTest() override {
    for (auto& [id, m] : members) stop(id);
    executor.run_until_idle();
  }

  Member& start(uint64_t id, uint64_t cluster = 0xc) {
    Member& m = *(members[id] = std::make_unique<Member>());
    m.dialer = std::make_unique<VirtualDialer>(
        &net, VirtualNet::Caller{machine_of(id), &executor, transport.get(), limits});
    Peers::Hooks hooks;
    hooks.on_message = [&m](MemberId from, raft::Message message) {
      m.received.emplace_back(from.value, std::move(message));
    };
    hooks.on_request = [&m](Request r, Answer a) {
      return m.on_request && m.on_request(std::move(r), std::move(a));
    };
    hooks.own_promises = [&m] { return m.promises; };
    hooks.remembered = [](MemberId from) { return Promised{Term(from.value), Index(7)}; };
    hooks.on_welcome = [&m](MemberId from, const Welcome& w) {
      m.welcomed.push_back(from.value);
      EXPECT_EQ(w.known_index, Index(7));
    };
    hooks.on_gone = [&m](MemberId from) { m.gone.push_back(from.value); };
    hooks.on_unreachable = [&m](MemberId from) { m.unreachable.push_back(from.value); };
    hooks.on_removed = [&m](MemberId from) { m.removed.push_back(from.value); };
    const Runtime runtime{&executor, nullptr, random.get(), log.get()};
    m.peers = std::make_unique<Peers>(
        runtime, *m.dialer, Self{ClusterId(cluster), MemberId(id), "node" + std::to_string(id), "3.7.1"},
        std::move(hooks));
    net.listen(url_of(id),
               {machine_of(id), &executor, &m, {transport.get()}, plugin::ListenerRole::kPeer, limits});
    return m;
  }
  // As a process that dies.
  void stop(uint64_t id) {
    Member& m = *members[id];
    if (!m.peers) return;
    m.peers->stop({GrpcCode::kUnavailable, "stopped"});
    net.kill(machine_of(id));
    executor.run_until_idle();
    m.peers.reset();
  }
  void meet(uint64_t a, uint64_t b) {
    members[a]->peers->set(MemberId(b), {url_of(b)});
    members[b]->peers->set(MemberId(a), {url_of(a)});
  }
  // Two that have met.
  void pair() {
    start(1), start(2);
    meet(1, 2);
    executor.advance(100 * kMillisecond);
    ASSERT_NE(members[1]->peers->connected_since_ns(MemberId(2)), 0u) << lines();
    ASSERT_NE(members[2]->peers->connected_since_ns(MemberId(1)), 0u);
  }
  void send(uint64_t from, uint64_t to, raft::Message m) {
    members[from]->peers->send({MemberId(to), std::move(m)});
    members[from]->peers->flush();
  }
  std::string lines() {
    std::string all;
    for (const std::string& line : log->lines()) all += line + "\n";
    return all;
  }
  // Sends a heartbeat until one arrives; how long that took, or `patience`.
  uint64_t until_heard(uint64_t from, uint64_t to, uint64_t patience) {
    const uint64_t began = executor.now();
    Member& m = *members[to];
    m.received.clear();
    while (m.received.empty() && executor.now() - began < patience) {
      send(from, to, raft::Heartbeat{Term(1), Index(2), 3});
      executor.advance(10 * kMillisecond);
    }
    return executor.now() - began;
  }

  plugin::TransportLimits limits;
  plugin::Ref<LogLines> log = plugin::make<LogLines>();
  plugin::Ref<SeededRandom> random = plugin::make<SeededRandom>(1);
  ManualExecutor executor;
  plugin::Ref<PluginHost> host;
  plugin::Ref<plugin::Transport> transport;
  VirtualNet net{1};
  std::map<uint64_t, std::unique_ptr<Member>> members;
};

TEST_F(PeersTest, EveryMessageArrivesOnceAndInOrderOfItsLane) {
  pair();
  EXPECT_EQ(members[1]->welcomed, std::vector<uint64_t>{2});
  RandomMessages random_messages(test::seed());
  std::vector<raft::Message> appends, others;
  for (int turn = 0; turn < 200; ++turn) {
    for (uint64_t i = random_messages.pick(6); i > 0; --i) {
      raft::Message m = random_messages.valid();
      (std::holds_alternative<raft::AppendEntries>(m) ? appends : others).push_back(m);
      members[1]->peers->send({MemberId(2), std::move(m)});
    }
    members[1]->peers->flush();
    executor.run_until_idle();
  }
  executor.advance(kSecond);
  size_t a = 0, o = 0;
  for (const auto& [from, m] : members[2]->received) {
    EXPECT_EQ(from, 1u);
    const bool append = std::holds_alternative<raft::AppendEntries>(m);
    ASSERT_TRUE(equal(m, append ? appends.at(a++) : others.at(o++)));
  }
  EXPECT_EQ(a, appends.size());
  EXPECT_EQ(o, others.size());
}

TEST_F(PeersTest, LargeAppendsCrossInSeveralFrames) {
  pair();
  const std::string big(1 << 20, 'v');
  for (uint64_t i = 1; i <= 8; ++i) {
    raft::AppendEntries m{Term(1), Index(i), Term(1), Index(1), {}};
    m.entries.push_back({Term(1), Index(i + 1), raft::EntryType::kNormal, buffer(big)});
    members[1]->peers->send({MemberId(2), std::move(m)});
  }
  members[1]->peers->flush();
  executor.advance(kSecond);
  ASSERT_EQ(members[2]->received.size(), 8u);
  for (const auto& [from, m] : members[2]->received) {
    EXPECT_EQ(std::get<raft::AppendEntries>(m).entries.at(0).data.size(), big.size());
  }
}

TEST_F(PeersTest, AResetConnectionIsMadeAgainAtOnce) {
  pair();
  executor.advance(2 * kSecond);
  net.reset(machine_of(1), machine_of(2));
  executor.advance(5 * kMillisecond);
  EXPECT_LE(until_heard(1, 2, 5 * kSecond), 50 * kMillisecond) << lines();
  EXPECT_FALSE(members[1]->unreachable.empty());
  EXPECT_TRUE(members[1]->gone.empty()) << "somebody listens there";
}

TEST_F(PeersTest, AProcessThatDiedIsGoneAndAPartitionIsNot) {
  pair();
  start(3);
  meet(1, 3);
  executor.advance(2 * kSecond);
  stop(2);
  net.block(machine_of(1), machine_of(3));
  net.block(machine_of(3), machine_of(1));
  executor.advance(20 * kMillisecond);
  ASSERT_FALSE(members[1]->gone.empty());
  executor.advance(10 * kSecond);
  for (uint64_t id : members[1]->gone) EXPECT_EQ(id, 2u);
  EXPECT_EQ(members[1]->peers->connected_since_ns(MemberId(3)), 0u) << "keep-alive sees the silence";

  net.unblock_all();
  EXPECT_LE(until_heard(1, 3, 10 * kSecond), 2 * kSecond + 500 * kMillisecond) << lines();
  start(2);
  members[2]->peers->set(MemberId(1), {url_of(1)});
  EXPECT_LE(until_heard(1, 2, 10 * kSecond), 2 * kSecond) << lines();
}

TEST_F(PeersTest, WrongClusterIsRefusedByName) {
  start(1, 0xc), start(2, 0xd);
  meet(1, 2);
  executor.advance(3 * kSecond);
  EXPECT_EQ(members[1]->peers->connected_since_ns(MemberId(2)), 0u);
  EXPECT_NE(lines().find("cluster ID mismatch: the caller's is c, this member's is d"), std::string::npos)
      << lines();
  send(1, 2, raft::TimeoutNow{Term(9)});
  executor.advance(kSecond);
  EXPECT_TRUE(members[2]->received.empty());
  // The refusal is logged once, not at every try.
  EXPECT_LT(log->lines().size(), 12u) << lines();
}

TEST_F(PeersTest, ARemovedMemberIsToldAndCutOff) {
  pair();
  executor.advance(2 * kSecond);
  members[2]->peers->remove(MemberId(1), true);
  executor.advance(3 * kSecond);
  ASSERT_FALSE(members[1]->removed.empty()) << lines();
  EXPECT_EQ(members[1]->removed[0], 2u);
  members[2]->received.clear();
  send(1, 2, raft::TimeoutNow{Term(9)});
  executor.advance(kSecond);
  EXPECT_TRUE(members[2]->received.empty());
}

TEST_F(PeersTest, NothingIsServedBeforeHello) {
  pair();
  struct Events final : plugin::DialEvents {
    void on_ready() noexcept override {}
    void on_draining() noexcept override {}
  } events;
  plugin::Ref<plugin::ClientSession> session;
  VirtualDialer stranger(&net, {"stranger", &executor, transport.get(), limits});
  stranger.dial(
      url_of(2), plugin::Lane::kControl, &events,
      [&](const plugin::Status& s, plugin::ClientSession* opened) {
        ASSERT_TRUE(s.ok());
        session = plugin::Ref<plugin::ClientSession>::share(opened);
      },
      [](const plugin::Status&) {});
  executor.advance(100 * kMillisecond);
  ASSERT_TRUE(session);
  struct Reader final : plugin::Counted<plugin::StreamReader> {
    void on_headers(plugin::View<plugin::Header>) noexcept override {}
    void on_message(plugin::Buffer) noexcept override {}
    void on_half_close() noexcept override {}
    void on_writable() noexcept override {}
    void on_end(const plugin::End& end) noexcept override {
      text = std::string(end.text.chars(), end.text.size);
    }
    std::string text;
  };
  for (std::string_view method : {kMessagesMethod, std::string_view("/quorate.Peer/Anything")}) {
    auto reader = plugin::make<Reader>();
    plugin::CallInfo info;
    info.method = {method.data(), method.size()};
    plugin::Ref<plugin::ClientWriter> writer;
    ASSERT_TRUE(session->open_call(info, reader.get(), writer.out()).ok());
    const plugin::Buffer nonsense = buffer("nonsense");
    writer->write({&nonsense, 1});
    executor.advance(100 * kMillisecond);
    EXPECT_EQ(reader->text, "this connection has not said Hello");
  }
  session->drain();
  executor.advance(kSecond);
}

TEST_F(PeersTest, DamageOnTheWayEndsTheConnectionAndNothingWrongArrives) {
  pair();
  RandomMessages messages(5);
  for (int round = 0; round < 60; ++round) {
    executor.advance(1100 * kMillisecond);
    ASSERT_LE(until_heard(1, 2, 5 * kSecond), 3 * kSecond) << lines();
    members[2]->received.clear();
    net.flip_next(machine_of(1), machine_of(2));
    const std::string data(200, 'd');
    raft::AppendEntries m{Term(1), Index(1), Term(1), Index(1), {}};
    m.entries.push_back({Term(1), Index(2), raft::EntryType::kNormal, buffer(data)});
    const raft::Message sent = m;
    send(1, 2, std::move(m));
    executor.advance(50 * kMillisecond);
    for (const auto& [from, got] : members[2]->received) EXPECT_TRUE(equal(got, sent)) << "round " << round;
  }
  EXPECT_NE(lines().find("the checksum is wrong"), std::string::npos) << "no flip hit a frame's bytes";
}

TEST_F(PeersTest, CallsAreAnsweredRefusedOrLost) {
  pair();
  Answer held;
  members[2]->on_request = [&](Request r, Answer answer) {
    if (r.method == "/quorate.Peer/Echo") {
      EXPECT_EQ(r.from, MemberId(1));
      answer({}, r.message);
    } else if (r.method == "/quorate.Peer/Refuse") {
      answer({GrpcCode::kAborted, "no"}, {});
    } else if (r.method == "/quorate.Peer/Hold") {
      held = std::move(answer);
    } else {
      return false;
    }
    return true;
  };
  struct Result {
    std::optional<RpcError> error;
    std::string reply;
  };
  auto ask = [&](uint64_t to, std::string_view method, uint64_t deadline = 0) {
    auto result = std::make_shared<Result>();
    members[1]->peers->call(MemberId(to), method, buffer("question"), deadline,
                            [result](const RpcError& e, plugin::Buffer reply) {
                              ASSERT_FALSE(result->error) << "answered twice";
                              result->error = e;
                              result->reply = std::string(reply.chars(), reply.size());
                            });
    EXPECT_FALSE(result->error) << "answered inside the call";
    executor.advance(20 * kMillisecond);
    return result;
  };
  auto echo = ask(2, "/quorate.Peer/Echo");
  ASSERT_TRUE(echo->error);
  EXPECT_TRUE(echo->error->ok()) << echo->error->text;
  EXPECT_EQ(echo->reply, "question");
  EXPECT_EQ(*ask(2, "/quorate.Peer/Refuse")->error, (RpcError{GrpcCode::kAborted, "no"}));
  EXPECT_EQ(ask(2, "/quorate.Peer/Nothing")->error->grpc_code, GrpcCode::kUnimplemented);
  EXPECT_EQ(ask(9, "/quorate.Peer/Echo")->error->grpc_code, GrpcCode::kUnavailable);

  auto lost = ask(2, "/quorate.Peer/Hold");
  EXPECT_FALSE(lost->error);
  net.reset(machine_of(1), machine_of(2));
  executor.advance(20 * kMillisecond);
  ASSERT_TRUE(lost->error);
  EXPECT_EQ(lost->error->grpc_code, GrpcCode::kUnavailable);
  held({}, buffer("too late"));
}

TEST_F(PeersTest, AMemberThatDoesNotReadCostsNoMoreThanItsBacklog) {
  pair();
  net.block(machine_of(1), machine_of(2));
  const std::string data(256 << 10, 'd');
  for (uint64_t i = 1; i < 200; ++i) {
    raft::AppendEntries m{Term(1), Index(i), Term(1), Index(1), {}};
    m.entries.push_back({Term(1), Index(i + 1), raft::EntryType::kNormal, buffer(data)});
    send(1, 2, std::move(m));
    executor.run_until_idle();
  }
  EXPECT_GT(members[1]->unreachable.size(), 199 - Link::kMaxBacklog / data.size() - 10);
}

TEST_F(PeersTest, NewUrlsMoveTheConnection) {
  pair();
  executor.advance(2 * kSecond);
  stop(2);
  start(2);
  net.stop_listening(url_of(2));
  net.listen(
      "http://elsewhere:1",
      {machine_of(2), &executor, members[2].get(), {transport.get()}, plugin::ListenerRole::kPeer, limits});
  members[2]->peers->set(MemberId(1), {url_of(1)});
  executor.advance(3 * kSecond);
  EXPECT_EQ(members[1]->peers->connected_since_ns(MemberId(2)), 0u);
  members[1]->peers->set(MemberId(2), {url_of(2), "http://elsewhere:1"});
  EXPECT_LE(until_heard(1, 2, 5 * kSecond), kSecond) << lines();
}

}  // namespace
}  // namespace quorate::peer
