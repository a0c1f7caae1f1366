// One node's behaviour where time, space or a client goes wrong.
#include <gtest/gtest.h>

#include <map>

#include "support/fake_connection.h"
#include "support/node_rig.h"

namespace quorate::test {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr std::string_view kAll("\0", 1);

class NodeTest : public testing::Test {
 protected:
  void start() {
    plugin::Status status = rig_.start();
    ASSERT_TRUE(status.ok()) << status.text();
    ASSERT_TRUE(rig_.ready) << rig_.fatal;
  }
  int64_t grant(int64_t ttl) {
    auto c = rig_.call("/etcdserverpb.Lease/LeaseGrant", api::LeaseGrantRequest{.TTL = ttl});
    EXPECT_TRUE(c->ok()) << c->text;
    return rig_.reply<api::LeaseGrantResponse>(*c).ID;
  }
  NodeRig rig_{"memory", 1};
};

// --wal-dir forgotten, or its disk not mounted: what is there must not be taken for a new member's garbage.
TEST(LostLog, IsNotTakenForANewMember) {
  for (const char* engine : {"rocksdb", "leveldb"}) {
    SCOPED_TRACE(engine);
    NodeRig rig(engine, 5);
    rig.files->make_dirs("/log");
    rig.options.wal_directory = "/log";
    ASSERT_TRUE(rig.start().ok());
    rig.put("precious", "1");
    ASSERT_TRUE(rig.stop().ok());
    rig.options.wal_directory.clear();
    const plugin::Status refused = rig.start();
    EXPECT_EQ(refused.code(), plugin::Code::kCorruption);
    const std::string text = refused.text();
    EXPECT_NE(
        text.find("there is no write-ahead log in /data/member/wal, and /data/member/" + std::string(engine)),
        std::string::npos)
        << text;
    rig.options.wal_directory = "/log";
    ASSERT_TRUE(rig.start().ok());
    EXPECT_EQ(rig.get("precious"), "1");
    ASSERT_TRUE(rig.stop().ok());
  }
}

// The power fails at any point of the first start: what that leaves behind is no lost log.
TEST(LostLog, AFirstStartThatWasCutShortIsOne) {
  for (uint64_t operation = 1; operation < 120; ++operation) {
    SCOPED_TRACE(operation);
    NodeRig rig("rocksdb", operation);
    rig.files->fail_power_at(operation);
    (void)rig.start();
    rig.power_cut(PowerCut::random(operation, true));
    const plugin::Status again = rig.start();
    ASSERT_TRUE(again.ok()) << again.text();
    rig.put("k", "v");
    ASSERT_TRUE(rig.stop().ok());
  }
}

TEST_F(NodeTest, KnowsItselfTheMomentItIsReady) {
  start();
  auto c = rig_.call("/etcdserverpb.Cluster/MemberList", api::MemberListRequest{.linearizable = true});
  auto list = rig_.reply<api::MemberListResponse>(*c);
  ASSERT_EQ(list.members.size(), 1u);
  EXPECT_EQ(list.members[0].name, "n0");
  EXPECT_EQ(list.members[0].clientURLs[0], "http://localhost:2379");
  EXPECT_EQ(list.members[0].ID, 10276657743932975437u);  // as etcd derives it from the same URL and token
  EXPECT_EQ(list.header->cluster_id, 14841639068965178418u);
  EXPECT_EQ(list.header->raft_term, 2u);
}

TEST_F(NodeTest, ALeaseEndsAfterItsTimeAndTakesItsKeys) {
  start();
  const int64_t lease = grant(5);
  rig_.put("a", "1", lease);
  rig_.put("b", "2", lease);
  rig_.put("c", "3");
  rig_.executor.advance(4 * kSecond);
  EXPECT_TRUE(rig_.get("a"));
  auto keep = rig_.open("/etcdserverpb.Lease/LeaseKeepAlive");
  keep->send(api::LeaseKeepAliveRequest{.ID = lease});
  rig_.executor.run_until_idle();
  ASSERT_EQ(keep->messages.size(), 1u);
  EXPECT_EQ(rig_.reply<api::LeaseKeepAliveResponse>(*keep).TTL, 5);
  rig_.executor.advance(4 * kSecond);
  EXPECT_TRUE(rig_.get("a")) << "it was renewed";
  rig_.executor.advance(2 * kSecond);
  EXPECT_FALSE(rig_.get("a"));
  EXPECT_FALSE(rig_.get("b"));
  EXPECT_TRUE(rig_.get("c"));
  keep->send(api::LeaseKeepAliveRequest{.ID = lease});
  rig_.executor.run_until_idle();
  EXPECT_EQ(rig_.reply<api::LeaseKeepAliveResponse>(*keep, 1).TTL, 0) << "an ended lease is not renewed";
}

TEST_F(NodeTest, ALeaseHasItsFullTimeAgainAfterARestart) {
  start();
  const int64_t lease = grant(10);
  rig_.put("a", "1", lease);
  rig_.executor.advance(9 * kSecond);
  ASSERT_TRUE(rig_.stop().ok());
  rig_.executor.advance(60 * kSecond);
  start();
  rig_.executor.advance(9 * kSecond);
  EXPECT_TRUE(rig_.get("a"));
  rig_.executor.advance(2 * kSecond);
  EXPECT_FALSE(rig_.get("a"));
}

TEST_F(NodeTest, NoLeaseIsEndedForAStandstillOfTheProcess) {
  start();
  const int64_t lease = grant(5);
  rig_.put("a", "1", lease);
  rig_.executor.clock().set(rig_.executor.now() + 100 * kSecond);  // the loop did not run meanwhile
  rig_.executor.run_until_idle();
  rig_.executor.advance(kSecond);
  EXPECT_TRUE(rig_.get("a"));
  rig_.executor.advance(6 * kSecond);
  EXPECT_FALSE(rig_.get("a"));
}

TEST_F(NodeTest, ACallThatWaitsTooLongIsToldSo) {
  start();
  // A disk that took thirty milliseconds for a sync is synced by a helper thread, and that one hangs.
  rig_.files->set_hook([this](FileOp op, const std::string&) {
    if (op == FileOp::kSync) rig_.executor.clock().set(rig_.executor.now() + 30'000'000);
  });
  rig_.put("warm", "up");
  rig_.executor.hold(Lane::kWal);
  auto slow = rig_.call("/etcdserverpb.KV/Put", api::PutRequest{.key = "a", .value = "1"});
  rig_.executor.advance(6 * kSecond);
  EXPECT_FALSE(slow->ended);
  rig_.executor.advance(2 * kSecond);
  ASSERT_TRUE(slow->ended);
  EXPECT_EQ(slow->code, api::GrpcCode::kUnavailable);
  EXPECT_EQ(slow->text, "etcdserver: request timed out");
  rig_.executor.resume(Lane::kWal);
  rig_.executor.run_until_idle();
  EXPECT_EQ(rig_.get("a"), "1") << "its outcome was unknown, and it came to pass";
  rig_.files->set_hook(nullptr);
}

TEST_F(NodeTest, ADeadlineOfTheClientEndsItsCall) {
  start();
  auto watch = rig_.open("/etcdserverpb.Watch/Watch", {}, rig_.executor.now() + 2 * kSecond);
  rig_.executor.advance(kSecond);
  EXPECT_FALSE(watch->ended);
  rig_.executor.advance(2 * kSecond);
  ASSERT_TRUE(watch->ended);
  EXPECT_EQ(watch->code, api::GrpcCode::kDeadlineExceeded);
  EXPECT_EQ(watch->text, "context deadline exceeded");
}

TEST_F(NodeTest, TheQuotaStopsPutsAndLetsDeletesMakeRoom) {
  rig_.options.quota_bytes = 64 << 10;
  start();
  const std::string value(8 << 10, 'v');
  plugin::Ref<ClientCall> refused;
  for (int i = 0; i < 20 && !refused; ++i) {
    const std::string key = "k" + std::to_string(i);
    auto c = rig_.call("/etcdserverpb.KV/Put", api::PutRequest{.key = key, .value = value});
    if (!c->ok()) refused = c;
  }
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, api::GrpcCode::kResourceExhausted);
  EXPECT_EQ(refused->text, "etcdserver: mvcc: database space exceeded");
  auto alarms = rig_.call("/etcdserverpb.Maintenance/Alarm", api::AlarmRequest());
  ASSERT_EQ(rig_.reply<api::AlarmResponse>(*alarms).alarms.size(), 1u);
  EXPECT_TRUE(rig_.get("k0")) << "reads go on";
  auto deleted =
      rig_.call("/etcdserverpb.KV/DeleteRange", api::DeleteRangeRequest{.key = kAll, .range_end = kAll});
  ASSERT_TRUE(deleted->ok()) << deleted->text;
  const int64_t revision = rig_.reply<api::DeleteRangeResponse>(*deleted).header->revision;
  auto compacted =
      rig_.call("/etcdserverpb.KV/Compact", api::CompactionRequest{.revision = revision, .physical = true});
  rig_.executor.advance(5 * kSecond);
  ASSERT_TRUE(compacted->ok()) << compacted->text;
  auto still = rig_.call("/etcdserverpb.KV/Put", api::PutRequest{.key = "x", .value = "1"});
  EXPECT_FALSE(still->ok()) << "the alarm holds until it is disarmed";
  const api::AlarmRequest disarm{.action = api::AlarmRequest::AlarmAction::kDeactivate,
                                 .memberID = rig_.node().member_id(),
                                 .alarm = api::AlarmType::kNoSpace};
  ASSERT_TRUE(rig_.call("/etcdserverpb.Maintenance/Alarm", disarm)->ok());
  EXPECT_GT(rig_.put("x", "1"), 0);
}

