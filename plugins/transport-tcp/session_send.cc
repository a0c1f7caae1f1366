// The sending half of SessionCore: frames, and whose turn it is.
#include <algorithm>

#include "session.h"

namespace quorate::tcp {
namespace {

using plugin::EndCause;
using plugin::Status;

// One per loop: empty between flushes, so that idle connections keep no buffers.
plugin::Output& thread_output() {
  static thread_local plugin::Output output;
  return output;
}

}  // namespace

Status SessionCore::flush() {
  if (!open_ || close_called_) return {};
  now_ = connection_->now_ns();
  flush_wanted_ = false;
  if (!closing_) run_deferred();
  pull();
  tell_finished();
  if (!closing_) run_deferred();
  settle();
  close_if_done();
  return {};
}

// Everything that the socket's queue has room for, in one send: first what concerns the connection, then the
// calls in turn, each a few frames, so that a large message of one holds up no other.
void SessionCore::pull() {
  plugin::Output& output = thread_output();
  if (!hello_sent_ && (!server_ || peer_ready_)) put_hello();
  const uint64_t queued = limits_.send_mark == 0 ? 0 : connection_->queued_bytes();
  const uint64_t room = limits_.send_mark == 0 || closing_ ? UINT64_MAX
                        : limits_.send_mark > queued       ? limits_.send_mark - queued
                                                           : 0;
  if (peer_ready_ && room != 0) {
    for (const Control& c : control_) frame(c.type, 0, c.call, c.payload);
    control_.clear();
    while (output.bytes() < room && !closing_ && !turns_.empty()) give_turn(turns_.front());
  }
  output.send(connection_.get());
}

void SessionCore::put_hello() {
  Hello hello;
  hello.max_frame = static_cast<uint32_t>(options_.max_frame);
  hello.window_bytes = static_cast<uint32_t>(options_.stream_window);
  hello.window_messages = static_cast<uint32_t>(options_.stream_messages);
  if (server_)
    hello.max_calls = limits_.max_concurrent_streams == 0 ? UINT32_MAX : limits_.max_concurrent_streams;
  uint8_t bytes[kHelloSize];
  encode_hello(hello, bytes);
  thread_output().copy(bytes, sizeof bytes);
  hello_sent_ = true;
}

// ---- Frames --------------------

uint64_t SessionCore::begin_frame(Type type, uint8_t flags, uint32_t call, uint64_t length, uint32_t* crc) {
  uint8_t header[kHeaderSize];
  encode_header(type, flags, call, static_cast<uint32_t>(length), header);
  *crc = header_sum(header, sent_frames_++);
  store(header + 14, header_check(*crc));
  return thread_output().copy(header, sizeof header);
}

void SessionCore::finish_frame(uint64_t at, uint32_t crc) {
  uint8_t bytes[4];
  store(bytes, crc);
  thread_output().patch(at, bytes, sizeof bytes);
}

void SessionCore::frame(Type type, uint8_t flags, uint32_t call, std::string_view payload) {
  uint32_t crc = 0;
  const uint64_t at = begin_frame(type, flags, call, payload.size(), &crc);
  if (!payload.empty()) {
    const auto* data = reinterpret_cast<const uint8_t*>(payload.data());
    crc = plugin::crc32c(data, payload.size(), crc);
    thread_output().copy(data, payload.size());
  }
  finish_frame(at, crc);
}

// ---- Turns --------------------

bool SessionCore::can_send(const Call* call) const {
  if (call->out.empty()) return call->finishing && !call->end_sent;
  if (!call->out.inside() && call->window_messages <= 0) return false;
  return call->window_bytes > 0 || call->out.left() == 0;
}

void SessionCore::ready(Call* call) {
  want_flush();
  if (call->turn.owner == nullptr) turns_.push_back(call);
}

void SessionCore::give_turn(Call* call) {
  turns_.remove(call);
  if (!take_turn(call)) return;
  put_credit(call);
  bool sent = false;
  for (uint64_t bytes = 0; bytes < options_.frame_target && !call->out.empty() && can_send(call); sent = true)
    bytes += kHeaderSize + put_message(call);
  if (sent) note_sent(call);
  if (call->out.empty() && call->finishing && !call->end_sent) {
    call->end_sent = true;
    forgive_pings_ = true;
    noise_.give(2);
    end_of_output(call);
  }
  if (can_send(call)) turns_.push_back(call);
}

// What core has taken, the peer may send again.
void SessionCore::put_credit(Call* call) {
  if (!owes_credit(call)) return;
  uint32_t bytes = 0, messages = 0;
  call->in.pay(&bytes, &messages);
  uint8_t payload[8];
  store(payload, bytes);
  store(payload + 4, messages);
  frame(Type::kCredit, 0, call->id, {reinterpret_cast<const char*>(payload), sizeof payload});
}

// One DATA frame of the first message; answers the bytes of message that it carries.
uint32_t SessionCore::put_message(Call* call) {
  const uint64_t most = std::min<uint64_t>(peer_.max_frame, std::max(options_.frame_target, kLeastFrame));
  const bool first = !call->out.inside();
  const uint32_t left = call->out.left();
  const auto window = static_cast<uint64_t>(std::max<int64_t>(call->window_bytes, 0));
  const bool whole = left <= std::min(window, most);
  const bool prefixed = first && !whole;
  const auto part =
      whole ? left : static_cast<uint32_t>(std::min({uint64_t{left}, window, prefixed ? most - 4 : most}));
  const bool more = part < left;
  uint8_t flags = more ? kMore : 0;
  uint32_t crc = 0;
  const uint64_t length = part + (prefixed ? 4u : 0u);
  if (first) --call->window_messages;
  call->window_bytes -= part;
  if (!server_ && !more && call->finishing && call->out.messages() == 1) {
    flags |= kLast;
    call->end_sent = true;
  }
  const uint64_t at = begin_frame(Type::kData, flags, call->id, length, &crc);
  if (prefixed) {
    uint8_t size[4];
    store(size, left);
    crc = plugin::crc32c(size, sizeof size, crc);
    thread_output().copy(size, sizeof size);
  }
  call->out.take(part, options_.share_threshold, &thread_output(), &crc);
  finish_frame(at, crc);
  return part;
}

void SessionCore::note_sent(Call* call) {
  forgive_pings_ = true;
  noise_.give(2);  // a peer that is served answers with credit
  if (call->above_mark && call->out.bytes() <= limits_.send_mark / 2) {
    call->above_mark = false;
    if (call->reader != nullptr) {
      call->wants_writable = true;
      defer(call);
    }
  }
  account(call);
}

// Calls whose FINISH has just been handed to the connection.
void SessionCore::tell_finished() {
  for (size_t i = 0; i < finished_.size(); ++i) {
    Call* call = finished_[i];
    end(call, EndCause::kFinished, call->local_code, call->local_text);
    detach(call);
  }
  finished_.clear();
}

}  // namespace quorate::tcp
