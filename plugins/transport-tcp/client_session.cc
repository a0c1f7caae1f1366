#include "client_session.h"

namespace quorate::tcp {
namespace {

using plugin::Code;
using plugin::EndCause;
using plugin::Status;

constexpr const char* kLargeHeaders = "the header list is larger than the limit";

}  // namespace

// ---- ClientCall --------------------

void ClientCall::write(plugin::View<plugin::Buffer> message) noexcept {
  if (!open() || finishing) return;
  uint64_t size = 0;
  for (const plugin::Buffer& piece : message) size += piece.size();
  std::string why;
  if (session->too_large(size, &why))
    return give_up(EndCause::kCancelled, kGrpcResourceExhausted, std::move(why));
  session->write(this, message, static_cast<uint32_t>(size));
}

void ClientCall::request(uint64_t messages) noexcept {
  if (open()) session->add_credit(this, messages);
}

void ClientCall::half_close() noexcept {
  if (!open() || finishing) return;
  finishing = true;
  session->ready(this);
}

void ClientCall::cancel() noexcept {
  if (open()) give_up(EndCause::kCancelled, kGrpcCancelled, "context canceled");
}

// Resets the call; core hears of it from the next flush, not within its own call.
void ClientCall::give_up(EndCause cause, uint32_t code, std::string why) {
  if (has_local_end) return;
  has_local_end = true;
  local_cause = cause;
  local_code = code;
  local_text = std::move(why);
  finishing = end_sent = true;
  in.drop_all();
  out.clear();
  session->give_up(this);
}

// ---- ClientSessionImpl: calls out --------------------

ClientSessionImpl::ClientSessionImpl(plugin::Connection* connection, const Options& options,
                                     const plugin::DialInfo& info)
    : SessionOf(connection, options, false), authority_(text(info.authority)), events_(info.events) {}

Status ClientSessionImpl::make(plugin::Connection* connection, const Options& options,
                               const plugin::DialInfo& info, plugin::ClientSession** out) {
  auto session = plugin::Ref<ClientSessionImpl>::adopt(new ClientSessionImpl(connection, options, info));
  session->start();
  *out = session.detach();
  return {};
}

Status ClientSessionImpl::open_call(const plugin::CallInfo& info, plugin::StreamReader* reader,
                                    plugin::ClientWriter** out) noexcept {
  return plugin::guarded([&] { return open(info, reader, out); });
}

Status ClientSessionImpl::encode_open(const plugin::CallInfo& info, std::string* block) const {
  const std::string_view authority =
      info.authority.empty() ? std::string_view(authority_) : text(info.authority);
  if (info.method.empty() || info.method.size > UINT16_MAX || !printable(text(info.method)))
    return failed(Code::kInvalid, "a method that may not be");
  if (authority.size() > UINT16_MAX || !printable(authority))
    return failed(Code::kInvalid, "an authority that may not be");
  for (const plugin::Header& h : info.metadata) {
    if (!valid_name(text(h.name)) || !valid_value(text(h.name), text(h.value)))
      return failed(Code::kInvalid, "metadata with a name or a value that may not be");
  }
  Builder b;
  b.number<uint64_t>(0);  // the time that remains, when it is sent
  b.text16(text(info.method));
  b.text16(authority);
  append_headers(info.metadata, &b);
  if (b.view().size() > (peer_ready_ ? peer_.max_frame : kLeastFrame))
    return failed(Code::kInvalid, "metadata larger than a frame");
  *block = std::move(b.out());
  return {};
}

Status ClientSessionImpl::open(const plugin::CallInfo& info, plugin::StreamReader* reader,
                               plugin::ClientWriter** out) {
  if (!open_ || closing() || draining_ || server_drains_ || last_id_ + call_count_ >= UINT32_MAX)
    return failed(Code::kRetryable, "the connection takes no new calls");
  std::string block;
  if (Status status = encode_open(info, &block); !status.ok()) return status;
  auto call = plugin::Ref<ClientCall>::adopt(new ClientCall);
  call->first_block = std::move(block);
  call->block_wanted = true;
  call->deadline_ns_ = info.deadline_ns;
  call->in.open_window(options_.stream_window, options_.stream_messages);
  reader->retain();
  call->reader = reader;
  link(call.get());
  account(call.get());
  ready(call.get());
  call->retain();  // core's, next to the session's
  *out = call.detach();
  reschedule();
  return {};
}

// OPEN, unless the server has as many calls as it takes. Calls get their numbers here: they ascend by one.
bool ClientSessionImpl::take_turn(Call* base) {
  auto* call = static_cast<ClientCall*>(base);
  if (!call->block_wanted) return true;
  if (table_.size() >= peer_.max_calls) {
    waiting_.push_back(call);
    return false;
  }
  call->block_wanted = false;
  call->id = ++last_id_;
  call->window_bytes = peer_.window_bytes;
  call->window_messages = peer_.window_messages;
  table_.insert(call);
  if (call->deadline_ns_ != 0) {
    const uint64_t remaining = call->deadline_ns_ > now_ ? call->deadline_ns_ - now_ : 1;
    std::memcpy(call->first_block.data(), &remaining, sizeof remaining);
  }
  frame(Type::kOpen, 0, call->id, call->first_block);
  call->first_block = std::string();
  return true;
}

void ClientSessionImpl::end_of_output(Call* call) { frame(Type::kHalfClose, 0, call->id, {}); }

void ClientSessionImpl::detached(Call* call) {
  if (waiting_.has(call)) waiting_.remove(call);
  if (Call* next = waiting_.front(); next != nullptr && call->id != 0) {
    waiting_.remove(next);
    ready(next);
  }
  finish_drain();
}

// ---- Answers in --------------------

Status ClientSessionImpl::receive(const Frame& frame) {
  const auto type = static_cast<Type>(frame.header.type);
  if (type == Type::kGoaway) return goaway_received(frame);
  if (type == Type::kOpen) return broken(frame, "only a client sends it");
  Call* call = table_.find(frame.header.call);
  if (call == nullptr) {
    if (frame.header.call == 0 || frame.header.call > last_id_)
      return broken(frame, "the call was never opened");
    return {};
  }
  if (call->remote_closed) return broken(frame, "the call had ended");
  if (call->in.inside()) return broken(frame, "it comes inside a message");
  return type == Type::kHeaders ? headers(frame, call) : finished(frame, static_cast<ClientCall*>(call));
}

Status ClientSessionImpl::headers(const Frame& frame, Call* call) {
  if (call->headers_told) return broken(frame, "headers come once, and first");
  call->headers_told = true;
  Cursor in(frame.payload);
  uint64_t cost = 0;
  std::string why = "something follows its headers";
  if (!read_headers(&in, &call->metadata, &cost, &why) || !in.done()) return broken(frame, why);
  if (headers_too_large(cost)) {
    refuse_message(call, kGrpcResourceExhausted, kLargeHeaders);
  } else if (call->reader != nullptr && !call->discarding) {
    call->reader->on_headers({call->metadata.data(), call->metadata.size()});
  }
  call->metadata.clear();
  return {};
}

Status ClientSessionImpl::finished(const Frame& frame, ClientCall* call) {
  call->block = frame.keep(0);
  Cursor in(call->block.view());
  call->code_ = in.number<uint32_t>();
  call->text_ = in.text32();
  uint64_t cost = 0;
  std::string why = "its fields are longer than the frame";
  if (!in.ok() || !read_headers(&in, &call->metadata, &cost, &why)) return broken(frame, why);
  if (!in.done()) return broken(frame, "something follows its trailers");
  call->remote_closed = call->finishing = call->end_sent = true;
  call->out.clear();
  if (call->has_local_end) return {};  // told by the next flush
  if (headers_too_large(cost)) {
    end(call, EndCause::kProtocolError, kGrpcResourceExhausted, kLargeHeaders);
    detach(call);
  } else if (!call->in.holds()) {
    drained(call);
  } else {
    account(call);
  }
  return {};
}

void ClientSessionImpl::drained(Call* base) {
  auto* call = static_cast<ClientCall*>(base);
  plugin::End e;
  e.cause = EndCause::kFinished;
  e.code = call->code_;
  e.text = bytes(call->text_);
  e.trailers = {call->metadata.data(), call->metadata.size()};
  end(call, e);
  detach(call);
}

// Headers that the server did not send are empty ones.
void ClientSessionImpl::before_data(Call* call) {
  if (std::exchange(call->headers_told, true) || call->reader == nullptr || call->discarding) return;
  call->reader->on_headers({});
}

void ClientSessionImpl::refuse_message(Call* base, uint32_t code, std::string_view why) {
  static_cast<ClientCall*>(base)->give_up(EndCause::kProtocolError, code, std::string(why));
}

void ClientSessionImpl::peer_ready() {
  if (events_ != nullptr) events_->on_ready();
}

// ---- The end of a connection --------------------

Status ClientSessionImpl::goaway_received(const Frame& frame) {
  Cursor in(frame.payload);
  const auto last = in.number<uint32_t>();
  in.number<uint32_t>();
  const std::string_view why = in.text32();
  if (!in.done() || frame.header.call != 0) return broken(frame, "not a number, a code and a text on call 0");
  if (!std::exchange(server_drains_, true) && events_ != nullptr) events_->on_draining();
  std::vector<Call*> refused;
  for (Call* call = calls_.front(); call != nullptr; call = call->all.next) {
    if (last != UINT32_MAX && (call->id == 0 || call->id > last)) refused.push_back(call);
  }
  const std::string reason =
      "the server did not look at the call" + (why.empty() ? std::string() : ": " + std::string(why));
  for (Call* call : refused) {
    end(call, EndCause::kCancelled, kGrpcUnavailable, reason);
    detach(call);
  }
  finish_drain();
  return {};
}

void ClientSessionImpl::drain() noexcept {
  if (!open_ || draining_) return;
  draining_ = true;
  finish_drain();
}

void ClientSessionImpl::finish_drain() {
  if ((!draining_ && !server_drains_) || call_count_ != 0 || drain_final_ || !open_) return;
  drain_final_ = true;
  want_flush();
}

}  // namespace quorate::tcp
