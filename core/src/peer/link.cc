#include "peer/link.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "peer/methods.h"

namespace quorate::peer {
namespace {

using plugin::Code;
using plugin::Ref;
using plugin::Status;

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kFirstPause = 50 * kMillisecond;
constexpr uint64_t kLongestPause = 1000 * kMillisecond;
// A link that was open for so long is dialled again at once: chances are that the other side has just
// restarted.
constexpr uint64_t kProvenAfter = 1000 * kMillisecond;
// For the transport's handshake and the Hello, after the connection was made.
constexpr uint64_t kGreetingTime = 5000 * kMillisecond;

plugin::ByteView view(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

// Readers are counted and may outlive everything else; an attempt lets go of its own when it is over.
class Link::HelloReader final : public plugin::Counted<plugin::StreamReader> {
 public:
  explicit HelloReader(std::shared_ptr<Attempt> attempt) : attempt_(std::move(attempt)) {}
  void on_headers(plugin::View<plugin::Header>) noexcept override {}
  void on_message(plugin::Buffer message) noexcept override;
  void on_half_close() noexcept override {}
  void on_writable() noexcept override {}
  void on_end(const plugin::End& end) noexcept override;

 private:
  std::shared_ptr<Attempt> attempt_;
};

class Link::MessagesReader final : public plugin::Counted<plugin::StreamReader> {
 public:
  explicit MessagesReader(std::shared_ptr<Attempt> attempt) : attempt_(std::move(attempt)) {}
  void on_headers(plugin::View<plugin::Header>) noexcept override {}
  void on_message(plugin::Buffer) noexcept override {}  // nothing comes down; more would need credit anyway
  void on_half_close() noexcept override {}
  void on_writable() noexcept override {}
  void on_end(const plugin::End& end) noexcept override;

 private:
  std::shared_ptr<Attempt> attempt_;
};

// One connection, from the dialling to its end. Lives until the dialer lets go of it, whatever becomes of the
// link.
class Link::Attempt final : public plugin::DialEvents, public std::enable_shared_from_this<Attempt> {
 public:
  explicit Attempt(Link* link) : link_(link) {}

  void start(const std::string& url) {
    auto self = shared_from_this();
    link_->dialer_.dial(
        url, link_->lane_, this,
        [self](const Status& status, plugin::ClientSession* session) { self->connected(status, session); },
        [self](const Status& why) { self->closed(why); });
  }

  // The link wants no more of it.
  void abandon() {
    cancel_timer();
    link_ = nullptr;
    leave();
  }

  void on_ready() noexcept override {
    ready_ = true;
    greet();
  }
  // The other side is stopping, or will take no more calls here.
  void on_draining() noexcept override {
    fail(Status(Code::kRetryable, "the other side is closing the connection"));
  }

  void welcomed(const plugin::Buffer& message) {
    if (link_ == nullptr || welcomed_) return;
    Welcome welcome;
    if (!decode({message.chars(), message.size()}, &welcome)) {
      return fail(Status(Code::kInvalid, "the other side's Welcome is malformed"));
    }
    if (welcome.version < kOldestVersion || welcome.version > kNewestVersion) {
      return fail(
          Status(Code::kInvalid, "the other side chose a version of the protocol that was not offered"));
    }
    welcomed_ = true;
    cancel_timer();
    if (link_->lane_ != plugin::Lane::kBulk) {
      auto reader = plugin::make<MessagesReader>(shared_from_this());
      if (Status s = open(kMessagesMethod, 0, reader.get(), &messages_); !s.ok()) return fail(s);
    }
    link_->opened(welcome);
  }

  void hello_ended(const plugin::End& end) {
    if (link_ == nullptr) return;
    if (end.cause != plugin::EndCause::kFinished || end.code == 0) {
      return fail(Status(Code::kRetryable, "the Hello ended"));
    }
    const api::RpcError error{static_cast<api::GrpcCode>(end.code),
                              std::string(end.text.chars(), end.text.size)};
    link_->refused(error);  // which may be the end of the link, and so of this
    fail(Status(Code::kRetryable, error.text));
  }

  void messages_ended(const plugin::End& end) {
    std::string text = "the stream of messages ended";
    if (end.text.size != 0) text += ": " + std::string(end.text.chars(), end.text.size);
    fail(Status(Code::kRetryable, text));
  }

  Status open(std::string_view method, uint64_t deadline_ns, plugin::StreamReader* reader,
              Ref<plugin::ClientWriter>* out) {
    if (!session_) return Status(Code::kRetryable, "there is no connection");
    plugin::CallInfo info;
    info.method = view(method);
    info.deadline_ns = deadline_ns;
    return session_->open_call(info, reader, out->out());
  }

  plugin::ClientWriter* messages() { return messages_.get(); }

 private:
  void connected(const Status& status, plugin::ClientSession* session) {
    if (!status.ok()) {
      over(status);
      return;
    }
    session_ = Ref<plugin::ClientSession>::share(session);
    if (link_ == nullptr) return leave();
    timer_ = link_->runtime_.executor->at(link_->runtime_.executor->clock().monotonic_ns() + kGreetingTime,
                                          [self = shared_from_this()] {
                                            self->timer_ = 0;
                                            self->fail(Status(Code::kRetryable, "no Welcome in time"));
                                          });
    greet();
  }

  void greet() {
    if (link_ == nullptr || !session_ || !ready_ || hello_) return;
    auto reader = plugin::make<HelloReader>(shared_from_this());
    if (Status s = open(kHelloMethod, 0, reader.get(), &hello_); !s.ok()) return fail(s);
    const std::string bytes = encode(link_->hooks_.hello());
    const plugin::Buffer message = plugin::Buffer::copy_of(view(bytes));
    hello_->write({&message, 1});
  }

  void closed(const Status& why) {
    session_.reset();
    over(why);
  }

  void fail(const Status& why) {
    over(why);
    leave();
  }

  // Tells the link, once.
  void over(const Status& why) {
    cancel_timer();
    if (Link* link = std::exchange(link_, nullptr)) link->ended(why);
  }

  // Ends the calls; with the last of them a draining session closes its connection.
  void leave() {
    auto session = session_;
    for (Ref<plugin::ClientWriter>* writer : {&messages_, &hello_}) {
      if (auto w = std::exchange(*writer, {})) w->cancel();
    }
    if (session) session->drain();
  }

  void cancel_timer() {
    if (timer_ != 0 && link_ != nullptr) link_->runtime_.executor->cancel(timer_);
    timer_ = 0;
  }

  Link* link_;  // null: over
  Ref<plugin::ClientSession> session_;
  Ref<plugin::ClientWriter> hello_;
  Ref<plugin::ClientWriter> messages_;
  TimerId timer_ = 0;
  bool ready_ = false;
  bool welcomed_ = false;
};

void Link::HelloReader::on_message(plugin::Buffer message) noexcept {
  if (attempt_) attempt_->welcomed(message);
}
void Link::HelloReader::on_end(const plugin::End& end) noexcept {
  if (auto attempt = std::exchange(attempt_, nullptr)) attempt->hello_ended(end);
}
void Link::MessagesReader::on_end(const plugin::End& end) noexcept {
  if (auto attempt = std::exchange(attempt_, nullptr)) attempt->messages_ended(end);
}

// A unary call; gives its answer when the call has ended.
class Link::CallReader final : public plugin::Counted<plugin::StreamReader> {
 public:
  explicit CallReader(Reply done) : done_(std::move(done)) {}
  void on_headers(plugin::View<plugin::Header>) noexcept override {}
  void on_message(plugin::Buffer message) noexcept override { message_ = std::move(message); }
  void on_half_close() noexcept override {}
  void on_writable() noexcept override {}
  void on_end(const plugin::End& end) noexcept override {
    if (!done_) return;
    api::RpcError error;
    if (end.cause == plugin::EndCause::kFinished) {
      error = {static_cast<api::GrpcCode>(end.code), std::string(end.text.chars(), end.text.size)};
    } else {
      error = {api::GrpcCode::kUnavailable, "the connection to the other member was lost"};
    }
    std::exchange(done_, nullptr)(error, error.ok() ? std::move(message_) : plugin::Buffer());
  }

 private:
  Reply done_;
  plugin::Buffer message_;
};

Link::Link(const Runtime& runtime, Dialer& dialer, plugin::Lane lane, Hooks hooks)
    : runtime_(runtime), dialer_(dialer), lane_(lane), hooks_(std::move(hooks)) {}

Link::~Link() {
  runtime_.executor->cancel(timer_);
  if (attempt_) std::exchange(attempt_, nullptr)->abandon();
}

void Link::set_urls(std::vector<std::string> urls) {
  if (urls == urls_) return;
  urls_ = std::move(urls);
  next_url_ = 0;
  pause_ns_ = 0;
  open_ = false;
  frame_ = FrameWriter();
  if (attempt_) std::exchange(attempt_, nullptr)->abandon();
  runtime_.executor->cancel(std::exchange(timer_, 0));
  if (!urls_.empty()) dial();
}

void Link::dial() {
  QUORATE_ASSERT(!attempt_, "one attempt at a time");
  attempt_ = std::make_shared<Attempt>(this);
  auto attempt = attempt_;
  attempt->start(urls_[next_url_++ % urls_.size()]);
}

void Link::retry() {
  const uint64_t pause = pause_ns_;
  pause_ns_ = std::clamp(2 * pause_ns_, kFirstPause, kLongestPause);
  // Members that lost each other together do not come back together.
  const uint64_t at = runtime_.executor->clock().monotonic_ns() + pause + random(pause / 4 + kMillisecond);
  timer_ = runtime_.executor->at(at, [this] {
    timer_ = 0;
    dial();
  });
}

uint64_t Link::random(uint64_t bound) {
  uint64_t value = 0;
  runtime_.random->fill(&value, sizeof value);
  return value % bound;
}

void Link::opened(const Welcome& welcome) {
  open_ = true;
  opened_ns_ = runtime_.executor->clock().monotonic_ns();
  if (hooks_.on_open) hooks_.on_open(welcome);
}

void Link::refused(const api::RpcError& error) {
  pause_ns_ = kLongestPause;
  if (hooks_.on_refused) hooks_.on_refused(error);
}

void Link::ended(const Status& why) {
  attempt_.reset();
  const bool was_open = std::exchange(open_, false);
  frame_ = FrameWriter();
  if (was_open && runtime_.executor->clock().monotonic_ns() - opened_ns_ >= kProvenAfter) pause_ns_ = 0;
  retry();
  if (hooks_.on_down) hooks_.on_down(why, was_open, why.code() == Code::kNotFound);
}

bool Link::send(const raft::Message& message) {
  if (!open_) return false;
  plugin::ClientWriter* writer = attempt_->messages();
  if (writer == nullptr || writer->queued_bytes() + frame_.size() > kMaxBacklog) return false;
  if (frame_.full()) write_frame();
  frame_.add(message);
  return true;
}

void Link::flush() {
  if (open_ && !frame_.empty()) write_frame();
}

void Link::write_frame() {
  std::vector<plugin::Buffer> pieces = frame_.take();
  attempt_->messages()->write({pieces.data(), pieces.size()});
}

void Link::call(std::string_view method, plugin::Buffer request, uint64_t deadline_ns, Reply done) {
  auto reader = plugin::make<CallReader>(std::move(done));
  Ref<plugin::ClientWriter> writer;
  Status status = open_ ? attempt_->open(method, deadline_ns, reader.get(), &writer)
                        : Status(Code::kRetryable, "there is no connection");
  if (!status.ok()) {
    // As if the call had been made and lost at once; not inside this call.
    return runtime_.executor->post([reader] {
      plugin::End end;
      end.cause = plugin::EndCause::kConnectionLost;
      reader->on_end(end);
    });
  }
  writer->write({&request, 1});
  writer->half_close();
}

}  // namespace quorate::peer
