#include "host/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace quorate::host {

using plugin::ByteView;
using plugin::Code;
using plugin::Status;

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kReadPerTurn = 256u << 10;     // of one connection, so that others come first
constexpr uint64_t kMostFirstBytes = 4096;        // that transports may ask for before they decide
constexpr uint64_t kCloseTimeout = 10 * kSecond;  // for a graceful close to get its bytes out
constexpr uint64_t kLingerTimeout = kSecond;
constexpr int kBuffersPerSend = 64;
constexpr size_t kQueueToKeep = 64;  // capacity of an empty queue that is worth keeping

Status socket_error(const char* what, int error) {
  return Status(error == ENOSPC ? Code::kNoSpace : Code::kIo,
                std::string(what) + ": " + std::strerror(error));
}

}  // namespace

SocketConnection::SocketConnection(Hub* hub, int fd, std::shared_ptr<const ListenOptions> options,
                                   const SocketAddress& local, const SocketAddress& remote)
    : hub_(hub), fd_(fd), options_(std::move(options)), local_(local.text()), remote_(remote.text()) {
  info_.id = hub->next_id++;
  info_.role = options_->role;
  info_.limits = &options_->limits;
  info_.local_address = {local_.data(), local_.size()};
  info_.remote_address = {remote_.data(), remote_.size()};
  if (local.is_unix()) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
      info_.unix_pid = peer.pid;
      info_.unix_uid = peer.uid;
      info_.unix_gid = peer.gid;
    }
  } else {
    int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
}

SocketConnection::~SocketConnection() {
  QUORATE_ASSERT(fd_ < 0, "a connection dies only after it was closed");
}

bool SocketConnection::accept() {
  hub_->add(this);
  is_client_ = options_->role == plugin::ListenerRole::kClient;
  if (is_client_) ++hub_->clients;
  if (!hub_->executor->watch(fd_, this)) {
    finish_now(socket_error("the loop cannot watch the socket", errno));
    return false;
  }
  if (options_->limits.handshake_timeout_ns != 0)
    set_deadline(now_ns() + options_->limits.handshake_timeout_ns);
  return true;
}

Status SocketConnection::connect(const DialOptions& options, Net::Closed closed,
                                 plugin::ClientSession** session) {
  hub_->add(this);
  state_ = State::kOpen;
  Status status;
  if (!hub_->executor->watch(fd_, this)) status = socket_error("the loop cannot watch the socket", errno);
  plugin::DialInfo info;
  info.lane = options.lane;
  info.authority = {options.authority.data(), options.authority.size()};
  info.events = options.events;
  plugin::Ref<plugin::ClientSession> made;
  if (status.ok()) status = options.transport->dial(this, info, made.out());
  if (status.ok() && !made) status = Status(Code::kInternal, "the transport made no session");
  if (!status.ok()) {
    finish_now(status);
    return status;
  }
  *session = made.get();
  session_ = std::move(made);
  closed_ = std::move(closed);
  return {};
}

// ---- What sessions call
// ----------------------------------------------------------------------------------------

uint64_t SocketConnection::now_ns() noexcept {
  return state_ == State::kClosed ? closed_at_ : hub_->now_ns();
}

void SocketConnection::send(plugin::View<plugin::Buffer> bytes) noexcept {
  if (!is_live()) return;
  for (const plugin::Buffer& b : bytes) {
    if (b.empty()) continue;
    queued_ += b.size();
    out_.push_back(b);
  }
  if (queued_ >= options_->limits.send_mark) over_mark_ = true;
  if (!blocked_) hub_->mark_dirty(this);
}

void SocketConnection::request_flush() noexcept {
  if (!is_live()) return;
  wants_flush_ = true;
  hub_->mark_dirty(this);
}

void SocketConnection::resume_read() noexcept {
  paused_ = false;
  if (readable_ && reads()) hub_->read_again(this);
}

void SocketConnection::arm(uint64_t at_ns) noexcept {
  if (state_ == State::kOpen) set_deadline(at_ns);
}