TEST_F(NodeTest, StreamsEndAndCallsAreRefusedWhenItDrains) {
  start();
  auto watch = rig_.open("/etcdserverpb.Watch/Watch");
  bool drained = false;
  rig_.node().drain([&] { drained = true; });
  rig_.executor.run_until_idle();
  EXPECT_TRUE(drained);
  ASSERT_TRUE(watch->ended);
  EXPECT_EQ(watch->code, api::GrpcCode::kUnavailable);
  auto late = rig_.open("/etcdserverpb.KV/Put");
  EXPECT_TRUE(late->ended);
  EXPECT_EQ(late->text, "etcdserver: server stopped");
}

TEST_F(NodeTest, UnknownAndUnbuiltMethodsAreUnimplemented) {
  start();
  for (const char* path : {"/etcdserverpb.KV/Nope", "/nope.Nope/Nope", "/etcdserverpb.Auth/AuthEnable",
                           "/etcdserverpb.Maintenance/Snapshot", "/v3lockpb.Lock/Lock"}) {
    auto c = rig_.open(path);
    EXPECT_TRUE(c->ended) << path;
    EXPECT_EQ(c->code, api::GrpcCode::kUnimplemented) << path;
  }
}

TEST_F(NodeTest, HealthIsWatched) {
  start();
  using Serving = api::HealthCheckResponse::ServingStatus;
  auto whole = rig_.open("/grpc.health.v1.Health/Watch");
  whole->send(api::HealthCheckRequest());
  auto other = rig_.open("/grpc.health.v1.Health/Watch");
  other->send(api::HealthCheckRequest{.service = "nobody"});
  ASSERT_EQ(whole->messages.size(), 1u);
  EXPECT_EQ(rig_.reply<api::HealthCheckResponse>(*whole).status, Serving::kServing);
  ASSERT_EQ(other->messages.size(), 1u);
  EXPECT_EQ(rig_.reply<api::HealthCheckResponse>(*other).status, Serving::kServiceUnknown);
  EXPECT_FALSE(whole->ended || other->ended) << "a watch stays open";
  auto check = rig_.call("/grpc.health.v1.Health/Check", api::HealthCheckRequest{.service = "nobody"});
  EXPECT_EQ(check->code, api::GrpcCode::kNotFound);
  EXPECT_EQ(check->text, "unknown service");
}

