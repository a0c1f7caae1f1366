// A transport for tests: it echoes bytes, and obeys commands at the beginning of a read.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "quorate/plugin/transport.h"

namespace quorate::host::test {

struct EchoSession;

// What the sessions of one transport saw and should do.
struct Echo {
  std::string preface = "ECHO";
  std::vector<EchoSession*> live;
  int served = 0;
  int closed = 0;
  int writable = 0;
  int eof = 0;
  int timers = 0;
  std::vector<std::string> reasons;  // on_closed's texts
  bool echoes = true;
  std::function<plugin::Status(EchoSession*, plugin::ByteView)> on_data;
  std::function<void(EchoSession*)> on_writable;
  std::function<void(EchoSession*)> on_flush;
};

struct EchoSession final : plugin::Counted<plugin::ClientSession> {
  EchoSession(Echo* e, plugin::Connection* c)
      : echo(e), connection(plugin::Ref<plugin::Connection>::share(c)) {
    ++echo->served;
    echo->live.push_back(this);
  }
  void send(const std::string& text) {
    plugin::Buffer b = plugin::Buffer::copy_of({text.data(), text.size()});
    connection->send({&b, 1});
  }
  plugin::Status on_data(plugin::ByteView bytes) noexcept override {
    depth(+1);
    plugin::Status s;
    received += bytes.size;
    if (echo->on_data)
      s = echo->on_data(this, bytes);
    else if (echo->echoes)
      send(std::string(bytes.chars(), bytes.size));
    depth(-1);
    return s;
  }
  plugin::Status on_writable() noexcept override {
    depth(+1);
    ++echo->writable;
    if (echo->on_writable) echo->on_writable(this);
    depth(-1);
    return {};
  }
  plugin::Status on_flush() noexcept override {
    depth(+1);
    if (echo->on_flush) echo->on_flush(this);
    depth(-1);
    return {};
  }
  plugin::Status on_timer(uint64_t) noexcept override {
    depth(+1);
    ++echo->timers;
    depth(-1);
    return {};
  }
  plugin::Status on_eof() noexcept override {
    depth(+1);
    ++echo->eof;
    if (echo->echoes) connection->close(plugin::CloseMode::kGraceful);
    depth(-1);
    return {};
  }
  void on_closed(const plugin::Status& why) noexcept override {
    depth(+1);
    ++echo->closed;
    echo->reasons.emplace_back(why.text());
    std::erase(echo->live, this);
    connection.reset();
    depth(-1);
  }
  void drain() noexcept override {
    depth(+1);
    connection->close(plugin::CloseMode::kGraceful);
    depth(-1);
  }
  uint64_t open_calls() noexcept override { return 0; }
  plugin::Status open_call(const plugin::CallInfo&, plugin::StreamReader*,
                           plugin::ClientWriter**) noexcept override {
    return plugin::Status(plugin::Code::kUnsupported);
  }
  // The contract: no call into the session while another one runs.
  void depth(int by) {
    nested += by;
    if (nested > 1) re_entered = true;
  }

  Echo* echo;
  plugin::Ref<plugin::Connection> connection;
  uint64_t received = 0;
  int nested = 0;
  static inline bool re_entered = false;
};

struct EchoTransport final : plugin::Counted<plugin::Transport> {
  explicit EchoTransport(Echo* e) : echo(e) {}
  plugin::Match match(plugin::ByteView first, plugin::ByteView) noexcept override {
    size_t n = std::min<size_t>(first.size, echo->preface.size());
    if (std::memcmp(first.data, echo->preface.data(), n) != 0) return plugin::Match::kNo;
    return n == echo->preface.size() ? plugin::Match::kYes : plugin::Match::kNeedMore;
  }
  plugin::ByteView alpn() noexcept override { return {}; }
  plugin::Status serve(plugin::Connection* c, plugin::CallHandler*, plugin::Session** out) noexcept override {
    *out = plugin::make<EchoSession>(echo, c).detach();
    return {};
  }
  plugin::Status dial(plugin::Connection* c, const plugin::DialInfo& info,
                      plugin::ClientSession** out) noexcept override {
    if (echo->preface == "REFUSE") return plugin::Status(plugin::Code::kInvalid, "no dialling today");
    auto s = plugin::make<EchoSession>(echo, c);
    s->send(echo->preface);
    *out = s.detach();
    if (info.events != nullptr) info.events->on_ready();
    return {};
  }
  Echo* echo;
};

}  // namespace quorate::host::test
