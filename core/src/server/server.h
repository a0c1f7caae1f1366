// A node's server: what the services need of it. The services (kv.cc, lease.cc, maintenance.cc, ...) are
// functions over it; calls find them through the method table.
//
// [loop]
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "api/errors.h"
#include "api/ids.h"
#include "api/methods.h"
#include "lease/lessor.h"
#include "mvcc/store.h"
#include "quorate/node.h"
#include "server/alarms.h"
#include "server/applier.h"
#include "server/call.h"
#include "server/compactor.h"
#include "server/data_dir.h"
#include "server/membership.h"
#include "server/pipeline.h"
#include "server/reply.h"
#include "server/slow_log.h"
#include "watch/hub.h"

namespace quorate::server {

class Server final : public Node {
 public:
  Server(NodeEnvironment environment, NodeOptions options, NodeEvents events);
  ~Server() override;

  // Blocking, before the loop runs: opens or bootstraps the data directory and rebuilds everything from it.
  plugin::Status open();

  // ---- Node
  void on_call(const plugin::CallInfo& info, plugin::ServerWriter* writer,
               plugin::StreamReader** out) noexcept override;
  void begin() override;
  void drain(Task done) override;
  plugin::Status close() override;
  uint64_t member_id() const override { return membership_.self; }
  uint64_t cluster_id() const override { return membership_.cluster_id; }