TEST_F(NodeTest, ServesClientsOnClientListenersOnly) {
  start();
  auto connection = plugin::make<FakeConnection>();
  for (auto role : {plugin::ListenerRole::kPeer, plugin::ListenerRole::kClient}) {
    connection->set_role(role);
    auto c = rig_.open("/etcdserverpb.KV/Range", {}, 0, connection.get());
    EXPECT_EQ(c->ended, role == plugin::ListenerRole::kPeer);
    if (c->ended) {
      EXPECT_EQ(c->code, api::GrpcCode::kUnimplemented) << c->text;
    }
  }
}

TEST_F(NodeTest, RefusesADirectoryOfAnotherEngine) {
  start();
  rig_.put("a", "1");
  ASSERT_TRUE(rig_.stop().ok());
  rig_.options.engine_name = "rocksdb";
  plugin::Status status = rig_.start();
  EXPECT_EQ(status.code(), plugin::Code::kIncompatible);
  EXPECT_NE(std::string(status.text()).find("was written by the engine 'memory'"), std::string::npos)
      << status.text();
  rig_.options.engine_name = "memory";
  start();
  EXPECT_EQ(rig_.get("a"), "1") << "nothing was harmed";
}

TEST_F(NodeTest, ADamagedLogIsNamedAndNotGuessedAt) {
  start();
  for (int i = 0; i < 50; ++i) rig_.put("k" + std::to_string(i), std::string(300, 'v'));
  ASSERT_TRUE(rig_.stop().ok());
  std::string segment;
  for (const std::string& name : rig_.files->names("/data/member/wal")) {
    if (name.ends_with(".wal")) segment = "/data/member/wal/" + name;
  }
  ASSERT_FALSE(segment.empty());
  rig_.files->flip_bit(segment, 12 << 10, 3);
  plugin::Status status = rig_.start();
  EXPECT_EQ(status.code(), plugin::Code::kCorruption);
  EXPECT_NE(std::string(status.text()).find(segment), std::string::npos) << status.text();
  EXPECT_NE(std::string(status.text()).find("offset"), std::string::npos) << status.text();
}

