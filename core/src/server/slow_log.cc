#include "server/slow_log.h"

#include <chrono>
#include <cstdio>

#include "api/messages.h"
#include "server/entry.h"
#include "server/txn.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/reader.h"
#include "wire/text.h"

namespace quorate::server {
namespace {

using api::MethodId;

std::string_view view(const plugin::Buffer& buffer) { return {buffer.chars(), buffer.size()}; }

// A line's fields, in the order they are added.
class Fields {
 public:
  void text(std::string_view name, std::string_view value) {
    key(name);
    wire::append_json_string(value, &json_);
  }
  void number(std::string_view name, int64_t value) {
    key(name);
    json_ += std::to_string(value);
  }
  std::string take() { return std::move(json_) + "}"; }

 private:
  void key(std::string_view name) {
    json_ += json_.empty() ? '{' : ',';
    wire::append_json_string(name, &json_);
    json_ += ':';
  }
  std::string json_;
};

void warn(Log& log, std::string_view message, const std::string& fields) {
  log.write(LogLevel::kWarn, {message.data(), message.size()}, {fields.data(), fields.size()});
}

// etcd's layout of a time, in UTC.
std::string time_text(uint64_t unix_ns) {
  using namespace std::chrono;
  const auto seconds = unix_ns / 1'000'000'000;
  const sys_days day{days{seconds / 86400}};
  const year_month_day date{day};
  const auto of_day = static_cast<unsigned>(seconds % 86400);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02u:%02u:%02u.%06uZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), of_day / 3600,
                of_day / 60 % 60, of_day % 60, static_cast<unsigned>(unix_ns % 1'000'000'000 / 1000));
  return text;
}

// A request in short, without values. What does not decode is not shown.
std::string summary(const wire::MessageTable& table, void* message, std::string_view bytes,
                    wire::Arena& arena) {
  if (wire::merge(table, message, bytes, arena) != wire::DecodeError::kNone) return {};
  return wire::to_text(table, message, {.sizes_only = true});
}
template <typename Request>
std::string summary(std::string_view bytes) {
  wire::Arena arena;
  Request request;
  return summary(Request::kTable, &request, bytes, arena);
}

// What a response says about itself: how often a field occurs, and the value of a number.
struct ResponseFields {
  int64_t count = 0;
  int64_t value = 0;
};
ResponseFields look(const plugin::Buffer* response, uint32_t counted, uint32_t valued) {
  ResponseFields out;
  if (response == nullptr) return out;
  wire::FieldReader fields(view(*response));
  while (fields.next()) {
    if (fields.number() == counted) ++out.count;
    if (fields.number() == valued && fields.is_varint()) out.value = static_cast<int64_t>(fields.varint());
  }
  return out;
}

// How many operations a transaction had in the branch that was taken, and their size.
void measure_branch(const plugin::Buffer& request, bool succeeded, int64_t* count, int64_t* size) {
  wire::FieldReader fields(view(request));
  while (fields.next()) {
    if (fields.number() != (succeeded ? 2u : 3u) || !fields.is_bytes()) continue;
    ++*count;
    *size += static_cast<int64_t>(fields.bytes().size());
  }
}

}  // namespace

std::string go_duration(uint64_t ns) {
  std::string text;
  uint64_t unit = 1'000'000'000;
  const char* name = "s";
  if (ns < 1'000) {
    return ns == 0 ? "0s" : std::to_string(ns) + "ns";
  } else if (ns < 1'000'000) {
    unit = 1'000, name = "\xc2\xb5s";
  } else if (ns < unit) {
    unit = 1'000'000, name = "ms";
  } else if (const uint64_t minutes = ns / (60 * unit); minutes > 0) {
    if (minutes >= 60) text = std::to_string(minutes / 60) + "h";
    text += std::to_string(minutes % 60) + "m";
    ns %= 60 * unit;
  }
  text += std::to_string(ns / unit);
  std::string rest = std::to_string(unit + ns % unit).substr(1);
  rest.erase(rest.find_last_not_of('0') + 1);
  return text + (rest.empty() ? "" : "." + rest) + name;
}

void SlowLog::slow_unary(const api::Method& method, uint64_t took, const plugin::Buffer& request,
                         const plugin::Buffer* response, plugin::ByteView remote) {
  int64_t request_count = 0, response_count = 0;
  auto request_size = static_cast<int64_t>(request.size());
  int64_t response_size = response == nullptr ? 0 : static_cast<int64_t>(response->size());
  std::string content;
  switch (method.id) {
    case MethodId::kKVRange:
      content = summary<api::RangeRequest>(view(request));
      response_count = look(response, 2, 4).value;
      break;
    case MethodId::kKVPut:
      content = summary<api::PutRequest>(view(request));
      request_count = 1;
      break;
    case MethodId::kKVDeleteRange:
      content = summary<api::DeleteRangeRequest>(view(request));
      response_count = look(response, 3, 2).value;
      break;
    case MethodId::kKVTxn:
      request_size = 0;
      if (response == nullptr) break;
      content = summary<api::TxnRequest>(view(request));
      measure_branch(request, look(response, 3, 2).value != 0, &request_count, &request_size);
      break;
    default:
      request_count = request_size = response_count = response_size = -1;
  }
  Fields fields;
  fields.text("start time", time_text(wall_.unix_ns() - took));
  fields.text("time spent", go_duration(took));
  fields.text("remote", {remote.chars(), remote.size});
  fields.text("response type", method.path);
  fields.number("request count", request_count);
  fields.number("request size", request_size);
  fields.number("response count", response_count);
  fields.number("response size", response_size);
  fields.text("request content", content);
  warn(log_, "request stats", fields.take());
}

void SlowLog::slow_read(const api::Method& method, uint64_t took, const plugin::Buffer& request,
                        const plugin::Buffer* response) {
  auto size = [&] { return " size:" + std::to_string(response->size()); };
  if (method.id == MethodId::kKVRange) {
    const int64_t count = look(response, 2, 4).count;
    took_too_long(took, "read-only range ", summary<api::RangeRequest>(view(request)),
                  response == nullptr ? "" : "range_response_count:" + std::to_string(count) + size(), "");
  } else if (method.id == MethodId::kKVTxn) {
    wire::Arena arena;
    api::TxnRequest txn;
    if (wire::decode(&txn, view(request), arena) != wire::DecodeError::kNone || !is_read_only(txn)) return;
    const int64_t count = look(response, 3, 2).count;
    took_too_long(took, "read-only txn ", wire::to_text(txn, {.sizes_only = true}),
                  response == nullptr ? "" : "responses:" + std::to_string(count) + size(), "");
  }
}

void SlowLog::slow_apply(uint64_t took, const plugin::Buffer& entry,
                         const std::optional<api::RpcError>& error) {
  std::string request = "malformed";
  if (auto decoded = decode_entry(entry)) {
    struct {
      EntryKind kind;
      const char* name;
      std::string (*summary)(std::string_view);
    } const kKinds[] = {
        {EntryKind::kPut, "put", summary<api::PutRequest>},
        {EntryKind::kDeleteRange, "delete_range", summary<api::DeleteRangeRequest>},
        {EntryKind::kTxn, "txn", summary<api::TxnRequest>},
        {EntryKind::kCompaction, "compaction", summary<api::CompactionRequest>},
        {EntryKind::kLeaseGrant, "lease_grant", summary<api::LeaseGrantRequest>},
        {EntryKind::kLeaseRevoke, "lease_revoke", summary<api::LeaseRevokeRequest>},
        {EntryKind::kAlarm, "alarm", summary<api::AlarmRequest>},
        {EntryKind::kPublish, "publish", nullptr},
        {EntryKind::kClusterVersion, "cluster_version", nullptr},
    };
    for (const auto& kind : kKinds) {
      if (kind.kind != decoded->kind) continue;
      request = kind.name;
      if (kind.summary != nullptr) request += ":{" + kind.summary(decoded->request) + "}";
    }
  }
  took_too_long(took, "", request, "", error ? error->text : "");
}

void SlowLog::took_too_long(uint64_t took, std::string_view prefix, std::string_view request,
                            std::string_view response, std::string_view error) {
  Fields fields;
  fields.text("took", go_duration(took));
  fields.text("expected-duration", go_duration(apply_ns_));
  fields.text("prefix", prefix);
  fields.text("request", request);
  fields.text("response", response);
  if (!error.empty()) fields.text("error", error);
  warn(log_, "apply request took too long", fields.take());
}

}  // namespace quorate::server