  // ---- For calls
  uint64_t now_ns() const { return environment_.runtime.executor->clock().monotonic_ns(); }
  // Proposals and linearizable reads end after so long with "request timed out".
  uint64_t request_timeout_ns() const { return 5'000'000'000 + 2 * options_.election_ms * 1'000'000; }
  void call_began(Call& call);
  void watch_deadline(Call& call);
  void call_ended();
  void dispatch(plugin::Ref<UnaryCall> call);

  // ---- For services
  const NodeOptions& options() const { return options_; }
  const Runtime& runtime() const { return environment_.runtime; }
  Pipeline& pipeline() { return *pipeline_; }
  raft::RaftCore& raft() { return *raft_; }
  mvcc::Store& store() { return *store_; }
  lease::Lessor& lessor() { return lessor_; }
  watch::Hub& hub() { return *hub_; }
  Alarms& alarms() { return alarms_; }
  SlowLog& slow_log() { return slow_log_; }
  Membership& membership() { return membership_; }
  api::IdGenerator& ids() { return *ids_; }
  const HeaderWriter& header() const { return header_; }
  uint64_t term() const { return raft_->term().value; }
  api::ResponseHeader make_header(int64_t revision) const { return header_.make(revision, term()); }
  uint64_t disk_size() const;
  // Proposes for a call and hands it the outcome; errors are answered here.
  void propose(EntryKind kind, std::string_view request, plugin::Ref<UnaryCall> call,
               UniqueFunction<void(UnaryCall&, Outcome&)> answer);
  // Runs `read` once the state is at least as new as this moment; errors are answered here.
  void read_barrier(plugin::Ref<UnaryCall> call, UniqueFunction<void(UnaryCall&)> read);
  // Whether something of that cost still fits under the quota; if not, the alarm is raised for the whole
  // cluster.
  bool within_quota(uint64_t cost);
  int64_t quota() const;
  bool stopping() const { return stopping_; }

 private:
  // What times things within a turn of the loop.
  Clock* stopwatch() const {
    return environment_.stopwatch != nullptr ? environment_.stopwatch
                                             : &environment_.runtime.executor->clock();
  }
  wal::Options wal_options() const;
  bool engine_is_volatile() const { return (environment_.engine_capabilities & plugin::kCapVolatile) != 0; }
  uint64_t quota_used() const;
  plugin::Status refuse_lost_log();
  plugin::Status bootstrap();
  plugin::Status recover(wal::Recovered* log);
  plugin::Status open_store(const wal::Base& base, mvcc::Recovered* recovered);
  plugin::Status assemble(wal::Recovered log, const mvcc::Recovered& recovered);
  void on_leading();
  void first_read();
  void maybe_ready();
  void publish_self();
  void housekeeping();
  void sweep_leases();
  void arm_deadlines();
  void expire_deadlines();
  void fatal(const std::string& why);

  NodeEnvironment environment_;
  NodeOptions options_;
  NodeEvents events_;
  DataDir data_dir_;
  Membership membership_;
  Alarms alarms_;
  lease::Lessor lessor_;
  SlowLog slow_log_;
  HeaderWriter header_;
  std::unique_ptr<api::IdGenerator> ids_;
  std::unique_ptr<mvcc::Store> store_;
  std::unique_ptr<wal::Wal> wal_;
  std::unique_ptr<raft::RaftCore> raft_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<watch::Hub> hub_;
  std::unique_ptr<Compactor> compactor_;
  DeadlineSet deadlines_;
  TimerId deadline_timer_ = 0;
  uint64_t deadline_armed_ns_ = 0;
  TimerId housekeeping_timer_ = 0;
  uint64_t last_housekeeping_ns_ = 0;
  OpenList open_calls_;
  TimerId drain_timer_ = 0;
  bool caught_up_ = false;   // the first read index of this boot was applied
  uint32_t publishing_ = 0;  // proposals of publish_self under way
  bool ready_ = false;
  bool stopping_ = false;
  bool failed_ = false;
  bool alarm_proposed_ = false;
  Task drained_;
};

// ---- Services: one function per unary method; null: not built yet, answered with Unimplemented.
using Handler = void (*)(Server&, plugin::Ref<UnaryCall>);
Handler handler_of(api::MethodId id);
// The reader of a streaming method, or null where it is not built yet.
plugin::StreamReader* make_stream(Server&, const api::Method&, const plugin::CallInfo&,
                                  plugin::ServerWriter*);

// Decodes a call's request; on an error answers it and returns false.
template <typename Request>
bool decode_call(UnaryCall& call, wire::Arena& arena, Request* request) {
  wire::DecodeError error = wire::decode(request, {call.message().chars(), call.message().size()}, arena);
  if (error == wire::DecodeError::kNone) return true;
  call.finish(api::undecodable_request(wire::text_of(error)));
  return false;
}

api::RpcError to_error(mvcc::ReadError error, const std::string& text);

namespace kv {
void range(Server&, plugin::Ref<UnaryCall>);
void put(Server&, plugin::Ref<UnaryCall>);
void remove(Server&, plugin::Ref<UnaryCall>);
void txn(Server&, plugin::Ref<UnaryCall>);
void compact(Server&, plugin::Ref<UnaryCall>);
plugin::StreamReader* range_stream(Server&, const api::Method&, const plugin::CallInfo&,
                                   plugin::ServerWriter*);
}  // namespace kv
namespace leases {
void grant(Server&, plugin::Ref<UnaryCall>);
void revoke(Server&, plugin::Ref<UnaryCall>);
void time_to_live(Server&, plugin::Ref<UnaryCall>);
void list(Server&, plugin::Ref<UnaryCall>);
plugin::StreamReader* keep_alive(Server&, const api::Method&, const plugin::CallInfo&, plugin::ServerWriter*);
}  // namespace leases
namespace maintenance {
void alarm(Server&, plugin::Ref<UnaryCall>);
void status(Server&, plugin::Ref<UnaryCall>);
void defragment(Server&, plugin::Ref<UnaryCall>);
void hash(Server&, plugin::Ref<UnaryCall>);
void hash_kv(Server&, plugin::Ref<UnaryCall>);
void move_leader(Server&, plugin::Ref<UnaryCall>);
}  // namespace maintenance
namespace cluster {
void member_list(Server&, plugin::Ref<UnaryCall>);
}
namespace health {
void check(Server&, plugin::Ref<UnaryCall>);
void list(Server&, plugin::Ref<UnaryCall>);
plugin::StreamReader* watch(Server&, const api::Method&, const plugin::CallInfo&, plugin::ServerWriter*);
}  // namespace health
namespace watches {
plugin::StreamReader* open(Server&, const api::Method&, const plugin::CallInfo&, plugin::ServerWriter*);
}

}  // namespace quorate::server
