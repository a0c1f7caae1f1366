// Each rule of a Watch stream, alone: etcd-surface §1.4.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "support/fake_connection.h"
#include "watch/watch_client.h"

namespace quorate::test {
namespace {

using namespace std::string_view_literals;
using Filter = Create::FilterType;
using Type = api::Event::EventType;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr std::string_view kNul("\0", 1);

class WatchTest : public testing::Test {
 protected:
  WatchTest() { rig_.options.watch_progress_interval_ns = 10 * kSecond; }
  void SetUp() override { start(); }
  void start() {
    plugin::Status status = rig_.start();
    ASSERT_TRUE(status.ok()) << status.text();
    client_ = std::make_unique<WatchClient>(rig_);
  }
  void run() { rig_.executor.run_until_idle(); }
  // Far enough for every round and every scan.
  void settle() { rig_.executor.advance(kSecond / 10); }
  int64_t revision() {
    auto c = rig_.call("/etcdserverpb.KV/Range", api::RangeRequest{.key = "x"});
    return rig_.reply<api::RangeResponse>(*c).header->revision;
  }
  int64_t remove(std::string_view key, std::string_view end = {}) {
    auto c = rig_.call("/etcdserverpb.KV/DeleteRange", api::DeleteRangeRequest{.key = key, .range_end = end});
    EXPECT_TRUE(c->ok()) << c->text;
    return rig_.reply<api::DeleteRangeResponse>(*c).header->revision;
  }
  void compact(int64_t revision) {
    auto c =
        rig_.call("/etcdserverpb.KV/Compact", api::CompactionRequest{.revision = revision, .physical = true});
    rig_.executor.advance(5 * kSecond);
    ASSERT_TRUE(c->ok()) << c->text;
  }
  int64_t create(const Create& request) {
    client_->create(request);
    auto r = client_->take();
    EXPECT_TRUE(r.created);
    EXPECT_FALSE(r.canceled) << r.cancel_reason;
    EXPECT_EQ(r.events.size(), 0u);
    EXPECT_EQ(r.header->revision, revision());
    return r.watch_id;
  }
  void expect_refused(const Create& request, std::string_view reason) {
    client_->create(request);
    auto r = client_->take();
    EXPECT_TRUE(r.created);
    EXPECT_TRUE(r.canceled);
    EXPECT_EQ(r.watch_id, -1);
    EXPECT_EQ(r.cancel_reason, reason);
    EXPECT_EQ(r.compact_revision, 0);
    EXPECT_EQ(r.header->revision, revision());
    EXPECT_EQ(r.header->cluster_id, 14841639068965178418u);
  }
  void expect_silence() {
    settle();
    EXPECT_FALSE(client_->has_response());
  }
  // The next response, its keys in order: "a=1" of a put, "-a" of a delete.
  std::string next_events(int64_t id) {
    settle();
    if (!client_->has_response()) return "(nothing)";
    auto r = client_->take();
    EXPECT_EQ(r.watch_id, id);
    EXPECT_FALSE(r.created || r.canceled || r.fragment);
    std::string out;
    for (const api::Event& e : r.events) {
      if (!out.empty()) out += ' ';
      if (e.type == Type::kDelete) {
        out += '-' + std::string(e.kv->key);
      } else {
        out += std::string(e.kv->key) + '=' + std::string(e.kv->value);
      }
      EXPECT_GE(r.header->revision, e.kv->mod_revision);
    }
    return out;
  }