bool SocketConnection::charge(int64_t bytes) noexcept {
  if (state_ == State::kClosed) return true;
  if (bytes < 0) {
    uint64_t back = std::min(charged_, -static_cast<uint64_t>(bytes));
    charged_ -= back;
    hub_->charged -= back;
    return true;
  }
  charged_ += static_cast<uint64_t>(bytes);
  hub_->charged += static_cast<uint64_t>(bytes);
  const NetOptions& o = hub_->options;
  return charged_ <= o.connection_budget && (hub_->charged <= o.total_budget || charged_ <= o.fair_share);
}

void SocketConnection::close(plugin::CloseMode mode) noexcept {
  if (mode == plugin::CloseMode::kAbort) {
    abort(Status(Code::kOk));
  } else if (is_live()) {
    state_ = State::kClosing;
    set_deadline(now_ns() + kCloseTimeout);
    hub_->mark_dirty(this);
  }
}

void SocketConnection::abort(const Status& why) {
  if (!is_live() && state_ != State::kClosing) return;
  state_ = State::kAborting;
  why_ = why;
  hub_->mark_dirty(this);
}

// ---- Reading
// ----------------------------------------------------------------------------------------------------

void SocketConnection::on_ready(uint32_t events) noexcept {
  if (state_ == State::kClosed) return;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end_expected_ = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  if ((events & EPOLLOUT) != 0 && blocked_) {
    blocked_ = false;
    hub_->mark_dirty(this);
  }
  // One that reads finds out by itself, after the last bytes.
  bool is_gone = (events & EPOLLERR) != 0 || (eof_ && (events & EPOLLHUP) != 0);
  if (is_gone && (paused_ || eof_ || !reads())) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    abort(socket_error("the connection failed", error != 0 ? error : ECONNRESET));
  }
  read();
}

void SocketConnection::read() {
  uint64_t in_this_turn = 0;
  while (readable_ && !paused_ && !eof_ && reads()) {
    if (in_this_turn >= kReadPerTurn) {
      hub_->read_again(this);
      return;
    }
    ssize_t n = recv(fd_, hub_->read_buffer.get(), Hub::kReadBuffer, 0);
    if (n > 0) {
      // A short read has emptied the socket; whatever comes later raises a new event.
      if (static_cast<uint64_t>(n) < Hub::kReadBuffer && !end_expected_) readable_ = false;
      in_this_turn += static_cast<uint64_t>(n);
      deliver({hub_->read_buffer.get(), static_cast<uint64_t>(n)});
    } else if (n == 0) {
      readable_ = false;
      got_eof();
    } else if (errno != EINTR) {
      int error = errno;
      readable_ = false;
      if (error == EAGAIN) return;
      if (state_ == State::kLingering) return close_socket();
      abort(socket_error("the connection failed", error));
    }
  }
}

void SocketConnection::deliver(ByteView bytes) {
  if (state_ == State::kOpen) accept_status(session_->on_data(bytes));
  if (state_ == State::kSniffing) sniff(bytes);
}

void SocketConnection::sniff(ByteView bytes) {
  ByteView first = bytes;
  if (!first_bytes_.empty()) {  // they came in pieces
    uint64_t some = std::min(bytes.size, kMostFirstBytes - first_bytes_.size());
    first_bytes_.insert(first_bytes_.end(), bytes.data, bytes.data + some);
    first = {first_bytes_.data(), first_bytes_.size()};
    bytes = {bytes.data + some, bytes.size - some};
  } else {
    bytes = {};
  }
  bool more = false;
  for (plugin::Transport* transport : options_->transports) {
    plugin::Match match = transport->match(first, info_.alpn);
    if (match == plugin::Match::kYes) return serve(transport, first, bytes);
    more = more || match == plugin::Match::kNeedMore;
  }
  if (!more || first.size >= kMostFirstBytes) {
    hub_->log.write(CauseLog::Cause::kUnknownProtocol, now_ns(), "closed a connection of an unknown protocol",
                    remote_, "no transport of this listener knows its first bytes");
    return abort(Status(Code::kUnsupported, "an unknown protocol"));
  }
  if (first_bytes_.empty()) first_bytes_.assign(first.data, first.data + first.size);
}

