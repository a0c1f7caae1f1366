// KV.RangeStream (3.7): a Range in chunks, at the revision of the first one. etcd-surface §1.3 "RangeStream".
#include <limits>

#include "server/long_range.h"
#include "server/server.h"
#include "server/txn.h"

namespace quorate::server::kv {
namespace {

constexpr int64_t kFirstChunk = 10;  // keys

class RangeStreamCall final : public Call {
 public:
  using Call::Call;

  void on_message(plugin::Buffer message) noexcept override {
    if (started_ || ended()) return;
    started_ = true;
    message_ = std::move(message);
    wire::Arena arena;
    api::RangeRequest request;
    auto error = wire::decode(&request, {message_.chars(), message_.size()}, arena);
    if (error != wire::DecodeError::kNone) return finish(api::undecodable_request(wire::text_of(error)));
    if (auto refused = check(request)) return finish(*refused);
    query_ = to_query(request);
    key_ = std::string(request.key);
    range_end_ = std::string(request.range_end);
    total_ = query_.limit == 0 ? std::numeric_limits<int64_t>::max() : query_.limit;
    query_.limit = std::min(kFirstChunk, total_);
    if (request.serializable) return next();
    server().pipeline().read_index([this, keep = plugin::Ref<Call>::share(this)](const auto& failed) {
      if (failed) return finish(*failed);
      next();
    });
  }
  void on_half_close() noexcept override {
    if (!started_)
      finish({api::GrpcCode::kInternal,
              "cardinality violation: received no request message from non-client-streaming RPC"});
  }
  // The client has read enough of what is queued.
  void on_writable() noexcept override {
    if (waiting_) next();
  }

 private:
  static std::optional<api::RpcError> check(const api::RangeRequest& r) {
    if (auto error = check_range(r)) return api::rpc_error(*error);
    using Order = api::RangeRequest::SortOrder;
    const bool natural =
        r.sort_order == Order::kNone ||
        (r.sort_order == Order::kAscend && r.sort_target == api::RangeRequest::SortTarget::kKey);
    if (!natural) return api::unimplemented("RangeStream does not support custom sort orders");
    if (r.min_mod_revision != 0 || r.max_mod_revision != 0 || r.min_create_revision != 0 ||
        r.max_create_revision != 0) {
      return api::unimplemented("RangeStream does not support revision filters");
    }
    return std::nullopt;
  }

  void next() {
    waiting_ = false;
    if (ended()) return;
    query_.interval = api::Interval::of(key_, range_end_);
    server().store().range(query_, [this, keep = plugin::Ref<Call>::share(this)](
                                       const mvcc::RangeResult& result) { chunk(result); });
  }

  void chunk(const mvcc::RangeResult& result) {
    if (ended()) return;
    if (result.error != mvcc::ReadError::kNone) return finish(to_error(result.error, result.text));
    const uint64_t size = encoded_size(result.records);
    if (!has_room_for(size)) {
      return wait_for_room([this, keep = plugin::Ref<Call>::share(this)] { next(); }, no_room(size));
    }
    if (header_revision_ == 0) {
      header_revision_ = result.current_revision;
      if (query_.revision <= 0) query_.revision = result.current_revision;  // pinned for the rest
    }
    sent_ += static_cast<int64_t>(result.records.size());
    const bool done = query_.count_only || !result.more || sent_ == total_;
    wire::Writer body;
    if (done) server().header().write(body, header_revision_, server().term());
    for (const mvcc::Record& record : result.records) body.message_field(2, {record.chars(), record.size});
    if (done) {
      // Each chunk counts what is left from its first key on: together with what went before, the whole
      // range.
      const int64_t before = sent_ - static_cast<int64_t>(result.records.size());
      body.varint_field(3, result.more);
      body.varint_field(4, static_cast<uint64_t>(before + result.count));
    }
    if (!done) {
      key_ = key_of(result.records.back()) + '\0';
      query_.limit = std::min(next_limit(query_.limit, body.size(), server().options().max_request_bytes),
                              total_ - sent_);
    }
    wire::Writer message;
    message.message_field(1, body.view());
    send(message.take());
    if (done) return finish_ok();
    if (writer().queued_bytes() > kSendMark) {
      waiting_ = true;
    } else {
      // Not from within the last chunk's callback: a long range must not become a deep stack.
      server().runtime().executor->post([this, keep = plugin::Ref<Call>::share(this)] { next(); });
    }
  }

  static constexpr uint64_t kSendMark = 1u << 20;
  plugin::Buffer message_;
  mvcc::RangeQuery query_{.interval = api::Interval::all()};
  std::string key_, range_end_;
  int64_t total_ = 0, sent_ = 0, header_revision_ = 0;
  bool started_ = false, waiting_ = false;
};

}  // namespace

plugin::StreamReader* range_stream(Server& server, const api::Method& method, const plugin::CallInfo& info,
                                   plugin::ServerWriter* writer) {
  return new RangeStreamCall(server, method, info, writer);
}

}  // namespace quorate::server::kv
