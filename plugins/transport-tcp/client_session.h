// The client's side: calls out, answers in.
#pragma once

#include <string>

#include "session.h"

namespace quorate::tcp {

class ClientSessionImpl;

class ClientCall final : public SharedCall<plugin::ClientWriter> {
 public:
  void write(plugin::View<plugin::Buffer> message) noexcept override;
  uint64_t queued_bytes() noexcept override { return out.bytes(); }
  void request(uint64_t messages) noexcept override;
  void half_close() noexcept override;
  void cancel() noexcept override;

 private:
  friend class ClientSessionImpl;
  bool open() const { return session != nullptr && !ended && !has_local_end; }
  void give_up(plugin::EndCause cause, uint32_t code, std::string text);

  uint64_t deadline_ns_ = 0;
  // Of FINISH; text and trailers lie in `block`.
  uint32_t code_ = 0;
  std::string_view text_;
};

class ClientSessionImpl final : public SessionOf<plugin::ClientSession> {
 public:
  static plugin::Status make(plugin::Connection* connection, const Options& options,
                             const plugin::DialInfo& info, plugin::ClientSession** out);
  plugin::Status open_call(const plugin::CallInfo& info, plugin::StreamReader* reader,
                           plugin::ClientWriter** out) noexcept override;
  void drain() noexcept override;

 private:
  friend class ClientCall;
  ClientSessionImpl(plugin::Connection* connection, const Options& options, const plugin::DialInfo& info);
  ~ClientSessionImpl() override = default;

  plugin::Status receive(const Frame& frame) override;
  void peer_ready() override;
  void refuse_message(Call* call, uint32_t code, std::string_view text) override;
  void before_data(Call* call) override;
  void drained(Call* call) override;
  void detached(Call* call) override;
  bool take_turn(Call* call) override;
  void end_of_output(Call* call) override;

  plugin::Status open(const plugin::CallInfo& info, plugin::StreamReader* reader, plugin::ClientWriter** out);
  plugin::Status encode_open(const plugin::CallInfo& info, std::string* block) const;
  plugin::Status headers(const Frame& frame, Call* call);
  plugin::Status finished(const Frame& frame, ClientCall* call);
  plugin::Status goaway_received(const Frame& frame);
  bool headers_too_large(uint64_t cost) const {
    return limits_.max_header_bytes != 0 && cost > limits_.max_header_bytes;
  }
  void finish_drain();

  const std::string authority_;
  plugin::DialEvents* const events_;
  CallList<&Call::turn> waiting_;  // for a slot among the calls that the server takes at a time
  bool server_drains_ = false;
};

}  // namespace quorate::tcp
