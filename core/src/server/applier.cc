#include "server/applier.h"

#include <charconv>

#include "api/ids.h"
#include "api/messages.h"
#include "base/assert.h"
#include "wire/codec.h"

namespace quorate::server {
namespace {

using api::AlarmType;
using api::Error;

// The node's own meta records: a prefix and the id in hex. docs/formats.md.
constexpr std::string_view kLeasePrefix = "lease/";
constexpr std::string_view kAlarmPrefix = "alarm/";
constexpr std::string_view kMemberPrefix = "member/";
constexpr std::string_view kClusterVersionKey = "cluster_version";

std::string lease_key(int64_t id) {
  return std::string(kLeasePrefix) + api::to_hex(static_cast<uint64_t>(id));
}
std::string alarm_key(const Alarms::Alarm& a) {
  return std::string(kAlarmPrefix) + api::to_hex(a.member) + "/" +
         std::to_string(static_cast<int32_t>(a.type));
}
std::string member_key(uint64_t id) { return std::string(kMemberPrefix) + api::to_hex(id); }

bool parse_hex(std::string_view text, uint64_t* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out, 16);
  return error == std::errc() && end == text.data() + text.size();
}
bool parse_decimal(std::string_view text, int64_t* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

// ---- Restoring
// -------------------------------------------------------------------------------------------------------

plugin::Status Applier::restore(const mvcc::Recovered& recovered, uint64_t now_ns) {
  auto damaged = [](std::string_view key) {
    return plugin::Status(plugin::Code::kCorruption,
                          "the meta record '" + std::string(key) + "' is malformed");
  };
  for (const auto& [key, value] : recovered.meta) {
    std::string_view name = key;
    if (name.starts_with(kLeasePrefix)) {
      uint64_t id = 0;
      int64_t ttl = 0;
      if (!parse_hex(name.substr(kLeasePrefix.size()), &id) || !parse_decimal(value, &ttl))
        return damaged(key);
      state_.lessor.grant(static_cast<int64_t>(id), ttl, now_ns);
    } else if (name.starts_with(kAlarmPrefix)) {
      name.remove_prefix(kAlarmPrefix.size());
      const size_t slash = name.find('/');
      Alarms::Alarm alarm;
      int64_t type = 0;
      if (slash == name.npos || !parse_hex(name.substr(0, slash), &alarm.member) ||
          !parse_decimal(name.substr(slash + 1), &type))
        return damaged(key);
      alarm.type = static_cast<AlarmType>(type);
      state_.alarms.activate(alarm);
    } else if (name.starts_with(kMemberPrefix)) {
      MemberInfo info;
      if (!decode_member(value, &info)) return damaged(key);
      state_.membership.set(std::move(info));
    } else if (name == kClusterVersionKey) {
      state_.membership.cluster_version = value;
    }
  }
  state_.store.for_each_leased(
      [&](std::string_view key, int64_t lease) { state_.lessor.move_key(key, 0, lease); });
  return {};
}

// ---- Deciding records
// ------------------------------------------------------------------------------------------------

std::vector<mvcc::KeyVersion> Applier::missing(const plugin::Buffer& data) {
  std::vector<mvcc::KeyVersion> needed, cold;
  auto entry = decode_entry(data);
  if (!entry || (entry->kind != EntryKind::kPut && entry->kind != EntryKind::kTxn)) return cold;
  wire::Arena arena;
  // Most puts decide nothing by a record: they are recognised without a look at the index.
  if (entry->kind == EntryKind::kPut) {
    api::PutRequest r;
    if (wire::decode(&r, entry->request, arena) != wire::DecodeError::kNone || !r.ignore_value) return cold;
    if (auto version = state_.store.get(r.key)) needed.push_back(*version);
  } else {
    api::TxnRequest r;
    if (wire::decode(&r, entry->request, arena) != wire::DecodeError::kNone) return cold;
    collect_deciding(r, state_.store, &needed);
  }
  for (const mvcc::KeyVersion& version : needed) {
    mvcc::Record record;
    if (deciding_.has(version)) continue;
    if (state_.store.hot(version, &record) && resolve(version, record)) continue;
    cold.push_back(version);
  }
  return cold;
}

bool Applier::resolve(const mvcc::KeyVersion& version, mvcc::Record record) {
  bool ok = false;
  std::string_view value = value_of(record, &ok);
  if (ok) deciding_.add(version.mod, std::string(value));
  return ok;
}

// ---- Applying
// --------------------------------------------------------------------------------------------------------

std::span<const mvcc::Event> Applier::apply(Index index, Term term, const plugin::Buffer& data, bool answer,
                                            uint64_t now_ns, Outcome* out) {
  auto events = state_.store.apply(index, term, [&](mvcc::Apply& apply) {
    // Nonsense in the log is refused on every member alike, and changes nothing.
    if (auto entry = decode_entry(data)) {
      dispatch(apply, *entry, answer, now_ns, out);
    } else {
      out->error = api::untranslated("etcdserver: malformed log entry");
    }
  });
  deciding_.clear();
  out->revision = state_.store.revision();
  return events;
}

void Applier::apply_nothing(Index index, Term term) {
  state_.store.apply(index, term, [](mvcc::Apply&) {});
}

void Applier::dispatch(mvcc::Apply& apply, const EntryView& entry, bool answer, uint64_t now_ns,
                       Outcome* out) {
  switch (entry.kind) {
    case EntryKind::kPut:
      return put(apply, entry.request, answer, out);
    case EntryKind::kDeleteRange:
      return remove(apply, entry.request, answer, out);
    case EntryKind::kTxn:
      return txn(apply, entry.request, answer, out);
    case EntryKind::kCompaction:
      return compact(apply, entry.request, out);
    case EntryKind::kLeaseGrant:
      return grant(apply, entry.request, now_ns, out);
    case EntryKind::kLeaseRevoke:
      return revoke(apply, entry.request, out);
    case EntryKind::kAlarm:
      return alarm(apply, entry.request, out);
    case EntryKind::kPublish:
      return publish(apply, entry.request, out);
    case EntryKind::kClusterVersion:
      return cluster_version(apply, entry.request, out);
  }
}

bool Applier::refused(bool needs_space, Outcome* out) const {
  if (state_.alarms.active(AlarmType::kCorrupt)) {
    out->error = api::rpc_error(Error::kCorrupt);
  } else if (needs_space && state_.alarms.active(AlarmType::kNoSpace)) {
    out->error = api::rpc_error(Error::kNoSpace);
  }
  return out->error.has_value();
}

namespace {

// A request in the log was checked before it was proposed; what does not decode came from a broken or hostile
// leader.
template <typename Request>
bool decode_request(std::string_view bytes, wire::Arena& arena, Request* request, Outcome* out) {
  if (wire::decode(request, bytes, arena) == wire::DecodeError::kNone) return true;
  out->error = api::untranslated("etcdserver: malformed request in a log entry");
  return false;
}

void refuse(std::optional<Error> error, Outcome* out) {
  if (error) out->error = api::rpc_error(*error);
}

}  // namespace

void Applier::put(mvcc::Apply& apply, std::string_view bytes, bool answer, Outcome* out) {
  wire::Arena arena;
  api::PutRequest r;
  if (refused(true, out) || !decode_request(bytes, arena, &r, out)) return;
  if (auto error = check_put(r)) return refuse(error, out);
  refuse(execution(apply, answer).put(r, &out->op), out);
}

void Applier::remove(mvcc::Apply& apply, std::string_view bytes, bool answer, Outcome* out) {
  wire::Arena arena;
  api::DeleteRangeRequest r;
  if (refused(false, out) || !decode_request(bytes, arena, &r, out)) return;
  if (auto error = check_delete(r)) return refuse(error, out);
  execution(apply, answer).remove(r, &out->op);
}

void Applier::txn(mvcc::Apply& apply, std::string_view bytes, bool answer, Outcome* out) {
  wire::Arena arena;
  api::TxnRequest r;
  if (!decode_request(bytes, arena, &r, out) || refused(cost(r) > 0, out)) return;
  // The limit of operations is the proposer's option and was its to check; the rest holds for every member.
  if (auto error = check_txn(r, UINT32_MAX)) return refuse(error, out);
  refuse(execution(apply, answer).txn(r, &out->txn), out);
}

void Applier::compact(mvcc::Apply& apply, std::string_view bytes, Outcome* out) {
  wire::Arena arena;
  api::CompactionRequest r;
  if (refused(false, out) || !decode_request(bytes, arena, &r, out)) return;
  if (r.revision <= state_.store.compacted()) return refuse(Error::kCompacted, out);
  if (r.revision > apply.revision()) return refuse(Error::kFutureRev, out);
  state_.store.compact(apply, r.revision);
}

void Applier::grant(mvcc::Apply& apply, std::string_view bytes, uint64_t now_ns, Outcome* out) {
  wire::Arena arena;
  api::LeaseGrantRequest r;
  if (refused(true, out) || !decode_request(bytes, arena, &r, out)) return;
  if (r.ID == 0) return refuse(Error::kLeaseNotFound, out);
  if (r.TTL > lease::kMaxTtlSeconds) return refuse(Error::kLeaseTTLTooLarge, out);
  if (state_.lessor.exists(r.ID)) return refuse(Error::kLeaseExist, out);
  state_.lessor.grant(r.ID, r.TTL, now_ns);
  apply.set_meta(lease_key(r.ID), std::to_string(r.TTL));
  out->lease_id = r.ID;
  out->lease_ttl = r.TTL;
}

void Applier::revoke(mvcc::Apply& apply, std::string_view bytes, Outcome* out) {
  wire::Arena arena;
  api::LeaseRevokeRequest r;
  if (refused(false, out) || !decode_request(bytes, arena, &r, out)) return;
  if (!state_.lessor.exists(r.ID)) return refuse(Error::kLeaseNotFound, out);
  for (const std::string& key : state_.lessor.revoke(r.ID)) {
    apply.remove(api::Interval::point(key), [](std::string_view, const mvcc::KeyVersion&) {});
  }
  apply.set_meta(lease_key(r.ID), "");
}

void Applier::alarm(mvcc::Apply& apply, std::string_view bytes, Outcome* out) {
  wire::Arena arena;
  api::AlarmRequest r;
  if (!decode_request(bytes, arena, &r, out)) return;
  const Alarms::Alarm alarm{r.memberID, r.alarm};
  switch (r.action) {
    case api::AlarmRequest::AlarmAction::kGet:
      out->alarms = state_.alarms.get(r.alarm);
      return;
    case api::AlarmRequest::AlarmAction::kActivate:
      if (r.alarm == AlarmType::kNone) return;
      state_.alarms.activate(alarm);
      apply.set_meta(alarm_key(alarm), "1");
      out->alarms.push_back(alarm);
      return;
    case api::AlarmRequest::AlarmAction::kDeactivate:
      if (!state_.alarms.deactivate(alarm)) return;
      apply.set_meta(alarm_key(alarm), "");
      out->alarms.push_back(alarm);
      return;
  }
}

void Applier::publish(mvcc::Apply& apply, std::string_view bytes, Outcome* out) {
  MemberInfo info;
  if (!decode_member(bytes, &info)) {
    out->error = api::untranslated("etcdserver: malformed request in a log entry");
    return;
  }
  // Only names and client URLs are published; who is a member, and how peers reach it, is decided by
  // membership changes.
  if (const MemberInfo* known = state_.membership.find(info.id)) {
    info.peer_urls = known->peer_urls;
    info.is_learner = known->is_learner;
  }
  apply.set_meta(member_key(info.id), encode_member(info));
  state_.membership.set(std::move(info));
}

void Applier::cluster_version(mvcc::Apply& apply, std::string_view bytes, Outcome*) {
  if (bytes.size() > 32) return;
  state_.membership.cluster_version = std::string(bytes);
  apply.set_meta(kClusterVersionKey, bytes);
}

}  // namespace quorate::server