// A volatile engine's whole log is kept, since a start has nothing else; so it is what the quota counts.
TEST_F(NodeTest, TheLogOfAVolatileEngineIsBounded) {
  rig_.options.max_request_bytes = 16 << 10;
  rig_.options.wal_segment_bytes = 64 << 10;
  rig_.options.quota_bytes = 1 << 20;
  start();
  const std::string value(4000, 'v');
  int done = 0;
  plugin::Ref<ClientCall> refused;
  for (; done < 1000 && !refused; ++done) {
    auto c = rig_.call("/etcdserverpb.KV/Put", api::PutRequest{.key = "same", .value = value});
    if (!c->ok()) refused = c;
    rig_.call("/etcdserverpb.KV/Compact", api::CompactionRequest{.revision = done + 2, .physical = true},
              false);
    rig_.executor.advance(100'000'000);
  }
  ASSERT_TRUE(refused) << "one key, and its history compacted: only the log grew";
  EXPECT_GT(done, 150) << "not long before the log has that many bytes";
  EXPECT_EQ(refused->text, "etcdserver: mvcc: database space exceeded");
  ASSERT_TRUE(rig_.stop().ok());
  rig_.options.quota_bytes = 4 << 20;
  start();
  EXPECT_EQ(rig_.get("same"), value) << "all of it is applied again";
  const api::AlarmRequest disarm{.action = api::AlarmRequest::AlarmAction::kDeactivate,
                                 .memberID = rig_.node().member_id(),
                                 .alarm = api::AlarmType::kNoSpace};
  ASSERT_TRUE(rig_.call("/etcdserverpb.Maintenance/Alarm", disarm)->ok());
  EXPECT_GT(rig_.put("same", "more"), 0);
}

// By bytes or time alone nothing would be synced here: no time passes, and 3 MiB are written.
TEST(SnapshotCount, LetsTheLogGo) {
  for (const uint64_t entries : {0, 100}) {
    NodeRig rig("rocksdb", 3);
    rig.options.max_request_bytes = 16 << 10;
    rig.options.wal_segment_bytes = 64 << 10;
    rig.options.snapshot_entries = entries;
    ASSERT_TRUE(rig.start().ok());
    auto oldest = [&] {
      for (const std::string& name : rig.files->names("/data/member/wal")) {
        if (name.ends_with(".wal")) return name;
      }
      return std::string();
    };
    const std::string first = oldest();
    ASSERT_FALSE(first.empty());
    for (int i = 0; i < 1000; ++i) rig.put("k" + std::to_string(i), std::string(3000, 'v'));
    EXPECT_EQ(oldest() != first, entries != 0) << entries << ": " << first << " " << oldest();
    rig.power_cut(PowerCut::keep_none());
    ASSERT_TRUE(rig.start().ok());
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(rig.get("k" + std::to_string(i)), std::string(3000, 'v')) << i;
  }
}

// A full disk: under the log, then under the engine. Reads go on, writes are refused clearly, and writing
// resumes by itself when there is space again; nothing that was acknowledged is lost.
class FullDisk : public testing::TestWithParam<const char*> {};

