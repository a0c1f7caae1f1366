#include "session.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "callbacks.h"
#include "grpc_text.h"

namespace quorate::grpc {
namespace {

using plugin::CloseMode;
using plugin::Code;
using plugin::EndCause;
using plugin::Status;

// nghttp2 bounds, each well above what a gRPC peer sends: answers to PING and SETTINGS waiting for the
// socket, entries of one SETTINGS, frames of one header block.
constexpr size_t kMaxOutboundAcks = 1000;
constexpr size_t kMaxSettings = 32;
constexpr size_t kMaxContinuations = 8;
constexpr uint64_t kUnchargedOutput = 64u
                                      << 10;  // bytes of answers that may wait for the flush to be charged
constexpr uint64_t kLinger = 1'000'000'000;   // ns, for our GOAWAY to leave before the connection is cut

// One per loop: empty between flushes, so that idle connections keep no buffers.
plugin::Output& thread_output() {
  static thread_local plugin::Output output;
  return output;
}

nghttp2_option* make_option(const Options& options, bool server) {
  nghttp2_option* o = nullptr;
  if (nghttp2_option_new(&o) != 0) return nullptr;
  nghttp2_option_set_no_auto_window_update(o, 1);
  if (server) nghttp2_option_set_no_http_messaging(o, 1);  // FieldRules says why
  nghttp2_option_set_no_closed_streams(o, 1);              // else memory grows with every call that has ended
  nghttp2_option_set_max_outbound_ack(o, kMaxOutboundAcks);
  nghttp2_option_set_max_settings(o, kMaxSettings);
  nghttp2_option_set_max_continuations(o, kMaxContinuations);
  nghttp2_option_set_max_deflate_dynamic_table_size(o, options.header_table_size);
  // It would read the system's clock; resets_ counts on the host's.
  nghttp2_option_set_stream_reset_rate_limit(o, UINT64_MAX, UINT64_MAX);
  return o;
}

}  // namespace

// ---- HeaderList --------------------

namespace {
nghttp2_nv field(std::string_view name, std::string_view value, uint8_t flags) {
  auto bytes = [](std::string_view s) { return reinterpret_cast<uint8_t*>(const_cast<char*>(s.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(), flags};
}
std::string_view text(plugin::ByteView v) {
  return v.empty() ? std::string_view() : std::string_view(v.chars(), v.size);
}
}  // namespace

void HeaderList::clear() {
  fields_.clear();
  owned_.clear();
}

void HeaderList::add_static(std::string_view name, std::string_view value) {
  fields_.push_back(field(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE));
}

void HeaderList::add(std::string_view name, std::string_view value) {
  fields_.push_back(field(name, value, NGHTTP2_NV_FLAG_NONE));
}

void HeaderList::add_owned(std::string_view name, std::string value) {
  if (owned_.capacity() == 0) owned_.reserve(256);
  if (owned_.size() == owned_.capacity()) return;  // a move of owned_ would leave fields_ dangling
  owned_.push_back(std::move(value));
  add(name, owned_.back());
}

void HeaderList::add_metadata(plugin::View<plugin::Header> metadata) {
  for (const plugin::Header& header : metadata) {
    std::string_view name = text(header.name);
    if (is_reserved_header(name)) continue;
    if (!is_binary_header(name)) {
      add(name, text(header.value));
      continue;
    }
    std::string encoded;
    base64_encode(text(header.value), &encoded);
    add_owned(name, std::move(encoded));
  }
}

// ---- Life --------------------

SessionCore::SessionCore(plugin::Connection* connection, const Options& options, bool server)
    : connection_(plugin::Ref<plugin::Connection>::share(connection)),
      options_(options),
      limits_(*connection->info().limits),
      server_(server),
      resets_(options.reset_burst, options.reset_rate),
      noise_(options.noise_burst, options.noise_rate) {}

SessionCore::~SessionCore() {
  if (http2_ != nullptr) closed(Status(Code::kIo, "the session was released"));
}

nghttp2_session_callbacks* SessionCore::callbacks() {
  static nghttp2_session_callbacks* const kCallbacks = Callbacks::make();
  return kCallbacks;
}

Status SessionCore::start() {
  std::unique_ptr<nghttp2_option, void (*)(nghttp2_option*)> option(make_option(options_, server_),
                                                                    nghttp2_option_del);
  nghttp2_session_callbacks* cb = callbacks();
  if (option == nullptr || cb == nullptr) return Status(Code::kRetryable, "transport-grpc: out of memory");
  int rv = server_ ? nghttp2_session_server_new2(&http2_, cb, this, option.get())
                   : nghttp2_session_client_new2(&http2_, cb, this, option.get());
  if (rv != 0) return failed("make a session", rv);

  nghttp2_settings_entry settings[6];
  size_t count = 0;
  auto set = [&](int32_t id, uint32_t value) { settings[count++] = {id, value}; };
  set(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.stream_window);
  if (limits_.max_header_bytes != 0) set(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.max_header_bytes);
  if (options_.header_table_size != 4096) set(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, options_.header_table_size);
  if (server_ && limits_.max_concurrent_streams != 0 && limits_.max_concurrent_streams != 0xffffffff) {
    set(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.max_concurrent_streams);
  }
  if (!server_) set(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
  // RFC 9218: without the old priority tree there is nothing in it to grow or to reorder.
  set(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1);
  rv = nghttp2_submit_settings(http2_, NGHTTP2_FLAG_NONE, settings, count);
  if (rv != 0) return failed("send SETTINGS", rv);
  rv = nghttp2_session_set_local_window_size(http2_, NGHTTP2_FLAG_NONE, 0,
                                             static_cast<int32_t>(options_.connection_window));
  if (rv != 0) return failed("open the connection's window", rv);
  now_ = last_read_ = connection_->now_ns();
  if (server_) known_ = NGHTTP2_CLIENT_MAGIC_LEN;
  if (limits_.handshake_timeout_ns != 0) handshake_deadline_ = now_ + limits_.handshake_timeout_ns;
  want_flush();
  reschedule();
  return {};
}

void SessionCore::closed(const Status& why) {
  if (http2_ == nullptr) return;
  closing_ = true;
  while (calls_ != nullptr) {
    Call* call = calls_;
    end(call, EndCause::kConnectionLost, kGrpcUnavailable,
        why.ok() ? "the connection was closed" : why.text());
    detach(call);
  }
  nghttp2_session_del(http2_);
  http2_ = nullptr;
  settle();
  connection_.reset();
}

Status SessionCore::failed(const char* doing, int error) {
  return Status(Code::kInvalid,
                std::string("transport-grpc: cannot ") + doing + ": " + nghttp2_strerror(error));
}

// ---- Calls of this session --------------------

void SessionCore::link(Call* call) {
  call->session = this;
  call->previous = nullptr;
  call->next = calls_;
  if (calls_ != nullptr) calls_->previous = call;
  calls_ = call;
  ++call_count_;
}

void SessionCore::detach(Call* call) {
  if (call->session == nullptr) return;
  (call->previous != nullptr ? call->previous->next : calls_) = call->next;
  if (call->next != nullptr) call->next->previous = call->previous;
  call->next = call->previous = nullptr;
  leave_room(call);
  call->session = nullptr;
  --call_count_;
  held_ -= call->accounted;
  call->accounted = 0;
  if (call->in_deferred_list) {
    std::replace(deferred_.begin(), deferred_.end(), call, static_cast<Call*>(nullptr));
    std::replace(running_.begin(), running_.end(), call, static_cast<Call*>(nullptr));
    call->in_deferred_list = false;
  }
  if (current_ == call) current_ = nullptr;
  if (last_grown_ == call) last_grown_ = nullptr;
  call->in.reset();
  call->out.clear();
  if (!recycle(call)) call->release_call();
}

void SessionCore::end(Call* call, const plugin::End& end) {
  call->ended = true;
  call->discarding = true;
  leave_room(call);
  plugin::StreamReader* reader = std::exchange(call->reader, nullptr);
  if (reader == nullptr) return;
  reader->on_end(end);
  reader->release();
}

void SessionCore::end(Call* call, EndCause cause, uint32_t code, std::string_view why) {
  if (call->ended) return;
  plugin::End e;
  e.cause = cause;
  e.code = code;
  e.text = {why.data(), why.size()};
  end(call, e);
}

void SessionCore::account(Call* call) {
  constexpr uint64_t kCallCost = 1024;  // the call, its stream in nghttp2, its place in tables
  uint64_t now = kCallCost + call->fields.memory() + call->in.memory() + call->out.bytes();
  if (now == call->accounted) return;
  if (now > call->accounted) last_grown_ = call;
  held_ += now - call->accounted;
  call->accounted = now;
}

// Tells the host what the peer makes us hold; over the budget the call that grew last has to go.
void SessionCore::settle() {
  if (held_ == charged_) return;
  auto delta = static_cast<int64_t>(held_ - charged_);
  charged_ = held_;
  bool within = connection_->charge(delta);
  while (!within && delta > 0 && !closing_) {
    Call* call = last_grown_ != nullptr ? last_grown_ : largest_call();
    if (call == nullptr) return;
    shed(call);
    within = connection_->charge(0);
  }
}

// Of those that something can still be taken from.
Call* SessionCore::largest_call() const {
  Call* largest = nullptr;
  for (Call* call = calls_; call != nullptr; call = call->next) {
    const bool holds = !call->discarding || call->out.bytes() != 0;
    if (holds && (largest == nullptr || call->accounted > largest->accounted)) largest = call;
  }
  return largest;
}

// Charges what an answer adds at once: a turn's answers together may be far more than a connection may hold.
// One over the budget is dropped, and its call ends with the next flush, since core is in the middle of a
// method of its own now.
void SessionCore::charge_output(Call* call) {
  if (held_ < charged_ + kUnchargedOutput || closing_) return;
  const auto delta = static_cast<int64_t>(held_ - charged_);
  charged_ = held_;
  if (connection_->charge(delta)) return;
  call->out.clear();
  call->discarding = call->wants_shed = true;
  account(call);
  give_back();
  defer(call);
}

void SessionCore::shed(Call* call) {
  end(call, EndCause::kProtocolError, kGrpcResourceExhausted,
      "grpc: the connection is over its memory budget");
  call->in.reset();
  call->out.clear();
  reset_stream(call, NGHTTP2_ENHANCE_YOUR_CALM);
  if (call->stream_id == 0) {
    detach(call);
  } else {
    account(call);
  }
  last_grown_ = nullptr;
  give_back();
}

void SessionCore::give_back() {
  if (held_ >= charged_) return;
  connection_->charge(-static_cast<int64_t>(charged_ - held_));
  charged_ = held_;
}

// ---- For calls --------------------

void SessionCore::written(Call* call) {
  if (limits_.send_mark != 0 && call->out.bytes() > limits_.send_mark / 2) call->above_mark = true;
  account(call);
  charge_output(call);
  resume(call);
}

void SessionCore::resume(Call* call) {
  if (call->deferred) {
    call->deferred = false;
    nghttp2_session_resume_data(http2_, call->stream_id);
  }
  want_flush();
}

void SessionCore::add_credit(Call* call, uint64_t messages) {
  call->credit = messages > UINT64_MAX - call->credit ? UINT64_MAX : call->credit + messages;
  if (call->in.held() == 0) return;
  call->wants_pump = true;
  defer(call);
}

void SessionCore::reset_stream(Call* call, uint32_t error) {
  call->discarding = true;
  if (call->stream_id == 0) return;
  nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, call->stream_id, error);
  want_flush();
}

void SessionCore::give_up(Call* call) {
  call->discarding = true;
  if (call->stream_id != 0) {
    reset_stream(call, NGHTTP2_CANCEL);
  } else {
    call->wants_pump = true;  // its stream has closed: the deferred pump ends it
    defer(call);
  }
}

const nghttp2_data_provider* SessionCore::body_of(Call* call) {
  static thread_local nghttp2_data_provider provider;
  provider.source.ptr = call;
  provider.read_callback = Callbacks::read_body;
  return &provider;
}

void SessionCore::want_flush() {
  if (flush_wanted_) return;
  flush_wanted_ = true;
  connection_->request_flush();
}

void SessionCore::defer(Call* call) {
  if (!call->in_deferred_list) {
    call->in_deferred_list = true;
    deferred_.push_back(call);
  }
  want_flush();
}

void SessionCore::run_deferred() {
  if (deferred_.empty()) return;
  running_.swap(deferred_);
  for (size_t i = 0; i < running_.size(); ++i) {
    Call* call = running_[i];
    if (call == nullptr) continue;
    call->in_deferred_list = false;
    if (std::exchange(call->wants_shed, false)) {
      shed(call);
      continue;
    }
    bool writable = std::exchange(call->wants_writable, false);
    if (writable && call->reader != nullptr) call->reader->on_writable();
    if (std::exchange(call->wants_pump, false)) pump(call);
  }
  running_.clear();
}

// ---- Output --------------------

Status SessionCore::flush() {
  if (http2_ == nullptr || close_called_) return {};
  now_ = connection_->now_ns();
  flush_wanted_ = false;
  if (!closing_) run_deferred();
  Status status = pull();
  if (!status.ok()) return status;
  if (!closing_) run_deferred();
  settle();
  close_if_done();
  return {};
}

// Takes from nghttp2 what the socket's queue has room for and sends it at once.
Status SessionCore::pull() {
  plugin::Output& output = thread_output();
  output_ = &output;
  uint64_t queued = limits_.send_mark == 0 ? 0 : connection_->queued_bytes();
  pull_room_ = limits_.send_mark == 0       ? UINT64_MAX
               : limits_.send_mark > queued ? limits_.send_mark - queued
                                            : 0;
  if (closing_) pull_room_ = UINT64_MAX;
  ssize_t got = 0;
  while (output.bytes() < pull_room_ && !goaway_sent_) {
    const uint8_t* bytes = nullptr;
    got = nghttp2_session_mem_send(http2_, &bytes);
    if (got <= 0) break;
    output.copy(bytes, static_cast<uint64_t>(got));
  }
  output_ = nullptr;
  output.send(connection_.get());
  return got < 0 ? failed("send", static_cast<int>(got)) : Status();
}

ssize_t SessionCore::read_body(Call* call, uint64_t room, uint32_t* flags) {
  uint64_t size = std::min(room, call->out.bytes());
  if (size == 0 && (!call->finishing || call->wants_shed)) {
    call->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (call->finishing && size == call->out.bytes()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (call->submit_end_of_body()) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  }
  return static_cast<ssize_t>(size);
}

int SessionCore::send_body(Call* call, const uint8_t* frame_header, uint64_t size) {
  if (output_->bytes() >= pull_room_) return NGHTTP2_ERR_WOULDBLOCK;
  // The queue was dropped while nghttp2 held the frame back: the stream is being reset anyway.
  if (call->out.bytes() < size) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  output_->copy(frame_header, 9);
  call->out.take(size, options_.share_threshold, output_);
  if (call->above_mark && call->out.bytes() <= limits_.send_mark / 2) {
    call->above_mark = false;
    if (call->reader != nullptr) {
      call->wants_writable = true;
      defer(call);
    }
  }
  account(call);
  return 0;
}

int SessionCore::frame_sent(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
      forgive_pings_ = true;
      noise_.give(2);  // a peer that is served answers with WINDOW_UPDATE
      // RFC 9113 8.1: the answer is complete before the request is; ask the peer to stop sending.
      if (server_ && (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
          nghttp2_session_get_stream_remote_close(http2_, frame.hd.stream_id) == 0) {
        nghttp2_submit_rst_stream(http2_, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_NO_ERROR);
      }
      break;
    case NGHTTP2_RST_STREAM:
      // Resets that the peer provoked cost as much as its own.
      if (server_ && frame.rst_stream.error_code != NGHTTP2_NO_ERROR &&
          frame.rst_stream.error_code != NGHTTP2_CANCEL && !resets_.take(1, now_)) {
        goaway(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_resets");
      }
      break;
    case NGHTTP2_GOAWAY:
      if (closing_) {
        goaway_sent_ = true;
        pull_room_ = 0;
      }
      break;
    default:
      break;
  }
  return 0;
}

// A header block that cannot be sent (too large for nghttp2) must not leave its call hanging.
int SessionCore::frame_not_sent(const nghttp2_frame& frame, int error) {
  if (frame.hd.type != NGHTTP2_HEADERS || error == NGHTTP2_ERR_STREAM_CLOSING) return 0;
  Call* call = call_of(frame.hd.stream_id);
  if (call != nullptr) reset_stream(call, NGHTTP2_INTERNAL_ERROR);
  return 0;
}

void SessionCore::goaway(uint32_t error, std::string_view why) {
  if (closing_) return;
  closing_ = true;
  nghttp2_submit_goaway(http2_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(http2_), error,
                        reinterpret_cast<const uint8_t*>(why.data()), why.size());
  linger_deadline_ = now_ + kLinger;
  want_flush();
  reschedule();
}

void SessionCore::close_if_done() {
  if (close_called_) return;
  bool over =
      goaway_sent_ || (nghttp2_session_want_read(http2_) == 0 && nghttp2_session_want_write(http2_) == 0);
  bool drained = drain_final_ && call_count_ == 0 && nghttp2_session_want_write(http2_) == 0;
  if (!over && !drained) return;
  close_called_ = true;
  connection_->close(CloseMode::kGraceful);
}

Status SessionCore::eof() {
  if (http2_ == nullptr || close_called_) return {};
  close_called_ = true;
  connection_->close(CloseMode::kGraceful);
  return {};
}

// ---- Time --------------------

uint64_t SessionCore::keepalive_at() const {
  if (ping_deadline_ != 0) return ping_deadline_;
  if (limits_.keepalive_interval_ns == 0 || !settings_seen_ || !pings_idle_peer()) return 0;
  return last_read_ + limits_.keepalive_interval_ns;
}

void SessionCore::arm_first(uint64_t at_ns) {
  if (at_ns == 0 || (armed_ != 0 && armed_ <= at_ns)) return;
  armed_ = at_ns;
}

// Arms for the earliest deadline. One that moved later is noticed when the timer fires, not on every byte.
void SessionCore::reschedule() {
  uint64_t before = armed_;
  for (uint64_t at :
       {handshake_deadline_, header_deadline_, linger_deadline_, drain_deadline_, keepalive_at()}) {
    arm_first(at);
  }
  if (armed_ != before) connection_->arm(armed_);
}

Status SessionCore::timer(uint64_t now_ns) {
  if (http2_ == nullptr || close_called_) return {};
  now_ = now_ns;
  armed_ = 0;
  auto due = [&](uint64_t at) { return at != 0 && now_ns >= at; };
  if (due(handshake_deadline_))
    return Status(Code::kIo, "transport-grpc: the peer did not finish its preface in time");
  if (due(header_deadline_))
    return Status(Code::kIo, "transport-grpc: the peer did not finish its headers in time");
  if (due(linger_deadline_)) {
    close_called_ = true;
    connection_->close(CloseMode::kAbort);
    return {};
  }
  if (due(drain_deadline_)) {
    drain_deadline_ = 0;
    drain_step();
  }
  Status status = keepalive(now_ns);
  reschedule();
  return status;
}

Status SessionCore::keepalive(uint64_t now_ns) {
  uint64_t at = keepalive_at();
  if (at == 0 || now_ns < at) return {};
  if (ping_deadline_ != 0)
    return Status(Code::kIo, "transport-grpc: keepalive ping not acked within timeout");
  nghttp2_submit_ping(http2_, NGHTTP2_FLAG_NONE, kAlivePing);
  ping_deadline_ = limits_.keepalive_timeout_ns == 0 ? 0 : now_ns + limits_.keepalive_timeout_ns;
  last_read_ = now_ns;  // with no timeout configured, the next ping is an interval away
  want_flush();
  return {};
}

}  // namespace quorate::grpc
