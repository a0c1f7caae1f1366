// Which function answers which method.
#include "server/server.h"

namespace quorate::server {

Handler handler_of(api::MethodId id) {
  using Id = api::MethodId;
  switch (id) {
    case Id::kKVRange:
      return kv::range;
    case Id::kKVPut:
      return kv::put;
    case Id::kKVDeleteRange:
      return kv::remove;
    case Id::kKVTxn:
      return kv::txn;
    case Id::kKVCompact:
      return kv::compact;
    case Id::kLeaseGrant:
      return leases::grant;
    case Id::kLeaseRevoke:
      return leases::revoke;
    case Id::kLeaseTimeToLive:
      return leases::time_to_live;
    case Id::kLeaseLeases:
      return leases::list;
    case Id::kClusterMemberList:
      return cluster::member_list;
    case Id::kMaintenanceAlarm:
      return maintenance::alarm;
    case Id::kMaintenanceStatus:
      return maintenance::status;
    case Id::kMaintenanceDefragment:
      return maintenance::defragment;
    case Id::kMaintenanceHash:
      return maintenance::hash;
    case Id::kMaintenanceHashKV:
      return maintenance::hash_kv;
    case Id::kMaintenanceMoveLeader:
      return maintenance::move_leader;
    case Id::kHealthCheck:
      return health::check;
    case Id::kHealthList:
      return health::list;
    default:
      return nullptr;
  }
}

plugin::StreamReader* make_stream(Server& server, const api::Method& method, const plugin::CallInfo& info,
                                  plugin::ServerWriter* writer) {
  switch (method.id) {
    case api::MethodId::kKVRangeStream:
      return kv::range_stream(server, method, info, writer);
    case api::MethodId::kLeaseKeepAlive:
      return leases::keep_alive(server, method, info, writer);
    case api::MethodId::kWatch:
      return watches::open(server, method, info, writer);
    case api::MethodId::kHealthWatch:
      return health::watch(server, method, info, writer);
    default:
      return nullptr;
  }
}

}  // namespace quorate::server
