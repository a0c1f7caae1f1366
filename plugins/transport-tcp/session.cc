// The life of a session and its calls, and time. Sending is in session_send.cc, receiving in
// session_receive.cc.
#include "session.h"

#include <algorithm>

namespace quorate::tcp {
namespace {

using plugin::CloseMode;
using plugin::Code;
using plugin::EndCause;
using plugin::Status;

constexpr uint64_t kLinger = 1'000'000'000;  // ns, for our GOAWAY to leave before the connection is cut
constexpr size_t kMaxControl = 1000;         // frames that wait because the peer does not read

}  // namespace

// ---- Life --------------------

SessionCore::SessionCore(plugin::Connection* connection, const Options& options, bool server)
    : connection_(plugin::Ref<plugin::Connection>::share(connection)),
      options_(options),
      limits_(*connection->info().limits),
      server_(server),
      resets_(options.reset_burst, options.reset_rate),
      noise_(options.noise_burst, options.noise_rate),
      reader_(options.max_frame) {}

SessionCore::~SessionCore() {
  if (open_) closed(Status(Code::kIo, "the session was released"));
}

void SessionCore::start() {
  now_ = last_read_ = connection_->now_ns();
  if (limits_.handshake_timeout_ns != 0) handshake_deadline_ = now_ + limits_.handshake_timeout_ns;
  if (!server_) want_flush();
  reschedule();
}

void SessionCore::closed(const Status& why) {
  if (!open_) return;
  closing_ = true;
  while (Call* call = calls_.front()) {
    end(call, EndCause::kConnectionLost, kGrpcUnavailable,
        why.ok() ? "the connection was closed" : why.text());
    detach(call);
  }
  open_ = false;
  held_ -= std::exchange(held_by_reader_, 0);
  settle();
  connection_.reset();
}

Status SessionCore::failed(Code code, std::string_view why) const {
  return Status(code, "transport-tcp: " + std::string(why));
}

Status SessionCore::broken(const Frame& frame, std::string_view why) const {
  return failed(Code::kInvalid, "frame " + std::to_string(frame.number) + " (" +
                                    type_name(frame.header.type) + " of call " +
                                    std::to_string(frame.header.call) + "): " + std::string(why));
}

// ---- Calls of this session --------------------

void SessionCore::link(Call* call) {
  call->session = this;
  calls_.push_back(call);
  ++call_count_;
}

void SessionCore::detach(Call* call) {
  if (call->session == nullptr) return;
  calls_.remove(call);
  if (turns_.has(call)) turns_.remove(call);
  call->session = nullptr;
  --call_count_;
  held_ -= call->accounted;
  call->accounted = 0;
  if (call->in_deferred_list) {
    std::replace(deferred_.begin(), deferred_.end(), call, static_cast<Call*>(nullptr));
    std::replace(running_.begin(), running_.end(), call, static_cast<Call*>(nullptr));
    call->in_deferred_list = false;
  }
  if (last_grown_ == call) last_grown_ = nullptr;
  if (call->id != 0) table_.erase(call->id);
  detached(call);
  call->in.reset();
  call->out.clear();
  if (!recycle(call)) call->release_call();
}

void SessionCore::end(Call* call, const plugin::End& end) {
  call->ended = true;
  call->discarding = true;
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
  e.text = bytes(why);
  end(call, e);
}

void SessionCore::account(Call* call) {
  constexpr uint64_t kCallCost = 768;  // the call and its places in the table and in lists
  const uint64_t now = kCallCost + call->block.size() + call->metadata.capacity() * sizeof(plugin::Header) +
                       call->first_block.size() + call->in.memory() + call->out.memory();
  if (now == call->accounted) return;
  if (now > call->accounted) last_grown_ = call;
  held_ += now - call->accounted;
  call->accounted = now;
}

// Tells the host what the peer makes us hold; over the budget the call that grew last has to go.
void SessionCore::settle() {
  const uint64_t reading = open_ ? reader_.memory() : 0;
  held_ += reading - held_by_reader_;
  held_by_reader_ = reading;
  if (held_ == charged_) return;
  const auto delta = static_cast<int64_t>(held_ - charged_);
  charged_ = held_;
  const bool within = connection_->charge(delta);
  if (!within && delta > 0 && last_grown_ != nullptr && !closing_) shed(last_grown_);
}

void SessionCore::shed(Call* call) {
  constexpr std::string_view kWhy = "the connection is over its memory budget";
  end(call, EndCause::kProtocolError, kGrpcResourceExhausted, kWhy);
  reset_call(call->id, kGrpcResourceExhausted, kWhy);
  detach(call);
  if (held_ == charged_) return;
  connection_->charge(static_cast<int64_t>(held_ - charged_));
  charged_ = held_;
}

// ---- For calls --------------------

bool SessionCore::too_large(uint64_t size, std::string* why) const {
  const uint64_t most = limits_.max_send_message;
  if ((most == 0 || size <= most) && size <= UINT32_MAX) return false;
  *why = "trying to send message larger than max (" + std::to_string(size) + " vs. " + std::to_string(most) +
         ")";
  return true;
}

void SessionCore::write(Call* call, plugin::View<plugin::Buffer> message, uint32_t size) {
  call->out.push(message, size);
  if (limits_.send_mark != 0 && call->out.bytes() > limits_.send_mark / 2) call->above_mark = true;
  account(call);
  ready(call);
}

void SessionCore::add_credit(Call* call, uint64_t messages) {
  call->credit = messages > UINT64_MAX - call->credit ? UINT64_MAX : call->credit + messages;
  if (!call->in.holds() && !call->in.inside()) return;
  call->wants_pump = true;
  defer(call);
}

void SessionCore::give_up(Call* call) {
  call->discarding = true;
  reset_call(call->id, call->local_code, call->local_text);
  defer(call);
}

void SessionCore::reset_call(uint32_t id, uint32_t code, std::string_view why) {
  if (id == 0) return;  // the peer has never heard of it
  Builder b;
  b.number(code);
  b.text32(why.substr(0, kMaxText));
  control(Type::kReset, id, b.view());
}

void SessionCore::control(Type type, uint32_t call, std::string_view payload) {
  if (closing_ && type != Type::kGoaway) return;
  control_.push_back({type, call, std::string(payload)});
  want_flush();
  if (control_.size() > kMaxControl) goaway("too many frames that the peer does not read");
}

void SessionCore::want_flush() {
  if (flush_wanted_ || !open_) return;
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
    if (call->has_local_end) {
      end(call, call->local_cause, call->local_code, call->local_text);
      detach(call);
      continue;
    }
    const bool writable = std::exchange(call->wants_writable, false);
    if (writable && call->reader != nullptr) call->reader->on_writable();
    if (std::exchange(call->wants_pump, false)) pump(call);
  }
  running_.clear();
}

