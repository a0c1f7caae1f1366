// The contract of plugin/transport.h, with a client and a server of the same plugin looped back in memory:
// what every transport owes.
#include <gtest/gtest.h>

#include "transport/peers.h"

namespace quorate::test {
namespace {

using plugin::EndCause;

// The parameter: the plugin.
class Contract : public testing::TestWithParam<std::string> {};

std::string echo(const std::string& m) { return "re:" + m; }

TEST_P(Contract, UnaryCall) {
  Loopback net(GetParam());
  net.handler.hook = [](ServerSide& call) { answer_unary(call, echo); };
  auto call = net.unary("/etcdserverpb.KV/Put", "hello");
  ASSERT_EQ(net.handler.calls.size(), 1u);
  ServerSide& seen = *net.handler.calls[0];
  EXPECT_EQ(seen.method, "/etcdserverpb.KV/Put");
  EXPECT_EQ(seen.authority, "quorate.test:2379");
  EXPECT_EQ(seen.reader->order(), "message half_close end");
  EXPECT_EQ(seen.reader->cause, EndCause::kFinished);
  EXPECT_EQ(call.reader->order(), "headers message end");
  EXPECT_EQ(call.reader->messages, std::vector<std::string>{"re:hello"});
  EXPECT_EQ(call.reader->code, 0u);
  EXPECT_EQ(net.ready, 1);
  EXPECT_EQ(net.session()->open_calls(), 0u);
  EXPECT_EQ(net.server->session()->open_calls(), 0u);
  EXPECT_EQ(net.server->charged(), 0);
}

// Where a transport offers it.
plugin::LongMessage* long_message(ServerSide& call) {
  return static_cast<plugin::LongMessage*>(call.writer->query(plugin::LongMessage::kId));
}
void add_piece(plugin::LongMessage* message, std::string_view bytes) {
  const plugin::Buffer piece = buffer(bytes);
  message->piece({&piece, 1});
}

TEST_P(Contract, AMessageMayComeInPieces) {
  Loopback net(GetParam());
  auto call = net.unary("/p.S/M", "question");
  ServerSide& side = *net.handler.calls.at(0);
  plugin::LongMessage* message = long_message(side);
  if (message == nullptr) {
    EXPECT_NE(GetParam(), kGrpc);
    GTEST_SKIP() << GetParam() << " has no long messages";
  }
  call.writer->request(1);
  message->begin(9);
  add_piece(message, "one ");
  write(side.writer.get(), "not now");
  net.run();
  EXPECT_TRUE(call.reader->messages.empty()) << "half a message";
  add_piece(message, "two ");
  add_piece(message, "3");
  write(side.writer.get(), "after");
  finish(side.writer.get());
  net.run();
  EXPECT_EQ(call.reader->messages.at(0), "one two 3");
  EXPECT_EQ(call.reader->messages.size(), 2u);
  EXPECT_EQ(call.reader->code, 0u);
  EXPECT_EQ(net.server->charged(), 0);
}

TEST_P(Contract, AMessageThatIsCutShortOrTooLongIsAnError) {
  for (bool too_long : {false, true}) {
    Loopback net(GetParam());
    auto call = net.unary("/p.S/M", "question");
    ServerSide& side = *net.handler.calls.at(0);
    plugin::LongMessage* message = long_message(side);
    if (message == nullptr) GTEST_SKIP() << GetParam() << " has no long messages";
    message->begin(9);
    add_piece(message, too_long ? "more than nine" : "one ");
    finish(side.writer.get(), 14, "it went away");
    net.run();
    EXPECT_TRUE(call.reader->messages.empty());
    EXPECT_TRUE(call.reader->ended);
    EXPECT_NE(call.reader->code, 0u);
    EXPECT_EQ(net.server->charged(), 0);
  }
}

TEST_P(Contract, FinishInsideOnCallWithoutReader) {
  Loopback net(GetParam());
  net.handler.refuse_reader = true;
  net.handler.hook = [](ServerSide& call) { finish(call.writer.get(), 12, "unknown service p.S"); };
  auto call = net.unary("/p.S/M", "x");
  EXPECT_EQ(call.reader->order(), "end");
  EXPECT_EQ(call.reader->code, 12u);
  EXPECT_EQ(call.reader->end_text, "unknown service p.S");
  EXPECT_EQ(net.server->charged(), 0);
}

TEST_P(Contract, MetadataBothWays) {
  Loopback net(GetParam());
  const std::string binary("\0\xff\x01raw", 6);
  net.handler.hook = [&](ServerSide& call) {
    HeaderViews headers({{"x-initial", "1"}, {"x-initial-bin", binary}, {"grpc-status", "9"}});
    call.writer->headers(headers.view());
    HeaderViews trailers({{"x-trailer-bin", binary}, {"x-trailer", "t"}});
    finish(call.writer.get(), 5, "no \xe2\x82\xac 100% \n", trailers.view());
  };
  auto call = net.open("/p.S/M", {{"token", "abc"}, {"blob-bin", binary}, {"te", "no"}}, 0);
  net.run();
  Metadata want = {{"token", "abc"}, {"blob-bin", binary}};
  Metadata initial = {{"x-initial", "1"}, {"x-initial-bin", binary}};
  if (GetParam() == kGrpc) {  // some names are the protocol's own there
    want.insert(want.begin(), {{"content-type", "application/grpc"}, {"user-agent", "quorate"}});
  } else {
    want.emplace_back("te", "no");
    initial.emplace_back("grpc-status", "9");
  }
  EXPECT_EQ(net.handler.calls[0]->metadata, want);
  EXPECT_EQ(call.reader->headers, initial);
  EXPECT_EQ(call.reader->trailers, (Metadata{{"x-trailer-bin", binary}, {"x-trailer", "t"}}));
  EXPECT_EQ(call.reader->code, 5u);
  EXPECT_EQ(call.reader->end_text, "no \xe2\x82\xac 100% \n");
}

TEST_P(Contract, DeadlineTravels) {
  Loopback net(GetParam());
  net.run();
  auto call = net.open("/p.S/M", {}, net.client->now_ns() + 1'500'000'000);
  net.run();
  EXPECT_EQ(net.handler.calls[0]->deadline_ns, net.server->now_ns() + 1'500'000'000);
}

TEST_P(Contract, MessageLargerThanTheWindow) {
  Loopback net(GetParam());
  const std::string big(1'500'000, 'q');
  net.handler.hook = [](ServerSide& call) {
    answer_unary(call, [](const std::string& m) { return m + m.substr(7); });
  };
  auto call = net.unary("/p.S/M", big);
  ASSERT_TRUE(call.reader->ended);
  EXPECT_EQ(call.reader->code, 8u) << "the answer is above the client's 2 MiB";
  EXPECT_EQ(net.handler.calls[0]->reader->messages.at(0), big);
  plugin::TransportLimits wide;
  wide.max_receive_message = 4u << 20;
  Loopback second(GetParam(), {}, wide);
  second.handler.hook = net.handler.hook;
  call = second.unary("/p.S/M", big);
  EXPECT_EQ(call.reader->code, 0u);
  EXPECT_EQ(call.reader->messages.at(0), big + big.substr(7));
}

TEST_P(Contract, MessageAboveTheLimit) {
  plugin::TransportLimits limits;
  limits.max_receive_message = 1000;
  Loopback net(GetParam(), limits);
  auto call = net.unary("/p.S/M", std::string(1001, 'x'));
  EXPECT_EQ(call.reader->code, 8u);
  EXPECT_NE(call.reader->end_text.find("received message larger than max (1001 vs. 1000)"), std::string::npos)
      << call.reader->end_text;
  EXPECT_EQ(net.handler.calls[0]->reader->cause, EndCause::kProtocolError);
  EXPECT_EQ(net.handler.calls[0]->reader->order(), "end");
}

TEST_P(Contract, CreditHoldsMessagesBack) {
  Loopback net(GetParam());
  auto call = net.open();
  for (int i = 0; i < 5; ++i) write(call.writer.get(), std::to_string(i));
  call.writer->half_close();
  net.run();
  ServerSide& seen = *net.handler.calls.at(0);
  EXPECT_EQ(seen.reader->order(), "message");
  seen.writer->request(2);
  EXPECT_EQ(seen.reader->order(), "message") << "request() called back";
  net.run();
  EXPECT_EQ(seen.reader->order(), "message message message");
  seen.writer->request(100);
  net.run();
  EXPECT_EQ(seen.reader->order(), "message message message message message half_close");
  finish(seen.writer.get());
  net.run();
  EXPECT_TRUE(call.reader->ended);
}

TEST_P(Contract, AnUnreadCallDoesNotBlockTheOthers) {
  Loopback net(GetParam());
  std::vector<Loopback::ClientSide> stuck;
  for (int i = 0; i < 40; ++i) {
    stuck.push_back(net.open("/p.S/Stuck"));
    for (int k = 0; k < 40; ++k) write(stuck.back().writer.get(), std::string(10'000, 's'));
  }
  net.run();
  EXPECT_GT(stuck[0].writer->queued_bytes(), 200'000u);
  EXPECT_LT(net.server->charged(), 40 * 200'000);
  net.handler.hook = [](ServerSide& call) { answer_unary(call, echo); };
  auto call = net.unary("/p.S/M", "free");
  EXPECT_EQ(call.reader->messages, std::vector<std::string>{"re:free"});
}

TEST_P(Contract, ClientCreditAndTheEndAfterIt) {
  Loopback net(GetParam());
  net.handler.hook = [](ServerSide& call) {
    for (int i = 0; i < 3; ++i) write(call.writer.get(), std::to_string(i));
    finish(call.writer.get(), 0);
  };
  auto call = net.open();
  net.run();
  EXPECT_EQ(call.reader->order(), "headers message");
  call.writer->request(1);
  net.run();
  EXPECT_EQ(call.reader->order(), "headers message message");
  call.writer->request(1);
  net.run();
  EXPECT_EQ(call.reader->order(), "headers message message message end");
  EXPECT_EQ(net.session()->open_calls(), 0u);
}

TEST_P(Contract, CancelFromTheClient) {
  Loopback net(GetParam());
  auto call = net.open();
  write(call.writer.get(), "m");
  net.run();
  call.writer->cancel();
  EXPECT_FALSE(call.reader->ended) << "cancel() called back";
  net.run();
  EXPECT_EQ(call.reader->cause, EndCause::kCancelled);
  EXPECT_EQ(call.reader->code, 1u);
  ServerSide& seen = *net.handler.calls.at(0);
  EXPECT_EQ(seen.reader->cause, EndCause::kCancelled);
  EXPECT_EQ(seen.reader->code, 1u);
  // After the end everything is a no-op.
  write(seen.writer.get(), "late");
  finish(seen.writer.get());
  seen.writer->request(3);
  write(call.writer.get(), "late");
  call.writer->half_close();
  call.writer->cancel();
  net.run();
  EXPECT_EQ(seen.writer->queued_bytes(), 0u);
}

TEST_P(Contract, EarlyFinishStopsTheClient) {
  Loopback net(GetParam());
  net.handler.hook = [](ServerSide& call) { finish(call.writer.get(), 7, "no"); };
  auto call = net.open();
  net.run();
  EXPECT_EQ(call.reader->order(), "end");
  EXPECT_EQ(call.reader->code, 7u);
  EXPECT_EQ(net.session()->open_calls(), 0u);
  EXPECT_EQ(net.server->session()->open_calls(), 0u);
}

TEST_P(Contract, ConnectionLossEndsEveryCall) {
  Loopback net(GetParam());
  auto a = net.open();
  auto b = net.open();
  net.run();
  net.client->lose();
  net.server->lose();
  for (auto* side : {&a, &b}) {
    EXPECT_EQ(side->reader->cause, EndCause::kConnectionLost);
    EXPECT_EQ(side->reader->code, 14u);
    side->writer->cancel();
  }
  for (auto& seen : net.handler.calls) {
    EXPECT_EQ(seen->reader->cause, EndCause::kConnectionLost);
    finish(seen->writer.get());
  }
  EXPECT_FALSE(net.open().status.ok());
}

TEST_P(Contract, OnWritableOnceWhenTheQueueHasFallen) {
  plugin::TransportLimits limits;
  limits.send_mark = 100'000;
  Loopback net(GetParam(), limits);
  auto call = net.open();
  net.run();
  ServerSide& seen = *net.handler.calls.at(0);
  for (int i = 0; i < 50; ++i) write(seen.writer.get(), std::string(10'000, 'w'));
  EXPECT_GE(seen.writer->queued_bytes(), 500'000u);
  net.run();
  EXPECT_FALSE(seen.reader->saw("writable")) << "the client has not asked for more than one message";
  EXPECT_GT(seen.writer->queued_bytes(), 50'000u);
  call.writer->request(1000);
  net.run();
  EXPECT_EQ(seen.writer->queued_bytes(), 0u);
  EXPECT_EQ(seen.reader->order(), "writable");
  EXPECT_EQ(call.reader->messages.size(), 50u);
}

TEST_P(Contract, TheSocketsQueueIsBounded) {
  plugin::TransportLimits limits;
  limits.send_mark = 64 << 10;
  plugin::TransportLimits client;
  client.max_receive_message = 64 << 20;
  std::vector<std::pair<std::string, std::string>> options = {{"stream-window", "16777216"}};
  if (GetParam() == kGrpc) options.emplace_back("connection-window", "16777216");
  Loopback net(GetParam(), limits, client, options);
  auto call = net.open();
  net.run();
  ServerSide& seen = *net.handler.calls.at(0);
  write(seen.writer.get(), std::string(8 << 20, 'b'));
  net.server->turn();
  EXPECT_LT(net.server->queued_bytes(), 64u << 10 | 32u << 10);
  net.run();
  EXPECT_EQ(call.reader->messages.at(0).size(), 8u << 20);
}

TEST_P(Contract, OneSendPerTurn) {
  Loopback net(GetParam());
  net.handler.hook = [](ServerSide& call) { answer_unary(call, echo); };
  net.run();
  std::vector<Loopback::ClientSide> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(net.open());
    write(calls.back().writer.get(), "m");
    calls.back().writer->half_close();
  }
  uint64_t before = net.client->sends();
  net.client->turn();
  EXPECT_EQ(net.client->sends(), before + 1);
  before = net.server->sends();
  net.server->feed(net.client->take());
  EXPECT_EQ(net.server->sends(), before) << "nothing is sent before the flush";
  net.server->turn();
  EXPECT_EQ(net.server->sends(), before + 1);
  net.run();
  for (auto& call : calls) EXPECT_EQ(call.reader->code, 0u);
}

TEST_P(Contract, DrainServesWhatIsOnItsWay) {
  Loopback net(GetParam());
  net.handler.hook = [](ServerSide& call) { answer_unary(call, echo); };
  net.run();
  auto running = net.open();
  net.run();
  net.server->session()->drain();
  auto crossing = net.open();
  write(crossing.writer.get(), "c");
  crossing.writer->half_close();
  net.run();
  EXPECT_EQ(net.draining, 1);
  EXPECT_EQ(crossing.reader->code, 0u) << crossing.reader->end_text;
  EXPECT_FALSE(net.open().status.ok());
  EXPECT_FALSE(net.server->close_asked());
  write(running.writer.get(), "r");
  running.writer->half_close();
  net.run();
  EXPECT_EQ(running.reader->messages, std::vector<std::string>{"re:r"});
  EXPECT_TRUE(net.server->close_asked());
  EXPECT_FALSE(net.server->aborted());
}

// Whatever the pieces in which bytes travel, core sees the same; and the same seed gives the same bytes.
std::string mixed_run(const std::string& plugin, uint64_t seed) {
  std::mt19937_64 random(seed), choice(42);
  Loopback net(plugin);
  net.handler.hook = [](ServerSide& call) {
    plugin::Ref<plugin::ServerWriter> writer = call.writer;
    Recorder* reader = call.reader.get();
    reader->message_hook = [writer](const std::string& m) {
      write(writer.get(), echo(m));
      writer->request(1);
    };
    reader->half_close_hook = [writer] { finish(writer.get(), 0); };
  };
  std::vector<Loopback::ClientSide> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(net.open());
    calls.back().writer->request(100);
    for (uint64_t k = choice() % 5; k > 0; --k) {
      write(calls.back().writer.get(), std::string(choice() % 40'000, static_cast<char>('a' + i)));
    }
    calls.back().writer->half_close();
    if (i % 3 == 0) net.run(&random);
  }
  net.run(&random);
  std::string transcript;
  for (auto& call : calls) {
    transcript += call.reader->order() + "|";
    for (auto& m : call.reader->messages) transcript += std::to_string(std::hash<std::string>()(m)) + ",";
    transcript += std::to_string(call.reader->code) + "\n";
  }
  return transcript;
}

TEST_P(Contract, AnyChunkingGivesTheSame) {
  const std::string want = mixed_run(GetParam(), 1);
  EXPECT_NE(want.find("headers message message end|"), std::string::npos) << want;
  for (uint64_t seed = 2; seed < 12; ++seed) EXPECT_EQ(mixed_run(GetParam(), seed), want) << "seed " << seed;
}

TEST_P(Contract, AMessageAboveTheSendLimit) {
  plugin::TransportLimits limits;
  limits.max_send_message = 100;
  for (bool server : {true, false}) {
    Loopback net(GetParam(), server ? limits : plugin::TransportLimits(),
                 server ? plugin::TransportLimits() : limits);
    net.handler.hook = [](ServerSide& call) { write(call.writer.get(), std::string(101, 'x')); };
    auto call = net.unary("/p.S/M", std::string(server ? 1 : 101, 'q'));
    EXPECT_EQ(call.reader->code, 8u);
    EXPECT_NE(call.reader->end_text.find("trying to send message larger than max (101 vs. 100)"),
              std::string::npos)
        << call.reader->end_text;
  }
}

TEST_P(Contract, MessagesKeepTheirOrderAcrossCredit) {
  Loopback net(GetParam());
  auto call = net.open();
  std::vector<std::string> want;
  for (int i = 0; i < 200; ++i) want.push_back(std::to_string(i) + std::string(i % 7 * 3000, 'x'));
  for (const std::string& m : want) write(call.writer.get(), m);
  call.writer->half_close();
  std::mt19937_64 random(5);
  net.run(&random);
  ServerSide& seen = *net.handler.calls.at(0);
  for (int i = 0; i < 1000 && !seen.reader->saw("half_close"); ++i) {
    seen.writer->request(random() % 9);
    net.run(&random);
  }
  EXPECT_EQ(seen.reader->messages, want);
  EXPECT_EQ(seen.reader->events.back(), "half_close");
  EXPECT_LT(net.server->charged(), 4096) << "the call is open, but nothing waits in it any more";
}

TEST_P(Contract, MoreCallsThanTheServerTakesWait) {
  plugin::TransportLimits limits;
  limits.max_concurrent_streams = 3;
  Loopback net(GetParam(), limits);
  net.run();
  std::vector<Loopback::ClientSide> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(net.open("/p.S/" + std::to_string(i)));
    write(calls.back().writer.get(), "m");
  }
  net.run();
  EXPECT_EQ(net.handler.count, 3u);
  calls[8].writer->cancel();
  for (size_t i = 0; i < 9; ++i) {
    if (i < net.handler.calls.size()) finish(net.handler.calls[i]->writer.get(), 0);
    net.run();
  }
  EXPECT_EQ(net.handler.count, 9u) << "the one that was cancelled while it waited never came";
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(calls[i].reader->code, i == 8 ? 1u : 0u) << i;
  EXPECT_EQ(net.session()->open_calls(), 0u);
}

TEST_P(Contract, CancelWhileMessagesWaitForCredit) {
  Loopback net(GetParam());
  net.handler.hook = [](ServerSide& call) {
    for (int i = 0; i < 3; ++i) write(call.writer.get(), std::to_string(i));
    finish(call.writer.get(), 0);
  };
  auto call = net.open();
  net.run();
  EXPECT_EQ(call.reader->order(), "headers message");
  call.writer->cancel();
  EXPECT_FALSE(call.reader->ended) << "cancel() called back";
  net.run();
  EXPECT_EQ(call.reader->code, 1u);
  EXPECT_EQ(net.session()->open_calls(), 0u);
  EXPECT_EQ(net.client->charged(), 0);
}

TEST_P(Contract, ABudgetIsKept) {
  Loopback net(GetParam());
  net.server->set_budget(1 << 20);
  std::vector<Loopback::ClientSide> calls;
  for (int i = 0; i < 200; ++i) {
    calls.push_back(net.open("/p.S/Stuck"));
    for (int k = 0; k < 5; ++k) write(calls.back().writer.get(), std::string(10'000, 's'));
    net.run();
    ASSERT_LT(net.server->charged(), (1 << 20) + 200'000);
  }
  uint64_t shed = 0;
  for (auto& call : calls) {
    if (!call.reader->ended) continue;
    ++shed;
    EXPECT_EQ(call.reader->code, 8u) << call.reader->end_text;
  }
  EXPECT_GT(shed, 0u);
  EXPECT_LT(shed, 200u);
}

TEST_P(Contract, KeepaliveOfBothSides) {
  plugin::TransportLimits limits;
  limits.keepalive_interval_ns = 60'000'000'000;
  Loopback net(GetParam(), limits);
  net.run();
  net.server->advance(60'000'000'001);
  net.run();
  net.server->advance(59'000'000'000);
  EXPECT_FALSE(net.server->failed()) << "the client has answered";
  net.server->advance(1'000'000'001);
  net.server->advance(20'000'000'001);
  EXPECT_NE(net.server->failure().find("keepalive"), std::string::npos) << "nobody has answered";
}

TEST_P(Contract, HandshakeTimeout) {
  Loopback net(GetParam());
  net.client->turn();
  net.server->feed(net.client->take().substr(0, 5));
  net.server->advance(9'999'999'999);
  EXPECT_FALSE(net.server->failed());
  net.server->advance(2);
  EXPECT_TRUE(net.server->failed());
  net.client->advance(10'000'000'001);
  EXPECT_TRUE(net.client->failed()) << "nor did the server say anything";
}

TEST_P(Contract, DrainOfAPeerThatDoesNotAnswer) {
  Loopback net(GetParam());
  net.run();
  net.server->session()->drain();
  net.server->turn();
  EXPECT_FALSE(net.server->close_asked());
  net.server->advance(5'000'000'001);
  net.server->turn();
  EXPECT_TRUE(net.server->close_asked());
}

TEST_P(Contract, DrainOfAClientEndsWithItsLastCall) {
  Loopback net(GetParam());
  net.handler.hook = [](ServerSide& call) { answer_unary(call, echo); };
  auto call = net.open();
  net.run();
  net.session()->drain();
  EXPECT_FALSE(net.open().status.ok());
  net.run();
  EXPECT_FALSE(net.client->close_asked());
  write(call.writer.get(), "x");
  call.writer->half_close();
  net.run();
  EXPECT_EQ(call.reader->code, 0u);
  EXPECT_TRUE(net.client->close_asked());
}

// The other calls do not wait for a large message, in either direction.
TEST_P(Contract, ALargeMessageHoldsUpNoOther) {
  plugin::TransportLimits limits;
  limits.max_receive_message = 64 << 20;
  limits.send_mark = 128 << 10;
  Loopback net(GetParam(), limits, limits);
  net.run();
  auto large = net.open("/p.S/Large");
  write(large.writer.get(), std::string(8 << 20, 'L'));
  net.client->turn();
  auto small = net.open("/p.S/Small");
  write(small.writer.get(), "s");
  uint64_t carried = 0;
  auto arrived = [&] {
    for (auto& call : net.handler.calls) {
      if (call->method == "/p.S/Small") return !call->reader->messages.empty();
    }
    return false;
  };
  for (int i = 0; i < 10'000 && !arrived(); ++i) {
    std::string bytes = net.client->take(10'000);
    carried += bytes.size();
    net.server->feed(bytes);
    net.server->turn();
    net.client->feed(net.server->take());
    net.client->turn();
  }
  EXPECT_TRUE(arrived());
  EXPECT_LT(carried, 300'000u);
}

INSTANTIATE_TEST_SUITE_P(Transports, Contract, testing::Values(kGrpc, kTcp),
                         [](const auto& info) { return info.param.substr(sizeof "transport-" - 1); });

}  // namespace
}  // namespace quorate::test
