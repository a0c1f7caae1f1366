// A whole node on virtual time and a disk that loses power, called as a transport would call it: the same
// server, log, store and engine plugin as in production, without sockets.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "api/errors.h"
#include "api/messages.h"
#include "quorate/node.h"
#include "support/fault_files.h"
#include "support/manual_executor.h"
#include "support/plugin_host.h"
#include "wire/codec.h"

namespace quorate::test {

// A call as the client sees it.
class ClientCall final : public plugin::Counted<plugin::ServerWriter> {
 public:
  void headers(plugin::View<plugin::Header>) noexcept override {}
  void write(plugin::View<plugin::Buffer> message) noexcept override;
  uint64_t queued_bytes() noexcept override { return queued; }
  void request(uint64_t messages) noexcept override { credit += messages; }
  void finish(uint32_t code, plugin::ByteView text, plugin::View<plugin::Header>) noexcept override;

  bool ended = false;
  api::GrpcCode code = api::GrpcCode::kOk;
  std::string text;
  std::vector<std::string> messages;
  uint64_t credit = 1;
  uint64_t queued = 0;  // what the test says is waiting for the client
  bool reading = true;  // false: what is written waits in `queued`
  plugin::Ref<plugin::StreamReader> reader;

  bool ok() const { return ended && code == api::GrpcCode::kOk; }
  template <typename Request>
  void send(const Request& request) {
    const std::string bytes = wire::encode_to_string(request);
    reader->on_message(plugin::Buffer::copy_of({bytes.data(), bytes.size()}));
  }
  void cancel();
  // Stops reading, with so much in the queue already; and reads it all, with the notice that a transport
  // owes.
  void stop_reading(uint64_t waiting = 0);
  void read_on();

 private:
  static constexpr uint64_t kMark = plugin::TransportLimits().send_mark / 2;
  bool owes_writable_ = false;
};

class NodeRig {
 public:
  // `engine`: "memory", "rocksdb" or "leveldb".
  NodeRig(std::string engine, uint64_t seed);
  ~NodeRig();

  NodeOptions options;  // for the next start
  ManualExecutor executor;
  plugin::Ref<FaultFiles> files = plugin::make<FaultFiles>();
  plugin::Ref<LogLines> log = plugin::make<LogLines>();
  plugin::Clock* stopwatch = nullptr;  // of the next start; null: the executor's clock
  std::string fatal;
  bool ready = false;

  // Starts the node and lets it become ready.
  plugin::Status start();
  bool running() const { return node_ != nullptr; }
  Node& node() { return *node_; }
  // As SIGTERM does.
  plugin::Status stop();
  // As a power cut does: nothing of the process is left, and of the disk what `cut` keeps.
  void power_cut(PowerCut cut);

  plugin::Ref<ClientCall> open(std::string_view method,
                               std::vector<std::pair<std::string, std::string>> metadata = {},
                               uint64_t deadline_ns = 0, plugin::Connection* connection = nullptr);
  // A unary call; `wait`: until nothing moves any more.
  template <typename Request>
  plugin::Ref<ClientCall> call(std::string_view method, const Request& request, bool wait = true) {
    auto c = open(method);
    if (c->reader) {
      c->send(request);
      c->reader->on_half_close();
    }
    if (wait) executor.run_until_idle();
    return c;
  }
  // The reply's bytes must outlive the message decoded from them: both live in the rig's arena until the next
  // reply.
  template <typename Response>
  Response reply(const ClientCall& c, size_t i = 0) {
    Response response;
    arena_ = std::make_unique<wire::Arena>();
    if (c.messages.size() <= i) throw std::runtime_error("no reply: " + c.text);
    if (wire::decode(&response, arena_->copy(c.messages[i]), *arena_) != wire::DecodeError::kNone) {
      throw std::runtime_error("undecodable reply");
    }
    return response;
  }
  // Shorthands; they throw where the call fails.
  int64_t put(std::string_view key, std::string_view value, int64_t lease = 0);
  std::optional<std::string> get(std::string_view key);

 private:
  std::string engine_name_;
  plugin::Ref<SeededRandom> random_;
  const plugin::Descriptor* descriptor_ = nullptr;
  plugin::Ref<PluginHost> host_;
  plugin::Ref<plugin::Engine> engine_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<wire::Arena> arena_;
};

}  // namespace quorate::test
