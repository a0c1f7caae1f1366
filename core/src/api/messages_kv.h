// Messages of the KV, Watch and Lease services. The conventions: api/messages.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/arena.h"
#include "wire/table.h"

namespace quorate::api {

struct TxnRequest;
struct TxnResponse;
struct WatchCreateRequest;
struct WatchCancelRequest;
struct WatchProgressRequest;

// ---- mvccpb -----------------------------------------------------------------------------------------------

struct KeyValue {
  std::string_view key;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  std::string_view value;
  int64_t lease = 0;
  static const wire::MessageTable kTable;
};

struct Event {
  enum class EventType : int32_t { kPut = 0, kDelete = 1 };
  EventType type = EventType::kPut;
  const KeyValue* kv = nullptr;
  const KeyValue* prev_kv = nullptr;
  static const wire::MessageTable kTable;
};

// ---- etcdserverpb -----------------------------------------------------------------------------------------

struct ResponseHeader {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  int64_t revision = 0;
  uint64_t raft_term = 0;
  static const wire::MessageTable kTable;
};

struct RangeRequest {
  enum class SortOrder : int32_t { kNone = 0, kAscend = 1, kDescend = 2 };
  enum class SortTarget : int32_t { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };
  std::string_view key;
  std::string_view range_end;
  int64_t limit = 0;
  int64_t revision = 0;
  SortOrder sort_order = SortOrder::kNone;
  SortTarget sort_target = SortTarget::kKey;
  bool serializable = false;
  bool keys_only = false;
  bool count_only = false;
  int64_t min_mod_revision = 0;
  int64_t max_mod_revision = 0;
  int64_t min_create_revision = 0;
  int64_t max_create_revision = 0;
  static const wire::MessageTable kTable;
};

struct RangeResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<KeyValue> kvs;
  bool more = false;
  int64_t count = 0;
  static const wire::MessageTable kTable;
};

struct PutRequest {
  std::string_view key;
  std::string_view value;
  int64_t lease = 0;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;
  static const wire::MessageTable kTable;
};

struct PutResponse {
  const ResponseHeader* header = nullptr;
  const KeyValue* prev_kv = nullptr;
  static const wire::MessageTable kTable;
};

struct DeleteRangeRequest {
  std::string_view key;
  std::string_view range_end;
  bool prev_kv = false;
  static const wire::MessageTable kTable;
};

struct DeleteRangeResponse {
  const ResponseHeader* header = nullptr;
  int64_t deleted = 0;
  wire::Repeated<KeyValue> prev_kvs;
  static const wire::MessageTable kTable;
};

struct RequestOp {
  enum class RequestCase : uint32_t {
    kNone = 0,
    kRequestRange = 1,
    kRequestPut = 2,
    kRequestDeleteRange = 3,
    kRequestTxn = 4,
  };
  RequestCase request_case = RequestCase::kNone;
  const RangeRequest* request_range = nullptr;
  const PutRequest* request_put = nullptr;
  const DeleteRangeRequest* request_delete_range = nullptr;
  const TxnRequest* request_txn = nullptr;
  void set_request_range(const RangeRequest* v) {
    request_case = RequestCase::kRequestRange, request_range = v;
  }
  void set_request_put(const PutRequest* v) { request_case = RequestCase::kRequestPut, request_put = v; }
  void set_request_delete_range(const DeleteRangeRequest* v) {
    request_case = RequestCase::kRequestDeleteRange, request_delete_range = v;
  }
  void set_request_txn(const TxnRequest* v) { request_case = RequestCase::kRequestTxn, request_txn = v; }
  static const wire::MessageTable kTable;
};

