// Messages of the Cluster, Maintenance, Auth, Lock, Election and Health services. The conventions:
// api/messages.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "api/messages_kv.h"

namespace quorate::api {

struct DowngradeInfo;
struct LeaderKey;

// ---- authpb -----------------------------------------------------------------------------------------------

struct Permission {
  enum class Type : int32_t { kRead = 0, kWrite = 1, kReadWrite = 2 };
  Type permType = Type::kRead;
  std::string_view key;
  std::string_view range_end;
  static const wire::MessageTable kTable;
};

struct UserAddOptions {
  bool no_password = false;
  static const wire::MessageTable kTable;
};

struct User {
  std::string_view name;
  std::string_view password;
  wire::Repeated<std::string_view> roles;
  const UserAddOptions* options = nullptr;
  static const wire::MessageTable kTable;
};

struct Role {
  std::string_view name;
  wire::Repeated<Permission> keyPermission;
  static const wire::MessageTable kTable;
};

// ---- etcdserverpb -----------------------------------------------------------------------------------------

enum class AlarmType : int32_t { kNone = 0, kNoSpace = 1, kCorrupt = 2 };

struct HashRequest {
  static const wire::MessageTable kTable;
};

struct HashKVRequest {
  int64_t revision = 0;
  static const wire::MessageTable kTable;
};

struct HashKVResponse {
  const ResponseHeader* header = nullptr;
  uint32_t hash = 0;
  int64_t compact_revision = 0;
  int64_t hash_revision = 0;
  static const wire::MessageTable kTable;
};

struct HashResponse {
  const ResponseHeader* header = nullptr;
  uint32_t hash = 0;
  static const wire::MessageTable kTable;
};

struct SnapshotRequest {
  static const wire::MessageTable kTable;
};

struct SnapshotResponse {
  const ResponseHeader* header = nullptr;
  uint64_t remaining_bytes = 0;
  std::string_view blob;
  std::string_view version;
  static const wire::MessageTable kTable;
};

struct Member {
  uint64_t ID = 0;
  std::string_view name;
  wire::Repeated<std::string_view> peerURLs;
  wire::Repeated<std::string_view> clientURLs;
  bool isLearner = false;
  static const wire::MessageTable kTable;
};

struct MemberAddRequest {
  wire::Repeated<std::string_view> peerURLs;
  bool isLearner = false;
  static const wire::MessageTable kTable;
};

struct MemberAddResponse {
  const ResponseHeader* header = nullptr;
  const Member* member = nullptr;
  wire::Repeated<Member> members;
  static const wire::MessageTable kTable;
};

struct MemberRemoveRequest {
  uint64_t ID = 0;
  static const wire::MessageTable kTable;
};

struct MemberRemoveResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<Member> members;
  static const wire::MessageTable kTable;
};

struct MemberUpdateRequest {
  uint64_t ID = 0;
  wire::Repeated<std::string_view> peerURLs;
  static const wire::MessageTable kTable;
};

struct MemberUpdateResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<Member> members;
  static const wire::MessageTable kTable;
};

struct MemberListRequest {
  bool linearizable = false;
  static const wire::MessageTable kTable;
};

struct MemberListResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<Member> members;
  static const wire::MessageTable kTable;
};

struct MemberPromoteRequest {
  uint64_t ID = 0;
  static const wire::MessageTable kTable;
};

struct MemberPromoteResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<Member> members;
  static const wire::MessageTable kTable;
};

struct DefragmentRequest {
  static const wire::MessageTable kTable;
};

struct DefragmentResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct MoveLeaderRequest {
  uint64_t targetID = 0;
  static const wire::MessageTable kTable;
};

struct MoveLeaderResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AlarmRequest {
  enum class AlarmAction : int32_t { kGet = 0, kActivate = 1, kDeactivate = 2 };
  AlarmAction action = AlarmAction::kGet;
  uint64_t memberID = 0;
  AlarmType alarm = AlarmType::kNone;
  static const wire::MessageTable kTable;
};

