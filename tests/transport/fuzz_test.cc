// Recorded valid conversations, mutated: an error or a close is fine, a crash or a broken contract is not.
#include <gtest/gtest.h>

#include <cstdlib>

#include "transport/raw_http2.h"
#include "transport/raw_tcp.h"

namespace quorate::test {
namespace {

uint64_t seed_from_environment() {
  const char* s = std::getenv("QUORATE_SEED");
  return s == nullptr ? 1 : std::strtoull(s, nullptr, 10);
}

uint64_t rounds(uint64_t normal) { return std::getenv("QUORATE_SOAK") == nullptr ? normal : normal * 30; }

void serve_anything(ServerSide& call) {
  plugin::Ref<plugin::ServerWriter> writer = call.writer;
  Recorder* reader = call.reader.get();
  reader->message_hook = [writer](const std::string& m) {
    writer->request(m.size() % 3);
    write(writer.get(), m.substr(0, 3000));
    if (m.size() % 5 == 4) finish(writer.get(), 3, "enough");
  };
  reader->half_close_hook = [writer] { finish(writer.get(), 0); };
}

struct Recording {
  std::string from_client;
  std::string from_server;
};

// Several calls of different kinds, both directions recorded.
Recording record(const std::string& plugin) {
  Loopback net(plugin);
  net.handler.hook = serve_anything;
  Recording out;
  auto carry_recording = [&] {
    for (int quiet = 0; quiet < 3;) {
      net.client->turn();
      net.server->turn();
      std::string a = net.client->take(), b = net.server->take();
      out.from_client += a;
      out.from_server += b;
      quiet = a.empty() && b.empty() ? quiet + 1 : 0;
      net.server->feed(a);
      net.client->feed(b);
    }
  };
  std::vector<Loopback::ClientSide> calls;
  for (int i = 0; i < 6; ++i) {
    calls.push_back(net.open(i % 2 == 0 ? "/p.S/M" : "/p.S/Other",
                             {{"k", std::to_string(i)}, {"b-bin", "\1\2"}},
                             net.client->now_ns() + 1'000'000'000));
    calls.back().writer->request(i);
    for (int k = 0; k <= i; ++k)
      write(calls.back().writer.get(), std::string(static_cast<size_t>(1 + k * 97), 'm'));
    if (i % 3 != 2) calls.back().writer->half_close();
    carry_recording();
  }
  calls[2].writer->cancel();
  calls[5].writer->half_close();
  carry_recording();
  return out;
}

std::string mutate(std::string bytes, std::mt19937_64* random, size_t spare) {
  auto pick = [&](uint64_t n) { return (*random)() % n; };
  for (uint64_t edits = 1 + pick(4); edits > 0; --edits) {
    if (bytes.size() <= spare + 20) break;
    size_t at = spare + pick(bytes.size() - spare - 10);
    switch (pick(6)) {
      case 0:
        bytes[at] = static_cast<char>(pick(256));
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << pick(8)));
        break;
      case 2:
        bytes.erase(at, 1 + pick(9));
        break;
      case 3:
        bytes.insert(at, bytes.substr(spare + pick(bytes.size() - spare), 1 + pick(60)));
        break;
      case 4:
        bytes.resize(at + 1);
        break;
      default:
        for (size_t i = 0; i < 1 + pick(8) && at + i < bytes.size(); ++i)
          bytes[at + i] = static_cast<char>(pick(2) * 255);
    }
  }
  return bytes;
}

// The parameter: the plugin. The sums of transport-tcp are made right again after most mutations, or they
// would catch everything.
class Fuzz : public testing::TestWithParam<std::string> {};

TEST_P(Fuzz, Server) {
  const Recording recording = record(GetParam());
  const uint64_t seed = seed_from_environment();
  auto transport = load_transport(QUORATE_BINARY_DIR, {}, GetParam());
  uint64_t failed = 0, served = 0;
  for (uint64_t i = 0; i < rounds(10'000); ++i) {
    std::mt19937_64 random(seed * 1'000'003 + i);
    SCOPED_TRACE("QUORATE_SEED=" + std::to_string(seed) + " round " + std::to_string(i));
    Handler handler;
    handler.hook = serve_anything;
    auto connection = plugin::make<FakeConnection>();
    if (i % 4 == 0) connection->set_budget(20'000);
    plugin::Session* session = nullptr;
    ASSERT_TRUE(transport->serve(connection.get(), &handler, &session).ok());
    connection->attach(session);
    std::string bytes = mutate(recording.from_client, &random, i % 8 == 0 ? 0 : 32);
    if (GetParam() == kTcp && i % 8 > 1)
      bytes = i % 8 > 4 ? tcp::repaired(bytes) : tcp::shuffled(recording.from_client, &random);
    while (!bytes.empty()) {
      size_t size = std::min<size_t>(bytes.size(), 1 + random() % 700);
      if (!connection->feed(bytes.substr(0, size))) break;
      bytes.erase(0, size);
      if (random() % 4 != 0 && !connection->turn()) break;
      if (random() % 2 != 0) connection->take();
      if (random() % 16 == 0) connection->advance(1'000'000'000);
      if (random() % 200 == 0 && !connection->closed()) session->drain();
    }
    connection->turn();
    failed += connection->failed() || connection->close_asked() ? 1 : 0;
    served += handler.count;
    connection->lose();
    for (auto& call : handler.calls) ASSERT_TRUE(call->reader->ended);
    if (HasFailure()) return;
  }
  EXPECT_GT(failed, rounds(10'000) / 10);
  EXPECT_GT(served, rounds(10'000));
}

TEST_P(Fuzz, Client) {
  const Recording recording = record(GetParam());
  const uint64_t seed = seed_from_environment();
  auto transport = load_transport(QUORATE_BINARY_DIR, {}, GetParam());
  uint64_t ended = 0;
  for (uint64_t i = 0; i < rounds(5'000); ++i) {
    std::mt19937_64 random(seed * 1'000'003 + i);
    SCOPED_TRACE("QUORATE_SEED=" + std::to_string(seed) + " round " + std::to_string(i));
    auto connection = plugin::make<FakeConnection>();
    plugin::ClientSession* session = nullptr;
    ASSERT_TRUE(transport->dial(connection.get(), {}, &session).ok());
    connection->attach(session);
    std::vector<plugin::Ref<Recorder>> readers;
    std::vector<plugin::Ref<plugin::ClientWriter>> writers;
    for (int k = 0; k < 6; ++k) {
      readers.push_back(plugin::make<Recorder>());
      plugin::CallInfo info;
      info.method = view("/p.S/M");
      writers.emplace_back();
      ASSERT_TRUE(session->open_call(info, readers.back().get(), writers.back().out()).ok());
      writers.back()->request(random() % 5);
      if (k % 2 == 0) writers.back()->half_close();
    }
    connection->turn();
    connection->take();
    std::string bytes = mutate(recording.from_server, &random, i % 8 == 0 ? 0 : 32);
    if (GetParam() == kTcp && i % 8 > 1)
      bytes = i % 8 > 4 ? tcp::repaired(bytes) : tcp::shuffled(recording.from_server, &random);
    while (!bytes.empty()) {
      size_t size = std::min<size_t>(bytes.size(), 1 + random() % 700);
      if (!connection->feed(bytes.substr(0, size))) break;
      bytes.erase(0, size);
      if (random() % 4 != 0 && !connection->turn()) break;
      connection->take();
      if (random() % 30 == 0) writers[random() % 6]->cancel();
      if (random() % 10 == 0) writers[random() % 6]->request(3);
    }
    connection->turn();
    for (auto& reader : readers) ended += reader->ended ? 1 : 0;
    connection->lose();
    for (auto& reader : readers) ASSERT_TRUE(reader->ended);
    if (HasFailure()) return;
  }
  EXPECT_GT(ended, rounds(5'000));
}

INSTANTIATE_TEST_SUITE_P(Transports, Fuzz, testing::Values(kGrpc, kTcp),
                         [](const auto& info) { return info.param.substr(sizeof "transport-" - 1); });

}  // namespace
}  // namespace quorate::test
