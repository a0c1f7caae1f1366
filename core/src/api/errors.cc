#include "api/errors.h"

#include <array>

#include "api/methods.h"
#include "base/assert.h"

namespace quorate::api {
namespace {

constexpr std::array<ErrorInfo, kErrorCount> kErrors = {{
    {GrpcCode::kInvalidArgument, "etcdserver: key is not provided", 400, "EmptyKey"},
    {GrpcCode::kInvalidArgument, "etcdserver: key not found", 400, "KeyNotFound"},
    {GrpcCode::kInvalidArgument, "etcdserver: value is provided", 400, "ValueProvided"},
    {GrpcCode::kInvalidArgument, "etcdserver: lease is provided", 400, "LeaseProvided"},
    {GrpcCode::kInvalidArgument, "etcdserver: too many operations in txn request", 400, "TooManyOps"},
    {GrpcCode::kInvalidArgument, "etcdserver: duplicate key given in txn request", 400, "DuplicateKey"},
    {GrpcCode::kInvalidArgument, "etcdserver: invalid client api version", 400, "InvalidClientAPIVersion"},
    {GrpcCode::kInvalidArgument, "etcdserver: invalid sort option", 400, "InvalidSortOption"},
    {GrpcCode::kOutOfRange, "etcdserver: mvcc: required revision has been compacted", 400, "Compacted"},
    {GrpcCode::kOutOfRange, "etcdserver: mvcc: required revision is a future revision", 400, "FutureRev"},
    {GrpcCode::kResourceExhausted, "etcdserver: mvcc: database space exceeded", 429, "NoSpace"},
    {GrpcCode::kNotFound, "etcdserver: requested lease not found", 404, "LeaseNotFound"},
    {GrpcCode::kFailedPrecondition, "etcdserver: lease already exists", 400, "LeaseExist"},
    {GrpcCode::kOutOfRange, "etcdserver: too large lease TTL", 400, "LeaseTTLTooLarge"},
    {GrpcCode::kCanceled, "etcdserver: watch canceled", 499, "WatchCanceled"},
    {GrpcCode::kFailedPrecondition, "etcdserver: member ID already exist", 400, "MemberExist"},
    {GrpcCode::kFailedPrecondition, "etcdserver: Peer URLs already exists", 400, "PeerURLExist"},
    {GrpcCode::kFailedPrecondition, "etcdserver: re-configuration failed due to not enough started members",
     400, "MemberNotEnoughStarted"},
    {GrpcCode::kInvalidArgument, "etcdserver: given member URLs are invalid", 400, "MemberBadURLs"},
    {GrpcCode::kNotFound, "etcdserver: member not found", 404, "MemberNotFound"},
    {GrpcCode::kFailedPrecondition, "etcdserver: can only promote a learner member", 400, "MemberNotLearner"},
    {GrpcCode::kFailedPrecondition,
     "etcdserver: can only promote a learner member which is in sync with leader", 400, "LearnerNotReady"},
    {GrpcCode::kFailedPrecondition, "etcdserver: too many learner members in cluster", 400,
     "TooManyLearners"},
    {GrpcCode::kFailedPrecondition, "etcdserver: cluster ID mismatch", 400, "ClusterIDMismatch"},
    {GrpcCode::kInvalidArgument, "etcdserver: request is too large", 400, "RequestTooLarge"},
    {GrpcCode::kResourceExhausted, "etcdserver: too many requests", 429, "RequestTooManyRequests"},
    {GrpcCode::kFailedPrecondition, "etcdserver: root user does not exist", 400, "RootUserNotExist"},
    {GrpcCode::kFailedPrecondition, "etcdserver: root user does not have root role", 400, "RootRoleNotExist"},
    {GrpcCode::kFailedPrecondition, "etcdserver: user name already exists", 400, "UserAlreadyExist"},
    {GrpcCode::kInvalidArgument, "etcdserver: user name is empty", 400, "UserEmpty"},
    {GrpcCode::kFailedPrecondition, "etcdserver: user name not found", 400, "UserNotFound"},
    {GrpcCode::kFailedPrecondition, "etcdserver: role name already exists", 400, "RoleAlreadyExist"},
    {GrpcCode::kFailedPrecondition, "etcdserver: role name not found", 400, "RoleNotFound"},
    {GrpcCode::kInvalidArgument, "etcdserver: role name is empty", 400, "RoleEmpty"},
    {GrpcCode::kInvalidArgument, "etcdserver: authentication failed, invalid user ID or password", 400,
     "AuthFailed"},
    {GrpcCode::kInvalidArgument, "etcdserver: permission not given", 400, "PermissionNotGiven"},
    {GrpcCode::kPermissionDenied, "etcdserver: permission denied", 403, "PermissionDenied"},
    {GrpcCode::kFailedPrecondition, "etcdserver: role is not granted to the user", 400, "RoleNotGranted"},
    {GrpcCode::kFailedPrecondition, "etcdserver: permission is not granted to the role", 400,
     "PermissionNotGranted"},
    {GrpcCode::kFailedPrecondition, "etcdserver: authentication is not enabled", 400, "AuthNotEnabled"},
    {GrpcCode::kUnauthenticated, "etcdserver: invalid auth token", 401, "InvalidAuthToken"},
    {GrpcCode::kInvalidArgument, "etcdserver: invalid auth management", 400, "InvalidAuthMgmt"},
    {GrpcCode::kInvalidArgument, "etcdserver: revision of auth store is old", 400, "AuthOldRevision"},
    {GrpcCode::kUnavailable, "etcdserver: no leader", 503, "NoLeader"},
    {GrpcCode::kFailedPrecondition, "etcdserver: not leader", 400, "NotLeader"},
    {GrpcCode::kUnavailable, "etcdserver: leader changed", 503, "LeaderChanged"},
    {GrpcCode::kFailedPrecondition, "etcdserver: not capable", 400, "NotCapable"},
    {GrpcCode::kUnavailable, "etcdserver: server stopped", 503, "Stopped"},
    {GrpcCode::kUnavailable, "etcdserver: request timed out", 503, "Timeout"},
    {GrpcCode::kUnavailable, "etcdserver: request timed out, possibly due to previous leader failure", 503,
     "TimeoutDueToLeaderFail"},
    {GrpcCode::kUnavailable, "etcdserver: request timed out, possibly due to connection lost", 503,
     "TimeoutDueToConnectionLost"},
    {GrpcCode::kUnavailable, "etcdserver: request timed out, waiting for the applied index took too long",
     503, "TimeoutWaitAppliedIndex"},
    {GrpcCode::kUnavailable, "etcdserver: unhealthy cluster", 503, "Unhealthy"},
    {GrpcCode::kDataLoss, "etcdserver: corrupt cluster", 500, "Corrupt"},
    {GrpcCode::kFailedPrecondition, "etcdserver: rpc not supported for learner", 400,
     "NotSupportedForLearner"},
    {GrpcCode::kFailedPrecondition, "etcdserver: bad leader transferee", 400, "BadLeaderTransferee"},
    {GrpcCode::kInvalidArgument, "etcdserver: wrong downgrade target version format", 400,
     "WrongDowngradeVersionFormat"},
    {GrpcCode::kInvalidArgument, "etcdserver: invalid downgrade target version", 400,
     "InvalidDowngradeTargetVersion"},
    {GrpcCode::kFailedPrecondition, "etcdserver: cluster version not found during downgrade", 400,
     "ClusterVersionUnavailable"},
    {GrpcCode::kFailedPrecondition, "etcdserver: cluster has a downgrade job in progress", 400,
     "DowngradeInProcess"},
    {GrpcCode::kFailedPrecondition, "etcdserver: no inflight downgrade job", 400, "NoInflightDowngrade"},
    {GrpcCode::kCanceled, "etcdserver: request canceled", 499, "Canceled"},
    {GrpcCode::kDeadlineExceeded, "etcdserver: context deadline exceeded", 504, "DeadlineExceeded"},
}};

constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

constexpr std::array<int, 17> kHttpStatus = {200, 499, 500, 400, 504, 404, 409, 403, 429,
                                             400, 409, 400, 501, 500, 503, 500, 401};

}  // namespace

std::string_view name_of(GrpcCode code) {
  auto i = static_cast<size_t>(code);
  return i < kCodeNames.size() ? kCodeNames[i] : "Unknown";
}

int http_status(GrpcCode code) {
  auto i = static_cast<size_t>(code);
  return i < kHttpStatus.size() ? kHttpStatus[i] : 500;
}

const ErrorInfo& info(Error error) {
  auto i = static_cast<size_t>(error);
  QUORATE_ASSERT(i < kErrorCount, "an error is one of the enum");
  return kErrors[i];
}

RpcError rpc_error(Error error) {
  const ErrorInfo& e = info(error);
  bool untranslated = error == Error::kRequestTooManyRequests || error == Error::kMemberNotEnoughStarted;
  return {untranslated ? GrpcCode::kUnknown : e.code, std::string(e.text)};
}

std::string to_string(const RpcError& error) {
  return "rpc error: code = " + std::string(name_of(error.grpc_code)) + " desc = " + error.text;
}

RpcError untranslated(std::string_view text) { return {GrpcCode::kUnknown, std::string(text)}; }

RpcError context_canceled() { return {GrpcCode::kCanceled, "context canceled"}; }

RpcError context_deadline_exceeded() { return {GrpcCode::kDeadlineExceeded, "context deadline exceeded"}; }

RpcError unknown_method(std::string_view path) {
  size_t slash = path.rfind('/');
  if (path.empty() || path.front() != '/' || slash == 0 || slash == std::string_view::npos)
    return unimplemented("malformed method name: \"" + std::string(path) + "\"");
  std::string service(path.substr(1, slash - 1));
  for (const Method& m : methods())
    if (m.service() == service)
      return unimplemented("unknown method " + std::string(path.substr(slash + 1)) + " for service " +
                           service);
  return unimplemented("unknown service " + service);
}

RpcError message_too_large(uint64_t size, uint64_t limit) {
  return {GrpcCode::kResourceExhausted, "grpc: received message larger than max (" + std::to_string(size) +
                                            " vs. " + std::to_string(limit) + ")"};
}

RpcError undecodable_request(std::string_view why) {
  return {GrpcCode::kInternal, "grpc: error unmarshalling request: " + std::string(why)};
}

RpcError undecodable_stream_message(std::string_view why) {
  return {GrpcCode::kInternal, "grpc: failed to unmarshal the received message: " + std::string(why)};
}

RpcError unimplemented(std::string_view text) { return {GrpcCode::kUnimplemented, std::string(text)}; }

}  // namespace quorate::api