  NodeRig rig_{"memory", 3};
  std::unique_ptr<WatchClient> client_;
};

// ---- Ids
// -----------------------------------------------------------------------------------------------------------

TEST_F(WatchTest, TheServerChoosesAscendingIdsAndPassesOverTakenOnes) {
  EXPECT_EQ(create({.key = "a"}), 0);
  EXPECT_EQ(create({.key = "a"}), 1);
  EXPECT_EQ(create({.key = "b", .watch_id = 2}), 2);
  EXPECT_EQ(create({.key = "b", .watch_id = 4}), 4);
  EXPECT_EQ(create({.key = "a"}), 3);
  EXPECT_EQ(create({.key = "a"}), 5);
  client_->cancel(0);
  EXPECT_TRUE(client_->take().canceled);
  EXPECT_EQ(create({.key = "a"}), 6) << "an id that the server chose does not come back";
  WatchClient other(rig_);
  other.create({.key = "a"});
  EXPECT_EQ(other.take().watch_id, 0) << "each stream counts by itself";
}

TEST_F(WatchTest, AClientMayChooseAnyIdThatIsNotInUse) {
  EXPECT_EQ(create({.key = "a", .watch_id = 7}), 7);
  expect_refused({.key = "b", .watch_id = 7}, "mvcc: duplicate watch ID provided on the WatchStream");
  EXPECT_EQ(create({.key = "a", .watch_id = -5}), -5);
  expect_refused({.key = "b", .watch_id = -5}, "mvcc: duplicate watch ID provided on the WatchStream");
  EXPECT_EQ(create({.key = "a", .watch_id = INT64_MAX}), INT64_MAX);
  EXPECT_EQ(create({.key = "a", .watch_id = INT64_MIN}), INT64_MIN);
  EXPECT_EQ(create({.key = "z"}), 0);
  rig_.put("b", "1");
  expect_silence();  // the refused ones are not there
  client_->cancel(7);
  EXPECT_EQ(client_->take().watch_id, 7);
  EXPECT_EQ(create({.key = "b", .watch_id = 7}), 7) << "an id is free again once cancelled";
  rig_.put("b", "2");
  EXPECT_EQ(next_events(7), "b=2");
}

// ---- Ranges
// -----------------------------------------------------------------------------------------------------------

TEST_F(WatchTest, RangesMeanWhatTheyMeanForEtcd) {
  struct Case {
    std::string_view key, end, seen;
  };
  const Case cases[] = {
      {"b"sv, ""sv, "b=1 -b"},
      {"b"sv, "d"sv, "b=1 c=1 -b -c"},
      {"b"sv, "\0"sv, "b=1 c=1 d=1 -b -c -d"},
      {""sv, ""sv, "(nothing)"},
      {""sv, "c"sv, "a=1 b=1 -a -b"},
      {""sv, "\0"sv, "a=1 b=1 c=1 d=1 -a -b -c -d"},
      {"\0"sv, "\0"sv, "a=1 b=1 c=1 d=1 -a -b -c -d"},
      {"e"sv, "\0"sv, "(nothing)"},
      {"b"sv, "b\0"sv, "b=1 -b"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::PrintToString(std::pair(c.key, c.end)));
    const int64_t from = revision() + 1;
    for (std::string_view key : {"a", "b", "c", "d"}) rig_.put(key, "1");
    remove(kNul, kNul);
    const int64_t past = create({.key = c.key, .range_end = c.end, .start_revision = from});
    EXPECT_EQ(next_events(past), c.seen) << "from history";
    client_->cancel(past);
    EXPECT_TRUE(client_->take().canceled);
    const int64_t live = create({.key = c.key, .range_end = c.end});
    std::string seen;
    for (std::string_view key : {"a", "b", "c", "d"}) {
      rig_.put(key, "1");
      settle();
      if (client_->has_response()) seen += next_events(live) + ' ';
    }
    remove(kNul, kNul);
    const std::string deleted = next_events(live);
    EXPECT_EQ(seen.empty() ? deleted : seen + deleted, c.seen) << "live";
    client_->cancel(live);
    EXPECT_TRUE(client_->take().canceled);
  }
}

TEST_F(WatchTest, AnEmptyRangeIsRefused) {
  expect_refused({.key = "b", .range_end = "b"}, "mvcc: watcher range is empty");
  expect_refused({.key = "b", .range_end = "a", .watch_id = 9}, "mvcc: watcher range is empty");
  EXPECT_EQ(create({.key = "b"}), 0) << "a refused watch takes no id";
}

// ---- Where it starts
// -----------------------------------------------------------------------------------------------------

TEST_F(WatchTest, StartsNowInThePastOrInTheFuture) {
  const int64_t first = rig_.put("a", "1");
  rig_.put("a", "2");
  const int64_t now = create({.key = "a"});
  const int64_t past = create({.key = "a", .start_revision = first + 1});
  EXPECT_EQ(next_events(past), "a=2");
  const int64_t future = create({.key = "a", .start_revision = first + 3});
  rig_.put("a", "3");
  settle();
  EXPECT_EQ(next_events(now), "a=3");
  EXPECT_EQ(next_events(past), "a=3");
  expect_silence();
  rig_.put("a", "4");
  for (int64_t id : {now, past, future}) EXPECT_EQ(next_events(id), "a=4");
}

TEST_F(WatchTest, ANegativeStartIsRefusedAsCompacted) {
  expect_refused({.key = "a", .start_revision = -1},
                 "etcdserver: mvcc: required revision has been compacted");
  expect_refused({.key = "b", .range_end = "a", .start_revision = INT64_MIN, .watch_id = 3},
                 "etcdserver: mvcc: required revision has been compacted");
}

TEST_F(WatchTest, ACompactedStartIsCreatedAndThenCanceled) {
  const int64_t first = rig_.put("a", "1");
  rig_.put("a", "2");
  rig_.put("a", "3");
  compact(first + 1);
  const int64_t gone = create({.key = "a", .start_revision = first});
  settle();
  auto r = client_->take();
  EXPECT_EQ(r.watch_id, gone);
  EXPECT_FALSE(r.created);
  EXPECT_TRUE(r.canceled);
  EXPECT_EQ(r.compact_revision, first + 1);
  EXPECT_EQ(r.cancel_reason, "");
  EXPECT_EQ(r.header->revision, 0);
  const int64_t at = create({.key = "a", .start_revision = first + 1, .prev_kv = true});
  settle();
  r = client_->take();
  EXPECT_EQ(r.watch_id, at) << "the compacted revision itself is still there";
  ASSERT_EQ(r.events.size(), 2u);
  EXPECT_EQ(r.events[0].prev_kv, nullptr) << "what was before it is not";
  ASSERT_NE(r.events[1].prev_kv, nullptr);
  EXPECT_EQ(r.events[1].prev_kv->value, "2");
  rig_.put("a", "4");
  EXPECT_EQ(next_events(at), "a=4");
  expect_silence();
}

TEST_F(WatchTest, ADeleteAtTheCompactedRevisionIsStillThere) {
  rig_.put("a", "1");
  const int64_t deleted = remove("a");
  rig_.put("b", "1");
  compact(deleted);
  const int64_t id = create({.key = kNul, .range_end = kNul, .start_revision = deleted});
  EXPECT_EQ(next_events(id), "-a b=1");
}

// ---- Events
// -----------------------------------------------------------------------------------------------------------

TEST_F(WatchTest, AnEventHoldsTheKeyAndWhatWasBefore) {
  const int64_t id = create({.key = "a", .prev_kv = true});
  const int64_t first = rig_.put("a", "1");
  settle();
  auto r = client_->take();
  EXPECT_EQ(r.watch_id, id);
  ASSERT_EQ(r.events.size(), 1u);
  EXPECT_EQ(r.events[0].kv->create_revision, first);
  EXPECT_EQ(r.events[0].kv->version, 1);
  EXPECT_EQ(r.events[0].prev_kv, nullptr);
  rig_.put("a", "2");
  settle();
  r = client_->take();
  ASSERT_EQ(r.events.size(), 1u);
  EXPECT_EQ(r.events[0].kv->create_revision, first);
  EXPECT_EQ(r.events[0].kv->version, 2);
  ASSERT_NE(r.events[0].prev_kv, nullptr);
  EXPECT_EQ(r.events[0].prev_kv->value, "1");
  const int64_t deleted = remove("a");
  settle();
  r = client_->take();
  ASSERT_EQ(r.events.size(), 1u);
  const api::Event& e = r.events[0];
  EXPECT_EQ(e.type, Type::kDelete);
  EXPECT_EQ(e.kv->key, "a");
  EXPECT_EQ(e.kv->mod_revision, deleted);
  EXPECT_EQ(e.kv->create_revision, 0);
  EXPECT_EQ(e.kv->version, 0);
  EXPECT_EQ(e.kv->value, "");
  ASSERT_NE(e.prev_kv, nullptr);
  EXPECT_EQ(e.prev_kv->value, "2");
}

TEST_F(WatchTest, FiltersDropEventsAndEmptyResponses) {
  const Filter puts[] = {Filter::kNoPut}, deletes[] = {Filter::kNoDelete};
  const Filter both[] = {Filter::kNoPut, Filter::kNoDelete}, unknown[] = {static_cast<Filter>(9)};
  const int64_t no_put = create({.key = "a", .filters = {puts, 1}});
  const int64_t no_delete = create({.key = "a", .filters = {deletes, 1}});
  create({.key = "a", .filters = {both, 2}});
  const int64_t all = create({.key = "a", .filters = {unknown, 1}});
  rig_.put("a", "1");
  EXPECT_EQ(next_events(no_delete), "a=1");
  EXPECT_EQ(next_events(all), "a=1");
  expect_silence();
  remove("a");
  EXPECT_EQ(next_events(no_put), "-a");
  EXPECT_EQ(next_events(all), "-a");
  expect_silence();
}

TEST_F(WatchTest, ARevisionTravelsWholeUnlessFragmentsAreAskedFor) {
  const std::string value(300 << 10, 'v');
  std::vector<std::string> keys;
  for (int i = 10; i < 22; ++i) keys.push_back("k" + std::to_string(i));
  for (const std::string& key : keys) rig_.put(key, value);
  const int64_t whole = create({.key = "k", .range_end = "l"});
  const int64_t pieces = create({.key = "k", .range_end = "l", .fragment = true});
  // One revision that no request could hold: what was before makes it so large.
  const int64_t whole_before = create({.key = "k", .range_end = "l", .prev_kv = true});
  const int64_t pieces_before = create({.key = "k", .range_end = "l", .prev_kv = true, .fragment = true});
  remove("k", "l");
  settle();
  const size_t limit = rig_.options.max_request_bytes + (512 << 10);
  std::map<int64_t, std::vector<std::pair<size_t, bool>>> got;
  std::map<int64_t, std::vector<std::string>> seen;
  while (client_->has_response()) {
    auto r = client_->take();
    got[r.watch_id].emplace_back(r.events.size(), r.fragment);
    for (const api::Event& e : r.events) seen[r.watch_id].emplace_back(e.kv->key);
    if (r.watch_id == pieces_before) {
      EXPECT_LT(client_->response_bytes(), limit + 256);
    }
  }
  using Pieces = std::vector<std::pair<size_t, bool>>;
  EXPECT_EQ(got[whole], (Pieces{{12, false}}));
  EXPECT_EQ(got[pieces], (Pieces{{12, false}})) << "small enough";
  EXPECT_EQ(got[whole_before], (Pieces{{12, false}}));
  EXPECT_EQ(got[pieces_before], (Pieces{{6, true}, {6, false}}));
  for (auto& [id, list] : seen) EXPECT_EQ(list, keys) << id;
}

TEST_F(WatchTest, ChangesInQuickSuccessionArriveInOrder) {
  const int64_t id = create({.key = "a", .range_end = "c"});
  for (int i = 0; i < 5; ++i) {
    const std::string value = std::to_string(i);
    rig_.call("/etcdserverpb.KV/Put", api::PutRequest{.key = i % 2 == 0 ? "a" : "b", .value = value}, false);
  }
  std::string seen;
  settle();
  while (client_->has_response()) seen += next_events(id) + ' ';
  EXPECT_EQ(seen, "a=0 b=1 a=2 b=3 a=4 ");
}

// ---- Cancelling
// ----------------------------------------------------------------------------------------------------------

TEST_F(WatchTest, CancelIsAnsweredOnceAndEndsTheEvents) {
  const int64_t id = create({.key = "a"});
  const int64_t other = create({.key = "a"});
  client_->cancel(id);
  auto r = client_->take();
  EXPECT_EQ(r.watch_id, id);
  EXPECT_TRUE(r.canceled);
  EXPECT_FALSE(r.created);
  EXPECT_EQ(r.cancel_reason, "");
  EXPECT_EQ(r.compact_revision, 0);
  EXPECT_EQ(r.header->revision, revision());
  rig_.put("a", "1");
  EXPECT_EQ(next_events(other), "a=1");
  for (int64_t unknown : {id, int64_t{55}, int64_t{-1}, INT64_MIN}) client_->cancel(unknown);
  expect_silence();
}

TEST_F(WatchTest, UnknownRequestsArePassedOver) {
  client_->send(api::WatchRequest());
  EXPECT_FALSE(client_->has_response());
  EXPECT_EQ(create({.key = "a"}), 0);
}

TEST_F(WatchTest, DamagedBytesEndTheStream) {
  client_->call().reader->on_message(plugin::Buffer::copy_of({"\xff\xff\xff", 3}));
  EXPECT_TRUE(client_->call().ended);
  rig_.put("a", "1");
}

TEST_F(WatchTest, WatchesGoOnAfterTheClientHasSentItsLastRequest) {
  const int64_t id = create({.key = "a"});
  client_->call().reader->on_half_close();
  rig_.put("a", "1");
  EXPECT_EQ(next_events(id), "a=1");
  client_->call().cancel();
  rig_.put("a", "2");
  expect_silence();
}

// ---- Progress
// -----------------------------------------------------------------------------------------------------------

TEST_F(WatchTest, AnIdleWatcherIsToldHowFarItIs) {
  const int64_t id = create({.key = "a", .progress_notify = true});
  create({.key = "a"});  // did not ask
  const int64_t current = rig_.put("b", "1");
  rig_.executor.advance(10 * kSecond - kSecond / 10);
  EXPECT_FALSE(client_->has_response());
  rig_.executor.advance(kSecond + kSecond / 5);  // a tenth of jitter
  ASSERT_TRUE(client_->has_response()) << "the first one comes after one interval";
  auto r = client_->take();
  EXPECT_EQ(r.watch_id, id);
  EXPECT_EQ(r.events.size(), 0u);
  EXPECT_FALSE(r.created || r.canceled || r.fragment);
  EXPECT_EQ(r.header->revision, current);
  EXPECT_FALSE(client_->has_response());
  rig_.executor.advance(110 * kSecond);
  int count = 0;
  for (; client_->has_response(); ++count) EXPECT_EQ(client_->take().watch_id, id);
  EXPECT_GE(count, 10);
  EXPECT_LE(count, 11);
}

TEST_F(WatchTest, ProgressOfSeveralComesInTheOrderOfTheirIds) {
  for (int64_t id : {70, -3, 12, 500, 1}) create({.key = "a", .progress_notify = true, .watch_id = id});
  rig_.executor.advance(12 * kSecond);
  for (int64_t id : {-3, 1, 12, 70, 500}) EXPECT_EQ(client_->take().watch_id, id);
}

TEST_F(WatchTest, EventsStandForProgress) {
  const int64_t id = create({.key = "a", .progress_notify = true});
  for (int i = 0; i < 12; ++i) {
    rig_.put("a", "1");
    EXPECT_EQ(next_events(id), "a=1");
    rig_.executor.advance(5 * kSecond);
    EXPECT_FALSE(client_->has_response());
  }
  rig_.executor.advance(22 * kSecond);
  ASSERT_TRUE(client_->has_response());
  EXPECT_EQ(client_->take().events.size(), 0u);
}

TEST_F(WatchTest, NoProgressIsReportedThatIsNotTrue) {
  const int64_t current = revision();
  create({.key = "a", .start_revision = current + 2, .progress_notify = true});
  rig_.executor.advance(50 * kSecond);
  EXPECT_FALSE(client_->has_response()) << "it starts later";
  client_->ask_progress();
  expect_silence();
  rig_.put("b", "1");
  client_->ask_progress();
  settle();
  ASSERT_TRUE(client_->has_response());
  EXPECT_EQ(client_->take().header->revision, current + 1);
  // Behind: its stream is full.
  client_->call().stop_reading(1 << 20);
  rig_.put("a", "1");
  settle();
  ASSERT_EQ(client_->take().events.size(), 1u);
  rig_.put("a", "2");
  client_->flush();
  client_->ask_progress();
  rig_.executor.advance(50 * kSecond);
  EXPECT_FALSE(client_->has_response());
  client_->read_on();
  settle();
  ASSERT_TRUE(client_->has_response());
  EXPECT_EQ(client_->take().events.size(), 1u);
}

TEST_F(WatchTest, ProgressOnRequestSpeaksForTheWholeStream) {
  client_->ask_progress();
  expect_silence();  // there is no watch
  const int64_t first = rig_.put("a", "1");
  create({.key = "a"});
  create({.key = "b", .range_end = "c"});
  client_->ask_progress();
  settle();
  auto r = client_->take();
  EXPECT_EQ(r.watch_id, -1);
  EXPECT_EQ(r.events.size(), 0u);
  EXPECT_FALSE(r.created || r.canceled);
  EXPECT_EQ(r.header->revision, first);
  // One that still reads history: the request is dropped, not answered later.
  rig_.executor.hold(Lane::kRead);
  rig_.executor.advance(20 * kSecond);  // the log's entries have left the writer's memory
  rig_.put("c", std::string(1 << 10, 'x'));
  const int64_t behind = create({.key = "a", .start_revision = first});
  client_->ask_progress();
  rig_.executor.resume(Lane::kRead);
  EXPECT_EQ(next_events(behind), "a=1");
  expect_silence();
  client_->ask_progress();
  settle();
  EXPECT_EQ(client_->take().watch_id, -1);
}

TEST_F(WatchTest, PendingEventsPrecedeProgress) {
  const int64_t id = create({.key = "a"});
  for (int i = 0; i < 3; ++i) {
    rig_.call("/etcdserverpb.KV/Put", api::PutRequest{.key = "a", .value = "1"}, false);
    for (int step = 0; step < 30; ++step) {
      rig_.executor.step();
      client_->ask_progress();
    }
  }
  settle();
  int64_t delivered = 0, told = 0;
  while (client_->has_response()) {
    auto r = client_->take();
    if (r.watch_id == -1) {
      told = r.header->revision;
      continue;
    }
    EXPECT_EQ(r.watch_id, id);
    for (const api::Event& e : r.events) {
      EXPECT_GT(e.kv->mod_revision, told) << "it was said to be delivered";
      delivered = e.kv->mod_revision;
    }
  }
  EXPECT_EQ(delivered, revision());
  EXPECT_EQ(told, revision());
}

// ---- Limits
// -----------------------------------------------------------------------------------------------------------

TEST_F(WatchTest, WatchesCountAgainstTheConnectionsBudget) {
  auto connection = plugin::make<FakeConnection>();
  connection->set_budget(64 << 10);
  {
    WatchClient greedy(rig_, connection.get());
    int made = 0;
    while (!greedy.call().ended && made < 100'000) {
      greedy.create({.key = "a"});
      ++made;
    }
    EXPECT_TRUE(greedy.call().ended);
    EXPECT_EQ(greedy.call().code, api::GrpcCode::kResourceExhausted);
    EXPECT_GT(made, 32);
    EXPECT_LT(made, 1024);
  }
  run();
  EXPECT_EQ(connection->charged(), 0);
  WatchClient modest(rig_, connection.get());
  modest.create({.key = "a"});
  EXPECT_TRUE(modest.take().created);
  EXPECT_GT(connection->charged(), 0);
  modest.cancel(0);
  EXPECT_TRUE(modest.take().canceled);
  EXPECT_EQ(connection->charged(), 0);
}

TEST_F(WatchTest, RequestsOfOneWhoDoesNotReadTheAnswersWait) {
  client_->call().stop_reading();
  for (int i = 0; i < 20'000; ++i) client_->create({.key = "a"});
  EXPECT_LT(client_->call().queued, 512u << 10);
  const size_t before = client_->call().messages.size();
  EXPECT_LT(before, 20'000u);
  while (client_->call().messages.size() < 20'000) {
    const size_t had = client_->call().messages.size();
    client_->read_on();
    client_->call().stop_reading();
    client_->flush();
    ASSERT_GT(client_->call().messages.size(), had) << "it is stuck";
  }
}

}  // namespace
}  // namespace quorate::test
