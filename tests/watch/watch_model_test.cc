// Many watchers of many streams against a plain list of every change, while clients come, go and stop
// reading, the disk stands still and history is compacted.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "watch/model.h"

namespace quorate::test {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMillisecond;
const std::string kNul(1, '\0');

uint32_t soak() { return std::getenv("QUORATE_SOAK") != nullptr ? 20 : 1; }

class World {
 public:
  World(uint64_t seed, uint64_t cache_bytes) : random_(seed), rig_("memory", seed) {
    rig_.options.cache_bytes = cache_bytes;
    rig_.options.max_request_bytes = 48 << 10;  // so that histories come in fragments
    rig_.options.watch_progress_interval_ns = 2 * kSecond;
  }
  void run(int steps);
  // What was met, so that a run that proves nothing is seen.
  uint64_t events = 0, pieces = 0, progress = 0, compacted = 0, without_previous = 0;

 private:
  uint64_t below(uint64_t n) { return random_() % n; }
  bool one_in(uint64_t n) { return below(n) == 0; }
  std::string key() { return std::string(1, static_cast<char>('a' + below(5))) + std::to_string(below(8)); }
  std::string value();
  Model::Op random_put();

  template <typename Request>
  void write(std::string_view method, const Request& request, int64_t revision) {
    writes_.push_back({rig_.call(method, request, false), revision, -1});
  }
  void step();
  void put();
  void erase();
  void txn();
  void revoke();
  void compact();
  void create();
  void change_reader();
  void move_time();
  void judge();
  void settle();
  void close(size_t i);
  ModelStream& any_stream() { return *streams_[below(streams_.size())]; }

  struct Write {
    plugin::Ref<ClientCall> call;
    int64_t revision;  // that it must answer
    int64_t compacts;
  };

  std::mt19937_64 random_;
  NodeRig rig_;
  Model model_;
  std::deque<Write> writes_;
  std::vector<std::unique_ptr<ModelStream>> streams_;
  std::vector<ModelWatcher> resumable_;  // of closed streams
  std::vector<int64_t> leases_;
  int64_t next_lease_ = 1000;
  int64_t answered_ = 1;  // revision
};

std::string World::value() {
  const size_t size = one_in(6) ? 2000 + below(12'000) : below(200);
  std::string v = std::to_string(random_());
  v.resize(std::max(size, v.size()), static_cast<char>('A' + below(26)));
  return v;
}

Model::Op World::random_put() {
  Model::Op op{.key = key(), .value = value()};
  if (!leases_.empty() && one_in(4)) op.lease = leases_[below(leases_.size())];
  return op;
}

void World::put() {
  const Model::Op op = random_put();
  write("/etcdserverpb.KV/Put", api::PutRequest{.key = op.key, .value = op.value, .lease = op.lease},
        model_.apply({op}));
}

void World::erase() {
  Model::Op op{.is_delete = true, .key = key()};
  if (one_in(3)) op.end = one_in(4) ? op.key.substr(0, 1) + "~" : op.key + "~";
  write("/etcdserverpb.KV/DeleteRange", api::DeleteRangeRequest{.key = op.key, .range_end = op.end},
        model_.apply({op}));
}

// Several keys at once, each at most once.
void World::txn() {
  std::vector<Model::Op> ops;
  std::set<std::string> keys;
  for (uint64_t n = 1 + below(8); n > 0; --n) {
    Model::Op op = random_put();
    if (!keys.insert(op.key).second) continue;
    if (one_in(3)) op = {.is_delete = true, .key = op.key};
    if (op.value.size() > 4000) op.value.resize(4000);
    ops.push_back(std::move(op));
  }
  std::vector<api::PutRequest> puts(ops.size());
  std::vector<api::DeleteRangeRequest> deletes(ops.size());
  std::vector<api::RequestOp> requests(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].is_delete) {
      deletes[i].key = ops[i].key;
      requests[i].set_request_delete_range(&deletes[i]);
    } else {
      puts[i] = {.key = ops[i].key, .value = ops[i].value, .lease = ops[i].lease};
      requests[i].set_request_put(&puts[i]);
    }
  }
  api::TxnRequest request;
  request.success = {requests.data(), requests.size()};
  write("/etcdserverpb.KV/Txn", request, model_.apply(ops));
}

