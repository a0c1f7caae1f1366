#include "server_session.h"

namespace quorate::tcp {
namespace {

using plugin::EndCause;
using plugin::Status;

constexpr size_t kMaxSpare = 16;                // call objects an idle connection keeps
constexpr uint64_t kDrainWait = 5'000'000'000;  // ns, for the answer to the ping between the two GOAWAYs

}  // namespace

// ---- ServerCall: what core asks for --------------------

void ServerCall::write(plugin::View<plugin::Buffer> message) noexcept {
  if (!open()) return;
  uint64_t size = 0;
  for (const plugin::Buffer& piece : message) size += piece.size();
  std::string why;
  if (session->too_large(size, &why)) return finish(kGrpcResourceExhausted, bytes(why), {});
  started_ = true;
  session->write(this, message, static_cast<uint32_t>(size));
}

void ServerCall::request(uint64_t messages) noexcept {
  if (open()) session->add_credit(this, messages);
}

void ServerCall::headers(plugin::View<plugin::Header> initial) noexcept {
  if (!open() || started_) return;
  started_ = true;
  Builder b;
  append_headers(initial, &b);
  if (b.view().size() > kLeastFrame) return;  // core's own fault; without them the call may still succeed
  first_block = std::move(b.out());
  block_wanted = true;
  session->ready(this);
}

void ServerCall::finish(uint32_t code, plugin::ByteView why, plugin::View<plugin::Header> trailers) noexcept {
  if (!open()) return;
  finishing = discarding = true;
  local_code = code;
  local_text = text(why).substr(0, kMaxText);
  Builder b;
  b.number(code);
  b.text32(local_text);
  const size_t bare = b.view().size();
  append_headers(trailers, &b);
  if (b.view().size() > kLeastFrame) {
    b.out().resize(bare);
    b.number<uint16_t>(0);
  }
  finish_block_ = std::move(b.out());
  in.drop_all();
  session->ready(this);
}

void ServerCall::reset() {
  reset_call();
  info_ = {};
  started_ = false;
  finish_block_.clear();
}

// ---- ServerSession --------------------

Status ServerSession::make(plugin::Connection* connection, const Options& options,
                           plugin::CallHandler* handler, plugin::Session** out) {
  auto session = plugin::Ref<ServerSession>::adopt(new ServerSession(connection, options, handler));
  session->start();
  *out = session.detach();
  return {};
}

ServerSession::~ServerSession() {
  for (ServerCall* call : spare_) call->release_call();
}

ServerCall* ServerSession::fresh_call() {
  if (spare_.empty()) return new ServerCall;
  ServerCall* call = spare_.back();
  spare_.pop_back();
  return call;
}

bool ServerSession::recycle(Call* call) {
  if (!call->only_reference() || spare_.size() >= kMaxSpare || !open_) return false;
  auto* server_call = static_cast<ServerCall*>(call);
  server_call->reset();
  spare_.push_back(server_call);
  return true;
}

Status ServerSession::receive(const Frame& frame) {
  if (static_cast<Type>(frame.header.type) == Type::kOpen) return opened(frame);
  return broken(frame, "only a server sends it");
}

// A refused call costs as much as one that the peer resets itself.
void ServerSession::refuse(uint32_t id, uint32_t code, std::string_view why) {
  if (resets_.take(1, now_)) return reset_call(id, code, why);
  goaway("too many resets");
}

Status ServerSession::opened(const Frame& frame) {
  const uint32_t id = frame.header.call;
  if (id == 0 || id != last_id_ + 1) return broken(frame, "calls are numbered one after the other");
  last_id_ = id;
  if (drain_final_) return {};  // the GOAWAY has told its fate
  const uint32_t most = limits_.max_concurrent_streams;
  if (most != 0 && call_count_ >= most) {
    refuse(id, kGrpcUnavailable, "too many calls are open on this connection");
    return {};
  }
  ServerCall* call = fresh_call();
  call->id = id;
  call->block = frame.keep(0);
  Cursor in(call->block.view());
  const auto remaining = in.number<uint64_t>();
  call->info_.method = bytes(in.text16());
  call->info_.authority = bytes(in.text16());
  uint64_t cost = call->info_.method.size + call->info_.authority.size;
  std::string why = "its fields are longer than the frame";
  bool sound = in.ok() && read_headers(&in, &call->metadata, &cost, &why);
  if (sound && !in.done()) {
    sound = false;
    why = "something follows its headers";
  }
  if (sound && (call->info_.method.empty() || !printable(text(call->info_.method)) ||
                !printable(text(call->info_.authority)))) {
    sound = false;
    why = "a method or an authority that may not be";
  }
  const bool large = limits_.max_header_bytes != 0 && cost > limits_.max_header_bytes;
  if (sound && !large) {
    hand_over(call, remaining);
    return {};
  }
  call->release_call();
  if (!sound) return broken(frame, why);
  refuse(id, kGrpcResourceExhausted, "the header list is larger than the limit");
  return {};
}

void ServerSession::hand_over(ServerCall* call, uint64_t remaining_ns) {
  call->in.open_window(options_.stream_window, options_.stream_messages);
  call->window_bytes = peer_.window_bytes;
  call->window_messages = peer_.window_messages;
  link(call);
  table_.insert(call);
  plugin::CallInfo& info = call->info_;
  info.metadata = {call->metadata.data(), call->metadata.size()};
  if (remaining_ns != 0)
    info.deadline_ns = remaining_ns > UINT64_MAX - now_ ? UINT64_MAX : now_ + remaining_ns;
  info.connection = connection_.get();
  account(call);
  plugin::StreamReader* reader = nullptr;
  handler_->on_call(info, call, &reader);
  call->reader = reader;
  if (reader != nullptr) return;
  if (!call->finishing) call->finish(kGrpcInternal, bytes("the call was not taken"), {});
  call->ended = true;
  call->discarding = true;
}

void ServerSession::refuse_message(Call* base, uint32_t code, std::string_view why) {
  auto* call = static_cast<ServerCall*>(base);
  call->finish(code, bytes(why), {});
  end(call, EndCause::kProtocolError, code, why);
}

bool ServerSession::take_turn(Call* call) {
  if (!std::exchange(call->block_wanted, false)) return true;
  frame(Type::kHeaders, 0, call->id, call->first_block);
  call->first_block.clear();
  return true;
}

void ServerSession::end_of_output(Call* base) {
  auto* call = static_cast<ServerCall*>(base);
  frame(Type::kFinish, 0, call->id, call->finish_block_);
  finished_.push_back(call);
}

// Two steps, so that a call that is already on its way when the client learns of it is still served: GOAWAY
// with the highest number and a ping; when its answer comes (or not, in time), GOAWAY with the last call that
// we serve.
void ServerSession::drain() noexcept {
  if (!open_ || draining_ || closing()) return;
  draining_ = true;
  want_flush();
  if (!peer_ready_) {
    drain_final_ = true;
    return;
  }
  say_goaway(UINT32_MAX, 0, {});
  control(Type::kPing, 0, kDrainPing);
  drain_deadline_ = connection_->now_ns() + kDrainWait;
  reschedule();
}

void ServerSession::drain_step() {
  if (std::exchange(drain_final_, true)) return;
  say_goaway(last_id_, 0, {});
}

}  // namespace quorate::tcp
