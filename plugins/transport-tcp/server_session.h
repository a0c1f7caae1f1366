// The server's side: calls in, answers out.
#pragma once

#include <string>
#include <vector>

#include "session.h"

namespace quorate::tcp {

class ServerSession;

class ServerCall final : public SharedCall<plugin::ServerWriter> {
 public:
  void write(plugin::View<plugin::Buffer> message) noexcept override;
  uint64_t queued_bytes() noexcept override { return out.bytes(); }
  void request(uint64_t messages) noexcept override;
  void headers(plugin::View<plugin::Header> initial) noexcept override;
  void finish(uint32_t code, plugin::ByteView text, plugin::View<plugin::Header> trailers) noexcept override;

 private:
  friend class ServerSession;
  bool open() const { return session != nullptr && !ended && !finishing; }
  void reset();

  plugin::CallInfo info_;
  bool started_ = false;      // headers() or write() was called
  std::string finish_block_;  // FINISH's payload, until the messages are sent
};

class ServerSession final : public SessionOf<plugin::Session> {
 public:
  static plugin::Status make(plugin::Connection* connection, const Options& options,
                             plugin::CallHandler* handler, plugin::Session** out);
  void drain() noexcept override;

 private:
  friend class ServerCall;
  ServerSession(plugin::Connection* connection, const Options& options, plugin::CallHandler* handler)
      : SessionOf(connection, options, true), handler_(handler) {}
  ~ServerSession() override;

  plugin::Status receive(const Frame& frame) override;
  void refuse_message(Call* call, uint32_t code, std::string_view text) override;
  bool recycle(Call* call) override;
  bool take_turn(Call* call) override;
  void end_of_output(Call* call) override;
  void drain_step() override;

  plugin::Status opened(const Frame& frame);
  void refuse(uint32_t id, uint32_t code, std::string_view why);
  ServerCall* fresh_call();
  void hand_over(ServerCall* call, uint64_t remaining_ns);

  plugin::CallHandler* handler_;
  std::vector<ServerCall*> spare_;
};

}  // namespace quorate::tcp
