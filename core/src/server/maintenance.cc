// The Maintenance, Cluster and Health services. etcd-surface §1.6, §1.7.
#include <algorithm>

#include "server/server.h"

namespace quorate::server {

namespace maintenance {
namespace {

std::string_view name_of(api::AlarmType type) {
  std::string_view name = wire::kEnumTable<api::AlarmType>->name_of(static_cast<int32_t>(type));
  return name.empty() ? "NONE" : name;
}

// As etcd prints an alarm in Status: protobuf's text form.
std::string describe(const Alarms::Alarm& alarm) {
  return "memberID:" + std::to_string(alarm.member) + " alarm:" + std::string(name_of(alarm.type)) + " ";
}

void answer_alarms(Server& server, UnaryCall& call, int64_t revision,
                   const std::vector<Alarms::Alarm>& alarms) {
  wire::Arena arena;
  const api::ResponseHeader header = server.make_header(revision);
  api::AlarmResponse response{.header = &header};
  for (const Alarms::Alarm& a : alarms) {
    response.alarms.push_back(arena, api::AlarmMember{.memberID = a.member, .alarm = a.type});
  }
  call.reply(wire::encode_to_buffer(response));
}

template <typename Make>
void answer_hash(Server& server, plugin::Ref<UnaryCall> call, const mvcc::Store::Hash& hash, Make make) {
  if (hash.error != mvcc::ReadError::kNone) return call->finish(to_error(hash.error, hash.text));
  const api::ResponseHeader header = server.make_header(hash.current_revision);
  call->reply(make(header));
}

}  // namespace

void alarm(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::AlarmRequest request;
  if (!decode_call(*call, arena, &request)) return;
  const std::string_view bytes(call->message().chars(), call->message().size());
  server.propose(EntryKind::kAlarm, bytes, std::move(call), [&server](UnaryCall& c, Outcome& outcome) {
    answer_alarms(server, c, outcome.revision, outcome.alarms);
  });
}

void status(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  const api::ResponseHeader header = server.make_header(server.store().revision());
  const api::DowngradeInfo downgrade;
  api::StatusResponse response{.header = &header};
  response.version = kEtcdVersion;
  response.dbSize = static_cast<int64_t>(server.disk_size());
  // Beside the records, the node's own small state: a page, about.
  response.dbSizeInUse = static_cast<int64_t>(server.store().logical_size() + 4096);
  response.dbSize = std::max(response.dbSize, response.dbSizeInUse);
  response.dbSizeQuota = server.quota();
  response.leader = server.raft().leader().value;
  response.raftIndex = server.raft().commit_index().value;
  response.raftTerm = server.raft().term().value;
  response.raftAppliedIndex = server.store().applied().value;
  response.storageVersion = kEtcdMinorVersion;
  response.downgradeInfo = &downgrade;
  const MemberInfo* self = server.membership().find(server.membership().self);
  response.isLearner = self != nullptr && self->is_learner;
  if (response.leader == 0) response.errors.push_back(arena, api::info(api::Error::kNoLeader).text);
  for (const Alarms::Alarm& a : server.alarms().get(api::AlarmType::kNone)) {
    response.errors.push_back(arena, arena.copy(describe(a)));
  }
  call->reply(wire::encode_to_buffer(response));
}

void defragment(Server& server, plugin::Ref<UnaryCall> call) {
  server.store().compact_engine([call = std::move(call)](plugin::Status status) {
    if (!status.ok()) return call->finish(api::untranslated(std::string("etcdserver: ") + status.text()));
    call->reply(wire::encode_to_buffer(api::DefragmentResponse()));
  });
}

void hash(Server& server, plugin::Ref<UnaryCall> call) {
  server.store().hash_all([&server, call = std::move(call)](const mvcc::Store::Hash& h) {
    answer_hash(server, call, h, [&](const api::ResponseHeader& header) {
      return wire::encode_to_buffer(api::HashResponse{.header = &header, .hash = h.hash});
    });
  });
}

void hash_kv(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::HashKVRequest request;
  if (!decode_call(*call, arena, &request)) return;
  server.store().hash_kv(request.revision, [&server, call = std::move(call)](const mvcc::Store::Hash& h) {
    answer_hash(server, call, h, [&](const api::ResponseHeader& header) {
      return wire::encode_to_buffer(api::HashKVResponse{
          .header = &header, .hash = h.hash, .compact_revision = h.compacted, .hash_revision = h.revision});
    });
  });
}

// A member of one has nobody to hand over to.
void move_leader(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::MoveLeaderRequest request;
  if (!decode_call(*call, arena, &request)) return;
  if (!server.raft().is_leader()) return call->finish(api::rpc_error(api::Error::kNotLeader));
  // Handing over to oneself is done already; anyone else is no voter of this cluster.
  if (request.targetID == server.membership().self) {
    return call->reply(wire::encode_to_buffer(api::MoveLeaderResponse()));
  }
  call->finish(api::rpc_error(api::Error::kBadLeaderTransferee));
}

}  // namespace maintenance

namespace cluster {
namespace {

void answer_members(Server& server, UnaryCall& call) {
  wire::Arena arena;
  api::ResponseHeader header = server.make_header(0);
  api::MemberListResponse response{.header = &header};
  for (const auto& [id, info] : server.membership().members()) {
    api::Member member{.ID = id, .name = info.name, .isLearner = info.is_learner};
    for (const std::string& url : info.peer_urls) member.peerURLs.push_back(arena, url);
    for (const std::string& url : info.client_urls) member.clientURLs.push_back(arena, url);
    response.members.push_back(arena, member);
  }
  call.reply(wire::encode_to_buffer(response));
}

}  // namespace

void member_list(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::MemberListRequest request;
  if (!decode_call(*call, arena, &request)) return;
  if (!request.linearizable) return answer_members(server, *call);
  server.read_barrier(std::move(call), [&server](UnaryCall& c) { answer_members(server, c); });
}

}  // namespace cluster

namespace health {
namespace {

using Serving = api::HealthCheckResponse::ServingStatus;
const api::RpcError kUnknownService{api::GrpcCode::kNotFound, "unknown service"};

// Only the server as a whole has a status; it serves until it stops.
Serving status_of(Server& server) { return server.stopping() ? Serving::kNotServing : Serving::kServing; }

class WatchCall final : public Call {
 public:
  using Call::Call;
  void on_message(plugin::Buffer message) noexcept override {
    if (ended() || started_) return;
    started_ = true;
    wire::Arena arena;
    api::HealthCheckRequest request;
    auto error = wire::decode(&request, {message.chars(), message.size()}, arena);
    if (error != wire::DecodeError::kNone) return finish(api::undecodable_request(wire::text_of(error)));
    send(wire::encode_to_buffer(api::HealthCheckResponse{
        .status = request.service.empty() ? status_of(server()) : Serving::kServiceUnknown}));
  }

 private:
  bool started_ = false;
};

}  // namespace

void check(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  api::HealthCheckRequest request;
  if (!decode_call(*call, arena, &request)) return;
  if (!request.service.empty()) return call->finish(kUnknownService);
  call->reply(wire::encode_to_buffer(api::HealthCheckResponse{.status = status_of(server)}));
}

void list(Server& server, plugin::Ref<UnaryCall> call) {
  wire::Arena arena;
  const api::HealthCheckResponse whole{.status = status_of(server)};
  api::HealthListResponse response;
  response.statuses.push_back(arena, api::HealthListEntry{.key = "", .value = &whole});
  call->reply(wire::encode_to_buffer(response));
}

plugin::StreamReader* watch(Server& server, const api::Method& method, const plugin::CallInfo& info,
                            plugin::ServerWriter* writer) {
  return new WatchCall(server, method, info, writer);
}

}  // namespace health
}  // namespace quorate::server