struct ResponseOp {
  enum class ResponseCase : uint32_t {
    kNone = 0,
    kResponseRange = 1,
    kResponsePut = 2,
    kResponseDeleteRange = 3,
    kResponseTxn = 4,
  };
  ResponseCase response_case = ResponseCase::kNone;
  const RangeResponse* response_range = nullptr;
  const PutResponse* response_put = nullptr;
  const DeleteRangeResponse* response_delete_range = nullptr;
  const TxnResponse* response_txn = nullptr;
  void set_response_range(const RangeResponse* v) {
    response_case = ResponseCase::kResponseRange, response_range = v;
  }
  void set_response_put(const PutResponse* v) {
    response_case = ResponseCase::kResponsePut, response_put = v;
  }
  void set_response_delete_range(const DeleteRangeResponse* v) {
    response_case = ResponseCase::kResponseDeleteRange, response_delete_range = v;
  }
  void set_response_txn(const TxnResponse* v) {
    response_case = ResponseCase::kResponseTxn, response_txn = v;
  }
  static const wire::MessageTable kTable;
};

struct Compare {
  enum class CompareResult : int32_t { kEqual = 0, kGreater = 1, kLess = 2, kNotEqual = 3 };
  enum class CompareTarget : int32_t { kVersion = 0, kCreate = 1, kMod = 2, kValue = 3, kLease = 4 };
  enum class TargetUnionCase : uint32_t {
    kNone = 0,
    kVersion = 4,
    kCreateRevision = 5,
    kModRevision = 6,
    kValue = 7,
    kLease = 8,
  };
  CompareResult result = CompareResult::kEqual;
  CompareTarget target = CompareTarget::kVersion;
  std::string_view key;
  TargetUnionCase target_union_case = TargetUnionCase::kNone;
  int64_t version = 0;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  std::string_view value;
  int64_t lease = 0;
  std::string_view range_end;
  void set_version(int64_t v) { target_union_case = TargetUnionCase::kVersion, version = v; }
  void set_create_revision(int64_t v) {
    target_union_case = TargetUnionCase::kCreateRevision, create_revision = v;
  }
  void set_mod_revision(int64_t v) { target_union_case = TargetUnionCase::kModRevision, mod_revision = v; }
  void set_value(std::string_view v) { target_union_case = TargetUnionCase::kValue, value = v; }
  void set_lease(int64_t v) { target_union_case = TargetUnionCase::kLease, lease = v; }
  static const wire::MessageTable kTable;
};

struct TxnRequest {
  wire::Repeated<Compare> compare;
  wire::Repeated<RequestOp> success;
  wire::Repeated<RequestOp> failure;
  static const wire::MessageTable kTable;
};

struct TxnResponse {
  const ResponseHeader* header = nullptr;
  bool succeeded = false;
  wire::Repeated<ResponseOp> responses;
  static const wire::MessageTable kTable;
};

struct CompactionRequest {
  int64_t revision = 0;
  bool physical = false;
  static const wire::MessageTable kTable;
};

struct CompactionResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct WatchRequest {
  enum class RequestUnionCase : uint32_t {
    kNone = 0,
    kCreateRequest = 1,
    kCancelRequest = 2,
    kProgressRequest = 3,
  };
  RequestUnionCase request_union_case = RequestUnionCase::kNone;
  const WatchCreateRequest* create_request = nullptr;
  const WatchCancelRequest* cancel_request = nullptr;
  const WatchProgressRequest* progress_request = nullptr;
  void set_create_request(const WatchCreateRequest* v) {
    request_union_case = RequestUnionCase::kCreateRequest, create_request = v;
  }
  void set_cancel_request(const WatchCancelRequest* v) {
    request_union_case = RequestUnionCase::kCancelRequest, cancel_request = v;
  }
  void set_progress_request(const WatchProgressRequest* v) {
    request_union_case = RequestUnionCase::kProgressRequest, progress_request = v;
  }
  static const wire::MessageTable kTable;
};

struct WatchCreateRequest {
  enum class FilterType : int32_t { kNoPut = 0, kNoDelete = 1 };
  std::string_view key;
  std::string_view range_end;
  int64_t start_revision = 0;
  bool progress_notify = false;
  wire::Repeated<FilterType> filters;
  bool prev_kv = false;
  int64_t watch_id = 0;
  bool fragment = false;
  static const wire::MessageTable kTable;
};

