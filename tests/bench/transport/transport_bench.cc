// CPU of a transport's server side per call, without a network: the bytes of a client of the same plugin are
// recorded once and replayed into fresh server sessions, so that only the server is measured.
//
//   transport_bench [calls]
#include <time.h>

#include <cstdio>
#include <cstdlib>

#include "transport/peers.h"

namespace quorate::test {
namespace {

uint64_t cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

// A connection that throws away what it is given to send.
class Sink final : public plugin::Counted<plugin::Connection> {
 public:
  Sink() { info_.limits = &limits_; }
  const plugin::ConnectionInfo& info() noexcept override { return info_; }
  uint64_t now_ns() noexcept override { return now_ += 1000; }
  void send(plugin::View<plugin::Buffer> bytes) noexcept override {
    ++sends;
    for (const plugin::Buffer& b : bytes) sent += b.size();
  }
  uint64_t queued_bytes() noexcept override { return 0; }
  void request_flush() noexcept override { flush = true; }
  void pause_read() noexcept override {}
  void resume_read() noexcept override {}
  void arm(uint64_t) noexcept override {}
  bool charge(int64_t) noexcept override { return true; }
  void close(plugin::CloseMode) noexcept override {}
  bool flush = false;
  uint64_t sends = 0;
  uint64_t sent = 0;

 private:
  plugin::TransportLimits limits_;
  plugin::ConnectionInfo info_;
  uint64_t now_ = 1'000'000'000;
};

// Answers every message with a few bytes, or with `fan` messages of `event`.
class Answerer final : public plugin::CallHandler {
 public:
  plugin::Buffer reply = buffer(std::string(30, 'r'));
  plugin::Buffer event;
  uint64_t fan = 0;
  uint64_t calls = 0;

  class Reader final : public plugin::Counted<plugin::StreamReader> {
   public:
    Answerer* owner = nullptr;
    plugin::Ref<plugin::ServerWriter> writer;
    void on_headers(plugin::View<plugin::Header>) noexcept override {}
    void on_message(plugin::Buffer message) noexcept override { message_ = std::move(message); }
    void on_half_close() noexcept override {
      for (uint64_t i = 0; i < owner->fan; ++i) writer->write({&owner->event, 1});
      if (owner->fan == 0) writer->write({&owner->reply, 1});
      writer->finish(0, {}, {});
      writer.reset();
    }
    void on_writable() noexcept override {}
    void on_end(const plugin::End&) noexcept override {}

   private:
    plugin::Buffer message_;
  };

  void on_call(const plugin::CallInfo&, plugin::ServerWriter* writer,
               plugin::StreamReader** out) noexcept override {
    ++calls;
    auto reader = plugin::make<Reader>();
    reader->owner = this;
    reader->writer = plugin::Ref<plugin::ServerWriter>::share(writer);
    *out = reader.detach();
  }
};

// What a client sends for `batches` turns of `batch` unary calls each.
std::vector<std::string> record(const std::string& name, uint64_t batches, uint64_t batch,
                                uint64_t message_size, uint64_t fan, uint64_t event_size) {
  plugin::TransportLimits limits;
  Loopback net(name, limits, limits);
  net.handler.keep = false;
  net.handler.hook = [&](ServerSide& call) {
    plugin::Ref<plugin::ServerWriter> writer = call.writer;
    call.reader->half_close_hook = [writer, fan, event_size] {
      for (uint64_t i = 0; i < (fan == 0 ? 1 : fan); ++i)
        write(writer.get(), std::string(fan == 0 ? 30 : event_size, 'e'));
      finish(writer.get());
    };
  };
  std::vector<std::string> out;
  std::string message(message_size, 'm');
  for (uint64_t i = 0; i < batches; ++i) {
    std::vector<Loopback::ClientSide> calls;
    for (uint64_t k = 0; k < batch; ++k) {
      calls.push_back(net.open("/etcdserverpb.KV/Put", {{"token", "abcdefgh.123"}},
                               net.client->now_ns() + 5'000'000'000));
      calls.back().writer->request(1u << 20);
      write(calls.back().writer.get(), message);
      calls.back().writer->half_close();
    }
    for (bool quiet = false; !quiet;) {
      net.client->turn();
      std::string bytes = net.client->take();
      quiet = bytes.empty();
      if (!quiet) out.push_back(bytes);
      net.server->feed(bytes);
      net.server->turn();
      std::string back = net.server->take();
      quiet = quiet && back.empty();
      net.client->feed(back);
    }
  }
  return out;
}

void replay(const std::string& name, const char* what, uint64_t calls, uint64_t batch, uint64_t message_size,
            uint64_t fan, uint64_t event_size) {
  auto transport = load_transport(QUORATE_BINARY_DIR, {}, name);
  std::vector<std::string> chunks = record(name, calls / batch, batch, message_size, fan, event_size);
  double best = 1e18;
  for (int round = 0; round < 5; ++round) {
    Answerer answerer;
    answerer.fan = fan;
    answerer.event = buffer(std::string(event_size, 'e'));
    auto connection = plugin::make<Sink>();
    plugin::Session* session = nullptr;
    if (!transport->serve(connection.get(), &answerer, &session).ok()) std::abort();
    uint64_t start = cpu_ns();
    for (const std::string& chunk : chunks) {
      if (!session->on_data({chunk.data(), chunk.size()}).ok()) std::abort();
      while (connection->flush) {
        connection->flush = false;
        if (!session->on_flush().ok()) std::abort();
      }
    }
    double per =
        static_cast<double>(cpu_ns() - start) / static_cast<double>(answerer.calls * (fan == 0 ? 1 : fan));
    best = std::min(best, per);
    if (round == 0)
      std::printf("%-44s calls=%lu sends=%lu bytes=%lu", what, answerer.calls, connection->sends,
                  connection->sent);
    session->on_closed(plugin::Status());
    session->release();
  }
  std::printf("  %.0f ns per %s\n", best, fan == 0 ? "call" : "message");
}

int run(int argc, char** argv) {
  uint64_t calls = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20'000;
  for (const std::string name : {kGrpc, kTcp}) {
    std::printf("%s\n", name.c_str());
    replay(name, "unary 288 B, one call a turn", calls, 1, 288, 0, 0);
    replay(name, "unary 288 B, 10 calls a turn", calls, 10, 288, 0, 0);
    replay(name, "unary 288 B, 100 calls a turn", calls, 100, 288, 0, 0);
    replay(name, "unary 16 KiB, 10 calls a turn", calls / 10, 10, 16384, 0, 0);
    replay(name, "stream of 300 B events, 100 a call", calls / 100, 10, 32, 100, 300);
    replay(name, "stream of 3 KiB events, 100 a call", calls / 200, 10, 32, 100, 3 << 10);
    replay(name, "stream of 64 KiB events, 10 a call", calls / 1000, 1, 32, 10, 64 << 10);
  }
  return 0;
}

}  // namespace
}  // namespace quorate::test

int main(int argc, char** argv) { return quorate::test::run(argc, argv); }
