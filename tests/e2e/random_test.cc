// Random histories: ours and etcd 3.7.1 answer every request of one alike. What 3.7.1 answered is kept as a
// checksum per request, so that ours is checked where there is no 3.7.1; with it, the first difference is
// shown in full.
//
//   QUORATE_ETCD_NEW   compares with a running 3.7.1, over as many seeds as QUORATE_ROUNDS says (default 1)
//   QUORATE_RECORD=1   writes the checksums
#include <gtest/gtest.h>

#include <chrono>

#include "base/crc32c.h"
#include "e2e/api_client.h"
#include "e2e/history.h"
#include "e2e/transcript.h"

namespace quorate::test {
namespace {

constexpr uint64_t kRecordedSeed = 371;
constexpr int kSteps = 4000;  // three in five are transactions

std::string checksums_path() { return testdata("recorded-3.7.1-random.txt"); }

class Player {
 public:
  Player(const ServerKind& kind, uint64_t seed) : server_(kind), history_(seed) {
    started_ = server_.start();
    if (!started_) return;
    caller_ = std::make_unique<UnaryCaller>(server_.connect());
    normaliser_ = std::make_unique<Normaliser>(server_, identity_of(caller_->channel()));
    for (int64_t id : {7, 8}) {
      etcdserverpb::LeaseGrantRequest grant;
      grant.set_id(id);
      grant.set_ttl(60000);
      started_ = started_ && caller_->call("LeaseGrant", grant).status.ok();
    }
  }
  bool started() const { return started_; }
  std::string log() const { return server_.log(); }
  const std::string& request() const { return request_; }

  // Does the next request; its answer as text.
  std::string step() {
    Step s = history_.next(revision_, compacted_);
    request_ = s.method + " " + s.request->ShortDebugString();
    auto answer = caller_->call(s.method, *s.request);
    if (!answer.status.ok()) return normaliser_->status(answer.status);
    follow(s, *answer.message);
    return normaliser_->text(*answer.message);
  }

 private:
  void follow(const Step& s, const google::protobuf::Message& message) {
    const auto* field = message.GetDescriptor()->FindFieldByName("header");
    const auto& header =
        static_cast<const etcdserverpb::ResponseHeader&>(message.GetReflection()->GetMessage(message, field));
    revision_ = std::max(revision_, header.revision());
    if (s.method == "Compact")
      compacted_ = static_cast<etcdserverpb::CompactionRequest&>(*s.request).revision();
  }

  Server server_;
  History history_;
  std::unique_ptr<UnaryCaller> caller_;
  std::unique_ptr<Normaliser> normaliser_;
  std::string request_;
  int64_t revision_ = 1, compacted_ = 0;
  bool started_ = false;
};

std::string checksum(const std::string& answer) {
  char text[16];
  snprintf(text, sizeof text, "%08x", crc32c(answer.data(), answer.size()));
  return text;
}

TEST(RandomHistory, AnswersHaveTheRecordedChecksums) {
  const std::vector<std::string> expected = split_lines(read_text(checksums_path()));
  ASSERT_EQ(expected.size(), kSteps + 1u) << "the recording is missing or of another length";
  Player ours(quorate(), kRecordedSeed);
  ASSERT_TRUE(ours.started()) << ours.log();
  for (int i = 0; i < kSteps; ++i) {
    const std::string answer = ours.step();
    ASSERT_EQ(checksum(answer), expected[static_cast<size_t>(i) + 1])
        << "seed " << kRecordedSeed << ", step " << i << "\n"
        << ours.request() << "\n"
        << answer << "\netcd 3.7.1 answered otherwise (set QUORATE_ETCD_NEW to see how)";
  }
}

TEST(RandomHistory, OursAndEtcd371AnswerAlike) {
  if (etcd_371().binary.empty())
    GTEST_SKIP() << "no etcd 3.7.1: set QUORATE_ETCD_NEW to compare answers in full";
  const int rounds = std::stoi(env_or("QUORATE_ROUNDS", "1"));
  const auto first = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  for (int round = 0; round < rounds; ++round) {
    const uint64_t seed = env_or("QUORATE_SEED", "").empty() ? first + static_cast<uint64_t>(round)
                                                             : std::stoull(env_or("QUORATE_SEED", ""));
    std::printf("seed %lu\n", seed);
    Player ours(quorate(), seed), theirs(etcd_371(), seed);
    ASSERT_TRUE(ours.started() && theirs.started()) << ours.log() << theirs.log();
    for (int i = 0; i < kSteps; ++i) {
      const std::string answer = ours.step(), expected = theirs.step();
      ASSERT_EQ(ours.request(), theirs.request());
      ASSERT_EQ(answer, expected) << "QUORATE_SEED=" << seed << ", step " << i << "\n" << ours.request();
    }
  }
}

TEST(RandomHistory, IsRecordedWhenAsked) {
  if (env_or("QUORATE_RECORD", "").empty()) GTEST_SKIP() << "writes only with QUORATE_RECORD=1";
  ASSERT_FALSE(etcd_371().binary.empty()) << "set QUORATE_ETCD_NEW";
  Player theirs(etcd_371(), kRecordedSeed);
  ASSERT_TRUE(theirs.started()) << theirs.log();
  std::string text =
      "# crc32c of what etcd 3.7.1 answered to each step of random_test.cc. Written by QUORATE_RECORD=1.\n";
  for (int i = 0; i < kSteps; ++i) text += checksum(theirs.step()) + "\n";
  write_text(checksums_path(), text);
}

}  // namespace
}  // namespace quorate::test