struct WatchCancelRequest {
  int64_t watch_id = 0;
  static const wire::MessageTable kTable;
};

struct WatchProgressRequest {
  static const wire::MessageTable kTable;
};

struct WatchResponse {
  const ResponseHeader* header = nullptr;
  int64_t watch_id = 0;
  bool created = false;
  bool canceled = false;
  int64_t compact_revision = 0;
  std::string_view cancel_reason;
  bool fragment = false;
  wire::Repeated<Event> events;
  static const wire::MessageTable kTable;
};

struct LeaseGrantRequest {
  int64_t TTL = 0;
  int64_t ID = 0;
  static const wire::MessageTable kTable;
};

struct LeaseGrantResponse {
  const ResponseHeader* header = nullptr;
  int64_t ID = 0;
  int64_t TTL = 0;
  std::string_view error;
  static const wire::MessageTable kTable;
};

struct LeaseRevokeRequest {
  int64_t ID = 0;
  static const wire::MessageTable kTable;
};

struct LeaseRevokeResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct LeaseCheckpoint {
  int64_t ID = 0;
  int64_t remaining_TTL = 0;
  static const wire::MessageTable kTable;
};

struct LeaseCheckpointRequest {
  wire::Repeated<LeaseCheckpoint> checkpoints;
  static const wire::MessageTable kTable;
};

struct LeaseCheckpointResponse {
  const ResponseHeader* header = nullptr;
  static const wire::MessageTable kTable;
};

struct LeaseKeepAliveRequest {
  int64_t ID = 0;
  static const wire::MessageTable kTable;
};

struct LeaseKeepAliveResponse {
  const ResponseHeader* header = nullptr;
  int64_t ID = 0;
  int64_t TTL = 0;
  static const wire::MessageTable kTable;
};

struct LeaseTimeToLiveRequest {
  int64_t ID = 0;
  bool keys = false;
  static const wire::MessageTable kTable;
};

struct LeaseTimeToLiveResponse {
  const ResponseHeader* header = nullptr;
  int64_t ID = 0;
  int64_t TTL = 0;
  int64_t grantedTTL = 0;
  wire::Repeated<std::string_view> keys;
  static const wire::MessageTable kTable;
};

struct LeaseLeasesRequest {
  static const wire::MessageTable kTable;
};

struct LeaseStatus {
  int64_t ID = 0;
  static const wire::MessageTable kTable;
};

struct LeaseLeasesResponse {
  const ResponseHeader* header = nullptr;
  wire::Repeated<LeaseStatus> leases;
  static const wire::MessageTable kTable;
};

struct RangeStreamResponse {
  const RangeResponse* range_response = nullptr;
  static const wire::MessageTable kTable;
};

// The names of the enums.
extern const wire::EnumTable kRangeRequestSortOrderNames;
extern const wire::EnumTable kRangeRequestSortTargetNames;
extern const wire::EnumTable kCompareCompareResultNames;
extern const wire::EnumTable kCompareCompareTargetNames;
extern const wire::EnumTable kWatchCreateRequestFilterTypeNames;
extern const wire::EnumTable kEventEventTypeNames;

}  // namespace quorate::api

namespace quorate::wire {
template <>
inline constexpr const EnumTable* kEnumTable<api::RangeRequest::SortOrder> =
    &api::kRangeRequestSortOrderNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::RangeRequest::SortTarget> =
    &api::kRangeRequestSortTargetNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::Compare::CompareResult> = &api::kCompareCompareResultNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::Compare::CompareTarget> = &api::kCompareCompareTargetNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::WatchCreateRequest::FilterType> =
    &api::kWatchCreateRequestFilterTypeNames;
template <>
inline constexpr const EnumTable* kEnumTable<api::Event::EventType> = &api::kEventEventTypeNames;
}  // namespace quorate::wire
