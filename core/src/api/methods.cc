#include "api/methods.h"

#include "api/messages.h"
#include "base/assert.h"

namespace quorate::api {
namespace {

#define M(id, path, kind, work, learner, Request, Response, ...)                            \
  Method {                                                                                  \
    MethodId::id, path, MethodKind::kind, Work::work, OnLearner::learner, &Request::kTable, \
        &Response::kTable, {                                                                \
      __VA_ARGS__                                                                           \
    }                                                                                       \
  }

// The kinds, messages and gateway paths are etcd's.
constexpr std::array<Method, kMethodCount> kMethods = {{
    M(kKVRange, "/etcdserverpb.KV/Range", kUnary, kRead, kIfSerializable, RangeRequest, RangeResponse,
      "/v3/kv/range"),
    M(kKVRangeStream, "/etcdserverpb.KV/RangeStream", kServerStream, kRead, kNo, RangeRequest,
      RangeStreamResponse),
    M(kKVPut, "/etcdserverpb.KV/Put", kUnary, kReplicated, kNo, PutRequest, PutResponse, "/v3/kv/put"),
    M(kKVDeleteRange, "/etcdserverpb.KV/DeleteRange", kUnary, kReplicated, kNo, DeleteRangeRequest,
      DeleteRangeResponse, "/v3/kv/deleterange"),
    M(kKVTxn, "/etcdserverpb.KV/Txn", kUnary, kReplicated, kNo, TxnRequest, TxnResponse, "/v3/kv/txn"),
    M(kKVCompact, "/etcdserverpb.KV/Compact", kUnary, kReplicated, kNo, CompactionRequest, CompactionResponse,
      "/v3/kv/compaction"),
    M(kWatch, "/etcdserverpb.Watch/Watch", kBidi, kLocal, kNo, WatchRequest, WatchResponse, "/v3/watch"),
    M(kLeaseGrant, "/etcdserverpb.Lease/LeaseGrant", kUnary, kReplicated, kNo, LeaseGrantRequest,
      LeaseGrantResponse, "/v3/lease/grant"),
    M(kLeaseRevoke, "/etcdserverpb.Lease/LeaseRevoke", kUnary, kReplicated, kNo, LeaseRevokeRequest,
      LeaseRevokeResponse, "/v3/lease/revoke", "/v3/kv/lease/revoke"),
    M(kLeaseKeepAlive, "/etcdserverpb.Lease/LeaseKeepAlive", kBidi, kLeader, kNo, LeaseKeepAliveRequest,
      LeaseKeepAliveResponse, "/v3/lease/keepalive"),
    M(kLeaseTimeToLive, "/etcdserverpb.Lease/LeaseTimeToLive", kUnary, kLeader, kNo, LeaseTimeToLiveRequest,
      LeaseTimeToLiveResponse, "/v3/lease/timetolive", "/v3/kv/lease/timetolive"),
    M(kLeaseLeases, "/etcdserverpb.Lease/LeaseLeases", kUnary, kLocal, kNo, LeaseLeasesRequest,
      LeaseLeasesResponse, "/v3/lease/leases", "/v3/kv/lease/leases"),
    M(kClusterMemberAdd, "/etcdserverpb.Cluster/MemberAdd", kUnary, kReplicated, kNo, MemberAddRequest,
      MemberAddResponse, "/v3/cluster/member/add"),
    M(kClusterMemberRemove, "/etcdserverpb.Cluster/MemberRemove", kUnary, kReplicated, kNo,
      MemberRemoveRequest, MemberRemoveResponse, "/v3/cluster/member/remove"),
    M(kClusterMemberUpdate, "/etcdserverpb.Cluster/MemberUpdate", kUnary, kReplicated, kNo,
      MemberUpdateRequest, MemberUpdateResponse, "/v3/cluster/member/update"),
    M(kClusterMemberList, "/etcdserverpb.Cluster/MemberList", kUnary, kRead, kNo, MemberListRequest,
      MemberListResponse, "/v3/cluster/member/list"),
    M(kClusterMemberPromote, "/etcdserverpb.Cluster/MemberPromote", kUnary, kReplicated, kNo,
      MemberPromoteRequest, MemberPromoteResponse, "/v3/cluster/member/promote"),
    M(kMaintenanceAlarm, "/etcdserverpb.Maintenance/Alarm", kUnary, kReplicated, kNo, AlarmRequest,
      AlarmResponse, "/v3/maintenance/alarm"),
    M(kMaintenanceStatus, "/etcdserverpb.Maintenance/Status", kUnary, kLocal, kYes, StatusRequest,
      StatusResponse, "/v3/maintenance/status"),
    M(kMaintenanceDefragment, "/etcdserverpb.Maintenance/Defragment", kUnary, kLocal, kNo, DefragmentRequest,
      DefragmentResponse, "/v3/maintenance/defragment"),
    M(kMaintenanceHash, "/etcdserverpb.Maintenance/Hash", kUnary, kLocal, kNo, HashRequest, HashResponse,
      "/v3/maintenance/hash"),
    M(kMaintenanceHashKV, "/etcdserverpb.Maintenance/HashKV", kUnary, kLocal, kNo, HashKVRequest,
      HashKVResponse, "/v3/maintenance/hashkv"),
    M(kMaintenanceSnapshot, "/etcdserverpb.Maintenance/Snapshot", kServerStream, kLocal, kYes,
      SnapshotRequest, SnapshotResponse, "/v3/maintenance/snapshot"),
    M(kMaintenanceMoveLeader, "/etcdserverpb.Maintenance/MoveLeader", kUnary, kLeader, kNo, MoveLeaderRequest,
      MoveLeaderResponse, "/v3/maintenance/transfer-leadership"),
    M(kMaintenanceDowngrade, "/etcdserverpb.Maintenance/Downgrade", kUnary, kReplicated, kNo,
      DowngradeRequest, DowngradeResponse, "/v3/maintenance/downgrade"),
    M(kAuthEnable, "/etcdserverpb.Auth/AuthEnable", kUnary, kReplicated, kNo, AuthEnableRequest,
      AuthEnableResponse, "/v3/auth/enable"),
    M(kAuthDisable, "/etcdserverpb.Auth/AuthDisable", kUnary, kReplicated, kNo, AuthDisableRequest,
      AuthDisableResponse, "/v3/auth/disable"),
    M(kAuthStatus, "/etcdserverpb.Auth/AuthStatus", kUnary, kRead, kNo, AuthStatusRequest, AuthStatusResponse,
      "/v3/auth/status"),
    M(kAuthenticate, "/etcdserverpb.Auth/Authenticate", kUnary, kReplicated, kNo, AuthenticateRequest,
      AuthenticateResponse, "/v3/auth/authenticate"),
    M(kAuthUserAdd, "/etcdserverpb.Auth/UserAdd", kUnary, kReplicated, kNo, AuthUserAddRequest,
      AuthUserAddResponse, "/v3/auth/user/add"),
    M(kAuthUserGet, "/etcdserverpb.Auth/UserGet", kUnary, kReplicated, kNo, AuthUserGetRequest,
      AuthUserGetResponse, "/v3/auth/user/get"),
    M(kAuthUserList, "/etcdserverpb.Auth/UserList", kUnary, kReplicated, kNo, AuthUserListRequest,
      AuthUserListResponse, "/v3/auth/user/list"),
    M(kAuthUserDelete, "/etcdserverpb.Auth/UserDelete", kUnary, kReplicated, kNo, AuthUserDeleteRequest,
      AuthUserDeleteResponse, "/v3/auth/user/delete"),
    M(kAuthUserChangePassword, "/etcdserverpb.Auth/UserChangePassword", kUnary, kReplicated, kNo,
      AuthUserChangePasswordRequest, AuthUserChangePasswordResponse, "/v3/auth/user/changepw"),
    M(kAuthUserGrantRole, "/etcdserverpb.Auth/UserGrantRole", kUnary, kReplicated, kNo,
      AuthUserGrantRoleRequest, AuthUserGrantRoleResponse, "/v3/auth/user/grant"),
    M(kAuthUserRevokeRole, "/etcdserverpb.Auth/UserRevokeRole", kUnary, kReplicated, kNo,
      AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse, "/v3/auth/user/revoke"),
    M(kAuthRoleAdd, "/etcdserverpb.Auth/RoleAdd", kUnary, kReplicated, kNo, AuthRoleAddRequest,
      AuthRoleAddResponse, "/v3/auth/role/add"),
    M(kAuthRoleGet, "/etcdserverpb.Auth/RoleGet", kUnary, kReplicated, kNo, AuthRoleGetRequest,
      AuthRoleGetResponse, "/v3/auth/role/get"),
    M(kAuthRoleList, "/etcdserverpb.Auth/RoleList", kUnary, kReplicated, kNo, AuthRoleListRequest,
      AuthRoleListResponse, "/v3/auth/role/list"),
    M(kAuthRoleDelete, "/etcdserverpb.Auth/RoleDelete", kUnary, kReplicated, kNo, AuthRoleDeleteRequest,
      AuthRoleDeleteResponse, "/v3/auth/role/delete"),
    M(kAuthRoleGrantPermission, "/etcdserverpb.Auth/RoleGrantPermission", kUnary, kReplicated, kNo,
      AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse, "/v3/auth/role/grant"),
    M(kAuthRoleRevokePermission, "/etcdserverpb.Auth/RoleRevokePermission", kUnary, kReplicated, kNo,
      AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse, "/v3/auth/role/revoke"),
    M(kLock, "/v3lockpb.Lock/Lock", kUnary, kComposite, kNo, LockRequest, LockResponse, "/v3/lock/lock"),
    M(kLockUnlock, "/v3lockpb.Lock/Unlock", kUnary, kComposite, kNo, UnlockRequest, UnlockResponse,
      "/v3/lock/unlock"),
    M(kElectionCampaign, "/v3electionpb.Election/Campaign", kUnary, kComposite, kNo, CampaignRequest,
      CampaignResponse, "/v3/election/campaign"),
    M(kElectionProclaim, "/v3electionpb.Election/Proclaim", kUnary, kComposite, kNo, ProclaimRequest,
      ProclaimResponse, "/v3/election/proclaim"),
    M(kElectionLeader, "/v3electionpb.Election/Leader", kUnary, kComposite, kNo, LeaderRequest,
      LeaderResponse, "/v3/election/leader"),
    M(kElectionObserve, "/v3electionpb.Election/Observe", kServerStream, kComposite, kNo, LeaderRequest,
      LeaderResponse, "/v3/election/observe"),
    M(kElectionResign, "/v3electionpb.Election/Resign", kUnary, kComposite, kNo, ResignRequest,
      ResignResponse, "/v3/election/resign"),
    M(kHealthCheck, "/grpc.health.v1.Health/Check", kUnary, kLocal, kNo, HealthCheckRequest,
      HealthCheckResponse),
    M(kHealthList, "/grpc.health.v1.Health/List", kUnary, kLocal, kNo, HealthListRequest, HealthListResponse),
    M(kHealthWatch, "/grpc.health.v1.Health/Watch", kServerStream, kLocal, kNo, HealthCheckRequest,
      HealthCheckResponse),
}};
#undef M

// Paths by hash, probed linearly: a lookup touches one or two slots and compares one path.
constexpr size_t kSlots = 256;
constexpr uint8_t kFree = 0xff;

constexpr size_t slot_of(std::string_view path) {
  uint32_t h = static_cast<uint32_t>(path.size());
  for (size_t i = path.size() > 12 ? path.size() - 12 : 0; i < path.size(); i++)
    h = h * 31 + static_cast<uint8_t>(path[i]);
  return (h ^ h >> 8) % kSlots;
}

struct Index {
  std::array<uint8_t, kSlots> method;
  std::array<uint8_t, kSlots> path;  // which of the method's gateway paths

