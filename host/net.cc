#include "host/net.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <cstring>

#include "host/connection.h"

namespace quorate::host {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;
using plugin::Code;
using plugin::Status;

constexpr uint64_t kBackOff = 100'000'000;  // after the system ran out of descriptors or memory
constexpr int kAcceptsPerTurn = 64;
constexpr uint64_t kReserve = 150;  // descriptors that clients do not get; etcd's figure

uint64_t default_connection_cap() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  return limit.rlim_cur > 2 * kReserve ? limit.rlim_cur - kReserve
                                       : std::max<uint64_t>(limit.rlim_cur / 2, 1);
}

Protocol::endpoint endpoint_of(const SocketAddress& a) { return Protocol::endpoint(a.raw(), a.size); }

SocketAddress address_of(const Protocol::endpoint& e) {
  SocketAddress a;
  a.size = static_cast<socklen_t>(std::min(e.size(), sizeof a.storage));
  std::memcpy(&a.storage, e.data(), a.size);
  return a;
}

Status listen_error(const std::string& address, const char* what, const error_code& e) {
  Code code = e == asio::error::address_in_use ? Code::kBusy : Code::kIo;
  return Status(code, "listen " + address + ": " + what + ": " + e.message());
}

// Whether the file is a socket that nobody listens on any more.
bool is_stale_socket(const SocketAddress& a) {
  struct stat st {};
  if (lstat(a.path().c_str(), &st) != 0 || !S_ISSOCK(st.st_mode)) return false;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool refused = ::connect(fd, a.raw(), a.size) != 0 && errno == ECONNREFUSED;
  ::close(fd);
  return refused;
}

}  // namespace

// ---- Listening
// --------------------------------------------------------------------------------------------------

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(Hub* hub, const ListenOptions& options, uint64_t max_connections)
      : hub_(hub),
        options_(std::make_shared<ListenOptions>(options)),
        max_connections_(max_connections),
        acceptor_(hub->executor->context()) {}
  ~Listener() { stop(); }

  Status open(const SocketAddress& address, std::string* bound) {
    error_code e;
    acceptor_.open(Protocol(address.family(), 0), e);
    if (e) return listen_error(options_->address, "socket", e);
    fcntl(acceptor_.native_handle(), F_SETFD, FD_CLOEXEC);
    if (address.family() == AF_INET6) acceptor_.set_option(asio::ip::v6_only(false), e);
    if (!address.is_unix()) {
      int on = 1;
      if (options_->reuse_address) acceptor_.set_option(asio::socket_base::reuse_address(true), e);
      if (options_->reuse_port)
        setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    acceptor_.bind(endpoint_of(address), e);
    if (e == asio::error::address_in_use && address.is_unix() && is_stale_socket(address)) {
      unlink(address.path().c_str());
      acceptor_.bind(endpoint_of(address), e);
    }
    if (e) return listen_error(options_->address, "bind", e);
    acceptor_.listen(SOMAXCONN, e);
    if (e) return listen_error(options_->address, "listen", e);
    acceptor_.native_non_blocking(true, e);
    if (e) return listen_error(options_->address, "socket", e);
    local_ = address_of(acceptor_.local_endpoint(e));
    if (address.is_unix() && stat(address.path().c_str(), &file_) == 0) path_ = address.path();
    if (bound != nullptr) *bound = local_.text();
    reserve_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    wait();
    return {};
  }

  void stop() {
    error_code ignored;
    acceptor_.close(ignored);
    hub_->executor->cancel(std::exchange(timer_, 0));
    if (reserve_ >= 0) ::close(std::exchange(reserve_, -1));
    struct stat now {};
    if (!path_.empty() && lstat(path_.c_str(), &now) == 0 && now.st_ino == file_.st_ino &&
        now.st_dev == file_.st_dev)
      unlink(path_.c_str());
    path_.clear();
  }

  // A connection is gone: if this listener waits for room, it need not wait longer.
  void retry() {
    if (!paused_ || !acceptor_.is_open()) return;
    hub_->executor->cancel(std::exchange(timer_, 0));
    paused_ = false;
    wait();
  }

 private:
  void wait() {
    acceptor_.async_wait(asio::socket_base::wait_read, [self = weak_from_this()](const error_code& e) {
      if (auto listener = self.lock(); listener && !e) listener->accept();
    });
  }

  // The address that this caller met, where the listener's own is a wildcard.
  SocketAddress local_of(int fd) const {
    SocketAddress a;
    a.size = sizeof a.storage;
    return local_.is_unix() || getsockname(fd, a.raw(), &a.size) != 0 ? local_ : a;
  }

  bool is_full() const {
    return options_->role == plugin::ListenerRole::kClient && hub_->clients >= max_connections_;
  }

  void accept() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      if (is_full()) {
        paused_ = true;  // until retry()
        hub_->log.write(CauseLog::Cause::kAccept, hub_->now_ns(), "too many connections: new ones wait",
                        local_.text(), "the limit is " + std::to_string(max_connections_));
        return;
      }
      SocketAddress remote;
      remote.size = sizeof remote.storage;
      int fd = accept4(acceptor_.native_handle(), remote.raw(), &remote.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        plugin::make<SocketConnection>(hub_, fd, options_, local_of(fd), remote)->accept();
      } else if (errno == EAGAIN) {
        break;
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        return back_off(errno);
      }  // anything else concerns that one connection
    }
    wait();
  }

  // Lets one caller know at once by closing it with the descriptor kept for this, then waits a little: a
  // listener that tried again at once would turn the loop into a spinning one.
  void back_off(int error) {
    hub_->log.write(CauseLog::Cause::kAccept, hub_->now_ns(), "cannot accept connections", local_.text(),
                    std::strerror(error));
    if (reserve_ >= 0) {
      ::close(reserve_);
      int fd = accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) ::close(fd);
    }
    reserve_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    paused_ = true;
    timer_ = hub_->executor->at(hub_->now_ns() + kBackOff, [this] {
      timer_ = 0;
      retry();
    });
  }

  Hub* const hub_;
  const std::shared_ptr<const ListenOptions> options_;
  const uint64_t max_connections_;
  asio::basic_socket_acceptor<Protocol> acceptor_;
  SocketAddress local_;
  std::string path_;  // of the unix socket's file, which is ours
  struct stat file_ {};
  int reserve_ = -1;
  bool paused_ = false;
  TimerId timer_ = 0;
};

