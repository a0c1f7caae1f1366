// The server's side: requests in, answers out.
#pragma once

#include <string>
#include <vector>

#include "session.h"

namespace quorate::grpc {

class ServerSession;

class ServerCall final : public SharedCall<plugin::ServerWriter>, public plugin::LongMessage {
 public:
  void* query(const char* id) noexcept override;
  void write(plugin::View<plugin::Buffer> message) noexcept override;
  uint64_t queued_bytes() noexcept override { return out.bytes(); }
  void request(uint64_t messages) noexcept override;
  void headers(plugin::View<plugin::Header> metadata) noexcept override;
  void finish(uint32_t code, plugin::ByteView text, plugin::View<plugin::Header> trailers) noexcept override;
  void begin(uint64_t size) noexcept override;
  void piece(plugin::View<plugin::Buffer> bytes) noexcept override;
  bool submit_end_of_body() override;

 private:
  friend class ServerSession;
  // What one field of the request may make of it before on_call; the first in this order is answered.
  struct Refusal {
    bool set = false;
    uint32_t http_status = 200;
    uint32_t code = 0;
    std::string text;
  };
  bool open() const { return session != nullptr && !ended && !finishing; }
  bool admit_message(uint64_t size);
  void start_response(plugin::View<plugin::Header> metadata);
  void end_response(plugin::View<plugin::Header> trailers);
  void add_status(HeaderList* list) const;
  void answer_at_once(uint32_t http_status, uint32_t code, std::string_view text,
                      bool name_encodings = false);
  void reset();

  plugin::CallInfo info_;
  std::string content_type_;  // empty: "application/grpc"
  std::string encoding_;      // the request's grpc-encoding, unless identity
  std::string bad_content_type_;
  std::string method_;  // unless POST
  uint32_t hosts_ = 0;
  Refusal header_error_;
  bool is_grpc_ = false;
  bool post_ = false;
  bool timeout_set_ = false;
  uint64_t timeout_ns_ = 0;
  uint64_t long_left_ = 0;  // bytes of a long message that have not come
  // finish(): kept until the body has been sent.
  uint32_t code_ = 0;
  std::string text_;  // percent-encoded
  std::vector<std::pair<std::string, std::string>> trailers_;
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

  Call* begin_call(int32_t stream_id) override;
  void field(Call* call, std::string_view name, std::string_view value) override;
  void headers_complete(Call* call, bool end_stream) override;
  void refuse_message(Call* call, uint32_t code, std::string_view text) override;
  void stream_over(Call* call, uint32_t error, bool peer_reset) override;
  bool recycle(Call* call) override;
  void drain_step() override;

  void metadata_field(ServerCall* call, std::string_view name, std::string_view value);
  bool refused(ServerCall* call);
  void hand_over(ServerCall* call);

  plugin::CallHandler* handler_;
  std::vector<ServerCall*> spare_;
};

}  // namespace quorate::grpc
