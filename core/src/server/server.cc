// Calls, timers, and what the node does by itself. Starting and stopping: lifecycle.cc.
#include "server/server.h"

#include <algorithm>

#include "base/assert.h"

namespace quorate::server {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kHousekeeping = 500 * kMillisecond;  // etcd's own sweep of leases
constexpr size_t kRevokesPerSweep = 500;                // 1000 a second
// The sums of a quota: what etcd assumes when none is given.

}  // namespace

// ---- Calls
// -----------------------------------------------------------------------------------------------------------

void Server::on_call(const plugin::CallInfo& info, plugin::ServerWriter* writer,
                     plugin::StreamReader** out) noexcept {
  const std::string_view path(info.method.chars(), info.method.size);
  auto refuse = [&](const api::RpcError& error) {
    writer->finish(static_cast<uint32_t>(error.grpc_code), {error.text.data(), error.text.size()}, {});
  };
  if (stopping_ || failed_) return refuse(api::rpc_error(api::Error::kStopped));
  // What clients may call is not served to whoever reaches the peers' port, which may be guarded in another
  // way.
  const bool for_peers =
      info.connection != nullptr && info.connection->info().role == plugin::ListenerRole::kPeer;
  const api::Method* method = for_peers ? nullptr : api::find_method(path);
  if (method == nullptr) return refuse(api::unknown_method(path));
  for (const plugin::Header& h : info.metadata) {
    const std::string_view name(h.name.chars(), h.name.size), value(h.value.chars(), h.value.size);
    if (name == "client-api-version" && !wire::valid_utf8(value)) {
      return refuse(api::rpc_error(api::Error::kInvalidClientAPIVersion));
    }
    if (name == "hasleader" && value == "true" && raft_->leader() == MemberId()) {
      return refuse(api::rpc_error(api::Error::kNoLeader));
    }
  }
  if (method->kind != api::MethodKind::kUnary) {
    *out = make_stream(*this, *method, info, writer);
    if (*out == nullptr)
      refuse(api::unimplemented(std::string("method ") + std::string(method->name()) + " not implemented"));
    return;
  }
  if (handler_of(method->id) == nullptr) {
    return refuse(
        api::unimplemented(std::string("method ") + std::string(method->name()) + " not implemented"));
  }
  *out = new UnaryCall(*this, *method, info, writer);
}

void Server::dispatch(plugin::Ref<UnaryCall> call) {
  if (stopping_ || failed_) return call->finish(api::rpc_error(api::Error::kStopped));
  Handler handler = handler_of(call->method().id);
  handler(*this, std::move(call));
}

void Server::call_began(Call& call) {
  open_calls_.push_back(call);
  if (call.deadline_ns() != 0) watch_deadline(call);
}

void Server::watch_deadline(Call& call) {
  deadlines_.insert(call);
  arm_deadlines();
}

// The end of a drain. The log's last batch is sealed, so that damage to it cannot look like a torn tail
// later.
void Server::call_ended() {
  if (!stopping_ || !open_calls_.empty() || !drained_) return;
  wal_->idle_mark();
  environment_.runtime.executor->post(std::exchange(drained_, nullptr));
}

// One timer for all: at the nearest deadline, but not finer than ten milliseconds, since nearly every call
// ends long before its time and re-arming for each would cost more than the call.
void Server::arm_deadlines() {
  if (deadlines_.empty()) return;
  const uint64_t nearest = deadlines_.begin()->deadline_ns();
  if (deadline_timer_ != 0 && deadline_armed_ns_ <= nearest + 10 * kMillisecond) return;
  if (deadline_timer_ != 0) environment_.runtime.executor->cancel(deadline_timer_);
  deadline_armed_ns_ = nearest;
  deadline_timer_ = environment_.runtime.executor->at(nearest, [this] {
    deadline_timer_ = 0;
    expire_deadlines();
  });
}

void Server::expire_deadlines() {
  const uint64_t now = now_ns();
  while (!deadlines_.empty() && deadlines_.begin()->deadline_ns() <= now) deadlines_.begin()->expire();
  arm_deadlines();
}

void Server::propose(EntryKind kind, std::string_view request, plugin::Ref<UnaryCall> call,
                     UniqueFunction<void(UnaryCall&, Outcome&)> answer) {
  if (request.size() > options_.max_request_bytes)
    return call->finish(api::rpc_error(api::Error::kRequestTooLarge));
  auto error = pipeline_->propose(encode_entry(kind, request),
                                  [call, answer = std::move(answer)](Outcome& outcome) mutable {
                                    if (call->ended()) return;
                                    if (outcome.error) return call->finish(*outcome.error);
                                    answer(*call, outcome);
                                  });
  if (error) call->finish(*error);
}

void Server::read_barrier(plugin::Ref<UnaryCall> call, UniqueFunction<void(UnaryCall&)> read) {
  pipeline_->read_index(
      [call = std::move(call), read = std::move(read)](const std::optional<api::RpcError>& error) mutable {
        if (call->ended()) return;
        if (error) return call->finish(*error);
        read(*call);
      });
}

