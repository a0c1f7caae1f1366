// The Watch service: requests of a stream, and its way out. What watches mean: watch/hub.h.
#include "server/server.h"

namespace quorate::server::watches {
namespace {

class WatchCall final : public Call, public watch::StreamSink {
 public:
  WatchCall(Server& server, const api::Method& method, const plugin::CallInfo& info,
            plugin::ServerWriter* writer)
      : Call(server, method, info, writer),
        connection_(plugin::Ref<plugin::Connection>::share(info.connection)),
        stream_(std::make_unique<watch::Stream>(server.hub(), *this)) {}

  void on_message(plugin::Buffer message) noexcept override {
    if (ended()) return;
    wire::Arena arena;
    api::WatchRequest request;
    auto error = wire::decode(&request, {message.chars(), message.size()}, arena);
    if (error != wire::DecodeError::kNone)
      return finish(api::undecodable_stream_message(wire::text_of(error)));
    using Case = api::WatchRequest::RequestUnionCase;
    switch (request.request_union_case) {
      case Case::kCreateRequest:
        if (!stream_->create(*request.create_request)) {
          return finish(
              {api::GrpcCode::kResourceExhausted, "etcdserver: too many watches on one connection"});
        }
        break;
      case Case::kCancelRequest:
        stream_->cancel(request.cancel_request->watch_id);
        break;
      case Case::kProgressRequest:
        stream_->request_progress();
        break;
      case Case::kNone:
        break;  // an unknown request is passed over, as in etcd
    }
    ask_for_more();
  }
  // The client sends no more; its watches go on until it leaves.
  void on_half_close() noexcept override {}
  void on_writable() noexcept override {
    if (ended()) return;
    if (std::exchange(paused_, false)) writer().request(1);
    stream_->on_writable();
  }

  void send(plugin::View<plugin::Buffer> message) override {
    if (!ended()) writer().write(message);
  }
  uint64_t queued_bytes() override { return ended() ? 0 : writer().queued_bytes(); }
  bool charge(int64_t bytes) override { return connection_ ? connection_->charge(bytes) : true; }

 private:
  void ended_now() override { stream_.reset(); }
  // Who does not read the answers to its requests is not asked for more of them.
  void ask_for_more() {
    if (ended()) return;
    if (writer().queued_bytes() > kSendMark) {
      paused_ = true;
    } else {
      writer().request(1);
    }
  }
  static constexpr uint64_t kSendMark = 256u << 10;
  plugin::Ref<plugin::Connection> connection_;
  std::unique_ptr<watch::Stream> stream_;
  bool paused_ = false;
};

}  // namespace

plugin::StreamReader* open(Server& server, const api::Method& method, const plugin::CallInfo& info,
                           plugin::ServerWriter* writer) {
  return new WatchCall(server, method, info, writer);
}

}  // namespace quorate::server::watches
