// The server dies under its writers, again and again: whatever it acknowledged is there afterwards, nothing
// else is, and no revision goes back.
//
//   QUORATE_ROUNDS   of the kill -9 loop, per engine (default 25 each; soak: 150 each; under a sanitizer a
//   fifth of it) QUORATE_SEED     of one run
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>

#include "e2e/api_client.h"
#include "e2e/server.h"
#include "e2e/workload.h"

namespace quorate::test {
namespace {
namespace fs = std::filesystem;

uint64_t seed_of_run() {
  const std::string given = env_or("QUORATE_SEED", "");
  const uint64_t seed =
      given.empty() ? static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count())
                    : std::stoull(given);
  std::printf("QUORATE_SEED=%lu\n", seed);
  return seed;
}

// A sanitizer leaves a server and its clients little time for work.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kSlowness = 10;
#else
constexpr uint64_t kSlowness = 1;
#endif

int rounds() {
  const std::string given = env_or("QUORATE_ROUNDS", "");
  if (!given.empty()) return std::stoi(given);
  return static_cast<int>((env_or("QUORATE_SOAK", "").empty() ? 25 : 150) / (kSlowness == 1 ? 1 : 5));
}

class KillLoop : public testing::TestWithParam<std::string> {};

// One round: the writers run for a random time, the server dies, comes back and is asked for everything.
std::string one_round(Server& server, Ledger& ledger, std::mt19937_64& random, int64_t* followed_to) {
  const auto life = Millis(random() % 300 * kSlowness);
  if (*followed_to > 50 && random() % 3 == 0) {
    etcdserverpb::CompactionRequest request;
    request.set_revision(*followed_to - static_cast<int64_t>(random() % 40));
    UnaryCaller(server.connect()).call("Compact", request);  // refused if it goes back: no matter
  }
  {
    Writers writers(server.connect(), ledger, 6, random());
    const uint64_t before = ledger.acknowledged();
    // Some rounds die in the middle of the first writes, others after many.
    wait_until(life, [&] { return ledger.acknowledged() > before + 3000; });
    server.kill9();
  }
  if (!server.start()) return "does not come back:\n" + server.log();
  auto channel = server.connect();
  auto kv = etcdserverpb::KV::NewStub(channel);
  if (std::string error = ledger.check(*kv); !error.empty()) return error;
  // A watcher that goes on where it was sees every change: those before the kill and, now, the whole of it.
  const Followed followed = follow(channel, *followed_to + 1, ledger.highest_revision());
  *followed_to = followed.last;
  return followed.error;
}

TEST_P(KillLoop, LosesNothingAcknowledged) {
  std::mt19937_64 random(seed_of_run());
  Server server(quorate(), {{}, GetParam()});
  ASSERT_TRUE(server.start()) << server.log();
  Ledger ledger;
  int64_t followed_to = 1;
  for (int round = 0; round < rounds(); ++round) {
    const std::string error = one_round(server, ledger, random, &followed_to);
    ASSERT_EQ(error, "") << "round " << round << "\n" << server.log();
  }
  std::printf("%lu writes acknowledged, revision %ld\n", ledger.acknowledged(), ledger.highest_revision());
  EXPECT_GT(ledger.acknowledged(), static_cast<uint64_t>(rounds()) * 10) << "hardly anything was written";
  EXPECT_EQ(server.stop(), 0) << server.log();
}

INSTANTIATE_TEST_SUITE_P(Engines, KillLoop, testing::Values("storage-rocksdb", "storage-leveldb"),
                         [](const auto& info) { return info.param.substr(sizeof "storage-" - 1); });

// ---- Ordinary ends and starts
// ----------------------------------------------------------------------------------------

TEST(Lifecycle, TerminationDrainsAndKeepsEverything) {
  Server server(quorate());
  ASSERT_TRUE(server.start()) << server.log();
  Ledger ledger;
  {
    Writers writers(server.connect(), ledger, 4, 1);
    ASSERT_TRUE(wait_until(Millis(20000), [&] { return ledger.acknowledged() > 200; }));
    EXPECT_EQ(server.stop(), 0) << server.log();
  }
  ASSERT_TRUE(server.start()) << server.log();
  auto kv = etcdserverpb::KV::NewStub(server.connect());
  EXPECT_EQ(ledger.check(*kv), "");
  server.process().signal(SIGINT);
  EXPECT_EQ(server.process().wait(Millis(30000)).value_or(-1), 0) << server.log();
}

TEST(Lifecycle, ASecondProcessOnTheSameDataEndsAtOnce) {
  Server server(quorate());
  ASSERT_TRUE(server.start()) << server.log();
  std::vector<std::string> argv = server.command_line();
  const std::string other = "http://127.0.0.1:" + std::to_string(free_port());
  for (std::string& argument : argv) {
    if (argument == server.client_url()) argument = other;
  }
  const Ended second = run({argv, {}, {}}, Millis(20000));
  EXPECT_FALSE(second.timed_out);
  EXPECT_NE(second.code, 0);
  EXPECT_NE(second.err.find(server.data_dir()), std::string::npos) << "does not name the folder:\n"
                                                                   << second.err;
  UnaryCaller caller(server.connect());
  EXPECT_TRUE(caller
                  .call("Range",
                        [] {
                          etcdserverpb::RangeRequest r;
                          r.set_key("a");
                          return r;
                        }())
                  .status.ok());
}

TEST(Lifecycle, AnotherEngineIsRefused) {
  Server server(quorate(), {{}, "storage-rocksdb"});
  ASSERT_TRUE(server.start()) << server.log();
  EXPECT_EQ(server.stop(), 0);
  server.setup().engine = "storage-leveldb";
  EXPECT_FALSE(server.start());
  EXPECT_NE(server.process().wait(Millis(1000)).value_or(-1), 0);
  for (const char* word : {"rocksdb", "leveldb"})
    EXPECT_NE(server.log().find(word), std::string::npos) << "does not name " << word << ":\n"
                                                          << server.log();
  server.setup().engine = "storage-rocksdb";
  EXPECT_TRUE(server.start()) << server.log();
}

TEST(Lifecycle, TheMemoryEngineServes) {
  Server server(quorate(), {{}, "storage-memory"});
  ASSERT_TRUE(server.start()) << server.log();
  Ledger ledger;
  auto channel = server.connect();
  {
    Writers writers(channel, ledger, 4, 2);
    ASSERT_TRUE(wait_until(Millis(20000), [&] { return ledger.acknowledged() > 200; }));
    writers.stop();
  }
  auto kv = etcdserverpb::KV::NewStub(channel);
  EXPECT_EQ(ledger.check(*kv), "");
  EXPECT_EQ(server.stop(), 0);
}

// ---- Damage
// ----------------------------------------------------------------------------------------------------------

// The log file with the most in it.
fs::path newest_log(const Server& server) {
  fs::path found;
  for (const auto& entry : fs::recursive_directory_iterator(server.data_dir())) {
    if (!entry.is_regular_file() || entry.path().string().find("wal") == std::string::npos) continue;
    if (entry.path().extension() == ".wal" && (found.empty() || entry.path().filename() > found.filename()))
      found = entry.path();
  }
  return found;
}

void flip_byte(const fs::path& path, uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ 0x20);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

// A value is written, another after it; then one byte of the first is damaged. The server must not serve on
// as if nothing had been, and must say where it is.
TEST(Damage, AFlippedByteOfTheLogIsNamed) {
  Server server(quorate());
  ASSERT_TRUE(server.start()) << server.log();
  UnaryCaller caller(server.connect());
  const std::string marked(200, 'Q');
  for (int i = 0; i < 40; ++i) {
    etcdserverpb::PutRequest put;
    put.set_key("k" + std::to_string(i));
    put.set_value(i == 20 ? marked : "small");
    ASSERT_TRUE(caller.call("Put", put).status.ok());
  }
  server.kill9();
  const fs::path log = newest_log(server);
  ASSERT_FALSE(log.empty()) << "no log file in " << server.data_dir();
  const std::string bytes = read_text(log);
  const size_t at = bytes.find(marked);
  ASSERT_NE(at, std::string::npos) << "the value is not in " << log;
  flip_byte(log, at + 100);
  EXPECT_FALSE(server.start()) << "serves from a damaged log";
  EXPECT_NE(server.process().wait(Millis(10000)).value_or(-1), 0);
  EXPECT_NE(server.log().find(log.filename().string()), std::string::npos) << "does not name the file:\n"
                                                                           << server.log();
  EXPECT_NE(server.log().find("offset"), std::string::npos) << "does not name the offset:\n" << server.log();
  // Undone, it is whole again.
  flip_byte(log, at + 100);
  ASSERT_TRUE(server.start()) << server.log();
  etcdserverpb::RangeRequest range;
  range.set_key("k20");
  auto answer = UnaryCaller(server.connect()).call("Range", range);
  EXPECT_EQ(static_cast<etcdserverpb::RangeResponse&>(*answer.message).kvs(0).value(), marked);
}

}  // namespace
}  // namespace quorate::test