void World::revoke() {
  if (leases_.size() < 3) {
    leases_.push_back(next_lease_++);
    write("/etcdserverpb.Lease/LeaseGrant", api::LeaseGrantRequest{.TTL = 1'000'000, .ID = leases_.back()},
          model_.revision);
    return;
  }
  const size_t i = below(leases_.size());
  write("/etcdserverpb.Lease/LeaseRevoke", api::LeaseRevokeRequest{.ID = leases_[i]},
        model_.revoke(leases_[i]));
  leases_.erase(leases_.begin() + static_cast<ptrdiff_t>(i));
}

void World::compact() {
  const int64_t from = std::max<int64_t>(model_.compacted, 0);
  if (answered_ <= from + 1) return;
  const auto span = static_cast<uint64_t>(answered_ - from);
  const int64_t at = one_in(4) ? answered_ : from + 1 + static_cast<int64_t>(below(span));
  model_.compacted = at;
  write("/etcdserverpb.KV/Compact", api::CompactionRequest{.revision = at}, model_.revision);
  writes_.back().compacts = at;
}

void World::create() {
  ModelStream& stream = any_stream();
  ModelWatcher w;
  if (!resumable_.empty() && one_in(3)) {
    w = std::move(resumable_.back());
    resumable_.pop_back();
    w = {.key = w.key,
         .end = w.end,
         .puts = w.puts,
         .deletes = w.deletes,
         .previous = w.previous,
         .fragment = w.fragment,
         .progress = w.progress,
         .asked = w.complete + 1};
    return stream.create(std::move(w));
  }
  w.key = key();
  switch (below(6)) {
    case 0:
      w.end = kNul;
      break;
    case 1:
      w.key.clear(), w.end = kNul;
      break;
    case 2:
      w.key.resize(1), w.end = std::string(1, static_cast<char>(w.key[0] + 1));
      break;
    case 3:
      w.end = w.key + std::string(1 + below(2), '~');
      break;
    default:
      break;
  }
  w.previous = one_in(2);
  w.fragment = one_in(2);
  w.progress = one_in(3);
  if (one_in(6)) w.puts = false;
  if (one_in(6)) w.deletes = false;
  if (one_in(4)) w.id = static_cast<int64_t>(below(12)) - 3;
  if (w.id == -1) w.id = 0;
  switch (below(5)) {
    case 0:
      w.asked = 1 + static_cast<int64_t>(below(static_cast<uint64_t>(model_.revision)));
      break;
    case 1:
      w.asked = std::max<int64_t>(model_.compacted, 1);
      break;
    case 2:
      w.asked = model_.revision + 1 + static_cast<int64_t>(below(20));
      break;
    case 3:
      w.asked = std::max<int64_t>(1, model_.revision - static_cast<int64_t>(below(10)));
      break;
    default:
      break;
  }
  stream.create(std::move(w));
}

void World::change_reader() {
  WatchClient& client = any_stream().client();
  if (!client.call().reading) return client.read_on();
  const uint64_t waiting[] = {0, 130 << 10, 260 << 10, 600 << 10};
  client.call().stop_reading(waiting[below(4)]);
}

void World::move_time() {
  switch (below(40)) {
    case 0:
      rig_.executor.advance(6 * kSecond);
      break;  // long enough for the engine to be synced
    case 1:
      rig_.executor.advance(below(2 * kSecond));
      break;
    case 2:
      rig_.executor.hold(Lane::kRead);
      break;
    case 3:
    case 4:
      rig_.executor.resume(Lane::kRead);
      break;
    case 5:
    case 6:
      rig_.executor.advance(below(20 * kMillisecond));
      break;
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
      rig_.executor.run_until_idle();
      break;
    default:
      for (uint64_t n = below(12); n > 0; --n) rig_.executor.step();
  }
}

void World::close(size_t i) {
  for (const auto& [id, w] : streams_[i]->watchers()) resumable_.push_back(w);
  if (resumable_.size() > 30) resumable_.erase(resumable_.begin(), resumable_.end() - 30);
  streams_[i]->client().call().cancel();
  events += streams_[i]->events, pieces += streams_[i]->pieces, progress += streams_[i]->progress;
  compacted += streams_[i]->compacted, without_previous += streams_[i]->without_previous;
  streams_.erase(streams_.begin() + static_cast<ptrdiff_t>(i));
}

