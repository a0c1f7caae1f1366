// Core's side of calls, for tests: what arrived, in order, and what to answer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "quorate/plugin/transport.h"
#include "support/fake_connection.h"

namespace quorate::test {

inline std::string text(plugin::ByteView v) { return v.empty() ? "" : std::string(v.chars(), v.size); }
inline plugin::ByteView view(std::string_view s) { return {s.data(), s.size()}; }
inline plugin::Buffer buffer(std::string_view s) { return plugin::Buffer::copy_of(view(s)); }

using Metadata = std::vector<std::pair<std::string, std::string>>;
Metadata copy(plugin::View<plugin::Header> headers);

// Metadata as views, for the life of this object.
class HeaderViews {
 public:
  explicit HeaderViews(Metadata metadata);
  plugin::View<plugin::Header> view() const { return {views_.data(), views_.size()}; }

 private:
  Metadata metadata_;
  std::vector<plugin::Header> views_;
};

// Records one call's incoming side and checks the order of what it is told.
class Recorder final : public plugin::Counted<plugin::StreamReader> {
 public:
  std::vector<std::string> events;  // "headers", "message", "half_close", "writable", "end"
  std::vector<std::string> messages;
  Metadata headers;
  Metadata trailers;
  bool ended = false;
  plugin::EndCause cause = plugin::EndCause::kFinished;
  uint32_t code = 99;
  std::string end_text;
  std::function<void(const std::string&)> message_hook;
  std::function<void()> half_close_hook;
  std::function<void()> writable_hook;
  std::function<void()> end_hook;

  void on_headers(plugin::View<plugin::Header> h) noexcept override;
  void on_message(plugin::Buffer message) noexcept override;
  void on_half_close() noexcept override;
  void on_writable() noexcept override;
  void on_end(const plugin::End& end) noexcept override;
  std::string order() const;
  bool saw(const std::string& event) const;

 private:
  void note(const char* event);
};

// One call that a server has got.
struct ServerSide {
  std::string method;
  std::string authority;
  Metadata metadata;
  uint64_t deadline_ns = 0;
  plugin::Ref<plugin::ServerWriter> writer;
  plugin::Ref<Recorder> reader;
};

// Keeps every call; `hook` may answer at once or set the reader's hooks.
class Handler final : public plugin::CallHandler {
 public:
  std::vector<std::shared_ptr<ServerSide>> calls;
  std::function<void(ServerSide&)> hook;
  bool keep = true;  // false: for benchmarks and floods
  bool refuse_reader = false;
  uint64_t count = 0;

  void on_call(const plugin::CallInfo& info, plugin::ServerWriter* writer,
               plugin::StreamReader** out) noexcept override;
};

// Answers a unary call with `reply` once its message has come and been half-closed.
void answer_unary(ServerSide& call, const std::function<std::string(const std::string&)>& reply);

void write(plugin::Writer* writer, std::string_view message);
void finish(plugin::ServerWriter* writer, uint32_t code = 0, std::string_view why = {},
            plugin::View<plugin::Header> trailers = {});

inline constexpr char kGrpc[] = "transport-grpc";
inline constexpr char kTcp[] = "transport-tcp";

// The plugin under test, loaded once. Throws std::runtime_error when it refuses the options.
plugin::Ref<plugin::Transport> load_transport(const char* binary_dir,
                                              std::vector<std::pair<std::string, std::string>> options = {},
                                              const std::string& name = kGrpc);

// A server and a client of the plugin, looped back.
class Loopback {
 public:
  explicit Loopback(const std::string& name, plugin::TransportLimits server = {},
                    plugin::TransportLimits client = {},
                    std::vector<std::pair<std::string, std::string>> options = {});
  ~Loopback();
  // Carries bytes until all is quiet.
  void run(std::mt19937_64* random = nullptr) { carry(client.get(), server.get(), random); }
  plugin::ClientSession* session() { return session_; }
  struct ClientSide {
    plugin::Ref<Recorder> reader;
    plugin::Ref<plugin::ClientWriter> writer;
    plugin::Status status;
  };
  ClientSide open(std::string_view method = "/p.S/M", Metadata metadata = {}, uint64_t deadline_ns = 0);
  // One message, half-closed, carried.
  ClientSide unary(std::string_view method, std::string_view message);

  plugin::Ref<plugin::Transport> transport;
  Handler handler;
  plugin::Ref<FakeConnection> server;
  plugin::Ref<FakeConnection> client;
  int ready = 0;
  int draining = 0;

 private:
  struct Events final : plugin::DialEvents {
    Loopback* owner = nullptr;
    void on_ready() noexcept override { ++owner->ready; }
    void on_draining() noexcept override { ++owner->draining; }
  };
  Events events_;
  plugin::ClientSession* session_ = nullptr;
};

}  // namespace quorate::test