TEST_P(FullDisk, IsAnAnswerAndNotAnEnd) {
  NodeRig rig(GetParam(), 5);
  ASSERT_TRUE(rig.start().ok());
  rig.put("before", "1");
  rig.executor.advance(10 * kSecond);
  rig.files->set_quota(rig.files->used() + (256 << 10));
  const std::string value(16 << 10, 'v');
  std::map<std::string, std::string> acknowledged;
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    const std::string key = "k" + std::to_string(i);
    auto c = rig.call("/etcdserverpb.KV/Put", api::PutRequest{.key = key, .value = value});
    rig.executor.advance(100'000'000);
    if (c->ok()) {
      acknowledged[key] = value;
    } else {
      ++refused;
      if (c->ended) {
        EXPECT_EQ(c->code, api::GrpcCode::kResourceExhausted) << c->text;
      }
    }
  }
  EXPECT_GT(refused, 0) << "the disk was never full";
  EXPECT_TRUE(rig.fatal.empty()) << rig.fatal;
  EXPECT_EQ(rig.get("before"), "1") << "reads go on";
  rig.files->set_quota(UINT64_MAX);
  rig.executor.advance(30 * kSecond);
  EXPECT_GT(rig.put("after", "2"), 0) << "writing resumes without a restart";
  for (const auto& [key, v] : acknowledged) ASSERT_EQ(rig.get(key), v) << key;
  rig.power_cut(PowerCut::random(9));
  plugin::Status started = rig.start();
  ASSERT_TRUE(started.ok()) << started.text();
  for (const auto& [key, v] : acknowledged) ASSERT_EQ(rig.get(key), v) << key;
  EXPECT_EQ(rig.get("after"), "2");
}

bool log_says(NodeRig& rig, const std::string& text) {
  for (const std::string& line : rig.log->lines()) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

// The log's disk has space, the engine's has none (or the other way round, `part`): in a whole node.
void fill_one_disk(const std::string& engine, const std::string& part, const char* told, const char* back) {
  NodeRig rig(engine, 6);
  ASSERT_TRUE(rig.start().ok());
  const std::string value(16 << 10, 'v');
  std::map<std::string, std::string> acknowledged;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "before" + std::to_string(i);
    rig.put(key, value);
    acknowledged[key] = value;
  }
  rig.executor.advance(10 * kSecond);
  const std::string folder = "/" + part;
  ASSERT_GT(rig.files->used(folder), 0u) << "no such folder";
  rig.files->set_part_quota(folder, rig.files->used(folder) + (64 << 10));
  int refused = 0, unanswered = 0;
  for (int i = 0; i < 6000 && refused < 20; ++i) {
    const std::string key = "k" + std::to_string(i % 50), v = value + std::to_string(i);
    auto c = rig.call("/etcdserverpb.KV/Put", api::PutRequest{.key = key, .value = v});
    rig.executor.advance(i < 2000 ? 1'000'000 : 100'000'000);
    if (c->ok()) {
      acknowledged[key] = v;
    } else if (c->ended) {
      ++refused;
      EXPECT_EQ(c->code, api::GrpcCode::kResourceExhausted) << c->text;
    } else {
      ++unanswered;
      acknowledged.erase(key);  // either is right: it was not acknowledged
    }
  }
  EXPECT_GE(refused, 20) << "the disk was never full";
  EXPECT_LT(unanswered, 20);
  EXPECT_TRUE(log_says(rig, told));
  for (int i = 0; i < 100; i += 9) EXPECT_EQ(rig.get("before" + std::to_string(i)), value) << "reads go on";
  rig.executor.advance(120 * kSecond);
  EXPECT_TRUE(rig.fatal.empty()) << rig.fatal;
  EXPECT_EQ(rig.get("before7"), value) << "reads go on";
  rig.files->set_part_quota("", 0);
  rig.executor.advance(30 * kSecond);
  EXPECT_GT(rig.put("after", "2"), 0) << "writing resumes without a restart";
  EXPECT_TRUE(log_says(rig, back));
  rig.executor.advance(30 * kSecond);
  for (const auto& [key, v] : acknowledged) ASSERT_EQ(rig.get(key), v) << key;
  rig.power_cut(PowerCut::random(9));
  plugin::Status started = rig.start();
  ASSERT_TRUE(started.ok()) << started.text();
  for (const auto& [key, v] : acknowledged) ASSERT_EQ(rig.get(key), v) << key;
  EXPECT_EQ(rig.get("after"), "2");
}

TEST_P(FullDisk, UnderTheEngineAlone) {
  fill_one_disk(GetParam(), GetParam() + std::string("-"), "the storage engine has no space",
                "the storage engine works again");
}

TEST_P(FullDisk, UnderTheLogAlone) {
  fill_one_disk(GetParam(), "wal/", "the disk of the write-ahead log is full",
                "the disk of the write-ahead log has space again");
}

INSTANTIATE_TEST_SUITE_P(Engines, FullDisk, testing::Values("rocksdb", "leveldb"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace quorate::test
