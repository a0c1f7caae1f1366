#include "peer/acceptor.h"

#include <utility>
#include <vector>

#include "peer/frame.h"
#include "peer/methods.h"

namespace quorate::peer {
namespace {

using api::GrpcCode;
using api::RpcError;
using plugin::Ref;

// Frames under way on one stream before the other side must wait: the handling is quick, so this only bounds
// what one turn of the loop may have to handle.
constexpr uint64_t kFrameCredit = 64;

void finish(plugin::ServerWriter* writer, const RpcError& error) {
  writer->finish(static_cast<uint32_t>(error.grpc_code), {error.text.data(), error.text.size()}, {});
}

}  // namespace

class Acceptor::Stream : public plugin::Counted<plugin::StreamReader> {
 public:
  Stream(Acceptor* owner, const plugin::CallInfo& info, plugin::ServerWriter* writer)
      : owner_(owner),
        writer_(Ref<plugin::ServerWriter>::share(writer)),
        connection_(Ref<plugin::Connection>::share(info.connection)) {
    owner_->streams_.insert(this);
  }
  void on_headers(plugin::View<plugin::Header>) noexcept override {}
  void on_half_close() noexcept override {}
  void on_writable() noexcept override {}
  void on_end(const plugin::End&) noexcept override { leave(); }

  void finish_with(const RpcError& error) {
    auto keep = Ref<Stream>::share(this);
    finish(writer_.get(), error);
    leave();
  }
  void abort() { connection_->close(plugin::CloseMode::kAbort); }
  void forget() { owner_ = nullptr; }

 protected:
  ~Stream() override = default;
  virtual void leaving() {}
  void leave() {
    if (owner_ == nullptr) return;
    owner_->streams_.erase(this);
    leaving();
    owner_ = nullptr;
  }

  Acceptor* owner_;  // null: over
  Ref<plugin::ServerWriter> writer_;
  Ref<plugin::Connection> connection_;
};

class Acceptor::HelloStream final : public Stream {
 public:
  using Stream::Stream;

  void on_message(plugin::Buffer message) noexcept override {
    if (owner_ == nullptr) return;
    Hello hello;
    const uint64_t id = connection_->info().id;
    if (owner_->admitted_.count(id) != 0) {
      return finish_with({GrpcCode::kFailedPrecondition, "this connection has said Hello already"});
    }
    if (!decode({message.chars(), message.size()}, &hello)) {
      return finish_with({GrpcCode::kInvalidArgument, "the Hello is malformed"});
    }
    Welcome welcome;
    if (auto error = owner_->hooks_.on_hello(hello, &welcome)) return finish_with(*error);
    if (owner_ == nullptr) return;
    owner_->admitted_[id] = {hello.from, connection_.get()};
    admitted_ = true;
    const std::string bytes = encode(welcome);
    const plugin::Buffer reply = plugin::Buffer::copy_of({bytes.data(), bytes.size()});
    writer_->write({&reply, 1});
  }

 protected:
  void leaving() override {
    if (admitted_) owner_->admitted_.erase(connection_->info().id);
  }

 private:
  bool admitted_ = false;
};

class Acceptor::MessagesStream final : public Stream {
 public:
  MessagesStream(Acceptor* owner, const plugin::CallInfo& info, plugin::ServerWriter* writer, MemberId from)
      : Stream(owner, info, writer), from_(from) {
    writer_->request(kFrameCredit - 1);
  }

  void on_message(plugin::Buffer message) noexcept override {
    if (owner_ == nullptr) return;
    writer_->request(1);
    std::vector<raft::Message> messages;
    const char* error = nullptr;
    if (!read_frame(message, &messages, &error)) {
      owner_->hooks_.on_damage(from_, error);
      return abort();
    }
    for (raft::Message& m : messages) {
      if (owner_ == nullptr) return;
      owner_->hooks_.on_message(from_, std::move(m));
    }
  }
  void on_half_close() noexcept override { finish_with({}); }

 private:
  const MemberId from_;
};

class Acceptor::UnaryStream final : public Stream {
 public:
  UnaryStream(Acceptor* owner, const plugin::CallInfo& info, plugin::ServerWriter* writer, MemberId from)
      : Stream(owner, info, writer), from_(from), method_(info.method.chars(), info.method.size) {}

  void on_message(plugin::Buffer message) noexcept override {
    if (owner_ == nullptr || std::exchange(asked_, true)) return;
    auto self = Ref<UnaryStream>::share(this);
    const bool known = owner_->hooks_.on_request({from_, method_, std::move(message)},
                                                 [self](const RpcError& error, plugin::Buffer reply) {
                                                   if (self->owner_ == nullptr) return;
                                                   if (error.ok()) self->writer_->write({&reply, 1});
                                                   self->finish_with(error);
                                                 });
    if (!known) finish_with({GrpcCode::kUnimplemented, "unknown method " + method_});
  }
  void on_half_close() noexcept override {
    if (!asked_) finish_with({GrpcCode::kInvalidArgument, "the request has no message"});
  }

 private:
  const MemberId from_;
  const std::string method_;
  bool asked_ = false;
};

Acceptor::~Acceptor() {
  for (Stream* stream : streams_) stream->forget();
}

void Acceptor::on_call(const plugin::CallInfo& info, plugin::ServerWriter* writer,
                       plugin::StreamReader** out) {
  const std::string_view method(info.method.chars(), info.method.size);
  if (method == kHelloMethod) {
    *out = new HelloStream(this, info, writer);
    return;
  }
  auto at = admitted_.find(info.connection->info().id);
  if (at == admitted_.end()) {
    return finish(writer, {GrpcCode::kFailedPrecondition, "this connection has not said Hello"});
  }
  if (method == kMessagesMethod) {
    *out = new MessagesStream(this, info, writer, at->second.member);
  } else {
    *out = new UnaryStream(this, info, writer, at->second.member);
  }
}

void Acceptor::disconnect(MemberId member) {
  std::vector<Ref<plugin::Connection>> connections;
  for (const auto& [id, admission] : admitted_) {
    if (admission.member == member)
      connections.push_back(Ref<plugin::Connection>::share(admission.connection));
  }
  for (auto& connection : connections) connection->close(plugin::CloseMode::kAbort);
}

void Acceptor::stop(const RpcError& why) {
  std::vector<Ref<Stream>> streams;
  for (Stream* stream : streams_) streams.push_back(Ref<Stream>::share(stream));
  for (auto& stream : streams) stream->finish_with(why);
}

}  // namespace quorate::peer
