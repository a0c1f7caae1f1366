#include "e2e/plugin_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>

#include "support/plugin_host.h"

namespace quorate::test {

void PluginCall::send(const google::protobuf::MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  const plugin::Buffer buffer = plugin::Buffer::copy_of({bytes.data(), bytes.size()});
  writer->write({&buffer, 1});
}

void PluginCall::on_message(plugin::Buffer message) noexcept {
  messages.emplace_back(message.empty() ? "" : message.chars(), message.size());
}

void PluginCall::on_end(const plugin::End& end) noexcept {
  ended = true;
  cause = end.cause;
  code = end.code;
  text = end.text.empty() ? "" : std::string(end.text.chars(), end.text.size);
}

// The host's side of the connection.
class PluginClient::Pump final : public plugin::Counted<plugin::Connection>, public plugin::DialEvents {
 public:
  Pump(const std::string& name, uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("nobody listens on port " + std::to_string(port));
    info_.limits = &limits_;
    const plugin::Descriptor& descriptor = load_plugin(plugin_path(QUORATE_BINARY_DIR, name));
    plugin::Object* object = nullptr;
    if (!descriptor.create(nullptr, {}, &object).ok()) throw std::runtime_error("create");
    transport_ = plugin::Ref<plugin::Transport>::adopt(
        static_cast<plugin::Transport*>(object->query(plugin::Transport::kId)));
    plugin::DialInfo dial;
    dial.authority = {"127.0.0.1", 9};
    dial.events = this;
    if (!transport_->dial(this, dial, session.out()).ok()) throw std::runtime_error("dial");
  }
  ~Pump() override { ::close(fd_); }

  // ---- plugin::Connection and DialEvents --------------------
  const plugin::ConnectionInfo& info() noexcept override { return info_; }
  uint64_t now_ns() noexcept override {
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  void send(plugin::View<plugin::Buffer> bytes) noexcept override {
    for (const plugin::Buffer& b : bytes) out_.append(b.chars(), b.size());
  }
  uint64_t queued_bytes() noexcept override { return out_.size(); }
  void request_flush() noexcept override { flush_ = true; }
  void pause_read() noexcept override {}
  void resume_read() noexcept override {}
  void arm(uint64_t at_ns) noexcept override { armed_ = at_ns; }
  bool charge(int64_t) noexcept override { return true; }
  void close(plugin::CloseMode) noexcept override { closing_ = true; }
  void on_ready() noexcept override {}
  void on_draining() noexcept override { draining = true; }

  // One turn of a loop: at most a few milliseconds.
  void turn() {
    flush();
    write_out();
    if (closing_ && out_.empty()) return lose("closed by the session");
    pollfd p{fd_, static_cast<short>(POLLIN | (out_.empty() ? 0 : POLLOUT)), 0};
    if (poll(&p, 1, 5) > 0 && (p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) read_in();
    if (!closed && armed_ != 0 && now_ns() >= armed_) {
      armed_ = 0;
      check(session->on_timer(now_ns()));
    }
    flush();
  }
  void lose(const char* why) {
    if (closed) return;
    closed = true;
    session->on_closed(plugin::Status(plugin::Code::kIo, why));
  }

  plugin::Ref<plugin::ClientSession> session;
  bool draining = false;
  bool closed = false;
  std::string failure;

 private:
  void check(const plugin::Status& status) {
    if (status.ok()) return;
    failure = status.text();
    lose(status.text());
  }
  void flush() {
    while (flush_ && !closed) {
      flush_ = false;
      check(session->on_flush());
    }
  }
  void write_out() {
    if (out_.empty() || closed) return;
    const ssize_t sent = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) return lose("the connection broke");
    if (sent <= 0) return;
    out_.erase(0, static_cast<size_t>(sent));
    if (out_.empty()) check(session->on_writable());
  }
  void read_in() {
    uint8_t bytes[64 << 10];
    const ssize_t got = recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) return check(session->on_data({bytes, static_cast<uint64_t>(got)}));
    if (got < 0 && errno == EAGAIN) return;
    if (got == 0) check(session->on_eof());
    lose("the server hung up");
  }

  int fd_;
  plugin::TransportLimits limits_;
  plugin::ConnectionInfo info_;
  plugin::Ref<plugin::Transport> transport_;
  std::string out_;
  uint64_t armed_ = 0;
  bool flush_ = false;
  bool closing_ = false;
};

PluginClient::PluginClient(const std::string& plugin, uint16_t port)
    : pump_(plugin::Ref<Pump>::adopt(new Pump(plugin, port))) {}

PluginClient::~PluginClient() {
  pump_->lose("the client goes");
  pump_->session.reset();  // it holds the pump
}

bool PluginClient::draining() const { return pump_->draining; }
bool PluginClient::closed() const { return pump_->closed; }
const std::string& PluginClient::failure() const { return pump_->failure; }

plugin::Ref<PluginCall> PluginClient::open(std::string_view method) {
  auto call = plugin::make<PluginCall>();
  plugin::CallInfo info;
  info.method = {method.data(), method.size()};
  info.deadline_ns = 0;
  const plugin::Status status = pump_->session->open_call(info, call.get(), call->writer.out());
  if (!status.ok()) throw std::runtime_error(status.text());
  return call;
}

bool PluginClient::call(std::string_view method, const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite* response, std::string* why) {
  auto call = open(method);
  call->send(request);
  call->writer->half_close();
  if (!run_until([&] { return call->ended; })) {
    *why = "no end: " + failure();
    return false;
  }
  *why = std::to_string(call->code) + ": " + call->text;
  return call->code == 0 && call->messages.size() == 1 && response->ParseFromString(call->messages[0]);
}

bool PluginClient::run_until(const std::function<bool()>& done, Millis limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (pump_->closed || std::chrono::steady_clock::now() > end) return done();
    pump_->turn();
  }
  return true;
}

}  // namespace quorate::test