struct AlarmMember {
  uint64_t memberID = 0;
  AlarmType alarm = AlarmType::kNone;
  static const wire::MessageTable kTable;
};

struct AlarmResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<AlarmMember> alarms;
  static const wire::MessageTable kTable;
};

struct DowngradeRequest {
  enum class DowngradeAction : int32_t { kValidate = 0, kEnable = 1, kCancel = 2 };
  DowngradeAction action = DowngradeAction::kValidate;
  std::string_view version;
  static const wire::MessageTable kTable;
};

struct DowngradeResponse {
  const ResponseHeader* header = nullptr;
  std::string_view version;
  static const wire::MessageTable kTable;
};

struct DowngradeVersionTestRequest {
  std::string_view ver;
  static const wire::MessageTable kTable;
};

struct StatusRequest {
  static const wire::MessageTable kTable;
};

struct StatusResponse {
  const ResponseHeader* header = nullptr;
  std::string_view version;
  int64_t dbSize = 0;
  uint64_t leader = 0;
  uint64_t raftIndex = 0;
  uint64_t raftTerm = 0;
  uint64_t raftAppliedIndex = 0;
  wire::Repeated<std::string_view> errors;
  int64_t dbSizeInUse = 0;
  bool isLearner = false;
  std::string_view storageVersion;
  int64_t dbSizeQuota = 0;
  const DowngradeInfo* downgradeInfo = nullptr;
  static const wire::MessageTable kTable;
};

struct DowngradeInfo {
  bool enabled = false;
  std::string_view targetVersion;
  static const wire::MessageTable kTable;
};

struct AuthEnableRequest {
  static const wire::MessageTable kTable;
};

struct AuthDisableRequest {
  static const wire::MessageTable kTable;
};

struct AuthStatusRequest {
  static const wire::MessageTable kTable;
};

struct AuthenticateRequest {
  std::string_view name;
  std::string_view password;
  static const wire::MessageTable kTable;
};

struct AuthUserAddRequest {
  std::string_view name;
  std::string_view password;
  const UserAddOptions* options = nullptr;
  std::string_view hashedPassword;
  static const wire::MessageTable kTable;
};

struct AuthUserGetRequest {
  std::string_view name;
  static const wire::MessageTable kTable;
};

struct AuthUserDeleteRequest {
  std::string_view name;
  static const wire::MessageTable kTable;
};

struct AuthUserChangePasswordRequest {
  std::string_view name;
  std::string_view password;
  std::string_view hashedPassword;
  static const wire::MessageTable kTable;
};

struct AuthUserGrantRoleRequest {
  std::string_view user;
  std::string_view role;
  static const wire::MessageTable kTable;
};

struct AuthUserRevokeRoleRequest {
  std::string_view name;
  std::string_view role;
  static const wire::MessageTable kTable;
};

struct AuthRoleAddRequest {
  std::string_view name;
  static const wire::MessageTable kTable;
};

struct AuthRoleGetRequest {
  std::string_view role;
  static const wire::MessageTable kTable;
};

struct AuthUserListRequest {
  static const wire::MessageTable kTable;
};

struct AuthRoleListRequest {
  static const wire::MessageTable kTable;
};

struct AuthRoleDeleteRequest {
  std::string_view role;
  static const wire::MessageTable kTable;
};

struct AuthRoleGrantPermissionRequest {
  std::string_view name;
  const Permission* perm = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthRoleRevokePermissionRequest {
  std::string_view role;
  std::string_view key;
  std::string_view range_end;
  static const wire::MessageTable kTable;
};

struct AuthEnableResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthDisableResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthStatusResponse {
  const ResponseHeader* header = nullptr;
  bool enabled = false;
  uint64_t authRevision = 0;
  static const wire::MessageTable kTable;
};

struct AuthenticateResponse {
  const ResponseHeader* header = nullptr;
  std::string_view token;
  static const wire::MessageTable kTable;
};

struct AuthUserAddResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthUserGetResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<std::string_view> roles;
  static const wire::MessageTable kTable;
};