// ---- Dialling
// ---------------------------------------------------------------------------------------------------

// One attempt: resolve, connect to each address in turn, hand over. Kept alive by what it waits for.
class Dialling : public std::enable_shared_from_this<Dialling> {
 public:
  Dialling(std::shared_ptr<Hub> hub, const DialOptions& options, Net::Connected connected, Net::Closed closed)
      : hub_(std::move(hub)),
        options_(options),
        connected_(std::move(connected)),
        closed_(std::move(closed)),
        resolver_(hub_->executor->context()),
        socket_(hub_->executor->context()) {}

  void start() {
    hub_->executor->post([self = shared_from_this()] { self->resolve(); });
    if (options_.limits.handshake_timeout_ns == 0) return;
    timer_ = hub_->executor->at(
        hub_->now_ns() + options_.limits.handshake_timeout_ns, [self = shared_from_this()] {
          self->timer_ = 0;
          self->fail(Status(Code::kRetryable, "dial " + self->options_.address + ": no connection in time"));
        });
  }

  void fail(const Status& why) {
    if (!connected_) return;
    auto connected = std::exchange(connected_, nullptr);
    end();
    connected(why, nullptr);
  }

  std::function<void(Dialling*)> on_end;

 private:
  void end() {
    auto keep = shared_from_this();
    hub_->executor->cancel(std::exchange(timer_, 0));
    error_code ignored;
    resolver_.cancel();
    socket_.close(ignored);
    if (on_end) std::exchange(on_end, nullptr)(this);
  }

  void resolve() {
    if (!connected_) return;
    size_t colon = options_.address.rfind(':');
    bool by_name = options_.address.rfind("unix:", 0) != 0 && colon != std::string::npos && colon != 0 &&
                   options_.address.find_first_not_of("0123456789.:[]abcdefABCDEF") != std::string::npos;
    if (!by_name) {  // numbers and paths need no resolver, so this does not block
      Status status = host::resolve(options_.address, false, &addresses_);
      if (!status.ok()) return fail(status);
      return connect();
    }
    resolver_.async_resolve(options_.address.substr(0, colon), options_.address.substr(colon + 1),
                            [self = shared_from_this()](const error_code& e, const auto& results) {
                              if (e) return self->resolved_badly(e);
                              for (const auto& r : results) {
                                SocketAddress a;
                                a.size = static_cast<socklen_t>(r.endpoint().size());
                                std::memcpy(&a.storage, r.endpoint().data(), a.size);
                                self->addresses_.push_back(a);
                              }
                              self->connect();
                            });
  }
  void resolved_badly(const error_code& e) {
    fail(Status(Code::kNotFound, "dial " + options_.address + ": " + e.message()));
  }

