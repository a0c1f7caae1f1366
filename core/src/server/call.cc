#include "server/call.h"

#include <algorithm>

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
  constexpr uint64_t kMargin = 2u << 20;  // what the calls themselves may still grow by
  bool room = connection_ == nullptr || bytes < kSmall;
  if (!room) {
    const auto needed = static_cast<int64_t>(bytes + kMargin);
    room = connection_->charge(needed);
    connection_->charge(-needed);
  }
  if (room) waits_since_ns_ = 0;
  return room;
}

void Call::wait_for_room(UniqueFunction<void()> again, const api::RpcError& otherwise, uint64_t patience_ns) {
  constexpr uint64_t kFirstPause = 10'000'000, kLongestPause = 200'000'000;  // ns
  const uint64_t now = server_.now_ns();
  if (waits_since_ns_ == 0) waits_since_ns_ = now;
  const uint64_t waited = now - waits_since_ns_;
  if (waited > patience_ns) return finish(otherwise);
  server_.runtime().executor->at(now + std::clamp(waited / 4, kFirstPause, kLongestPause),
                                 [call = plugin::Ref<Call>::share(this), again = std::move(again)]() mutable {
                                   if (!call->ended()) again();
                                 });
}

api::RpcError Call::no_room(uint64_t bytes) {
  return {api::GrpcCode::kResourceExhausted,
          "etcdserver: the answer of " + std::to_string(bytes) +
              " bytes is more than may wait for one connection; use a limit or "
              "RangeStream"};
}

void Call::finish(const api::RpcError& error) {
  if (ended_) return;
  auto self = plugin::Ref<Call>::share(this);
  plugin::Ref<plugin::ServerWriter> writer = writer_;
  end();
  writer->finish(static_cast<uint32_t>(error.grpc_code), {error.text.data(), error.text.size()}, {});
}

void Call::forget_deadline() {
  if (!deadline_is_ours_ || !DeadlineHook::is_linked()) return;
  DeadlineHook::unlink();
  deadline_ns_ = 0;
}

void Call::limit_time() {
  if (method_.work == api::Work::kLocal) return;
  const uint64_t ours = server_.now_ns() + server_.request_timeout_ns();
  if (deadline_ns_ != 0 && deadline_ns_ <= ours) return;
  if (DeadlineHook::is_linked()) DeadlineHook::unlink();
  deadline_ns_ = ours;
  deadline_is_ours_ = true;
  server_.watch_deadline(*this);
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
  limit_time();
  server().dispatch(plugin::Ref<UnaryCall>::share(this));
}

void UnaryCall::reply(plugin::Buffer message) {
  if (ended()) return;
  writer().write({&message, 1});
  response_ = &message;
  finish_ok();
  response_ = nullptr;
}

void UnaryCall::answer_slowly(UniqueFunction<void()> more) {
  forget_deadline();
  more_ = std::move(more);
}

void UnaryCall::ended_now() {
  more_ = nullptr;
  if (dispatched_) server().slow_log().unary(method(), began_ns_, message_, response_, remote_address());
}

void UnaryCall::on_half_close() noexcept {
  if (dispatched_ || ended()) return;
  dispatched_ = true;
  finish({api::GrpcCode::kInternal,
          "cardinality violation: received no request message from non-client-streaming RPC"});
}

}  // namespace quorate::server
