#include "api/messages.h"

#include <array>
#include <cstddef>

// A table per message. M is the message within its own table.
#define F(number, name) wire::make_field<decltype(M::name)>(number, #name, offsetof(M, name))
#define S(number, name) wire::make_field<decltype(M::name)>(number, #name, offsetof(M, name), true)
#define FLAGGED_F(number, name, flag) \
  wire::make_field<decltype(M::name)>(number, #name, offsetof(M, name), false, wire::flag)
#define FLAGGED_S(number, name, flag) \
  wire::make_field<decltype(M::name)>(number, #name, offsetof(M, name), true, wire::flag)
#define FLAGGED_ONE(number, name, one, flags)                                         \
  wire::make_field<decltype(M::name)>(number, #name, offsetof(M, name), false, flags, \
                                      offsetof(M, one##_case), #one)
#define ONE(number, name, one) FLAGGED_ONE(number, name, one, 0)
#define TABLE(Message, full_name, ...)                     \
  namespace of_##Message {                                 \
    using M = Message;                                     \
    constexpr auto kFields = std::to_array({__VA_ARGS__}); \
  }                                                        \
  constinit const wire::MessageTable Message::kTable =     \
      wire::make_table<Message>(full_name, of_##Message::kFields);
#define EMPTY_TABLE(Message, full_name)                \
  constinit const wire::MessageTable Message::kTable = \
      wire::make_table<Message>(full_name, std::array<wire::Field, 0>());
#define NAMES(Enum, ...)                                                          \
  constexpr auto kValuesOf##Enum = std::to_array<wire::EnumValue>({__VA_ARGS__}); \
  constinit const wire::EnumTable k##Enum##Names{kValuesOf##Enum.data(), kValuesOf##Enum.size()};

namespace quorate::api {

NAMES(RangeRequestSortOrder, {0, "NONE"}, {1, "ASCEND"}, {2, "DESCEND"})
NAMES(RangeRequestSortTarget, {0, "KEY"}, {1, "VERSION"}, {2, "CREATE"}, {3, "MOD"}, {4, "VALUE"})
NAMES(CompareCompareResult, {0, "EQUAL"}, {1, "GREATER"}, {2, "LESS"}, {3, "NOT_EQUAL"})
NAMES(CompareCompareTarget, {0, "VERSION"}, {1, "CREATE"}, {2, "MOD"}, {3, "VALUE"}, {4, "LEASE"})
NAMES(WatchCreateRequestFilterType, {0, "NOPUT"}, {1, "NODELETE"})
NAMES(AlarmType, {0, "NONE"}, {1, "NOSPACE"}, {2, "CORRUPT"})
NAMES(AlarmRequestAlarmAction, {0, "GET"}, {1, "ACTIVATE"}, {2, "DEACTIVATE"})
NAMES(DowngradeRequestDowngradeAction, {0, "VALIDATE"}, {1, "ENABLE"}, {2, "CANCEL"})
NAMES(EventEventType, {0, "PUT"}, {1, "DELETE"})
NAMES(PermissionType, {0, "READ"}, {1, "WRITE"}, {2, "READWRITE"})
NAMES(HealthCheckResponseServingStatus, {0, "UNKNOWN"}, {1, "SERVING"}, {2, "NOT_SERVING"},
      {3, "SERVICE_UNKNOWN"})

// ---- mvccpb -----------------------------------------------------------------------------------------------

TABLE(KeyValue, "mvccpb.KeyValue", F(1, key), F(2, create_revision), F(3, mod_revision), F(4, version),
      FLAGGED_F(5, value, kContent), F(6, lease))
TABLE(Event, "mvccpb.Event", F(1, type), F(2, kv), F(3, prev_kv))

// ---- authpb -----------------------------------------------------------------------------------------------

TABLE(Permission, "authpb.Permission", F(1, permType), F(2, key), F(3, range_end))
TABLE(UserAddOptions, "authpb.UserAddOptions", F(1, no_password))
TABLE(User, "authpb.User", F(1, name), FLAGGED_F(2, password, kSecret), S(3, roles), F(4, options))
TABLE(Role, "authpb.Role", F(1, name), F(2, keyPermission))

// ---- etcdserverpb -----------------------------------------------------------------------------------------

TABLE(ResponseHeader, "etcdserverpb.ResponseHeader", F(1, cluster_id), F(2, member_id), F(3, revision),
      F(4, raft_term))
TABLE(RangeRequest, "etcdserverpb.RangeRequest", F(1, key), F(2, range_end), F(3, limit), F(4, revision),
      F(5, sort_order), F(6, sort_target), F(7, serializable), F(8, keys_only), F(9, count_only),
      F(10, min_mod_revision), F(11, max_mod_revision), F(12, min_create_revision),
      F(13, max_create_revision))
TABLE(RangeResponse, "etcdserverpb.RangeResponse", F(1, header), F(2, kvs), F(3, more), F(4, count))
TABLE(PutRequest, "etcdserverpb.PutRequest", F(1, key), FLAGGED_F(2, value, kContent), F(3, lease),
      F(4, prev_kv), F(5, ignore_value), F(6, ignore_lease))
TABLE(PutResponse, "etcdserverpb.PutResponse", F(1, header), F(2, prev_kv))
TABLE(DeleteRangeRequest, "etcdserverpb.DeleteRangeRequest", F(1, key), F(2, range_end), F(3, prev_kv))
TABLE(DeleteRangeResponse, "etcdserverpb.DeleteRangeResponse", F(1, header), F(2, deleted), F(3, prev_kvs))
TABLE(RequestOp, "etcdserverpb.RequestOp", ONE(1, request_range, request), ONE(2, request_put, request),
      ONE(3, request_delete_range, request), ONE(4, request_txn, request))
TABLE(ResponseOp, "etcdserverpb.ResponseOp", ONE(1, response_range, response), ONE(2, response_put, response),
      ONE(3, response_delete_range, response), ONE(4, response_txn, response))
TABLE(Compare, "etcdserverpb.Compare", F(1, result), F(2, target), F(3, key), ONE(4, version, target_union),
      ONE(5, create_revision, target_union), ONE(6, mod_revision, target_union),
      FLAGGED_ONE(7, value, target_union, wire::kContent), ONE(8, lease, target_union), F(64, range_end))
TABLE(TxnRequest, "etcdserverpb.TxnRequest", F(1, compare), F(2, success), F(3, failure))
TABLE(TxnResponse, "etcdserverpb.TxnResponse", F(1, header), F(2, succeeded), F(3, responses))
TABLE(CompactionRequest, "etcdserverpb.CompactionRequest", F(1, revision), F(2, physical))
TABLE(CompactionResponse, "etcdserverpb.CompactionResponse", F(1, header))
EMPTY_TABLE(HashRequest, "etcdserverpb.HashRequest")
TABLE(HashKVRequest, "etcdserverpb.HashKVRequest", F(1, revision))
TABLE(HashKVResponse, "etcdserverpb.HashKVResponse", F(1, header), F(2, hash), F(3, compact_revision),
      F(4, hash_revision))
TABLE(HashResponse, "etcdserverpb.HashResponse", F(1, header), F(2, hash))
EMPTY_TABLE(SnapshotRequest, "etcdserverpb.SnapshotRequest")
TABLE(SnapshotResponse, "etcdserverpb.SnapshotResponse", F(1, header), F(2, remaining_bytes), F(3, blob),
      S(4, version))
TABLE(WatchRequest, "etcdserverpb.WatchRequest", ONE(1, create_request, request_union),
      ONE(2, cancel_request, request_union), ONE(3, progress_request, request_union))
TABLE(WatchCreateRequest, "etcdserverpb.WatchCreateRequest", F(1, key), F(2, range_end), F(3, start_revision),
      F(4, progress_notify), F(5, filters), F(6, prev_kv), F(7, watch_id), F(8, fragment))
TABLE(WatchCancelRequest, "etcdserverpb.WatchCancelRequest", F(1, watch_id))
EMPTY_TABLE(WatchProgressRequest, "etcdserverpb.WatchProgressRequest")
TABLE(WatchResponse, "etcdserverpb.WatchResponse", F(1, header), F(2, watch_id), F(3, created),
      F(4, canceled), F(5, compact_revision), S(6, cancel_reason), F(7, fragment), F(11, events))
TABLE(LeaseGrantRequest, "etcdserverpb.LeaseGrantRequest", F(1, TTL), F(2, ID))
TABLE(LeaseGrantResponse, "etcdserverpb.LeaseGrantResponse", F(1, header), F(2, ID), F(3, TTL), S(4, error))
TABLE(LeaseRevokeRequest, "etcdserverpb.LeaseRevokeRequest", F(1, ID))
TABLE(LeaseRevokeResponse, "etcdserverpb.LeaseRevokeResponse", F(1, header))
TABLE(LeaseCheckpoint, "etcdserverpb.LeaseCheckpoint", F(1, ID), F(2, remaining_TTL))
TABLE(LeaseCheckpointRequest, "etcdserverpb.LeaseCheckpointRequest", F(1, checkpoints))
TABLE(LeaseCheckpointResponse, "etcdserverpb.LeaseCheckpointResponse", F(1, header))
TABLE(LeaseKeepAliveRequest, "etcdserverpb.LeaseKeepAliveRequest", F(1, ID))
TABLE(LeaseKeepAliveResponse, "etcdserverpb.LeaseKeepAliveResponse", F(1, header), F(2, ID), F(3, TTL))
TABLE(LeaseTimeToLiveRequest, "etcdserverpb.LeaseTimeToLiveRequest", F(1, ID), F(2, keys))
TABLE(LeaseTimeToLiveResponse, "etcdserverpb.LeaseTimeToLiveResponse", F(1, header), F(2, ID), F(3, TTL),
      F(4, grantedTTL), F(5, keys))
EMPTY_TABLE(LeaseLeasesRequest, "etcdserverpb.LeaseLeasesRequest")
TABLE(LeaseStatus, "etcdserverpb.LeaseStatus", F(1, ID))
TABLE(LeaseLeasesResponse, "etcdserverpb.LeaseLeasesResponse", F(1, header), F(2, leases))
TABLE(Member, "etcdserverpb.Member", F(1, ID), S(2, name), S(3, peerURLs), S(4, clientURLs), F(5, isLearner))
TABLE(MemberAddRequest, "etcdserverpb.MemberAddRequest", S(1, peerURLs), F(2, isLearner))
TABLE(MemberAddResponse, "etcdserverpb.MemberAddResponse", F(1, header), F(2, member), F(3, members))
TABLE(MemberRemoveRequest, "etcdserverpb.MemberRemoveRequest", F(1, ID))
TABLE(MemberRemoveResponse, "etcdserverpb.MemberRemoveResponse", F(1, header), F(2, members))
TABLE(MemberUpdateRequest, "etcdserverpb.MemberUpdateRequest", F(1, ID), S(2, peerURLs))
TABLE(MemberUpdateResponse, "etcdserverpb.MemberUpdateResponse", F(1, header), F(2, members))
TABLE(MemberListRequest, "etcdserverpb.MemberListRequest", F(1, linearizable))
TABLE(MemberListResponse, "etcdserverpb.MemberListResponse", F(1, header), F(2, members))
TABLE(MemberPromoteRequest, "etcdserverpb.MemberPromoteRequest", F(1, ID))
TABLE(MemberPromoteResponse, "etcdserverpb.MemberPromoteResponse", F(1, header), F(2, members))
EMPTY_TABLE(DefragmentRequest, "etcdserverpb.DefragmentRequest")
TABLE(DefragmentResponse, "etcdserverpb.DefragmentResponse", F(1, header))
TABLE(MoveLeaderRequest, "etcdserverpb.MoveLeaderRequest", F(1, targetID))
TABLE(MoveLeaderResponse, "etcdserverpb.MoveLeaderResponse", F(1, header))
TABLE(AlarmRequest, "etcdserverpb.AlarmRequest", F(1, action), F(2, memberID), F(3, alarm))
TABLE(AlarmMember, "etcdserverpb.AlarmMember", F(1, memberID), F(2, alarm))
TABLE(AlarmResponse, "etcdserverpb.AlarmResponse", F(1, header), F(2, alarms))
TABLE(DowngradeRequest, "etcdserverpb.DowngradeRequest", F(1, action), S(2, version))
TABLE(DowngradeResponse, "etcdserverpb.DowngradeResponse", F(1, header), S(2, version))
TABLE(DowngradeVersionTestRequest, "etcdserverpb.DowngradeVersionTestRequest", S(1, ver))
EMPTY_TABLE(StatusRequest, "etcdserverpb.StatusRequest")
TABLE(StatusResponse, "etcdserverpb.StatusResponse", F(1, header), S(2, version), F(3, dbSize), F(4, leader),
      F(5, raftIndex), F(6, raftTerm), F(7, raftAppliedIndex), S(8, errors), F(9, dbSizeInUse),
      F(10, isLearner), S(11, storageVersion), F(12, dbSizeQuota), F(13, downgradeInfo))
TABLE(DowngradeInfo, "etcdserverpb.DowngradeInfo", F(1, enabled), S(2, targetVersion))
EMPTY_TABLE(AuthEnableRequest, "etcdserverpb.AuthEnableRequest")
EMPTY_TABLE(AuthDisableRequest, "etcdserverpb.AuthDisableRequest")
EMPTY_TABLE(AuthStatusRequest, "etcdserverpb.AuthStatusRequest")
TABLE(AuthenticateRequest, "etcdserverpb.AuthenticateRequest", S(1, name), FLAGGED_S(2, password, kSecret))
TABLE(AuthUserAddRequest, "etcdserverpb.AuthUserAddRequest", S(1, name), FLAGGED_S(2, password, kSecret),
      F(3, options), FLAGGED_S(4, hashedPassword, kSecret))
TABLE(AuthUserGetRequest, "etcdserverpb.AuthUserGetRequest", S(1, name))
TABLE(AuthUserDeleteRequest, "etcdserverpb.AuthUserDeleteRequest", S(1, name))
TABLE(AuthUserChangePasswordRequest, "etcdserverpb.AuthUserChangePasswordRequest", S(1, name),
      FLAGGED_S(2, password, kSecret), FLAGGED_S(3, hashedPassword, kSecret))
TABLE(AuthUserGrantRoleRequest, "etcdserverpb.AuthUserGrantRoleRequest", S(1, user), S(2, role))
TABLE(AuthUserRevokeRoleRequest, "etcdserverpb.AuthUserRevokeRoleRequest", S(1, name), S(2, role))
TABLE(AuthRoleAddRequest, "etcdserverpb.AuthRoleAddRequest", S(1, name))
TABLE(AuthRoleGetRequest, "etcdserverpb.AuthRoleGetRequest", S(1, role))
EMPTY_TABLE(AuthUserListRequest, "etcdserverpb.AuthUserListRequest")
EMPTY_TABLE(AuthRoleListRequest, "etcdserverpb.AuthRoleListRequest")
TABLE(AuthRoleDeleteRequest, "etcdserverpb.AuthRoleDeleteRequest", S(1, role))
TABLE(AuthRoleGrantPermissionRequest, "etcdserverpb.AuthRoleGrantPermissionRequest", S(1, name), F(2, perm))
TABLE(AuthRoleRevokePermissionRequest, "etcdserverpb.AuthRoleRevokePermissionRequest", S(1, role), F(2, key),
      F(3, range_end))
TABLE(AuthEnableResponse, "etcdserverpb.AuthEnableResponse", F(1, header))
TABLE(AuthDisableResponse, "etcdserverpb.AuthDisableResponse", F(1, header))
TABLE(AuthStatusResponse, "etcdserverpb.AuthStatusResponse", F(1, header), F(2, enabled), F(3, authRevision))
TABLE(AuthenticateResponse, "etcdserverpb.AuthenticateResponse", F(1, header), FLAGGED_S(2, token, kSecret))
TABLE(AuthUserAddResponse, "etcdserverpb.AuthUserAddResponse", F(1, header))
TABLE(AuthUserGetResponse, "etcdserverpb.AuthUserGetResponse", F(1, header), S(2, roles))
TABLE(AuthUserDeleteResponse, "etcdserverpb.AuthUserDeleteResponse", F(1, header))
TABLE(AuthUserChangePasswordResponse, "etcdserverpb.AuthUserChangePasswordResponse", F(1, header))
TABLE(AuthUserGrantRoleResponse, "etcdserverpb.AuthUserGrantRoleResponse", F(1, header))
TABLE(AuthUserRevokeRoleResponse, "etcdserverpb.AuthUserRevokeRoleResponse", F(1, header))
TABLE(AuthRoleAddResponse, "etcdserverpb.AuthRoleAddResponse", F(1, header))
TABLE(AuthRoleGetResponse, "etcdserverpb.AuthRoleGetResponse", F(1, header), F(2, perm))
TABLE(AuthRoleListResponse, "etcdserverpb.AuthRoleListResponse", F(1, header), S(2, roles))
TABLE(AuthUserListResponse, "etcdserverpb.AuthUserListResponse", F(1, header), S(2, users))
TABLE(AuthRoleDeleteResponse, "etcdserverpb.AuthRoleDeleteResponse", F(1, header))
TABLE(AuthRoleGrantPermissionResponse, "etcdserverpb.AuthRoleGrantPermissionResponse", F(1, header))
TABLE(AuthRoleRevokePermissionResponse, "etcdserverpb.AuthRoleRevokePermissionResponse", F(1, header))
TABLE(RangeStreamResponse, "etcdserverpb.RangeStreamResponse", F(1, range_response))

// ---- v3lockpb ---------------------------------------------------------------------------------------------

TABLE(LockRequest, "v3lockpb.LockRequest", F(1, name), F(2, lease))
TABLE(LockResponse, "v3lockpb.LockResponse", F(1, header), F(2, key))
TABLE(UnlockRequest, "v3lockpb.UnlockRequest", F(1, key))
TABLE(UnlockResponse, "v3lockpb.UnlockResponse", F(1, header))

// ---- v3electionpb -----------------------------------------------------------------------------------------

TABLE(CampaignRequest, "v3electionpb.CampaignRequest", F(1, name), F(2, lease), FLAGGED_F(3, value, kContent))
TABLE(CampaignResponse, "v3electionpb.CampaignResponse", F(1, header), F(2, leader))
TABLE(LeaderKey, "v3electionpb.LeaderKey", F(1, name), F(2, key), F(3, rev), F(4, lease))
TABLE(LeaderRequest, "v3electionpb.LeaderRequest", F(1, name))
TABLE(LeaderResponse, "v3electionpb.LeaderResponse", F(1, header), F(2, kv))
TABLE(ResignRequest, "v3electionpb.ResignRequest", F(1, leader))
TABLE(ResignResponse, "v3electionpb.ResignResponse", F(1, header))
TABLE(ProclaimRequest, "v3electionpb.ProclaimRequest", F(1, leader), FLAGGED_F(2, value, kContent))
TABLE(ProclaimResponse, "v3electionpb.ProclaimResponse", F(1, header))

// ---- grpc.health.v1 ---------------------------------------------------------------------------------------

TABLE(HealthCheckRequest, "grpc.health.v1.HealthCheckRequest", S(1, service))
TABLE(HealthCheckResponse, "grpc.health.v1.HealthCheckResponse", F(1, status))
EMPTY_TABLE(HealthListRequest, "grpc.health.v1.HealthListRequest")
TABLE(HealthListEntry, "grpc.health.v1.HealthListResponse.StatusesEntry", FLAGGED_S(1, key, kExplicit),
      FLAGGED_F(2, value, kExplicit))
TABLE(HealthListResponse, "grpc.health.v1.HealthListResponse", F(1, statuses))

}  // namespace quorate::api