  void connect() {
    if (!connected_) return;
    if (next_ == addresses_.size())
      return fail(Status(Code::kRetryable, "dial " + options_.address + ": " + last_error_.message()));
    const SocketAddress& a = addresses_[next_++];
    error_code e;
    socket_.close(e);
    socket_.open(Protocol(a.family(), 0), e);
    if (e) {
      last_error_ = e;
      return connect();  // bounded by the addresses
    }
    fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
    socket_.async_connect(endpoint_of(a), [self = shared_from_this()](const error_code& error) {
      if (!self->connected_) return;
      self->last_error_ = error;
      if (error)
        self->connect();
      else
        self->hand_over();
    });
  }

  void hand_over() {
    error_code e;
    SocketAddress local = address_of(socket_.local_endpoint(e));
    socket_.native_non_blocking(true, e);
    int fd = socket_.release(e);
    if (e) return fail(Status(Code::kIo, "dial " + options_.address + ": " + e.message()));
    auto listen = std::make_shared<ListenOptions>();
    listen->role = plugin::ListenerRole::kPeer;
    listen->limits = options_.limits;
    auto connection =
        plugin::make<SocketConnection>(hub_.get(), fd, std::move(listen), local, addresses_[next_ - 1]);
    plugin::ClientSession* session = nullptr;
    Status status = connection->connect(options_, std::move(closed_), &session);
    auto connected = std::exchange(connected_, nullptr);
    end();
    connected(status, session);
  }

  const std::shared_ptr<Hub> hub_;
  const DialOptions options_;
  Net::Connected connected_;  // empty: over
  Net::Closed closed_;
  asio::ip::tcp::resolver resolver_;
  asio::basic_stream_socket<Protocol> socket_;
  std::vector<SocketAddress> addresses_;
  size_t next_ = 0;
  error_code last_error_;
  TimerId timer_ = 0;
};

// ---- Net
// ----------------------------------------------------------------------------------------------------------

struct Net::Impl {
  std::shared_ptr<Hub> hub;
  uint64_t max_connections;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::vector<std::shared_ptr<Dialling>> dialling;
  Task drained;

  void on_removed() {
    for (auto& l : listeners) l->retry();
    if (drained && hub->all.empty()) hub->executor->post(std::exchange(drained, nullptr));
  }
};

Net::Net(AsioExecutor* executor, plugin::CallHandler* handler, const NetOptions& options)
    : impl_(std::make_unique<Impl>()) {
  impl_->hub = std::make_shared<Hub>(executor, handler, options);
  impl_->max_connections = options.max_connections != 0 ? options.max_connections : default_connection_cap();
  impl_->hub->on_removed = [impl = impl_.get()] { impl->on_removed(); };
  impl_->hub->start();
}

Net::~Net() {
  stop_listening();
  impl_->drained = nullptr;
  close_all();
  impl_->hub->on_removed = nullptr;
  impl_->hub->stop();
}

Status Net::listen(const ListenOptions& options, std::string* bound) {
  if (options.transports.empty())
    return Status(Code::kInvalid, "listen " + options.address + ": no transport");
  std::vector<SocketAddress> addresses;
  Status status = resolve(options.address, true, &addresses);
  if (!status.ok()) return status;
  Status first;
  for (const SocketAddress& a : addresses) {
    auto listener = std::make_shared<Listener>(impl_->hub.get(), options, impl_->max_connections);
    status = listener->open(a, bound);
    if (status.ok()) {
      impl_->listeners.push_back(std::move(listener));
      return {};
    }
    if (first.ok()) first = status;
  }
  return first;
}

void Net::dial(const DialOptions& options, Connected connected, Closed closed) {
  auto dialling = std::make_shared<Dialling>(impl_->hub, options, std::move(connected), std::move(closed));
  dialling->on_end = [impl = impl_.get()](Dialling* d) {
    std::erase_if(impl->dialling, [d](const auto& p) { return p.get() == d; });
  };
  impl_->dialling.push_back(dialling);
  dialling->start();
}

void Net::stop_listening() {
  for (auto& l : impl_->listeners) l->stop();
  impl_->listeners.clear();
}

void Net::drain(Task done) {
  stop_listening();
  impl_->drained = std::move(done);
  std::vector<SocketConnection*> now = impl_->hub->all;
  for (SocketConnection* c : now) c->drain();
  if (impl_->hub->all.empty()) impl_->hub->executor->post(std::exchange(impl_->drained, nullptr));
}

void Net::close_all() {
  auto dialling = impl_->dialling;
  for (auto& d : dialling) d->fail(Status(Code::kIo, "the host stops"));
  impl_->hub->close_all();
  impl_->on_removed();
}

uint64_t Net::connections() const { return impl_->hub->all.size(); }
uint64_t Net::charged_bytes() const { return impl_->hub->charged; }

}  // namespace quorate::host
