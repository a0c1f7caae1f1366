// Starting a node from its data directory, and stopping it.
#include <algorithm>

#include "base/assert.h"
#include "server/server.h"
#include "wire/codec.h"
#include "wire/reader.h"

namespace quorate {

using plugin::Code;
using plugin::Status;

Status Node::start(NodeEnvironment environment, NodeOptions options, NodeEvents events,
                   std::unique_ptr<Node>* out) {
  auto server =
      std::make_unique<server::Server>(std::move(environment), std::move(options), std::move(events));
  if (Status status = server->open(); !status.ok()) return status;
  *out = std::move(server);
  return {};
}

namespace server {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
// Batches kept in memory until the engine has synced them.
constexpr uint64_t kRetainedLimit = 128u << 20;
// Ticks of the raft core. A lone voter needs none: it campaigns at once and hears from nobody.
constexpr uint32_t kTickMs = 10;

// 1.5 election timeouts in whole seconds, rounded up: the least a lease lives (etcd-surface §1.5).
int64_t min_ttl_seconds(const NodeOptions& o) {
  const uint64_t ms = o.election_ms / o.heartbeat_ms * 3 / 2 * o.heartbeat_ms;
  return static_cast<int64_t>((ms + 999) / 1000);
}

// The members as Base and the segments' headers carry them: one api::MemberListResponse.
std::string encode_members(const Membership& membership) {
  wire::Writer out;
  for (const auto& [id, info] : membership.members()) out.message_field(2, encode_member(info));
  return std::string(out.view());
}

bool decode_members(std::string_view bytes, Membership* membership) {
  wire::FieldReader fields(bytes);
  while (fields.next()) {
    MemberInfo info;
    if (fields.number() != 2 || !fields.is_bytes()) continue;
    if (!decode_member(fields.bytes(), &info)) return false;
    membership->set(std::move(info));
  }
  return fields.ok() && !membership->members().empty();
}

raft::Config config_of(const Membership& membership) {
  raft::Config config;
  for (const auto& [id, info] : membership.members()) {
    (info.is_learner ? config.learners : config.voters).insert(MemberId(id));
  }
  return config;
}

}  // namespace

Server::Server(NodeEnvironment environment, NodeOptions options, NodeEvents events)
    : environment_(std::move(environment)),
      options_(std::move(options)),
      events_(std::move(events)),
      lessor_(min_ttl_seconds(options_)),
      slow_log_(environment_.runtime, stopwatch(), options_) {
  // A batch of the log takes half a segment at most, and a request must fit into a batch.
  const uint64_t needed = (4 * options_.max_request_bytes + 4095) / 4096 * 4096;
  options_.wal_segment_bytes = std::clamp<uint64_t>(needed, options_.wal_segment_bytes, 1u << 30);
}

Server::~Server() = default;

Status Server::open() {
  FileSystem& files = *environment_.runtime.files;
  if (Status s = data_dir_.open(files, options_.data_directory, options_.wal_directory); !s.ok()) return s;
  wal::Recovered log;
  Status status = recover(&log);
  if (status.code() == Code::kNotFound) {
    if (status = refuse_lost_log(); !status.ok()) return status;
    if (status = bootstrap(); !status.ok()) return status;
    status = recover(&log);
  }
  if (!status.ok()) return status;
  mvcc::Recovered recovered;
  if (status = open_store(log.base, &recovered); !status.ok()) return status;
  return assemble(std::move(log), recovered);
}

// A directory with data and without its log is no new member's: nothing of it may be taken for garbage.
Status Server::refuse_lost_log() {
  std::string engine;
  if (Status s = data_dir_.find_used_engine(&engine); !s.ok()) return s;
  if (engine.empty()) return {};
  return Status(
      Code::kCorruption,
      "there is no write-ahead log in " + data_dir_.wal_directory() + ", and " + data_dir_.path(engine) +
          " holds the data of a member: the log is elsewhere (was --wal-dir given before? is its disk "
          "mounted?) or lost; nothing was changed. Name the log's directory, restore both from one copy, or "
          "start with an empty --data-dir");
}

// Computes who is who as etcd does, and writes the first Base: from then on the data directory decides.
Status Server::bootstrap() {
  std::vector<MemberId> ids;
  for (const auto& [name, urls] : options_.initial_cluster) {
    MemberInfo info{.id = api::member_id(urls, options_.cluster_token).value, .name = "", .peer_urls = urls};
    std::sort(info.peer_urls.begin(), info.peer_urls.end());
    if (name == options_.name) membership_.self = info.id;
    ids.push_back(MemberId(info.id));
    membership_.set(std::move(info));
  }
  if (membership_.self == 0)
    return Status(Code::kInvalid, "--initial-cluster does not contain --name " + options_.name);
  std::sort(ids.begin(), ids.end());
  membership_.cluster_id = api::cluster_id(ids).value;

  wal::Metadata metadata{.cluster = ClusterId(membership_.cluster_id), .member = MemberId(membership_.self)};
  uint8_t random[16];
  environment_.runtime.random->fill(random, sizeof random);
  metadata.node_id.assign(reinterpret_cast<char*>(random), sizeof random);
  wal::Base base{.index = Index(ids.size()), .term = Term(1), .members = encode_members(membership_)};
  if (Status s = data_dir_.new_engine_directory(options_.engine_name, &base.directory); !s.ok()) return s;
  std::unique_ptr<wal::Wal> created;
  // The founding members' entries stand behind the base, as in etcd: the first election is for term 2.
  return wal::Wal::create(environment_.runtime, wal_options(), metadata, base, {Term(1), MemberId()},
                          &created);
}

wal::Options Server::wal_options() const {
  return {.directory = data_dir_.wal_directory(),
          .segment_bytes = options_.wal_segment_bytes,
          .sync = !options_.unsafe_no_fsync,
          .clock = stopwatch()};
}

Status Server::recover(wal::Recovered* log) {
  Status status = wal::Wal::recover(environment_.runtime, wal_options(), log, &wal_);
  if (log->torn_tail) {
    const std::string text =
        "the write-ahead log's last batch was not whole and was cut off, as after a power cut in "
        "the middle of a write: " +
        log->torn_tail->file + " at offset " + std::to_string(log->torn_tail->offset);
    environment_.runtime.log->write(LogLevel::kWarn, {text.data(), text.size()}, {});
  }
  if (log->corruption) {
    const wal::Corruption& c = *log->corruption;
    return Status(Code::kCorruption, "the write-ahead log is damaged: " + c.file + " at offset " +
                                         std::to_string(c.offset) + ": " + c.what +
                                         "; nothing was changed. Restore the file from a copy, or start "
                                         "this member anew from its cluster");
  }
  return status;
}

Status Server::open_store(const wal::Base& base, mvcc::Recovered* recovered) {
  const std::string_view engine = DataDir::engine_of(base.directory);
  if (engine != options_.engine_name) {
    return Status(Code::kIncompatible, "the data directory " + options_.data_directory +
                                           " was written by the engine '" + std::string(engine) +
                                           "', and plugins.toml names '" + options_.engine_name +
                                           "'; name storage-" + std::string(engine) +
                                           " again, or start with an empty --data-dir and copy the keys");
  }
  if (Status s = data_dir_.remove_others(base.directory); !s.ok()) return s;
  // A volatile engine writes no files, and a crash may have come before its directory was there: it is made
  // again.
  const std::string directory = data_dir_.path(base.directory);
  if (Status s = environment_.runtime.files->make_dir(directory.c_str()); !s.ok()) return s;
  mvcc::StoreOptions store_options{.cache_bytes = options_.cache_bytes,
                                   .retained_limit = kRetainedLimit,
                                   .sync_entries = options_.snapshot_entries,
                                   .compaction_batch = options_.compaction_batch_limit,
                                   .compaction_pause_ns = options_.compaction_sleep_ns};
  store_options.is_volatile = engine_is_volatile();
  mvcc::Store::Events events;
  events.on_synced = [this, is_volatile = store_options.is_volatile](Index index) {
    if (pipeline_ && !is_volatile) pipeline_->on_synced(index);
  };
  events.on_engine = [this](mvcc::EngineState state, const std::string& why) {
    const char* what = state == mvcc::EngineState::kHealthy   ? "the storage engine works again"
                       : state == mvcc::EngineState::kNoSpace ? "the storage engine has no space"
                       : state == mvcc::EngineState::kFailed  ? "the storage engine failed"
                                                              : "the storage engine is being reopened";
    const std::string text = why.empty() ? what : std::string(what) + ": " + why;
    environment_.runtime.log->write(state == mvcc::EngineState::kHealthy ? LogLevel::kInfo : LogLevel::kError,
                                    {text.data(), text.size()}, {});
    if (state == mvcc::EngineState::kFailed) fatal(std::string(what) + ": " + why);
  };
  return mvcc::Store::open(environment_.runtime, environment_.engine, directory, options_.engine_options,
                           store_options, std::move(events), &store_, recovered);
}

Status Server::assemble(wal::Recovered log, const mvcc::Recovered& recovered) {
  membership_ = Membership();
  membership_.cluster_id = log.metadata.cluster.value;
  membership_.self = log.metadata.member.value;
  if (!decode_members(log.base.members, &membership_)) {
    return Status(Code::kCorruption, "the members in the write-ahead log's base are malformed");
  }
  if (membership_.members().size() != 1) {
    return Status(Code::kUnsupported, "--initial-cluster names " +
                                          std::to_string(membership_.members().size()) +
                                          " members; this version serves a cluster of one");
  }
  Runtime& runtime = environment_.runtime;
  applier_ = std::make_unique<Applier>(Applier::State{*store_, lessor_, alarms_, membership_});
  if (Status s = applier_->restore(recovered, now_ns()); !s.ok()) return s;

  // log first - 1 <= what the engine holds <= the log's end (design §5).
  const Index applied = std::max(recovered.applied, log.base.index);
  if (applied < log.start.index) {
    return Status(Code::kCorruption,
                  "the storage engine holds the state of index " + std::to_string(applied.value) +
                      ", and the log begins behind index " + std::to_string(log.start.index.value));
  }
  if (applied > log.last.index) {
    return Status(Code::kCorruption, "the storage engine holds the state of index " +
                                         std::to_string(applied.value) + ", and the log ends at index " +
                                         std::to_string(log.last.index.value) +
                                         ": the log was lost or is an older one");
  }
  header_ = HeaderWriter(membership_.cluster_id, membership_.self);
  ids_ = std::make_unique<api::IdGenerator>(MemberId(membership_.self),
                                            runtime.executor->clock().unix_ns() / 1'000'000);

  raft::Options raft_options = raft::options_for_timers(kTickMs, static_cast<uint32_t>(options_.heartbeat_ms),
                                                        static_cast<uint32_t>(options_.election_ms));
  raft_options.id = MemberId(membership_.self);
  raft_options.pre_vote = options_.pre_vote;
  runtime.random->fill(&raft_options.seed, sizeof raft_options.seed);
  raft::Restored restored{.hard_state = log.hard_state,
                          .base = {log.start.index, log.start.term},
                          .entries = std::move(log.entries),
                          .applied = applied,
                          .config = config_of(membership_)};
  raft_ = std::make_unique<raft::RaftCore>(raft_options, std::move(restored));

  watch::Options watch_options{.progress_interval_ns = options_.watch_progress_interval_ns,
                               .max_response_bytes = options_.max_request_bytes + (512u << 10)};
  hub_ = std::make_unique<watch::Hub>(
      runtime, *store_, watch_options,
      [this](wire::Writer& out, int64_t revision) { header_.write(out, revision, term()); });
  Pipeline::Events events;
  events.on_events = [this](std::span<const mvcc::Event> changes) { hub_->publish(changes); };
  events.on_role = [this](const raft::SoftState& role) {
    if (role.role != raft::RoleKind::kLeader) lessor_.follow();
  };
  events.on_leading = [this] { on_leading(); };
  events.on_fatal = [this](const std::string& why) { fatal(why); };
  pipeline_ = std::make_unique<Pipeline>(
      Pipeline::Parts{runtime, *raft_, *wal_, *applier_, *store_, slow_log_, kRetainedLimit},
      std::move(events));
  wal_->allow_inline(true);
  compactor_ = std::make_unique<Compactor>(
      *runtime.executor, options_.compaction_mode, options_.compaction_retention,
      Compactor::Hooks{[this] { return pipeline_->leading(); }, [this] { return store_->revision(); },
                       [this](int64_t revision, UniqueFunction<void(bool)> done) {
                         const api::CompactionRequest request{.revision = revision};
                         auto shared = std::make_shared<UniqueFunction<void(bool)>>(std::move(done));
                         auto error = pipeline_->propose(
                             encode_entry(EntryKind::kCompaction, wire::encode_to_string(request)),
                             [shared](Outcome& outcome) {
                               (*shared)(!outcome.error ||
                                         *outcome.error == api::rpc_error(api::Error::kCompacted));
                             });
                         if (error) (*shared)(false);
                       }});
  return {};
}

// ---- Stopping
// --------------------------------------------------------------------------------------------------------

void Server::drain(Task done) {
  Executor& executor = *environment_.runtime.executor;
  stopping_ = true;
  drained_ = std::move(done);
  // Streams end now; unary calls get their answer, for as long as that may take.
  std::vector<plugin::Ref<Call>> streams;
  for (Call& call : open_calls_) {
    if (call.method().kind != api::MethodKind::kUnary) streams.push_back(plugin::Ref<Call>::share(&call));
  }
  for (auto& call : streams) call->finish(api::rpc_error(api::Error::kStopped));
  drain_timer_ = executor.at(now_ns() + 5 * kSecond, [this] {
    while (!open_calls_.empty()) open_calls_.front().finish(api::rpc_error(api::Error::kStopped));
  });
  call_ended();
}

Status Server::close() {
  stopping_ = true;
  if (pipeline_) pipeline_->stop(api::rpc_error(api::Error::kStopped));
  Executor& executor = *environment_.runtime.executor;
  for (TimerId timer : {deadline_timer_, housekeeping_timer_, drain_timer_}) executor.cancel(timer);
  compactor_.reset();
  hub_.reset();
  Status status = store_ ? store_->close() : Status();
  wal_.reset();
  data_dir_.close();
  return status;
}

}  // namespace server
}  // namespace quorate