void SocketConnection::serve(plugin::Transport* transport, ByteView first, ByteView rest) {
  state_ = State::kOpen;
  set_deadline(0);
  Status status = transport->serve(this, hub_->handler, session_.out());
  if (status.ok() && !session_) status = Status(Code::kInternal, "the transport made no session");
  accept_status(status);
  if (state_ == State::kOpen) accept_status(session_->on_data(first));
  if (state_ == State::kOpen && !rest.empty()) accept_status(session_->on_data(rest));
  first_bytes_ = {};
}

void SocketConnection::got_eof() {
  eof_ = true;
  if (state_ == State::kOpen)
    accept_status(session_->on_eof());
  else if (state_ == State::kSniffing)
    abort(Status(Code::kOk));
  else if (state_ == State::kLingering)
    close_socket();
}

void SocketConnection::accept_status(const Status& status) {
  if (status.ok()) return;
  hub_->log.write(CauseLog::Cause::kAbort, now_ns(), "aborted a connection", remote_, status.text());
  abort(status);
}

// ---- Writing and closing
// ------------------------------------------------------------------------------------------

void SocketConnection::end_of_turn() {
  if (wants_flush_ && state_ == State::kOpen) {
    wants_flush_ = false;
    accept_status(session_->on_flush());
  }
  if (state_ == State::kOpen || state_ == State::kClosing) write_out();
  if (state_ == State::kAborting) finish_now(why_);
  if (state_ == State::kClosing && queued_ == 0) linger();
}

void SocketConnection::write_out() {
  while (queued_ != 0 && !blocked_) {
    iovec pieces[kBuffersPerSend];
    size_t count = 0;
    for (size_t i = out_begin_; i < out_.size() && count < kBuffersPerSend; ++i, ++count)
      pieces[count] = {const_cast<uint8_t*>(out_[i].data()), out_[i].size()};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = count;
    ssize_t n = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      drop_sent(static_cast<uint64_t>(n));
    } else if (errno == EAGAIN) {
      blocked_ = true;
    } else if (errno != EINTR) {
      return abort(socket_error("the connection failed", errno));
    }
  }
  maybe_writable();
}

void SocketConnection::drop_sent(uint64_t bytes) {
  queued_ -= bytes;
  while (bytes != 0) {
    plugin::Buffer& b = out_[out_begin_];
    if (bytes < b.size()) {
      b = b.slice(bytes, b.size() - bytes);
      break;
    }
    bytes -= b.size();
    b = plugin::Buffer();
    ++out_begin_;
  }
  if (out_begin_ == out_.size()) {
    out_.clear();
    out_begin_ = 0;
    if (out_.capacity() > kQueueToKeep) out_ = {};
  } else if (out_begin_ > 1024 && out_begin_ > out_.size() / 2) {
    out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(out_begin_));
    out_begin_ = 0;
  }
}

void SocketConnection::maybe_writable() {
  if (!over_mark_ || state_ != State::kOpen || queued_ > options_->limits.send_mark / 2) return;
  over_mark_ = false;
  accept_status(session_->on_writable());
}

void SocketConnection::drain() {
  if (state_ == State::kSniffing)
    abort(Status(Code::kOk));
  else if (state_ == State::kOpen)
    session_->drain();
}

void SocketConnection::finish_now(const Status& why) {
  if (state_ == State::kClosed) return;
  end_session(why);
  close_socket();
}

void SocketConnection::end_session(const Status& why) {
  state_ = State::kLingering;  // whatever the session does now, nothing of it counts
  out_ = {};
  queued_ = out_begin_ = 0;
  hub_->charged -= std::exchange(charged_, 0);
  if (session_) session_->on_closed(why);
  session_.reset();
  if (closed_) std::exchange(closed_, nullptr)(why);
}

// A close() with unread bytes in the kernel would send a reset, which may overtake what we sent last.
void SocketConnection::linger() {
  end_session(Status());
  if (eof_ || shutdown(fd_, SHUT_WR) != 0) return close_socket();
  paused_ = false;
  set_deadline(now_ns() + kLingerTimeout);
  read();
}