void World::step() {
  if (streams_.size() < 3 || (streams_.size() < 8 && one_in(50))) {
    streams_.push_back(std::make_unique<ModelStream>(rig_, model_));
  }
  const uint64_t what = below(100);
  if (what < 36)
    put();
  else if (what < 44)
    erase();
  else if (what < 56)
    txn();
  else if (what < 58)
    revoke();
  else if (what < 59 && one_in(3))
    compact();
  else if (what < 70)
    create();
  else if (what < 76)
    change_reader();
  else if (what < 80)
    any_stream().ask_progress();
  else if (what < 84) {
    ModelStream& stream = any_stream();
    auto at = stream.watchers().lower_bound(static_cast<int64_t>(below(40)) - 3);
    stream.cancel(at == stream.watchers().end() || one_in(10) ? 77'777 : at->first);
  } else if (what < 85 && one_in(3))
    close(below(streams_.size()));
  move_time();
}

void World::judge() {
  while (!writes_.empty() && writes_.front().call->ended) {
    Write w = std::move(writes_.front());
    writes_.pop_front();
    ASSERT_TRUE(w.call->ok()) << w.call->text;
    // Every reply has its header in field 1.
    ASSERT_EQ(rig_.reply<api::PutResponse>(*w.call).header->revision, w.revision);
    answered_ = w.revision;
    model_.compacted_surely = std::max(model_.compacted_surely, w.compacts);
  }
  for (auto& stream : streams_) {
    stream->client().flush();
    ASSERT_NO_FATAL_FAILURE(stream->judge());
  }
}

void World::settle() {
  rig_.executor.resume(Lane::kRead);
  for (int i = 0; i < 10; ++i) {
    for (auto& stream : streams_) stream->client().read_on();
    rig_.executor.advance(100 * kMillisecond);
    ASSERT_NO_FATAL_FAILURE(judge());
  }
  ASSERT_TRUE(writes_.empty());
  for (auto& stream : streams_) ASSERT_NO_FATAL_FAILURE(stream->expect_complete());
}

void World::run(int steps) {
  plugin::Status status = rig_.start();
  ASSERT_TRUE(status.ok()) << status.text();
  for (int i = 0; i < steps; ++i) {
    SCOPED_TRACE(testing::Message() << "step " << i);
    step();
    ASSERT_NO_FATAL_FAILURE(judge());
    if (one_in(400)) {
      ASSERT_NO_FATAL_FAILURE(settle());
    }
  }
  ASSERT_NO_FATAL_FAILURE(settle());
  ASSERT_TRUE(rig_.fatal.empty()) << rig_.fatal;
  while (!streams_.empty()) close(0);
}

// Distribution per run: 3,000 steps over 40 keys; of these 58 % writes (a sixth of the values 2 to 14 KB), 11
// % new watches, 6 % clients that stop reading or go on, 4 % progress requests, 4 % cancels; 3 to 8 streams.
void run_seeds(uint64_t first, uint64_t cache_bytes) {
  for (uint64_t seed = first; seed < first + 50 * soak(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    World world(seed, cache_bytes);
    ASSERT_NO_FATAL_FAILURE(world.run(3000));
    std::printf("seed %llu: %llu events, %llu pieces, %llu progress, %llu compacted, %llu without prev_kv\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(world.events),
                static_cast<unsigned long long>(world.pieces),
                static_cast<unsigned long long>(world.progress),
                static_cast<unsigned long long>(world.compacted),
                static_cast<unsigned long long>(world.without_previous));
    EXPECT_GT(world.events, 10'000u);
    EXPECT_GT(world.progress, 20u);
    EXPECT_GT(world.compacted, 3u);
  }
}

TEST(WatchModel, EveryWatcherGetsExactlyItsHistory) { run_seeds(1, 224u << 20); }
TEST(WatchModel, AlsoWhereNothingIsCached) { run_seeds(1001, 64u << 10); }

}  // namespace
}  // namespace quorate::test
