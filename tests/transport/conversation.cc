#include "transport/conversation.h"

#include <gtest/gtest.h>

namespace quorate::test {
namespace {

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

}  // namespace

Recording record_conversation(const std::string& plugin) {
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

Served serve_bytes(plugin::Transport* transport, std::string bytes, bool small_budget,
                   std::mt19937_64* random) {
  Handler handler;
  handler.hook = serve_anything;
  auto connection = plugin::make<FakeConnection>();
  if (small_budget) connection->set_budget(20'000);
  plugin::Session* session = nullptr;
  EXPECT_TRUE(transport->serve(connection.get(), &handler, &session).ok());
  connection->attach(session);
  while (!bytes.empty()) {
    size_t size = std::min<size_t>(bytes.size(), 1 + (*random)() % 700);
    if (!connection->feed(bytes.substr(0, size))) break;
    bytes.erase(0, size);
    if ((*random)() % 4 != 0 && !connection->turn()) break;
    if ((*random)() % 2 != 0) connection->take();
    if ((*random)() % 16 == 0) connection->advance(1'000'000'000);
    if ((*random)() % 200 == 0 && !connection->closed()) session->drain();
  }
  connection->turn();
  Served out{connection->failed() || connection->close_asked(), handler.count};
  connection->lose();
  for (auto& call : handler.calls) EXPECT_TRUE(call->reader->ended);
  return out;
}

uint64_t dial_bytes(plugin::Transport* transport, std::string bytes, std::mt19937_64* random) {
  auto connection = plugin::make<FakeConnection>();
  plugin::ClientSession* session = nullptr;
  EXPECT_TRUE(transport->dial(connection.get(), {}, &session).ok());
  connection->attach(session);
  std::vector<plugin::Ref<Recorder>> readers;
  std::vector<plugin::Ref<plugin::ClientWriter>> writers;
  for (int k = 0; k < 6; ++k) {
    readers.push_back(plugin::make<Recorder>());
    plugin::CallInfo info;
    info.method = view("/p.S/M");
    writers.emplace_back();
    EXPECT_TRUE(session->open_call(info, readers.back().get(), writers.back().out()).ok());
    writers.back()->request((*random)() % 5);
    if (k % 2 == 0) writers.back()->half_close();
  }
  connection->turn();
  connection->take();
  while (!bytes.empty()) {
    size_t size = std::min<size_t>(bytes.size(), 1 + (*random)() % 700);
    if (!connection->feed(bytes.substr(0, size))) break;
    bytes.erase(0, size);
    if ((*random)() % 4 != 0 && !connection->turn()) break;
    connection->take();
    if ((*random)() % 30 == 0) writers[(*random)() % 6]->cancel();
    if ((*random)() % 10 == 0) writers[(*random)() % 6]->request(3);
  }
  connection->turn();
  uint64_t ended = 0;
  for (auto& reader : readers) ended += reader->ended ? 1 : 0;
  connection->lose();
  for (auto& reader : readers) EXPECT_TRUE(reader->ended);
  return ended;
}

}  // namespace quorate::test
