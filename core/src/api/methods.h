// Every RPC a node serves: its path, its messages, and what kind of work it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/table.h"

namespace quorate::api {

enum class MethodId : uint8_t {
  kKVRange,
  kKVRangeStream,
  kKVPut,
  kKVDeleteRange,
  kKVTxn,
  kKVCompact,
  kWatch,
  kLeaseGrant,
  kLeaseRevoke,
  kLeaseKeepAlive,
  kLeaseTimeToLive,
  kLeaseLeases,
  kClusterMemberAdd,
  kClusterMemberRemove,
  kClusterMemberUpdate,
  kClusterMemberList,
  kClusterMemberPromote,
  kMaintenanceAlarm,
  kMaintenanceStatus,
  kMaintenanceDefragment,
  kMaintenanceHash,
  kMaintenanceHashKV,
  kMaintenanceSnapshot,
  kMaintenanceMoveLeader,
  kMaintenanceDowngrade,
  kAuthEnable,
  kAuthDisable,
  kAuthStatus,
  kAuthenticate,
  kAuthUserAdd,
  kAuthUserGet,
  kAuthUserList,
  kAuthUserDelete,
  kAuthUserChangePassword,
  kAuthUserGrantRole,
  kAuthUserRevokeRole,
  kAuthRoleAdd,
  kAuthRoleGet,
  kAuthRoleList,
  kAuthRoleDelete,
  kAuthRoleGrantPermission,
  kAuthRoleRevokePermission,
  kLock,
  kLockUnlock,
  kElectionCampaign,
  kElectionProclaim,
  kElectionLeader,
  kElectionObserve,
  kElectionResign,
  kHealthCheck,
  kHealthList,
  kHealthWatch,
};
inline constexpr size_t kMethodCount = static_cast<size_t>(MethodId::kHealthWatch) + 1;

enum class MethodKind : uint8_t { kUnary, kServerStream, kBidi };

// Where the answer comes from, which decides what must work for it.
enum class Work : uint8_t {
  kLocal,       // this member's own state; needs no quorum
  kRead,        // linearizable through a read index, unless the request says serializable or local
  kReplicated,  // goes through the log
  kLeader,      // answered by the leader, to which other members forward
  kComposite,   // made of other calls (Lock, Election)
};

// Whether a learner serves it; where it does not, the answer is Error::kNotSupportedForLearner.
enum class OnLearner : uint8_t { kNo, kYes, kIfSerializable };

struct Method {
  MethodId id;
  std::string_view path;  // "/etcdserverpb.KV/Put"
  MethodKind kind;
  Work work;
  OnLearner on_learner;
  const wire::MessageTable* request;
  const wire::MessageTable* response;
  std::array<std::string_view, 2>
      gateway;  // HTTP paths (POST) of the JSON gateway; empty where there is none

  // The parts of `path`: "etcdserverpb.KV" and "Put".
  std::string_view service() const { return path.substr(1, path.rfind('/') - 1); }
  std::string_view name() const { return path.substr(path.rfind('/') + 1); }
};

// In the order of MethodId. [thread-safe]
const std::array<Method, kMethodCount>& methods();
const Method& method(MethodId id);
// Null for a path that is served by nobody: gRPC's Unimplemented, the gateway's Not Found. [thread-safe]
const Method* find_method(std::string_view path);
const Method* find_gateway(std::string_view path);

}  // namespace quorate::api
