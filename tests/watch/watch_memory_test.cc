// What watches cost: many idle ones, and those of clients that do not read.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>
#include <vector>

#include "support/fake_connection.h"
#include "watch/watch_client.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKIP_WITHOUT_MALLINFO() GTEST_SKIP() << "a sanitizer's allocator does not count for mallinfo2()"
#else
#define SKIP_WITHOUT_MALLINFO() static_cast<void>(0)
#endif

namespace quorate::test {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr int64_t kMiB = 1 << 20;
constexpr std::string_view kNul("\0", 1);

int64_t used() {
  struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

class WatchMemory : public testing::Test {
 protected:
  void start() {
    rig_.options.cache_bytes = 1 << 20;
    plugin::Status status = rig_.start();
    ASSERT_TRUE(status.ok()) << status.text();
  }
  void settle() { rig_.executor.advance(kSecond / 10); }
  // Everything that the store keeps until the engine is synced has gone.
  void quiet() { rig_.executor.advance(60 * kSecond); }

  NodeRig rig_{"memory", 4};
};

TEST_F(WatchMemory, AHundredThousandIdleWatchesTakeLessThanAKilobyteEach) {
  SKIP_WITHOUT_MALLINFO();
  start();
  constexpr int kWatches = 100'000;
  for (bool ranges : {false, true}) {
    SCOPED_TRACE(ranges ? "ranges" : "single keys");
    int64_t left_over = 0;
    for (int turn = 0; turn < 2; ++turn) {
      quiet();
      const int64_t before = used();
      {
        WatchClient client(rig_);
        for (int i = 0; i < kWatches; ++i) {
          const std::string key = "registry/pods/" + std::to_string(i);
          client.create({.key = key, .range_end = ranges ? key + "0" : std::string()});
          client.take();
        }
        const int64_t each = (used() - before) / kWatches;
        std::printf("%lld bytes per watch\n", static_cast<long long>(each));
        EXPECT_LT(each, 1024);
        EXPECT_GT(each, 100) << "nothing was measured";
        rig_.put("registry/pods/77777", "1");
        settle();
        EXPECT_TRUE(client.has_response());
        client.call().cancel();
      }
      quiet();
      left_over = used() - before;
    }
    EXPECT_LT(left_over, kMiB / 4) << "a second time, when tables have grown to their size, nothing stays";
  }
}

// Deletes are small and what they remove is not: what is kept for watchers a little behind has a bound in
// bytes, not in events.
TEST_F(WatchMemory, WhatWasBeforeCountsAsMemory) {
  SKIP_WITHOUT_MALLINFO();
  start();
  rig_.options.cache_bytes = 64 << 20;
  ASSERT_TRUE(rig_.stop().ok());
  ASSERT_TRUE(rig_.start().ok());
  const std::string value(200 << 10, 'v');
  for (int i = 0; i < 200; ++i) rig_.put("k" + std::to_string(i), value);
  WatchClient client(rig_);
  client.create({.key = "k", .range_end = "l", .prev_kv = true});
  client.take();
  quiet();
  const int64_t before = used();
  for (int i = 0; i < 200; ++i) {
    const std::string key = "k" + std::to_string(i);
    rig_.call("/etcdserverpb.KV/DeleteRange", api::DeleteRangeRequest{.key = key});
    settle();
    auto r = client.take();
    ASSERT_NE(r.events[0].prev_kv, nullptr);
    EXPECT_TRUE(r.events[0].prev_kv->value == value);
  }
  quiet();
  EXPECT_LT(used() - before, 8 * kMiB);
}

TEST_F(WatchMemory, HistoryIsReadInBoundedPiecesWhateverItReplaced) {
  start();
  const std::string value(200 << 10, 'v');
  for (int i = 0; i < 200; ++i) rig_.put("k" + std::to_string(i), value);
  const int64_t from = rig_.put("x", "1") + 1;
  for (int i = 0; i < 200; ++i) rig_.put("k" + std::to_string(i), "small");
  quiet();
  WatchClient client(rig_);
  client.create({.key = "k", .range_end = "l", .start_revision = from, .prev_kv = true});
  client.take();
  int64_t next = from;
  while (next < from + 200) {
    settle();
    ASSERT_TRUE(client.has_response()) << "at " << next;
    while (client.has_response()) {
      auto r = client.take();
      EXPECT_LT(client.response_bytes(), static_cast<size_t>(2 * kMiB));
      for (const api::Event& e : r.events) {
        EXPECT_EQ(e.kv->mod_revision, next++);
        ASSERT_NE(e.prev_kv, nullptr);
        EXPECT_EQ(e.prev_kv->value.size(), value.size());
      }
    }
  }
}

TEST_F(WatchMemory, LongKeysCountAgainstTheBudget) {
  start();
  auto connection = plugin::make<FakeConnection>();
  connection->set_budget(8 * kMiB);
  const std::string key(1 << 20, 'k'), end = key + "z";
  for (bool range : {false, true}) {
    WatchClient client(rig_, connection.get());
    int made = 0;
    for (; made < 100 && !client.call().ended; ++made) {
      client.create({.key = key, .range_end = range ? end : std::string()});
    }
    EXPECT_GT(made, 1);
    EXPECT_LE(made, 5);
    EXPECT_EQ(client.call().code, api::GrpcCode::kResourceExhausted);
    rig_.executor.run_until_idle();
    EXPECT_EQ(connection->charged(), 0);
  }
}

class Reader {
 public:
  explicit Reader(NodeRig& rig, bool previous, int watches = 1) : client(rig) {
    for (int i = 0; i < watches; ++i) {
      client.create({.key = kNul, .range_end = kNul, .prev_kv = previous});
      client.take();
      next.push_back(0);
    }
  }
  // Everything that has come: gapless.
  void read() {
    while (client.has_response()) {
      auto r = client.take();
      for (const api::Event& e : r.events) {
        int64_t& expected = next.at(static_cast<size_t>(r.watch_id));
        if (expected != 0) {
          ASSERT_EQ(e.kv->mod_revision, expected);
        }
        expected = e.kv->mod_revision + 1;
      }
    }
  }
  WatchClient client;
  std::vector<int64_t> next;
};

// Distribution: 50,000 puts of 1 KiB, half of them to 100 keys that are put again and again.
TEST_F(WatchMemory, ManyWatchersOfOneStreamThatAreBehindShareItsBuffer) {
  start();
  constexpr int kWatches = 60, kEvents = 1500;
  for (int i = 0; i < kEvents; ++i) rig_.put("k" + std::to_string(i), std::string(1024, 'v'));
  WatchClient client(rig_);
  client.call().stop_reading();
  for (int i = 0; i < kWatches; ++i) client.create({.key = "k", .range_end = "l", .start_revision = 2});
  settle();
  EXPECT_GT(client.call().queued, 256u << 10);
  EXPECT_LT(client.call().queued, static_cast<uint64_t>(4 * kMiB)) << "each queued a whole read of history";
  uint64_t events = 0;
  for (int turn = 0; turn < 2000 && events < uint64_t{kWatches} * kEvents; ++turn) {
    events = 0;
    client.read_on();
    client.call().stop_reading();
    settle();
    ASSERT_LT(client.call().queued, static_cast<uint64_t>(4 * kMiB));
    for (size_t i = 0; i < client.call().messages.size(); ++i) {
      events += rig_.reply<api::WatchResponse>(client.call(), i).events.size();
    }
  }
  EXPECT_EQ(events, uint64_t{kWatches} * kEvents);
}

TEST_F(WatchMemory, AStreamThatIsNeverReadCostsLittleAndHoldsNobodyUp) {
  start();
  Reader fast(rig_, true), slow(rig_, false), slow_previous(rig_, true), never(rig_, true, 3);
  for (Reader* r : {&slow, &slow_previous, &never}) r->client.call().stop_reading();
  std::string value(1024, 'v');
  int64_t last = 0;
  for (int i = 0; i < 50'000; ++i) {
    const std::string key = i % 2 == 0 ? "k" + std::to_string(i % 100) : "n" + std::to_string(i);
    last = rig_.put(key, value);
    if (i % 64 != 0) continue;
    settle();
    fast.read();
    ASSERT_EQ(fast.next[0], last + 1) << "it waits for those that do not read";
  }
  settle();
  fast.read();
  ASSERT_EQ(fast.next[0], last + 1);
  for (Reader* r : {&slow, &slow_previous, &never}) {
    EXPECT_LT(r->client.call().queued, static_cast<uint64_t>(8 * kMiB));
    EXPECT_GT(r->client.call().queued, 256u << 10);
  }
  quiet();
  const int64_t before = used();
  never.client.call().cancel();
  never.client = WatchClient(rig_);
  quiet();
  EXPECT_LT(before - used(), 8 * kMiB);
  for (Reader* r : {&slow, &slow_previous}) {
    for (int turn = 0; turn < 1000 && r->next[0] != last + 1; ++turn) {
      r->client.read_on();
      r->client.call().stop_reading();  // and again it reads what there is, and stops
      settle();
      ASSERT_LT(r->client.call().queued, static_cast<uint64_t>(8 * kMiB));
      ASSERT_NO_FATAL_FAILURE(r->read());
    }
    EXPECT_EQ(r->next[0], last + 1) << "it did not catch up";
  }
}

}  // namespace
}  // namespace quorate::test
