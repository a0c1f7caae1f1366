#include "support/virtual_net.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace quorate::test {

using plugin::Code;
using plugin::Ref;
using plugin::Status;

namespace {

// What the two kernels take before a sender's queue grows.
constexpr uint64_t kKernelBytes = 256u << 10;

}  // namespace

class VirtualConnection final : public plugin::Counted<plugin::Connection> {
 public:
  VirtualConnection(VirtualNet* net, uint64_t id, std::string machine, Executor* executor,
                    plugin::ListenerRole role, const plugin::TransportLimits& limits)
      : net_(net), machine_(std::move(machine)), executor_(executor), limits_(limits) {
    info_.id = id;
    info_.role = role;
    info_.remote_address = {"virtual", 7};
    info_.local_address = {"virtual", 7};
    info_.limits = &limits_;
  }

  // ---- plugin::Connection
  const plugin::ConnectionInfo& info() noexcept override { return info_; }
  uint64_t now_ns() noexcept override { return executor_->clock().monotonic_ns(); }
  void send(plugin::View<plugin::Buffer> bytes) noexcept override {
    if (closed_ || closing_) return;
    for (const plugin::Buffer& b : bytes) out_.append(b.chars(), b.size());
    end_of_turn();
  }
  uint64_t queued_bytes() noexcept override {
    const uint64_t waiting = out_.size() + wire_bytes_;
    return waiting > kKernelBytes ? waiting - kKernelBytes : 0;
  }
  void request_flush() noexcept override {
    wants_flush_ = true;
    end_of_turn();
  }
  void pause_read() noexcept override { paused_ = true; }
  void resume_read() noexcept override {
    paused_ = false;
    later([](VirtualConnection& c) { c.deliver(); });
  }
  void arm(uint64_t at_ns) noexcept override {
    executor_->cancel(std::exchange(timer_, 0));
    if (at_ns == 0 || closed_) return;
    auto self = Ref<VirtualConnection>::share(this);
    timer_ = executor_->at(std::max(at_ns, now_ns()), [self] {
      self->timer_ = 0;
      if (self->session_ && !self->closed_) self->check(self->session_->on_timer(self->now_ns()));
    });
  }
  bool charge(int64_t bytes) noexcept override {
    charged_ += bytes;
    return charged_ <= int64_t{64} << 20;
  }
  void close(plugin::CloseMode mode) noexcept override {
    if (closed_) return;
    if (mode == plugin::CloseMode::kAbort) return lose(Status(Code::kRetryable, "aborted"), true);
    closing_ = true;
    end_of_turn();
  }

  // ---- The network's side
  void attach(plugin::Session* session) {
    session_ = Ref<plugin::Session>::adopt(session);
    later([](VirtualConnection& c) { c.deliver(); });
  }
  // Bytes and events from the other end, in order.
  struct Chunk {
    std::string bytes;
    bool eof = false;
  };
  void arrived(Chunk chunk) {
    inbox_.push_back(std::move(chunk));
    deliver();
  }
  // Ends this end at the end of the turn; `tell`: the other one sees a reset, when the network lets it.
  void lose(const Status& why, bool tell) {
    if (std::exchange(closed_, true)) return;
    executor_->cancel(std::exchange(timer_, 0));
    wire_.clear();
    wire_bytes_ = 0;
    out_.clear();
    if (tell) tell_reset();
    auto self = Ref<VirtualConnection>::share(this);
    executor_->post([self, why] { self->end(why); });
  }
  // At once, for a process that is being killed.
  void kill() {
    if (!std::exchange(closed_, true)) tell_reset();
    executor_->cancel(std::exchange(timer_, 0));
    end(Status(Code::kRetryable, "the process ended"));
  }
  void kick() {
    if (!wire_.empty()) schedule_carry();
  }

  VirtualNet* const net_;
  const std::string machine_;
  Executor* const executor_;
  Ref<VirtualConnection> other_;
  plugin::CallHandler* handler_ = nullptr;      // not sniffed yet
  std::vector<plugin::Transport*> transports_;  // to choose from
  Dialer::Closed on_closed_;
  plugin::DialEvents* events_ = nullptr;

 private:
  template <typename F>
  void later(F f) {
    auto self = Ref<VirtualConnection>::share(this);
    executor_->post([self, f]() mutable { f(*self); });
  }
  void check(const Status& status) {
    if (!status.ok()) lose(status, true);
  }

