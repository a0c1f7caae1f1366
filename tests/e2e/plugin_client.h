// A client by a transport plugin's own dial side, over a real socket: the .so as it ships, and a small pump
// between it and the kernel. Belongs to one thread.
#pragma once

#include <google/protobuf/message_lite.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "quorate/plugin/transport.h"
#include "support/process.h"

namespace quorate::test {

// One call: what came of it so far.
class PluginCall final : public plugin::Counted<plugin::StreamReader> {
 public:
  std::vector<std::string> messages;
  bool ended = false;
  plugin::EndCause cause = plugin::EndCause::kFinished;
  uint32_t code = 99;
  std::string text;
  plugin::Ref<plugin::ClientWriter> writer;

  void send(const google::protobuf::MessageLite& message);
  void on_headers(plugin::View<plugin::Header>) noexcept override {}
  void on_message(plugin::Buffer message) noexcept override;
  void on_half_close() noexcept override {}
  void on_writable() noexcept override {}
  void on_end(const plugin::End& end) noexcept override;
};

class PluginClient {
 public:
  // Connects to a port of the loopback; throws std::runtime_error.
  PluginClient(const std::string& plugin, uint16_t port);
  ~PluginClient();
  PluginClient(const PluginClient&) = delete;
  PluginClient& operator=(const PluginClient&) = delete;

  plugin::Ref<PluginCall> open(std::string_view method);
  // A unary call to its end. False: it did not end with OK within a minute; `why` says what came.
  bool call(std::string_view method, const google::protobuf::MessageLite& request,
            google::protobuf::MessageLite* response, std::string* why);
  // Carries bytes until the condition holds. False: the time is over, or the connection is.
  bool run_until(const std::function<bool()>& done, Millis limit = Millis(60000));
  bool draining() const;
  bool closed() const;
  const std::string& failure() const;  // of the session, if it gave up

 private:
  class Pump;
  plugin::Ref<Pump> pump_;
};

}  // namespace quorate::test