// ---- Closing --------------------

// The last thing the peer hears; only a server says so, a client just goes.
void SessionCore::goaway(std::string_view why) {
  if (closing_) return;
  closing_ = true;
  control_.clear();
  close_wanted_ = true;
  if (server_) say_goaway(last_id_, kGrpcResourceExhausted, why);
  want_flush();
  linger_deadline_ = now_ + kLinger;
  reschedule();
}

void SessionCore::say_goaway(uint32_t last, uint32_t code, std::string_view why) {
  Builder b;
  b.number(last);
  b.number(code);
  b.text32(why);
  control(Type::kGoaway, 0, b.view());
}

bool SessionCore::noise(uint64_t cost) {
  if (noise_.take(cost, now_)) return true;
  goaway("too many frames that move nothing forward");
  return false;
}

void SessionCore::close_if_done() {
  if (close_called_ || !control_.empty()) return;
  if (!close_wanted_ && (!drain_final_ || call_count_ != 0)) return;
  close_called_ = true;
  connection_->close(CloseMode::kGraceful);
}

Status SessionCore::eof() {
  if (!open_ || close_called_) return {};
  if (hello_size_ != 0 && !peer_ready_) return failed(Code::kIo, "the connection ends inside the hello");
  if (reader_.inside())
    return failed(Code::kIo, "the connection ends inside frame " + std::to_string(reader_.number()));
  close_called_ = true;
  connection_->close(CloseMode::kGraceful);
  return {};
}

// ---- Time --------------------

uint64_t SessionCore::keepalive_at() const {
  if (ping_deadline_ != 0) return ping_deadline_;
  if (limits_.keepalive_interval_ns == 0 || !peer_ready_ || (!server_ && call_count_ == 0)) return 0;
  return last_read_ + limits_.keepalive_interval_ns;
}

void SessionCore::arm_first(uint64_t at_ns) {
  if (at_ns == 0 || (armed_ != 0 && armed_ <= at_ns)) return;
  armed_ = at_ns;
}

// Arms for the earliest deadline. One that moved later is noticed when the timer fires, not on every byte.
void SessionCore::reschedule() {
  const uint64_t before = armed_;
  for (uint64_t at : {handshake_deadline_, linger_deadline_, drain_deadline_, keepalive_at()}) arm_first(at);
  if (armed_ != before) connection_->arm(armed_);
}

Status SessionCore::timer(uint64_t now_ns) {
  if (!open_ || close_called_) return {};
  now_ = now_ns;
  armed_ = 0;
  if (peer_ready_) handshake_deadline_ = 0;
  auto due = [&](uint64_t at) { return at != 0 && now_ns >= at; };
  if (due(handshake_deadline_)) return failed(Code::kIo, "the peer did not finish its hello in time");
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
  const uint64_t at = keepalive_at();
  if (at == 0 || now_ns < at) return {};
  if (ping_deadline_ != 0) return failed(Code::kIo, "keepalive ping not acked within timeout");
  control(Type::kPing, 0, kAlivePing);
  ping_deadline_ = limits_.keepalive_timeout_ns == 0 ? 0 : now_ns + limits_.keepalive_timeout_ns;
  last_read_ = now_ns;  // with no timeout configured, the next ping is an interval away
  return {};
}

}  // namespace quorate::tcp
