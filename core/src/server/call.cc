#include "server/call.h"

#include "server/server.h"

namespace quorate::server {

Call::Call(Server& server, const api::Method& method, const plugin::CallInfo& info,
           plugin::ServerWriter* writer)
    : server_(server),
      method_(method),
      writer_(plugin::Ref<plugin::ServerWriter>::share(writer)),
      connection_(info.connection) {
  for (const plugin::Header& h : info.metadata) {
    std::string_view name(h.name.chars(), h.name.size);
    if (name == "hasleader" && std::string_view(h.value.chars(), h.value.size) == "true")
      require_leader_ = true;
  }
  deadline_ns_ = info.deadline_ns;
  if (method.kind == api::MethodKind::kUnary && method.work != api::Work::kLocal) {
    const uint64_t ours = server.now_ns() + server.request_timeout_ns();
    if (deadline_ns_ == 0 || ours < deadline_ns_) {
      deadline_ns_ = ours;
      deadline_is_ours_ = true;
    }
  }
  server.call_began(*this);
}

Call::~Call() {
  if (!ended_) end();
}

void Call::end() {
  ended_ = true;
  if (DeadlineHook::is_linked()) DeadlineHook::unlink();
  if (OpenHook::is_linked()) OpenHook::unlink();
  ended_now();
  server_.call_ended();
}

void Call::send(plugin::Buffer message) {
  if (!ended_) writer_->write({&message, 1});
}

bool Call::has_room_for(uint64_t bytes) {
  constexpr uint64_t kSmall = 64u << 10;
  if (ended_) return false;
  if (connection_ == nullptr || bytes < kSmall) return true;
  const bool room = connection_->charge(static_cast<int64_t>(bytes));
  connection_->charge(-static_cast<int64_t>(bytes));
  if (!room) {
    finish(
        {api::GrpcCode::kResourceExhausted,
         "etcdserver: answers of more bytes than may wait for one connection; use a limit or RangeStream"});
  }
  return room;
}

void Call::finish(const api::RpcError& error) {
  if (ended_) return;
  auto self = plugin::Ref<Call>::share(this);
  plugin::Ref<plugin::ServerWriter> writer = writer_;
  end();
  writer->finish(static_cast<uint32_t>(error.grpc_code), {error.text.data(), error.text.size()}, {});
}

void Call::expire() {
  finish(deadline_is_ours_ ? api::rpc_error(api::Error::kTimeout) : api::context_deadline_exceeded());
}

plugin::ByteView Call::remote_address() const {
  return connection_ == nullptr ? plugin::ByteView() : connection_->info().remote_address;
}

void Call::on_end(const plugin::End&) noexcept {
  connection_ = nullptr;
  if (!ended_) end();
}

void UnaryCall::on_message(plugin::Buffer message) noexcept {
  if (dispatched_ || ended()) return;
  dispatched_ = true;
  began_ns_ = server().now_ns();
  message_ = std::move(message);
  server().dispatch(plugin::Ref<UnaryCall>::share(this));
}

void UnaryCall::reply(plugin::Buffer message) {
  if (ended()) return;
  writer().write({&message, 1});
  response_ = &message;
  finish_ok();
  response_ = nullptr;
}

void UnaryCall::ended_now() {
  if (dispatched_) server().slow_log().unary(method(), began_ns_, message_, response_, remote_address());
}

void UnaryCall::on_half_close() noexcept {
  if (dispatched_ || ended()) return;
  dispatched_ = true;
  finish({api::GrpcCode::kInternal,
          "cardinality violation: received no request message from non-client-streaming RPC"});
}

}  // namespace quorate::server
