// The receiving half of SessionCore: from bytes to frames to messages, and what a peer may not do.
#include <algorithm>

#include "session.h"

namespace quorate::tcp {
namespace {

using plugin::Code;
using plugin::EndCause;
using plugin::Status;

constexpr uint64_t kUnsettled = 64u << 10;
constexpr uint64_t kTinyData = 32;       // bytes; smaller frames that complete no message are noise
constexpr uint32_t kMaxPingStrikes = 2;  // as gRPC's servers

}  // namespace

Status SessionCore::data(plugin::ByteView bytes) {
  if (!open_ || closing()) return {};
  now_ = last_read_ = connection_->now_ns();
  ping_deadline_ = 0;  // whatever the peer sends shows that it lives
  if (!peer_ready_) {
    if (Status status = read_hello(&bytes); !status.ok() || !peer_ready_) return status;
  }
  Frame frame;
  std::string why;
  while (!closing()) {
    const FrameReader::Outcome outcome = reader_.next(&bytes, &frame, &why);
    if (outcome == FrameReader::Outcome::kNeedMore) break;
    if (outcome == FrameReader::Outcome::kBroken) return failed(Code::kInvalid, why);
    if (Status status = receive_any(frame); !status.ok()) return status;
    if (held_ > charged_ + kUnsettled) settle();
  }
  settle();
  if (draining_) want_flush();
  return {};
}

Status SessionCore::read_hello(plugin::ByteView* bytes) {
  const uint64_t part = std::min(bytes->size, kHelloSize - hello_size_);
  std::memcpy(hello_ + hello_size_, bytes->data, part);
  hello_size_ += part;
  bytes->data += part;
  bytes->size -= part;
  if (hello_size_ < kHelloSize) return {};
  std::string why;
  if (!decode_hello(hello_, !server_, &peer_, &why)) return failed(Code::kInvalid, why);
  peer_ready_ = true;
  handshake_deadline_ = 0;
  want_flush();
  peer_ready();
  reschedule();
  return {};
}

// ---- Frames --------------------

Status SessionCore::receive_any(const Frame& frame) {
  const auto type = static_cast<Type>(frame.header.type);
  const uint8_t known = type == Type::kData ? (server_ ? kMore | kLast : kMore) : 0;
  if ((frame.header.flags & ~known) != 0) return broken(frame, "unknown flags");
  switch (type) {
    case Type::kData:
      return receive_data(frame);
    case Type::kCredit:
      return receive_credit(frame);
    case Type::kReset:
      return receive_reset(frame);
    case Type::kPing:
    case Type::kPong:
      if (frame.header.call != 0 || frame.payload.size != 8) return broken(frame, "not 8 bytes on call 0");
      ping_received(frame);
      return {};
    case Type::kHalfClose: {
      if (!server_ || frame.payload.size != 0) return broken(frame, "not a client's, or not empty");
      Call* call = nullptr;
      if (Status status = find(frame, &call); !status.ok() || call == nullptr) return status;
      return half_closed(call, frame);
    }
    case Type::kOpen:
    case Type::kHeaders:
    case Type::kFinish:
    case Type::kGoaway:
      return receive(frame);
  }
  return broken(frame, "unknown type " + std::to_string(frame.header.type));
}

// The call of a frame, or null when it has ended here: its last frames were on their way.
Status SessionCore::find(const Frame& frame, Call** out) {
  *out = table_.find(frame.header.call);
  if (*out != nullptr) return {};
  if (frame.header.call == 0 || frame.header.call > last_id_)
    return broken(frame, "the call was never opened");
  noise(1);
  return {};
}

Status SessionCore::receive_data(const Frame& frame) {
  Call* call = nullptr;
  if (Status status = find(frame, &call); !status.ok() || call == nullptr) return status;
  if (call->remote_closed) return broken(frame, "the call's messages had ended");
  const bool more = (frame.header.flags & kMore) != 0;
  const bool last = (frame.header.flags & kLast) != 0;
  if (more && last) return broken(frame, "the last message goes on");
  if (more && frame.payload.size < kTinyData && !noise(1)) return {};
  const bool wanted = !call->in.holds() && call->credit > 0;
  std::string why;
  switch (call->in.feed(frame, wanted, call->discarding, limits_.max_receive_message, &why)) {
    case Inbox::Outcome::kBroken:
      return broken(frame, why);
    case Inbox::Outcome::kTooLarge:
      refuse_message(call, kGrpcResourceExhausted,
                     "received message larger than max (" + std::to_string(call->in.announced()) + " vs. " +
                         std::to_string(limits_.max_receive_message) + ")");
      break;
    case Inbox::Outcome::kPartial:
      break;
    case Inbox::Outcome::kMessage:
      before_data(call);
      if (wanted) {
        deliver(call, call->in.take());
      } else {
        call->in.hold();
      }
      break;
  }
  if (call->session == nullptr) return {};
  if (last) {
    if (Status status = half_closed(call, frame); !status.ok()) return status;
  }
  if (call->session == nullptr) return {};
  if (owes_credit(call)) ready(call);
  account(call);
  return {};
}

// Hands one message to core. REQUIRES: credit.
void SessionCore::deliver(Call* call, plugin::Buffer message) {
  noise_.give(1);
  --call->credit;
  call->in.want_partial();
  call->in.delivered();
  if (call->reader != nullptr) call->reader->on_message(std::move(message));
}

bool SessionCore::owes_credit(const Call* call) const {
  return !call->discarding && !call->remote_closed &&
         call->in.owes_credit(options_.stream_window, options_.stream_messages);
}

// What core's request() has set free.
void SessionCore::pump(Call* call) {
  while (call->in.holds() && call->credit > 0 && !call->discarding) deliver(call, call->in.take_held());
  if (call->session == nullptr) return;
  if (!call->in.holds() && call->credit > 0) call->in.want_partial();
  if (owes_credit(call)) ready(call);
  account(call);
  if (call->discarding || call->in.holds() || !call->remote_closed) return;
  if (server_) {
    tell_half_close(call);
  } else {
    drained(call);
  }
}

Status SessionCore::half_closed(Call* call, const Frame& frame) {
  if (call->remote_closed) return broken(frame, "the call's messages had ended");
  if (call->in.inside()) return broken(frame, "the call ends inside a message");
  call->remote_closed = true;
  if (!call->discarding) tell_half_close(call);
  return {};
}

void SessionCore::tell_half_close(Call* call) {
  if (call->half_close_told || call->in.holds() || call->reader == nullptr) return;
  call->half_close_told = true;
  call->reader->on_half_close();
}

Status SessionCore::receive_credit(const Frame& frame) {
  Cursor in(frame.payload);
  const auto bytes = in.number<uint32_t>();
  const auto messages = in.number<uint32_t>();
  if (!in.done()) return broken(frame, "not two numbers");
  if (bytes == 0 && messages == 0) return broken(frame, "credit of nothing");
  Call* call = nullptr;
  if (Status status = find(frame, &call); !status.ok() || call == nullptr) return status;
  call->window_bytes += bytes;
  call->window_messages += messages;
  if (call->window_bytes > static_cast<int64_t>(kMostWindow) ||
      call->window_messages > static_cast<int64_t>(kMostWindow))
    return broken(frame, "a window above 2^31-1");
  noise(1);
  if (can_send(call)) ready(call);
  return {};
}

Status SessionCore::receive_reset(const Frame& frame) {
  Cursor in(frame.payload);
  const auto code = in.number<uint32_t>();
  const std::string_view why = in.text32();
  if (!in.done()) return broken(frame, "not a code and a text");
  if (server_ && !resets_.take(1, now_)) {
    goaway("too many resets");
    return {};
  }
  Call* call = nullptr;
  if (Status status = find(frame, &call); !status.ok() || call == nullptr) return status;
  if (call->has_local_end) return {};  // told by the next flush
  if (server_) {
    end(call, EndCause::kCancelled, kGrpcCancelled, "context canceled");
  } else {
    end(call, EndCause::kCancelled, code == 0 ? uint32_t{kGrpcUnknown} : code, why);
  }
  detach(call);
  return {};
}

// A ping sooner than allowed is a strike, the third closes the connection; sending messages forgives.
void SessionCore::ping_received(const Frame& frame) {
  const std::string_view payload = text(frame.payload);
  if (static_cast<Type>(frame.header.type) == Type::kPong) {
    noise(1);
    if (draining_ && drain_deadline_ != 0 && payload == kDrainPing) {
      drain_deadline_ = 0;
      drain_step();
    }
    return;
  }
  if (!noise(1)) return;
  if (server_ && limits_.keepalive_min_time_ns != 0) {
    if (std::exchange(forgive_pings_, false)) {
      ping_strikes_ = 0;
    } else if (ping_seen_ && now_ - last_ping_received_ < limits_.keepalive_min_time_ns) {
      ++ping_strikes_;
    }
    ping_seen_ = true;
    last_ping_received_ = now_;
    if (ping_strikes_ > kMaxPingStrikes) {
      goaway("too many pings");
      return;
    }
  }
  control(Type::kPong, 0, payload);
}

}  // namespace quorate::tcp