  void end_of_turn() {
    if (std::exchange(turn_asked_, true)) return;
    auto self = Ref<VirtualConnection>::share(this);
    executor_->defer([self] {
      self->turn_asked_ = false;
      self->flush();
    });
  }
  void flush() {
    if (closed_) return;
    if (std::exchange(wants_flush_, false) && session_) check(session_->on_flush());
    if (closed_) return;
    if (!out_.empty()) {
      wire_bytes_ += out_.size();
      wire_.push_back({std::exchange(out_, {}), false});
    }
    if (closing_ && !eof_sent_) {
      eof_sent_ = true;
      wire_.push_back({"", true});
    }
    above_mark_ = above_mark_ || queued_bytes() >= limits_.send_mark;
    if (!wire_.empty()) schedule_carry();
  }
  // One chunk is under way at a time, so that order holds whatever the delays.
  void schedule_carry() {
    if (carrying_ || net_->is_blocked(machine_, other_->machine_)) return;
    carrying_ = true;
    auto self = Ref<VirtualConnection>::share(this);
    auto other = other_;
    other->executor_->at(other->now_ns() + net_->delay(), [self, other] { self->carry(*other); });
  }
  void carry(VirtualConnection& other) {
    carrying_ = false;
    if (closed_ || wire_.empty() || net_->is_blocked(machine_, other.machine_)) return;
    Chunk chunk = std::move(wire_.front());
    wire_.pop_front();
    wire_bytes_ -= chunk.bytes.size();
    net_->bytes_ += chunk.bytes.size();
    if (!chunk.bytes.empty() && net_->flips_.erase({machine_, other.machine_}) != 0) {
      const uint64_t at = net_->random_() % chunk.bytes.size();
      chunk.bytes[at] = static_cast<char>(chunk.bytes[at] ^ (1 << net_->random_() % 8));
    }
    const bool last = chunk.eof;
    if (!other.closed_) other.arrived(std::move(chunk));
    later([last](VirtualConnection& c) { c.sent(last); });
  }
  void sent(bool last) {
    if (closed_) return;
    if (last) return lose(Status(), false);
    if (above_mark_ && queued_bytes() <= limits_.send_mark / 2) {
      above_mark_ = false;
      if (session_) check(session_->on_writable());
    }
    if (!closed_ && !wire_.empty()) schedule_carry();
  }

  void deliver() {
    while (!closed_ && !paused_ && !inbox_.empty()) {
      Chunk chunk = std::move(inbox_.front());
      inbox_.pop_front();
      if (!session_ && !sniff(&chunk.bytes)) continue;
      if (!session_) return;
      if (chunk.eof) {
        check(session_->on_eof());
      } else {
        check(session_->on_data({chunk.bytes.data(), chunk.bytes.size()}));
      }
    }
  }
  // False: more bytes are needed, or nobody wants the connection.
  bool sniff(std::string* bytes) {
    if (handler_ == nullptr) return true;
    first_ += *bytes;
    for (plugin::Transport* transport : transports_) {
      const plugin::Match match = transport->match({first_.data(), first_.size()}, {});
      if (match == plugin::Match::kNeedMore) return false;
      if (match == plugin::Match::kNo) continue;
      plugin::Session* session = nullptr;
      if (Status s = transport->serve(this, handler_, &session); !s.ok()) break;
      session_ = Ref<plugin::Session>::adopt(session);
      *bytes = std::exchange(first_, {});
      return true;
    }
    lose(Status(Code::kInvalid, "no transport knows these bytes"), true);
    return false;
  }

  void tell_reset() {
    if (other_) net_->send_reset(machine_, other_);
  }
  void end(const Status& why) {
    if (auto session = std::exchange(session_, {})) session->on_closed(why);
    if (auto closed = std::exchange(on_closed_, nullptr)) closed(why);
    net_->ends_.erase(info_.id);
    other_.reset();
  }

  const plugin::TransportLimits limits_;
  plugin::ConnectionInfo info_;
  Ref<plugin::Session> session_;
  std::string first_;
  std::string out_;
  std::deque<Chunk> wire_;
  std::deque<Chunk> inbox_;
  uint64_t wire_bytes_ = 0;
  int64_t charged_ = 0;
  TimerId timer_ = 0;
  bool carrying_ = false;
  bool turn_asked_ = false;
  bool wants_flush_ = false;
  bool above_mark_ = false;
  bool paused_ = false;
  bool closing_ = false;
  bool eof_sent_ = false;
  bool closed_ = false;
};

