// What is slow is logged, with etcd's messages and fields, and without a value of any key.
#include "server/slow_log.h"

#include <gtest/gtest.h>

#include "support/node_rig.h"

namespace quorate::test {
namespace {

constexpr uint64_t kMs = 1'000'000;

TEST(GoDuration, IsPrintedAsGoDoes) {
  const std::pair<uint64_t, const char*> kCases[] = {
      {0, "0s"},
      {1, "1ns"},
      {999, "999ns"},
      {1'000, "1\xc2\xb5s"},
      {1'500, "1.5\xc2\xb5s"},
      {300 * kMs, "300ms"},
      {301'020'000, "301.02ms"},
      {999'999'999, "999.999999ms"},
      {1'000'000'000, "1s"},
      {59'999'999'999, "59.999999999s"},
      {60'000'000'000, "1m0s"},
      {3'661'500'000'000, "1h1m1.5s"},
  };
  for (const auto& [ns, text] : kCases) EXPECT_EQ(server::go_duration(ns), text);
}

// Every look at it finds so much more time gone.
class Stopwatch final : public plugin::Counted<plugin::Clock> {
 public:
  explicit Stopwatch(plugin::Clock& clock) : clock_(clock) {}
  uint64_t monotonic_ns() noexcept override { return clock_.monotonic_ns() + (skew_ += step); }
  uint64_t unix_ns() noexcept override { return clock_.unix_ns(); }
  uint64_t step = 0;

 private:
  plugin::Clock& clock_;
  uint64_t skew_ = 0;
};

class SlowLog : public testing::Test {
 protected:
  void start() {
    plugin::Status status = rig_.start();
    ASSERT_TRUE(status.ok()) << status.text();
  }
  // From now on a sync of the log takes so long that a helper does it.
  void slow_disk() {
    rig_.files->set_hook([this](FileOp op, const std::string&) {
      if (op == FileOp::kSync) rig_.executor.clock().set(rig_.executor.now() + 30 * kMs);
    });
    rig_.put("warm", "up");
    rig_.files->set_hook(nullptr);
  }
  template <typename Request>
  void call_slowly(const char* method, const Request& request) {
    rig_.executor.hold(Lane::kWal);
    auto call = rig_.call(method, request);
    rig_.executor.advance(400 * kMs);
    EXPECT_FALSE(call->ended);
    rig_.executor.resume(Lane::kWal);
    rig_.executor.run_until_idle();
    EXPECT_TRUE(call->ok()) << call->text;
  }
  std::vector<std::string> lines(std::string_view message) {
    std::vector<std::string> found;
    for (const std::string& line : rig_.log->lines()) {
      EXPECT_EQ(line.find("secret"), std::string::npos) << line;
      if (line.starts_with(message)) found.push_back(line.substr(message.size()));
    }
    return found;
  }
  NodeRig rig_{"memory", 1};
  plugin::Ref<Stopwatch> stopwatch_ = plugin::make<Stopwatch>(rig_.executor.clock());
};

TEST_F(SlowLog, NothingIsSaidOfWhatIsQuick) {
  start();
  rig_.put("a", "secret");
  EXPECT_TRUE(rig_.get("a"));
  EXPECT_TRUE(lines("request stats").empty());
  EXPECT_TRUE(lines("apply request").empty());
}

TEST_F(SlowLog, AUnaryCallThatTookTooLong) {
  start();
  slow_disk();
  call_slowly("/etcdserverpb.KV/Put", api::PutRequest{.key = "a", .value = "secret"});
  auto found = lines("request stats");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].find(R"("time spent":"400ms","remote":"","response type":"/etcdserverpb.KV/Put",)"
                          R"("request count":1,"request size":11,"response count":0,"response size":28,)"
                          R"("request content":"key:\"a\" value_size:6"})"),
            std::string::npos)
      << found[0];
  EXPECT_EQ(found[0].find(R"({"start time":"2023-11-14T22:13:2)"), 0u) << found[0];
  EXPECT_TRUE(lines("apply request").empty()) << "the disk was slow, not the apply";
}

TEST_F(SlowLog, ATransactionIsMeasuredByTheBranchItTook) {
  start();
  slow_disk();
  const api::PutRequest put{.key = "a", .value = "secret"};
  wire::Arena arena;
  api::TxnRequest txn;
  api::Compare& compare = txn.compare.push_back(arena);
  compare.key = "a";
  compare.target = api::Compare::CompareTarget::kValue;
  compare.set_value("secret");
  const api::PutRequest other{.key = "b"};
  txn.failure.push_back(arena).set_request_put(&put);
  txn.failure.push_back(arena).set_request_put(&other);
  call_slowly("/etcdserverpb.KV/Txn", txn);
  auto found = lines("request stats");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].find(R"("request count":2,"request size":18,"response count":0,)"), std::string::npos)
      << found[0];
  EXPECT_NE(found[0].find(R"(value_size:6)"), std::string::npos) << found[0];
}

TEST_F(SlowLog, AnApplyThatTookTooLong) {
  rig_.stopwatch = stopwatch_.get();
  start();
  rig_.put("a", "secret");
  EXPECT_TRUE(lines("apply request").empty());
  stopwatch_->step = 150 * kMs;
  rig_.put("a", "secret2");
  auto found = lines("apply request took too long");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0], R"({"took":"150ms","expected-duration":"100ms","prefix":"",)"
                      R"("request":"put:{key:\"a\" value_size:7}","response":""})");
  auto call = rig_.call("/etcdserverpb.KV/Put", api::PutRequest{.key = "a", .ignore_lease = true});
  rig_.call("/etcdserverpb.Lease/LeaseRevoke", api::LeaseRevokeRequest{.ID = 7});
  found = lines("apply request took too long");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_NE(found[2].find(R"("request":"lease_revoke:{ID:7}","response":"","error":"etcdserver: requested)"),
            std::string::npos)
      << found[2];
}

TEST_F(SlowLog, AReadThatTookTooLong) {
  rig_.options.warning_apply_ns = 0;
  rig_.stopwatch = stopwatch_.get();
  start();
  rig_.put("a", "secret");
  rig_.put("b", "secret");
  stopwatch_->step = kMs;
  rig_.call("/etcdserverpb.KV/Range", api::RangeRequest{.key = "a", .range_end = "z", .limit = 1});
  auto found = lines("apply request took too long");
  ASSERT_FALSE(found.empty());
  EXPECT_NE(found.back().find(R"("prefix":"read-only range ",)"
                              R"("request":"key:\"a\" range_end:\"z\" limit:1",)"
                              R"("response":"range_response_count:1 size:)"),
            std::string::npos)
      << found.back();
}

}  // namespace
}  // namespace quorate::test