// ---- Space
// -----------------------------------------------------------------------------------------------------------

int64_t Server::quota() const {
  return options_.quota_bytes == 0 ? kDefaultQuotaBytes : options_.quota_bytes;
}

// What the engine has on the disk, and what it has been promised and not written yet.
uint64_t Server::disk_size() const { return store_->disk_size() + store_->retained_bytes(); }

uint64_t Server::quota_used() const {
  if (!engine_is_volatile()) return store_->logical_size();
  // The log is never cut then: it is what fills the disk, whatever is deleted. Its full segments count.
  const uint64_t log = (wal_->stats().segments - 1) * options_.wal_segment_bytes;
  return std::max(store_->logical_size(), log);
}

bool Server::within_quota(uint64_t cost) {
  if (quota() < 0 || static_cast<int64_t>(quota_used() + cost) < quota()) return true;
  // Every member refuses from here on, once the alarm is applied; only deletes and compaction make room.
  const Alarms::Alarm alarm{membership_.self, api::AlarmType::kNoSpace};
  if (!alarms_.has(alarm) && !alarm_proposed_) {
    const api::AlarmRequest request{
        .action = api::AlarmRequest::AlarmAction::kActivate, .memberID = alarm.member, .alarm = alarm.type};
    alarm_proposed_ = true;
    auto error = pipeline_->propose(encode_entry(EntryKind::kAlarm, wire::encode_to_string(request)),
                                    [this](Outcome&) { alarm_proposed_ = false; });
    if (error) alarm_proposed_ = false;
  }
  return false;
}

// ---- By itself
// ---------------------------------------------------------------------------------------------------------

void Server::begin() {
  last_housekeeping_ns_ = now_ns();
  raft_->campaign();
  pipeline_->schedule();
  first_read();
  housekeeping();
  compactor_->start();
}

// The node serves once it has seen everything that was ever acknowledged (a read index of this boot is
// applied) and the cluster knows its name and URLs.
void Server::first_read() {
  pipeline_->read_index([this](const std::optional<api::RpcError>& error) {
    if (stopping_ || failed_) return;
    if (error) return first_read();
    caught_up_ = true;
    maybe_ready();
  });
}

void Server::maybe_ready() {
  if (ready_ || !caught_up_ || publishing_ != 0) return;
  ready_ = true;
  if (events_.on_ready) events_.on_ready();
}

void Server::on_leading() {
  lessor_.lead(now_ns());
  publish_self();
}

// Tells the cluster this member's name and client URLs, and the cluster's version, as far as it does not know
// them.
void Server::publish_self() {
  const MemberInfo* known = membership_.find(membership_.self);
  MemberInfo info = known != nullptr ? *known : MemberInfo();
  info.id = membership_.self;
  info.name = options_.name;
  info.client_urls = options_.client_urls;
  auto publish = [this](plugin::Buffer entry) {
    ++publishing_;
    auto done = [this] {
      --publishing_;
      maybe_ready();
    };
    if (pipeline_->propose(std::move(entry), [done](Outcome&) { done(); })) done();
  };
  if (known == nullptr || info != *known) publish(encode_entry(EntryKind::kPublish, encode_member(info)));
  if (membership_.cluster_version != kEtcdMinorVersion) {
    publish(encode_entry(EntryKind::kClusterVersion, kEtcdMinorVersion));
  }
}

void Server::housekeeping() {
  const uint64_t now = now_ns();
  const uint64_t gap = now - last_housekeeping_ns_;
  last_housekeeping_ns_ = now;
  // The loop stood still (a paused process, a stopped machine): keep-alives could not come in, so leases
  // wait, too.
  if (gap > 2 * kHousekeeping) lessor_.add_stall(gap - kHousekeeping);
  sweep_leases();
  wal_->idle_mark();
  housekeeping_timer_ = environment_.runtime.executor->at(now + kHousekeeping, [this] { housekeeping(); });
}

void Server::sweep_leases() {
  if (!pipeline_->leading() || stopping_) return;
  for (lease::LeaseId id : lessor_.take_expired(now_ns(), kRevokesPerSweep)) {
    const api::LeaseRevokeRequest request{.ID = id};
    auto error = pipeline_->propose(encode_entry(EntryKind::kLeaseRevoke, wire::encode_to_string(request)),
                                    [this, id](Outcome& outcome) {
                                      if (outcome.error) lessor_.revoke_failed(id);
                                    });
    if (error) lessor_.revoke_failed(id);
  }
}

void Server::fatal(const std::string& why) {
  if (failed_) return;
  failed_ = true;
  pipeline_->stop(api::rpc_error(api::Error::kStopped));
  if (events_.on_fatal) events_.on_fatal(why);
}

}  // namespace quorate::server
