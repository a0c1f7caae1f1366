#include "client_session.h"

#include <charconv>

#include "grpc_text.h"

namespace quorate::grpc {
namespace {

using plugin::Code;
using plugin::EndCause;
using plugin::Status;

std::string_view text(plugin::ByteView v) {
  return v.empty() ? std::string_view() : std::string_view(v.chars(), v.size);
}

uint32_t number(std::string_view value, uint32_t otherwise) {
  uint32_t n = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  return error == std::errc() && end == value.data() + value.size() ? n : otherwise;
}

}  // namespace

// ---- ClientCall --------------------

void ClientCall::write(plugin::View<plugin::Buffer> message) noexcept {
  if (!open() || finishing) return;
  const uint64_t size = total_size(message);
  const uint64_t most = session->limits().max_send_message;
  if ((most != 0 && size > most) || size > UINT32_MAX) {
    give_up(EndCause::kCancelled, kGrpcResourceExhausted,
            "trying to send message larger than max (" + std::to_string(size) + " vs. " +
                std::to_string(most) + ")");
    return;
  }
  out.push(message, size);
  session->written(this);
}

void ClientCall::request(uint64_t messages) noexcept {
  if (open()) session->add_credit(this, messages);
}

void ClientCall::half_close() noexcept {
  if (!open() || finishing) return;
  finishing = true;
  session->resume(this);
}

void ClientCall::cancel() noexcept {
  if (open()) give_up(EndCause::kCancelled, kGrpcCancelled, "context canceled");
}

// Resets the stream; core hears of it when the stream has closed, not within its own call.
void ClientCall::give_up(EndCause cause, uint32_t code, std::string why) {
  if (has_local_end) return;
  has_local_end = true;
  local_cause = cause;
  local_code = code;
  local_text = std::move(why);
  finishing = true;
  in.reset();
  out.clear();
  session->give_up(this);
}

// ---- ClientSessionImpl --------------------

ClientSessionImpl::ClientSessionImpl(plugin::Connection* connection, const Options& options,
                                     const plugin::DialInfo& info)
    : SessionOf(connection, options, false), authority_(text(info.authority)), events_(info.events) {}

Status ClientSessionImpl::make(plugin::Connection* connection, const Options& options,
                               const plugin::DialInfo& info, plugin::ClientSession** out) {
  auto session = plugin::Ref<ClientSessionImpl>::adopt(new ClientSessionImpl(connection, options, info));
  Status status = session->start();
  if (status.ok()) *out = session.detach();
  return status;
}

Status ClientSessionImpl::open_call(const plugin::CallInfo& info, plugin::StreamReader* reader,
                                    plugin::ClientWriter** out) noexcept {
  return plugin::guarded([&] { return open(info, reader, out); });
}

Status ClientSessionImpl::open(const plugin::CallInfo& info, plugin::StreamReader* reader,
                               plugin::ClientWriter** out) {
  if (http2_ == nullptr || closing() || draining_ || server_drains_) {
    return Status(Code::kRetryable, "transport-grpc: the connection takes no new calls");
  }
  HeaderList& list = scratch_headers();
  list.add_static(":method", "POST");
  list.add_static(":scheme", connection_->info().secure != 0 ? "https" : "http");
  list.add(":path", text(info.method));
  list.add(":authority", info.authority.empty() ? std::string_view(authority_) : text(info.authority));
  list.add_static("content-type", "application/grpc");
  list.add_static("user-agent", "quorate");
  list.add_static("te", "trailers");
  char timeout[16];
  if (info.deadline_ns != 0) {
    uint64_t now = connection_->now_ns();
    uint32_t size = format_timeout(info.deadline_ns > now ? info.deadline_ns - now : 1, timeout);
    list.add("grpc-timeout", {timeout, size});
  }
  list.add_metadata(info.metadata);
  auto call = plugin::Ref<ClientCall>::adopt(new ClientCall);
  int32_t stream = nghttp2_submit_request(http2_, nullptr, list.data(), list.size(), body_of(call.get()),
                                          static_cast<Call*>(call.get()));
  if (stream < 0) return Status(Code::kRetryable, std::string("transport-grpc: ") + nghttp2_strerror(stream));
  call->stream_id = stream;
  call->started = true;
  reader->retain();
  call->reader = reader;
  link(call.get());
  account(call.get());
  call->retain();  // core's, next to the session's
  *out = call.detach();
  want_flush();
  reschedule();
  return {};
}

void ClientSessionImpl::field(Call* base, std::string_view name, std::string_view value) {
  auto* call = static_cast<ClientCall*>(base);
  if (name == ":status") {
    call->http_status_ = number(value, 0);
  } else if (name == "content-type") {
    call->has_content_type_ = true;
    call->is_grpc_ = value.substr(0, 16) == "application/grpc";
  } else if (name == "grpc-status") {
    call->has_grpc_status_ = true;
    call->grpc_status_ = number(value, kGrpcUnknown);
  } else if (name == "grpc-message") {
    call->fields.keep(HeaderBlock::kMessage, value);
  } else if (is_binary_header(name)) {
    uint8_t* into = call->fields.add_room(name, value.size());
    int64_t size = base64_decode(value, into);
    call->fields.shrink_last(size < 0 ? 0 : static_cast<uint64_t>(size));
  } else if (!is_reserved_header(name)) {
    call->fields.add(name, value);
  }
}

void ClientSessionImpl::headers_complete(Call* base, bool end_stream) {
  auto* call = static_cast<ClientCall*>(base);
  if (end_stream) return;  // trailers, or an answer without a body: told when the stream has closed
  if (call->headers_done || call->http_status_ / 100 == 1) return;
  call->headers_done = true;
  if (call->http_status_ == 200 && call->is_grpc_) {
    call->reader->on_headers(call->fields.view());
    return;
  }
  uint32_t code = call->http_status_ == 200 ? kGrpcUnknown : code_of_http_status(call->http_status_);
  call->give_up(EndCause::kProtocolError, code,
                call->http_status_ == 200 ? "the server's content-type is not gRPC's"
                                          : "unexpected HTTP status code received from server: " +
                                                std::to_string(call->http_status_));
}

void ClientSessionImpl::refuse_message(Call* base, uint32_t code, std::string_view why) {
  static_cast<ClientCall*>(base)->give_up(EndCause::kProtocolError, code, std::string(why));
}

void ClientSessionImpl::stream_over(Call* base, uint32_t error, bool peer_reset) {
  auto* call = static_cast<ClientCall*>(base);
  if (call->ended) return detach(call);
  if (call->has_local_end) {
    end(call, call->local_cause, call->local_code, call->local_text);
  } else if (call->remote_closed && error == NGHTTP2_NO_ERROR) {
    if (call->in.held() != 0) return;  // core has not asked for the last messages yet
    end_of_answer(call);
    return;
  } else {
    end(call, peer_reset || error == NGHTTP2_REFUSED_STREAM ? EndCause::kCancelled : EndCause::kProtocolError,
        code_of_http2_error(error),
        std::string("stream terminated by RST_STREAM with error code: ") + http2_error_name(error));
  }
  detach(call);
  finish_drain();
}

void ClientSessionImpl::drained(Call* base) {
  auto* call = static_cast<ClientCall*>(base);
  if (!call->has_local_end) return end_of_answer(call);
  end(call, call->local_cause, call->local_code, call->local_text);
  detach(call);
  finish_drain();
}

void ClientSessionImpl::end_of_answer(ClientCall* call) {
  if (call->has_grpc_status_ && !call->in.inside_message()) {
    std::string why = percent_decode(call->fields.text(HeaderBlock::kMessage));
    plugin::End e;
    e.cause = EndCause::kFinished;
    e.code = call->grpc_status_;
    e.text = {why.data(), why.size()};
    e.trailers = call->fields.view();
    end(call, e);
  } else if (call->http_status_ != 200) {
    end(call, EndCause::kProtocolError, code_of_http_status(call->http_status_),
        "unexpected HTTP status code received from server: " + std::to_string(call->http_status_));
  } else {
    end(call, EndCause::kProtocolError, kGrpcInternal,
        call->in.inside_message() ? "unexpected EOF" : "server closed the stream without sending trailers");
  }
  detach(call);
  finish_drain();
}

void ClientSessionImpl::peer_ready() {
  if (events_ != nullptr) events_->on_ready();
}

void ClientSessionImpl::peer_goaway() {
  if (std::exchange(server_drains_, true)) return;
  if (events_ != nullptr) events_->on_draining();
  finish_drain();
}

void ClientSessionImpl::drain() noexcept {
  if (http2_ == nullptr || draining_) return;
  draining_ = true;
  finish_drain();
}

void ClientSessionImpl::finish_drain() {
  if ((!draining_ && !server_drains_) || call_count_ != 0 || drain_final_ || http2_ == nullptr) return;
  drain_final_ = true;
  nghttp2_submit_goaway(http2_, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  want_flush();
}

}  // namespace quorate::grpc