void SocketConnection::close_socket() {
  if (state_ == State::kClosed) return;
  closed_at_ = hub_->now_ns();
  state_ = State::kClosed;
  hub_->executor->cancel(std::exchange(timer_, 0));
  hub_->executor->unwatch(fd_, this);
  ::close(std::exchange(fd_, -1));
  if (is_client_) --hub_->clients;
  first_bytes_ = {};
  hub_->remove(this);
}

// ---- Time
// -------------------------------------------------------------------------------------------------------

// Moving a deadline back costs nothing: the timer that is set fires early, finds out, and is set again.
void SocketConnection::set_deadline(uint64_t at_ns) {
  deadline_ = at_ns;
  if (at_ns == 0 || (timer_ != 0 && timer_at_ <= at_ns)) return;
  hub_->executor->cancel(timer_);
  timer_at_ = at_ns;
  timer_ = hub_->executor->at(at_ns, [this] { on_timer(); });
}

void SocketConnection::on_timer() {
  timer_ = 0;
  if (deadline_ == 0) return;
  uint64_t now = now_ns();
  if (now < deadline_) return set_deadline(deadline_);
  deadline_ = 0;
  switch (state_) {
    case State::kOpen:
      return accept_status(session_->on_timer(now));
    case State::kSniffing:
      hub_->log.write(CauseLog::Cause::kHandshake, now, "closed a connection that did not begin in time",
                      remote_, "the first bytes are missing");
      return abort(Status(Code::kIo, "no complete first bytes in time"));
    case State::kClosing:
      return abort(Status(Code::kIo, "the peer did not read the last bytes in time"));
    case State::kLingering:
      return close_socket();
    case State::kAborting:
    case State::kClosed:
      return;
  }
}

// ---- The hub
// ------------------------------------------------------------------------------------------------------

Hub::Hub(AsioExecutor* e, plugin::CallHandler* h, const NetOptions& o)
    : executor(e), handler(h), options(o), log(o.log), read_buffer(new uint8_t[kReadBuffer]) {}

void Hub::start() { executor->add_turn_end(this); }

void Hub::stop() {
  on_turn_end();
  executor->remove_turn_end(this);
}

void Hub::mark_dirty(SocketConnection* c) {
  if (c->is_dirty) return;
  c->is_dirty = true;
  dirty_.push_back(c);
  executor->need_turn_end();
}

void Hub::on_turn_end() noexcept {
  // Sessions may wake each other; two that never stop must not keep the turn from ending.
  for (int round = 0; round < 8 && !dirty_.empty(); ++round) {
    working_.swap(dirty_);
    for (SocketConnection* c : working_) {
      c->is_dirty = false;
      c->end_of_turn();
    }
    working_.clear();
  }
  if (!dirty_.empty()) executor->again();
  if (removed_.empty()) return;
  // Those that are dirty or to be read again stay until they have had their turn.
  std::vector<SocketConnection*> keep;
  std::vector<SocketConnection*> removed;
  removed.swap(removed_);
  for (SocketConnection* c : removed) {
    if (c->is_dirty || c->reads_again)
      keep.push_back(c);
    else
      c->release();
  }
  removed_.insert(removed_.end(), keep.begin(), keep.end());
  if (on_removed) on_removed();
}

void Hub::read_again(SocketConnection* c) {
  if (c->reads_again) return;
  c->reads_again = true;
  again_.push_back(c);
  if (std::exchange(again_is_posted_, true)) return;
  executor->post([self = shared_from_this()] { self->run_again(); });
}

void Hub::run_again() {
  again_is_posted_ = false;
  std::vector<SocketConnection*> now;
  now.swap(again_);
  for (SocketConnection* c : now) {
    c->reads_again = false;
    c->read();
  }
}

void Hub::add(SocketConnection* c) {
  c->retain();
  c->position = all.size();
  all.push_back(c);
}

void Hub::remove(SocketConnection* c) {
  all.back()->position = c->position;
  std::swap(all[c->position], all.back());
  all.pop_back();
  removed_.push_back(c);
  executor->need_turn_end();
}

void Hub::close_all() {
  while (!all.empty()) all.back()->finish_now(Status());
  run_again();
}

}  // namespace quorate::host