  constexpr Index() : method(), path() { method.fill(kFree); }
  constexpr void add(std::string_view p, size_t method_index, size_t path_index) {
    size_t slot = slot_of(p);
    while (method[slot] != kFree) slot = (slot + 1) % kSlots;
    method[slot] = static_cast<uint8_t>(method_index);
    path[slot] = static_cast<uint8_t>(path_index);
  }
};

constexpr Index kByPath = [] {
  Index index;
  for (size_t i = 0; i < kMethodCount; i++) index.add(kMethods[i].path, i, 0);
  return index;
}();

constexpr Index kByGateway = [] {
  Index index;
  for (size_t i = 0; i < kMethodCount; i++)
    for (size_t j = 0; j < kMethods[i].gateway.size(); j++)
      if (!kMethods[i].gateway[j].empty()) index.add(kMethods[i].gateway[j], i, j);
  return index;
}();

constexpr bool in_order() {
  for (size_t i = 0; i < kMethodCount; i++)
    if (kMethods[i].id != static_cast<MethodId>(i)) return false;
  return true;
}
static_assert(in_order());

}  // namespace

const std::array<Method, kMethodCount>& methods() { return kMethods; }

const Method& method(MethodId id) {
  auto i = static_cast<size_t>(id);
  QUORATE_ASSERT(i < kMethodCount, "a method id is one of the enum");
  return kMethods[i];
}

const Method* find_method(std::string_view path) {
  for (size_t slot = slot_of(path); kByPath.method[slot] != kFree; slot = (slot + 1) % kSlots)
    if (kMethods[kByPath.method[slot]].path == path) return &kMethods[kByPath.method[slot]];
  return nullptr;
}

const Method* find_gateway(std::string_view path) {
  for (size_t slot = slot_of(path); kByGateway.method[slot] != kFree; slot = (slot + 1) % kSlots) {
    const Method& m = kMethods[kByGateway.method[slot]];
    if (m.gateway[kByGateway.path[slot]] == path) return &m;
  }
  return nullptr;
}

}  // namespace quorate::api