VirtualNet::VirtualNet(uint64_t seed) : random_(seed) {}

VirtualNet::~VirtualNet() {
  for (auto& end : all()) end->kill();
}

void VirtualNet::send_reset(const std::string& from, Ref<VirtualConnection> to) {
  if (is_blocked(from, to->machine_)) return owed_resets_.push_back({from, std::move(to)});
  to->executor_->at(to->now_ns() + delay(),
                    [to] { to->lose(Status(Code::kRetryable, "connection reset by peer"), false); });
}

void VirtualNet::kick() {
  for (auto& end : all()) end->kick();
  for (auto& [from, to] : std::exchange(owed_resets_, {})) send_reset(from, std::move(to));
}

std::vector<Ref<VirtualConnection>> VirtualNet::all() const {
  std::vector<Ref<VirtualConnection>> out;
  for (const auto& [id, end] : ends_) out.push_back(end);
  return out;
}

uint64_t VirtualNet::delay() {
  return min_delay_ns + (max_delay_ns > min_delay_ns ? random_() % (max_delay_ns - min_delay_ns) : 0);
}

void VirtualNet::listen(const std::string& url, Listener listener) { listeners_[url] = std::move(listener); }
void VirtualNet::stop_listening(const std::string& url) { listeners_.erase(url); }

void VirtualNet::dial(const Caller& from, const std::string& url, plugin::Lane lane,
                      plugin::DialEvents* events, Dialer::Connected connected, Dialer::Closed closed) {
  // A round trip; where it is cut there is no answer, and the caller gives up in the end.
  auto at = listeners_.find(url);
  const std::string to = at == listeners_.end() ? url : at->second.machine;
  const bool silent = is_blocked(from.machine, to) || is_blocked(to, from.machine);
  const uint64_t now = from.executor->clock().monotonic_ns();
  struct Pending {
    Dialer::Connected connected;
    Dialer::Closed closed;
  };
  auto pending = std::make_shared<Pending>(Pending{std::move(connected), std::move(closed)});
  if (silent) {
    from.executor->at(now + from.limits.handshake_timeout_ns, [pending] {
      pending->connected(Status(Code::kRetryable, "no connection in time"), nullptr);
    });
    return;
  }
  from.executor->at(now + 2 * delay(), [this, from, url, lane, events, pending] {
    connect(from, url, lane, events, std::move(pending->connected), std::move(pending->closed));
  });
}

void VirtualNet::connect(const Caller& from, const std::string& url, plugin::Lane lane,
                         plugin::DialEvents* events, Dialer::Connected connected, Dialer::Closed closed) {
  auto at = listeners_.find(url);
  if (at == listeners_.end()) return connected(Status(Code::kNotFound, "connection refused"), nullptr);
  const Listener& listener = at->second;
  auto client = plugin::make<VirtualConnection>(this, next_id_++, from.machine, from.executor,
                                                plugin::ListenerRole::kPeer, from.limits);
  auto server = plugin::make<VirtualConnection>(this, next_id_++, listener.machine, listener.executor,
                                                listener.role, listener.limits);
  client->other_ = server;
  server->other_ = client;
  server->handler_ = listener.handler;
  server->transports_ = listener.transports;
  client->on_closed_ = std::move(closed);
  ends_[client->info().id] = client;
  ends_[server->info().id] = server;
  plugin::DialInfo info;
  info.lane = lane;
  info.authority = {url.data(), url.size()};
  info.events = events;
  plugin::ClientSession* session = nullptr;
  Status status = from.transport->dial(client.get(), info, &session);
  if (status.ok()) client->attach(session);
  connected(status, session);
}

void VirtualNet::unblock(const std::string& from, const std::string& to) {
  blocked_.erase({from, to});
  kick();
}

void VirtualNet::unblock_all() {
  blocked_.clear();
  kick();
}

void VirtualNet::reset(const std::string& a, const std::string& b) {
  for (auto& end : all()) {
    if ((end->machine_ == a && end->other_->machine_ == b) ||
        (end->machine_ == b && end->other_->machine_ == a))
      end->lose(Status(Code::kRetryable, "connection reset by peer"), false);
  }
}

void VirtualNet::kill(const std::string& machine) {
  for (auto at = listeners_.begin(); at != listeners_.end();) {
    at = at->second.machine == machine ? listeners_.erase(at) : std::next(at);
  }
  for (auto& end : all()) {
    if (end->machine_ == machine) end->kill();
  }
}

}  // namespace quorate::test