struct AuthUserDeleteResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthUserChangePasswordResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthUserGrantRoleResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthUserRevokeRoleResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthRoleAddResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthRoleGetResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<Permission> perm;
  static const wire::MessageTable kTable;
};

struct AuthRoleListResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<std::string_view> roles;
  static const wire::MessageTable kTable;
};

struct AuthUserListResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<std::string_view> users;
  static const wire::MessageTable kTable;
};

struct AuthRoleDeleteResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthRoleGrantPermissionResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct AuthRoleRevokePermissionResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

// ---- v3lockpb ---------------------------------------------------------------------------------------------

struct LockRequest {
  std::string_view name;
  int64_t lease = 0;
  static const wire::MessageTable kTable;
};

struct LockResponse {
  const ResponseHeader* header = nullptr;
  std::string_view key;
  static const wire::MessageTable kTable;
};

struct UnlockRequest {
  std::string_view key;
  static const wire::MessageTable kTable;
};

struct UnlockResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

// ---- v3electionpb -----------------------------------------------------------------------------------------

struct CampaignRequest {
  std::string_view name;
  int64_t lease = 0;
  std::string_view value;
  static const wire::MessageTable kTable;
};

struct CampaignResponse {
  const ResponseHeader* header = nullptr;
  const LeaderKey* leader = nullptr;
  static const wire::MessageTable kTable;
};

struct LeaderKey {
  std::string_view name;
  std::string_view key;
  int64_t rev = 0;
  int64_t lease = 0;
  static const wire::MessageTable kTable;
};

struct LeaderRequest {
  std::string_view name;
  static const wire::MessageTable kTable;
};

struct LeaderResponse {
  const ResponseHeader* header = nullptr;
  const KeyValue* kv = nullptr;
  static const wire::MessageTable kTable;
};

struct ResignRequest {
  const LeaderKey* leader = nullptr;
  static const wire::MessageTable kTable;
};

struct ResignResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct ProclaimRequest {
  const LeaderKey* leader = nullptr;
  std::string_view value;
  static const wire::MessageTable kTable;
};

struct ProclaimResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

// ---- grpc.health.v1 ---------------------------------------------------------------------------------------

struct HealthCheckRequest {
  std::string_view service;
  static const wire::MessageTable kTable;
};

struct HealthCheckResponse {
  enum class ServingStatus : int32_t { kUnknown = 0, kServing = 1, kNotServing = 2, kServiceUnknown = 3 };
  ServingStatus status = ServingStatus::kUnknown;
  static const wire::MessageTable kTable;
};

struct HealthListRequest {
  static const wire::MessageTable kTable;
};

struct HealthListEntry {
  std::string_view key;
  const HealthCheckResponse* value = nullptr;
  static const wire::MessageTable kTable;
};

struct HealthListResponse {
  wire::Repeated<HealthListEntry> statuses;
  static const wire::MessageTable kTable;
};

// The names of the enums.
extern const wire::EnumTable kAlarmTypeNames;
extern const wire::EnumTable kAlarmRequestAlarmActionNames;
extern const wire::EnumTable kDowngradeRequestDowngradeActionNames;
extern const wire::EnumTable kPermissionTypeNames;
extern const wire::EnumTable kHealthCheckResponseServingStatusNames;

}  // namespace quorate::api

namespace quorate::wire {
template <>
inline constexpr const EnumTable* kEnumTable<api::AlarmType> = &api::kAlarmTypeNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::AlarmRequest::AlarmAction> =
    &api::kAlarmRequestAlarmActionNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::DowngradeRequest::DowngradeAction> =
    &api::kDowngradeRequestDowngradeActionNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::Permission::Type> = &api::kPermissionTypeNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::HealthCheckResponse::ServingStatus> =
    &api::kHealthCheckResponseServingStatusNames;
}  // namespace quorate::wire
