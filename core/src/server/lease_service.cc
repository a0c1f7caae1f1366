// The Lease service. etcd-surface §1.5.
#include <deque>

#include "server/server.h"

namespace quorate::server::leases {

void grant(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::LeaseGrantRequest request;
  if (!decode_call(*call, arena, &request)) return;
  if (request.TTL > lease::kMaxTtlSeconds) return call->finish(api::rpc_error(api::Error::kLeaseTTLTooLarge));
  if (!server.within_quota(64)) return call->finish(api::rpc_error(api::Error::kNoSpace));
  // What the proposer decides goes into the log, so that every member does the same with it.
  if (request.ID == 0) request.ID = server.ids().next_lease();
  request.TTL = server.lessor().effective_ttl(request.TTL);
  server.propose(EntryKind::kLeaseGrant, wire::encode_to_string(request), std::move(call),
                 [&server](UnaryCall& c, Outcome& outcome) {
                   const api::ResponseHeader header = server.make_header(outcome.revision);
                   c.reply(wire::encode_to_buffer(api::LeaseGrantResponse{
                       .header = &header, .ID = outcome.lease_id, .TTL = outcome.lease_ttl}));
                 });
}

void revoke(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::LeaseRevokeRequest request;
  if (!decode_call(*call, arena, &request)) return;
  const std::string_view bytes(call->message().chars(), call->message().size());
  server.propose(EntryKind::kLeaseRevoke, bytes, std::move(call), [&server](UnaryCall& c, Outcome& outcome) {
    const api::ResponseHeader header = server.make_header(outcome.revision);
    c.reply(wire::encode_to_buffer(api::LeaseRevokeResponse{.header = &header}));
  });
}

void time_to_live(Server& server, plugin::Ref<UnaryCall> call) {
  server.read_barrier(call, [&server](UnaryCall& c) {
    wire::Arena arena;
    api::LeaseTimeToLiveRequest request;
    if (!decode_call(c, arena, &request)) return;
    const api::ResponseHeader header = server.make_header(server.store().revision());
    api::LeaseTimeToLiveResponse response{.header = &header, .ID = request.ID, .TTL = -1};
    if (server.lessor().exists(request.ID)) {
      response.TTL = server.lessor().remaining_seconds(request.ID, server.now_ns());
      response.grantedTTL = server.lessor().granted_ttl(request.ID);
      if (request.keys) {
        for (const std::string& key : *server.lessor().keys(request.ID)) response.keys.push_back(arena, key);
      }
    }
    c.reply(wire::encode_to_buffer(response));
  });
}

void list(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  const api::ResponseHeader header = server.make_header(server.store().revision());
  api::LeaseLeasesResponse response{.header = &header};
  for (lease::LeaseId id : server.lessor().by_remaining_time()) {
    response.leases.push_back(arena, api::LeaseStatus{.ID = id});
  }
  call->reply(wire::encode_to_buffer(response));
}

namespace {

// Each keep-alive is answered in order, after a quorum round that began after it came: a leader that was
// deposed without knowing extends nothing.
class KeepAliveCall final : public Call {
 public:
  using Call::Call;

  void on_message(plugin::Buffer message) noexcept override {
    if (ended()) return;
    wire::Arena arena;
    api::LeaseKeepAliveRequest request;
    auto error = wire::decode(&request, {message.chars(), message.size()}, arena);
    if (error != wire::DecodeError::kNone)
      return finish(api::undecodable_stream_message(wire::text_of(error)));
    // The header comes from before the renewal: who sees a lease renewed at revision r must not have missed
    // its revoke at r (etcd-surface §3.2).
    const int64_t revision = server().store().revision();
    ++pending_;
    server().pipeline().read_index(
        [this, id = request.ID, revision, keep = plugin::Ref<Call>::share(this)](const auto& failed) {
          --pending_;
          if (ended()) return;
          if (failed) return finish(*failed);
          const api::ResponseHeader header = server().make_header(revision);
          send(wire::encode_to_buffer(api::LeaseKeepAliveResponse{
              .header = &header, .ID = id, .TTL = server().lessor().renew(id, server().now_ns())}));
          if (half_closed_ && pending_ == 0) return finish_ok();
          ask_for_more();
        });
  }
  void on_half_close() noexcept override {
    half_closed_ = true;
    if (pending_ == 0) finish_ok();
  }
  void on_writable() noexcept override {
    if (std::exchange(paused_, false)) writer().request(1);
  }

 private:
  // A client that does not read its answers is not asked for more.
  void ask_for_more() {
    if (writer().queued_bytes() > kSendMark) {
      paused_ = true;
    } else {
      writer().request(1);
    }
  }
  static constexpr uint64_t kSendMark = 64u << 10;
  uint64_t pending_ = 0;
  bool half_closed_ = false;
  bool paused_ = false;
};

}  // namespace

plugin::StreamReader* keep_alive(Server& server, const api::Method& method, const plugin::CallInfo& info,
                                 plugin::ServerWriter* writer) {
  return new KeepAliveCall(server, method, info, writer);
}

}  // namespace quorate::server::leases
