// The errors of etcd's API. Clients match on the text, so code and text are contract (rpctypes of etcd 3.7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::api {

// gRPC's status codes.
enum class GrpcCode : uint8_t {
  kOk = 0,
  kCanceled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};
// "InvalidArgument", as in texts like `rpc error: code = InvalidArgument desc = ...`.
std::string_view name_of(GrpcCode code);
// What the JSON gateway answers.
int http_status(GrpcCode code);

enum class Error : uint8_t {
  kEmptyKey,
  kKeyNotFound,
  kValueProvided,
  kLeaseProvided,
  kTooManyOps,
  kDuplicateKey,
  kInvalidClientAPIVersion,
  kInvalidSortOption,
  kCompacted,
  kFutureRev,
  kNoSpace,
  kLeaseNotFound,
  kLeaseExist,
  kLeaseTTLTooLarge,
  kWatchCanceled,
  kMemberExist,
  kPeerURLExist,
  kMemberNotEnoughStarted,
  kMemberBadURLs,
  kMemberNotFound,
  kMemberNotLearner,
  kLearnerNotReady,
  kTooManyLearners,
  kClusterIDMismatch,
  kRequestTooLarge,
  kRequestTooManyRequests,
  kRootUserNotExist,
  kRootRoleNotExist,
  kUserAlreadyExist,
  kUserEmpty,
  kUserNotFound,
  kRoleAlreadyExist,
  kRoleNotFound,
  kRoleEmpty,
  kAuthFailed,
  kPermissionNotGiven,
  kPermissionDenied,
  kRoleNotGranted,
  kPermissionNotGranted,
  kAuthNotEnabled,
  kInvalidAuthToken,
  kInvalidAuthMgmt,
  kAuthOldRevision,
  kNoLeader,
  kNotLeader,
  kLeaderChanged,
  kNotCapable,
  kStopped,
  kTimeout,
  kTimeoutDueToLeaderFail,
  kTimeoutDueToConnectionLost,
  kTimeoutWaitAppliedIndex,
  kUnhealthy,
  kCorrupt,
  kNotSupportedForLearner,
  kBadLeaderTransferee,
  kWrongDowngradeVersionFormat,
  kInvalidDowngradeTargetVersion,
  kClusterVersionUnavailable,
  kDowngradeInProcess,
  kNoInflightDowngrade,
  kCanceled,
  kDeadlineExceeded,
};
inline constexpr size_t kErrorCount = static_cast<size_t>(Error::kDeadlineExceeded) + 1;

struct ErrorInfo {
  GrpcCode code;
  std::string_view text;
  int http_status;
  std::string_view name;  // as in rpctypes, without ErrGRPC
};
// [thread-safe]
const ErrorInfo& info(Error error);

// The outcome of a call that failed, as the client sees it.
struct RpcError {
  GrpcCode grpc_code = GrpcCode::kOk;
  std::string text;

  bool ok() const { return grpc_code == GrpcCode::kOk; }
  friend bool operator==(const RpcError&, const RpcError&) = default;
};

// `error` with the code that etcd puts on the wire. Two reach it as Unknown, because the server returns the
// client's form of them: kRequestTooManyRequests and kMemberNotEnoughStarted.
RpcError rpc_error(Error error);
// The whole of it in one line, as Go prints it and as a watch's cancel_reason carries it:
// `rpc error: code = PermissionDenied desc = etcdserver: permission denied`.
std::string to_string(const RpcError& error);

// ---- What has no row of its own
// ------------------------------------------------------------------------------

// An internal error that etcd does not translate: Unknown with the raw text.
RpcError untranslated(std::string_view text);
inline constexpr std::string_view kLeaderTransferTooLong =
    "etcdserver: request timed out, leader transfer took too long";
inline constexpr std::string_view kUnknownMethod = "etcdserver: unknown method";
inline constexpr std::string_view kNotPrimaryLessor = "not a primary lessor";
inline constexpr std::string_view kNoPasswordUser =
    "auth: authentication failed, password was given for no password user";
inline constexpr std::string_view kNotElectionLeader = "election: not leader";
inline constexpr std::string_view kNoElectionLeader = "election: no leader";
inline constexpr std::string_view kLeaderFieldMissing = "\"leader\" field must be provided";

// The call's own end, as gRPC words it, without `etcdserver: `.
RpcError context_canceled();
RpcError context_deadline_exceeded();
// A path nobody serves: `unknown method Foo for service etcdserverpb.KV` or `unknown service
// etcdserverpb.Foo`.
RpcError unknown_method(std::string_view path);
RpcError message_too_large(uint64_t size, uint64_t limit);
// A request that is not the message it should be; `why` from wire::text_of(). A stream's messages have a text
// of their own.
RpcError undecodable_request(std::string_view why);
RpcError undecodable_stream_message(std::string_view why);
// RangeStream's refusals: `RangeStream does not support custom sort orders`.
RpcError unimplemented(std::string_view text);

}  // namespace quorate::api
