// The client's side: calls out, answers in.
#pragma once

#include <string>

#include "session.h"

namespace quorate::grpc {

class ClientSessionImpl;

class ClientCall final : public SharedCall<plugin::ClientWriter> {
 public:
  void write(plugin::View<plugin::Buffer> message) noexcept override;
  uint64_t queued_bytes() noexcept override { return out.bytes(); }
  void request(uint64_t messages) noexcept override;
  void half_close() noexcept override;
  void cancel() noexcept override;
  bool submit_end_of_body() override { return false; }

 private:
  friend class ClientSessionImpl;
  bool open() const { return session != nullptr && !ended; }
  void give_up(plugin::EndCause cause, uint32_t code, std::string text);

  uint32_t http_status_ = 0;
  uint32_t grpc_status_ = 0;
  bool has_grpc_status_ = false;
  bool has_content_type_ = false;
  bool is_grpc_ = false;
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

  Call* begin_call(int32_t) override { return nullptr; }  // a server opens no streams: push is off
  void field(Call* call, std::string_view name, std::string_view value) override;
  void headers_complete(Call* call, bool end_stream) override;
  void peer_ready() override;
  void peer_goaway() override;
  void refuse_message(Call* call, uint32_t code, std::string_view text) override;
  void stream_over(Call* call, uint32_t error, bool peer_reset) override;
  void drained(Call* call) override;

  plugin::Status open(const plugin::CallInfo& info, plugin::StreamReader* reader, plugin::ClientWriter** out);
  void end_of_answer(ClientCall* call);
  void finish_drain();

  const std::string authority_;
  plugin::DialEvents* const events_;
  bool server_drains_ = false;
};

}  // namespace quorate::grpc
