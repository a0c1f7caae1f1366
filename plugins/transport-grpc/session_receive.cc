// The receiving half of SessionCore: from bytes to frames to messages, and what a peer may not do.
#include <algorithm>

#include "grpc_text.h"
#include "session.h"

namespace quorate::grpc {
namespace {

using plugin::Code;
using plugin::EndCause;
using plugin::Status;

constexpr uint64_t kSlice = 16u << 10;  // how much nghttp2 sees before closing_ is looked at
constexpr uint64_t kFrameHeader = 9;
constexpr uint64_t kRefusedHeaders = 500;  // tokens: decoding what is thrown away costs much for few bytes
constexpr uint64_t kMalformedBytes = 32;   // of a malformed block for each token: it is decoded to its end
constexpr uint64_t kUnsettled = 64u << 10;
constexpr uint64_t kTinyData = 32;  // bytes; smaller DATA frames that complete no message are noise
constexpr uint64_t kLargeMessages = 8u
                                    << 20;  // bytes of messages over the first window that come in at a time
constexpr uint32_t kMaxPingStrikes = 2;     // grpc-go's
constexpr uint64_t kPingsWithoutCalls =
    7'200'000'000'000;  // ns between pings of a peer without calls: grpc-go's

// A GOAWAY of our own for when nghttp2 has given the session up: last stream 0, ENHANCE_YOUR_CALM.
constexpr uint8_t kRawGoaway[] = {0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b};

}  // namespace

Status SessionCore::data(plugin::ByteView bytes) {
  if (http2_ == nullptr || closing_ || close_called_) return {};
  now_ = last_read_ = connection_->now_ns();
  ping_deadline_ = 0;  // whatever the peer sends shows that it lives
  for (uint64_t at = 0; at < bytes.size && !closing_; at += kSlice) {
    ssize_t taken = nghttp2_session_mem_recv(http2_, bytes.data + at, std::min(kSlice, bytes.size - at));
    if (taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
      static const plugin::Buffer kGoaway(nullptr, kRawGoaway, sizeof kRawGoaway);
      connection_->send({&kGoaway, 1});
      closing_ = goaway_sent_ = true;
      close_if_done();
      return {};
    }
    fed_ += static_cast<uint64_t>(std::max<ssize_t>(taken, 0));
    count_skipped();
    if (taken < 0) return failed("read what the peer sent", static_cast<int>(taken));
  }
  settle();
  watch_headers();
  if (nghttp2_session_want_write(http2_) != 0 || nghttp2_session_want_read(http2_) == 0) want_flush();
  return {};
}

// A header block that has begun must end in time: it can hold up everything behind it.
void SessionCore::watch_headers() {
  bool inside = more_headers_ || (header_frame_ && fed_ < known_);
  if (!inside) {
    header_deadline_ = 0;
  } else if (header_deadline_ == 0 && limits_.handshake_timeout_ns != 0) {
    header_deadline_ = now_ + limits_.handshake_timeout_ns;
    reschedule();
  }
}

// ---- Frames --------------------

void SessionCore::noise(uint64_t cost) {
  if (!noise_.take(cost, now_)) goaway(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_useless_frames");
}

// nghttp2 passes over frames of unknown types without a callback: they are what was fed beyond the known
// ones.
void SessionCore::count_skipped() {
  if (fed_ <= known_) return;
  uint64_t frames = (fed_ - known_) / kFrameHeader;
  known_ += frames * kFrameHeader;
  if (frames != 0) noise(frames);
}

int SessionCore::frame_begins(const nghttp2_frame_hd& frame) {
  known_ += kFrameHeader + frame.length;
  current_reset_ = false;
  header_frame_ = frame.type == NGHTTP2_HEADERS || frame.type == NGHTTP2_CONTINUATION;
  more_headers_ = header_frame_ && (frame.flags & NGHTTP2_FLAG_END_HEADERS) == 0;
  switch (frame.type) {
    case NGHTTP2_HEADERS:
      break;
    case NGHTTP2_DATA:
      if (frame.length < kTinyData && (frame.flags & NGHTTP2_FLAG_END_STREAM) == 0) noise(1);
      break;
    case NGHTTP2_RST_STREAM:
      if (!resets_.take(1, now_)) goaway(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_resets");
      break;
    case NGHTTP2_SETTINGS:
    case NGHTTP2_GOAWAY:
      noise((frame.flags & NGHTTP2_FLAG_ACK) != 0 ? 1 : 10);
      break;
    case NGHTTP2_CONTINUATION:
      noise(10);
      break;
    default:
      noise(1);
      break;  // PING, PRIORITY, WINDOW_UPDATE and what nobody knows
  }
  return 0;
}

Call* SessionCore::call_of(int32_t stream_id) {
  if (current_ != nullptr && current_->stream_id == stream_id) return current_;
  return static_cast<Call*>(nghttp2_session_get_stream_user_data(http2_, stream_id));
}

int SessionCore::headers_begin(const nghttp2_frame& frame) {
  Call* call = call_of(frame.hd.stream_id);
  if (call == nullptr && !closing_ && frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    call = begin_call(frame.hd.stream_id);
    if (call != nullptr) {
      nghttp2_session_set_stream_user_data(http2_, frame.hd.stream_id, call);
      link(call);
      account(call);
    }
  }
  current_ = call;
  if (call != nullptr) {
    call->header_bytes = 0;
    call->rules.begin();
    if (!server_) call->fields.clear();
  }
  return 0;
}

int SessionCore::header(const nghttp2_frame& frame, std::string_view name, std::string_view value) {
  Call* call = call_of(frame.hd.stream_id);
  if (call == nullptr || call->discarding) return 0;
  if (server_ && !call->rules.accept(name, value, call->headers_done)) return malformed(call, frame);
  if (server_ && call->headers_done) return 0;  // request trailers mean nothing in gRPC
  call->header_bytes += name.size() + value.size() + 32;
  if (limits_.max_header_bytes != 0 && call->header_bytes > limits_.max_header_bytes) {
    call->fields.clear();
    noise(kRefusedHeaders);
    end(call, EndCause::kProtocolError, kGrpcResourceExhausted,
        "grpc: the header list is larger than the limit");
    reset_stream(call, NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // the rest of the block is only decoded, not looked at
  }
  field(call, name, value);
  return 0;
}

// A malformed request ends its stream, not the connection (RFC 9113 8.1.1).
int SessionCore::malformed(Call* call, const nghttp2_frame& frame) {
  noise(1 + frame.hd.length / kMalformedBytes);
  reset_stream(call, NGHTTP2_PROTOCOL_ERROR);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // as above
}

int SessionCore::frame_received(const nghttp2_frame& frame) {
  bool end_stream = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS: {
      Call* call = call_of(frame.hd.stream_id);
      if (call == nullptr || closing_) break;
      if (server_ && call->headers_done && !end_stream) {  // neither the first block nor trailers
        malformed(call, frame);
        break;
      }
      if (end_stream) call->remote_closed = true;
      if (!call->discarding) headers_complete(call, end_stream);
      account(call);
      if (held_ > charged_ + kUnsettled) settle();
      break;
    }
    case NGHTTP2_DATA: {
      Call* call = call_of(frame.hd.stream_id);
      if (call == nullptr || !end_stream) break;
      call->remote_closed = true;
      if (!call->discarding) tell_half_close(call);
      break;
    }
    case NGHTTP2_RST_STREAM:
      current_reset_ = true;
      break;
    case NGHTTP2_SETTINGS:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0 || settings_seen_) break;
      settings_seen_ = true;
      handshake_deadline_ = 0;
      peer_ready();
      reschedule();
      break;
    case NGHTTP2_PING:
      ping_received(frame.ping);
      break;
    case NGHTTP2_GOAWAY:
      peer_goaway();
      break;
    default:
      break;
  }
  return 0;
}

// grpc-go's rules: a ping sooner than allowed is a strike, the third closes the connection; sending headers
// or data forgives, because a client may ping to estimate the bandwidth.
void SessionCore::ping_received(const nghttp2_ping& ping) {
  if ((ping.hd.flags & NGHTTP2_FLAG_ACK) != 0) {
    if (draining_ && drain_deadline_ != 0 && std::equal(kDrainPing, kDrainPing + 8, ping.opaque_data)) {
      drain_deadline_ = 0;
      drain_step();
    }
    return;
  }
  if (!server_ || limits_.keepalive_min_time_ns == 0) return;
  uint64_t least = call_count_ == 0 ? kPingsWithoutCalls : limits_.keepalive_min_time_ns;
  if (std::exchange(forgive_pings_, false)) {
    ping_strikes_ = 0;
  } else if (ping_seen_ && now_ - last_ping_received_ < least) {
    ++ping_strikes_;
  }
  ping_seen_ = true;
  last_ping_received_ = now_;
  if (ping_strikes_ > kMaxPingStrikes) goaway(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
}

int SessionCore::stream_closed(int32_t stream_id, uint32_t error) {
  bool peer_reset = std::exchange(current_reset_, false);
  Call* call = call_of(stream_id);
  if (call == nullptr) return 0;
  if (current_ == call) current_ = nullptr;
  call->stream_id = 0;
  stream_over(call, error, peer_reset);
  return 0;
}

// ---- Messages --------------------

int SessionCore::body(int32_t stream_id, const uint8_t* data, uint64_t size) {
  // The connection's window never waits for core: one call that is not read must not stop the others.
  nghttp2_session_consume_connection(http2_, size);
  Call* call = call_of(stream_id);
  current_ = call;
  if (call == nullptr || closing_ || call->discarding) return 0;
  receive(call, data, size);
  if (call->session != nullptr) account(call);
  return 0;
}

void SessionCore::receive(Call* call, const uint8_t* data, uint64_t size) {
  if (call->in.held() != 0) {
    call->in.hold(data, size);
    return;
  }
  while (size > 0 && call->credit > 0 && !call->discarding) {
    if (!take_message(call, &data, &size)) return;
  }
  if (size > 0 && !call->discarding) call->in.hold(data, size);
}

// Delivers one message if it is complete. False: it is not, or the call has failed.
bool SessionCore::take_message(Call* call, const uint8_t** data, uint64_t* size) {
  plugin::Buffer message;
  uint64_t before = *size;
  const bool held = call->in.held() != 0;
  MessageReader::Outcome outcome = call->in.feed(data, size, limits_.max_receive_message, &message);
  uint64_t used = before - *size;
  if (held) call->in.drop_held(used);
  if (outcome == MessageReader::Outcome::kNeedMore && !admit(call)) {
    call->withheld += used;
    return false;
  }
  if (call->stream_id != 0) nghttp2_session_consume_stream(http2_, call->stream_id, used);
  if (outcome == MessageReader::Outcome::kNeedMore) return false;
  leave_room(call);
  if (outcome != MessageReader::Outcome::kMessage) {
    reject(call, outcome);
    return false;
  }
  noise_.give(1);
  --call->credit;
  call->reader->on_message(std::move(message));
  return true;
}

// Messages that need more than a call's first window come in a few at a time: however many calls a client
// makes at once, they wait at the client and not in our memory. The one that has waited longest comes next,
// so each comes.
bool SessionCore::admit(Call* call) {
  if (call->admitted != 0 || !call->in.knows_length()) return true;
  const uint64_t size = call->in.announced();
  if (size <= options_.stream_window) return true;
  if (call->waits_for_room) return false;
  if (admitted_ != 0 && admitted_ + size > kLargeMessages) {
    call->waits_for_room = true;
    wait_for_room_.push_back(call);
    return false;
  }
  call->admitted = size;
  admitted_ += size;
  return true;
}

// The message has come, or never will.
void SessionCore::leave_room(Call* call) {
  if (std::exchange(call->waits_for_room, false)) std::erase(wait_for_room_, call);
  if (call->admitted == 0) return;
  admitted_ -= std::exchange(call->admitted, 0);
  while (!wait_for_room_.empty()) {
    Call* next = wait_for_room_.front();
    const uint64_t size = next->in.announced();
    if (admitted_ != 0 && admitted_ + size > kLargeMessages) return;
    wait_for_room_.pop_front();
    next->waits_for_room = false;
    next->admitted = size;
    admitted_ += size;
    if (http2_ == nullptr || next->stream_id == 0) continue;
    nghttp2_session_consume_stream(http2_, next->stream_id, std::exchange(next->withheld, 0));
    want_flush();
  }
}

// What core's request() has set free. Never runs inside a callback of nghttp2.
void SessionCore::pump(Call* call) {
  while (call->in.held() != 0 && call->credit > 0 && !call->discarding) {
    const uint8_t* data = call->in.held_data();
    uint64_t size = call->in.held();
    if (!take_message(call, &data, &size)) break;
  }
  account(call);
  if (call->stream_id == 0) {
    if (call->has_local_end || call->in.held() == 0) drained(call);
    return;
  }
  if (call->discarding || call->in.held() != 0) return;
  if (call->remote_closed) {
    tell_half_close(call);
  }
  if (http2_ != nullptr && nghttp2_session_want_write(http2_) != 0) want_flush();  // WINDOW_UPDATE
}

void SessionCore::tell_half_close(Call* call) {
  if (!server_ || call->half_close_told || call->in.held() != 0 || call->reader == nullptr) return;
  call->half_close_told = true;
  if (call->in.inside_message()) {
    refuse_message(call, kGrpcInternal, "unexpected EOF");
  } else {
    call->reader->on_half_close();
  }
}

void SessionCore::reject(Call* call, MessageReader::Outcome outcome) {
  switch (outcome) {
    case MessageReader::Outcome::kTooLarge:
      refuse_message(call, kGrpcResourceExhausted,
                     "grpc: received message larger than max (" + std::to_string(call->in.announced()) +
                         " vs. " + std::to_string(limits_.max_receive_message) + ")");
      break;
    case MessageReader::Outcome::kCompressed:
      refuse_message(call, kGrpcInternal, "grpc: compressed flag set with identity or empty encoding");
      break;
    default:
      refuse_message(call, kGrpcInternal,
                     "grpc: received unexpected payload format " + std::to_string(call->in.flag()));
      break;
  }
}

}  // namespace quorate::grpc
