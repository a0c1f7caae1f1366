// How a client of grpc++ finds the server: deadlines, cancelling, readers that do not read, limits,
// keep-alive.
#include <gtest/gtest.h>

#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "e2e/api_client.h"
#include "e2e/raw_client.h"
#include "e2e/server.h"

namespace quorate::test {
namespace {
namespace api = etcdserverpb;

constexpr uint64_t kMiB = 1u << 20;

api::PutRequest put_of(const std::string& key, const std::string& value) {
  api::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  return request;
}

api::WatchRequest watch_of(const std::string& key, const std::string& end = "", bool prev_kv = false,
                           bool fragment = false) {
  api::WatchRequest request;
  auto* create = request.mutable_create_request();
  create->set_key(key);
  create->set_range_end(end);
  create->set_prev_kv(prev_kv);
  create->set_fragment(fragment);
  return request;
}

int64_t revision_of(UnaryCaller& caller) {
  api::RangeRequest request;
  request.set_key("k");
  auto answer = caller.call("Range", request);
  return static_cast<api::RangeResponse&>(*answer.message).header().revision();
}

class Behaviour : public testing::Test {
 protected:
  void start(std::vector<std::string> flags = {}) {
    server_ = std::make_unique<Server>(quorate(), ServerSetup{std::move(flags), ""});
    ASSERT_TRUE(server_->start()) << server_->log();
    channel_ = server_->connect();
    caller_ = std::make_unique<UnaryCaller>(channel_);
  }
  void TearDown() override {
    if (server_) {
      EXPECT_TRUE(server_->process().running()) << server_->log();
    }
  }
  grpc::Status put(const std::string& key, const std::string& value) {
    return caller_->call("Put", put_of(key, value)).status;
  }
  uint64_t resident() { return resident_bytes(server_->process().pid()); }
  // A watch that is known to be there.
  std::unique_ptr<WatchStream> watch(const api::WatchRequest& request,
                                     std::shared_ptr<grpc::Channel> channel = {}) {
    auto stream = std::make_unique<WatchStream>(channel ? channel : channel_);
    stream->send(request);
    api::WatchResponse created;
    EXPECT_TRUE(stream->next(&created) && created.created()) << created.ShortDebugString();
    return stream;
  }

  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<UnaryCaller> caller_;
};

TEST_F(Behaviour, ADeadlineThatPassesIsTold) {
  start();
  const grpc::Status status = caller_
                                  ->call(
                                      "Range",
                                      [] {
                                        api::RangeRequest r;
                                        r.set_key("a");
                                        return r;
                                      }(),
                                      {}, Millis(0))
                                  .status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  // A stream ends with its deadline, and the connection serves on.
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + Millis(300));
  auto stub = api::Watch::NewStub(channel_);
  auto stream = stub->Watch(&context);
  stream->Write(watch_of("a"));
  api::WatchResponse response;
  EXPECT_TRUE(stream->Read(&response));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(put("a", "1").ok());
}

TEST_F(Behaviour, CancelledCallsLeaveNothingBehind) {
  start();
  const uint64_t before = resident();
  for (int i = 0; i < 2000; ++i) {
    WatchStream stream(channel_);
    stream.send(watch_of("a", "z"));
    stream.cancel();
  }
  EXPECT_TRUE(put("b", "1").ok());
  EXPECT_LT(resident(), before + 16 * kMiB);
}

// Twenty clients that do not read, and 16 MiB of events for each of them.
TEST_F(Behaviour, AWatcherThatDoesNotReadCostsLittleAndMissesNothing) {
  start();
  constexpr int kWatchers = 20, kEvents = 500;
  const std::string value(32 << 10, 'v');
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(put("warm", value).ok());
  const int64_t start = revision_of(*caller_);
  auto request = watch_of("k");
  request.mutable_create_request()->set_start_revision(start + 1);
  std::vector<std::unique_ptr<WatchStream>> watchers;
  for (int i = 0; i < kWatchers; ++i) {
    watchers.push_back(std::make_unique<WatchStream>(server_->connect(), true));
    watchers.back()->send(request);
  }
  const uint64_t before = resident();
  for (int i = 0; i < kEvents; ++i) ASSERT_TRUE(put("k", value).ok());
  // The data itself, read by nobody, may stay in memory once or twice; 20 times it would be 320 MiB.
  EXPECT_LT(resident(), before + 128 * kMiB);
  const int64_t end = revision_of(*caller_);
  for (auto& w : watchers) {
    w->resume();
    api::WatchResponse response;
    ASSERT_TRUE(w->next(&response) && response.created());
    int64_t last = start;
    while (last < end) {
      ASSERT_TRUE(w->next(&response)) << "stops at " << last << " of " << end;
      for (const auto& event : response.events()) ASSERT_EQ(event.kv().mod_revision(), ++last);
    }
  }
}

TEST_F(Behaviour, ARangeStreamThatIsNotReadCostsLittle) {
  start();
  const std::string value(64 << 10, 'v');
  constexpr int kKeys = 500;  // 32 MiB
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(put("k" + std::to_string(i), value).ok());
  api::RangeRequest everything;
  everything.set_key("k");
  everything.set_range_end("l");
  const uint64_t before = resident();
  struct Call {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<api::KV::Stub> stub;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<api::RangeStreamResponse>> reader;
    int keys = 0;
  };
  std::vector<std::unique_ptr<Call>> calls;
  api::RangeStreamResponse part;
  for (int i = 0; i < 16; ++i) {
    auto call = std::make_unique<Call>();
    call->channel = server_->connect();
    call->stub = api::KV::NewStub(call->channel);
    call->reader = call->stub->RangeStream(&call->context, everything);
    ASSERT_TRUE(call->reader->Read(&part));
    EXPECT_LE(part.range_response().kvs_size(), 10);
    call->keys = part.range_response().kvs_size();
    calls.push_back(std::move(call));
  }
  ASSERT_TRUE(put("other", "1").ok());
  // All of it for each would be 512 MiB.
  EXPECT_LT(resident(), before + 160 * kMiB);
  // The keys are deleted meanwhile: the stream still shows the revision that it began with.
  api::DeleteRangeRequest remove;
  remove.set_key("k");
  remove.set_range_end("l");
  ASSERT_TRUE(caller_->call("DeleteRange", remove).status.ok());
  for (auto& call : calls) {
    int64_t count = 0;
    while (call->reader->Read(&part)) {
      call->keys += part.range_response().kvs_size();
      count = part.range_response().count();
    }
    EXPECT_TRUE(call->reader->Finish().ok());
    EXPECT_EQ(call->keys, kKeys);
    EXPECT_EQ(count, kKeys);
  }
}

TEST_F(Behaviour, ManyStreamsOnOneConnection) {
  start();
  constexpr int kStreams = 300;
  std::vector<std::unique_ptr<WatchStream>> streams;
  for (int i = 0; i < kStreams; ++i) streams.push_back(watch(watch_of("key")));
  ASSERT_TRUE(put("key", "1").ok());
  for (auto& stream : streams) {
    api::WatchResponse response;
    ASSERT_TRUE(stream->next(&response));
    ASSERT_EQ(response.events_size(), 1);
  }
}

// A Range's answer may be far larger than what one connection may make the server hold.
TEST_F(Behaviour, AnAnswerLargerThanAnyBudgetArrives) {
  start();
  constexpr int kKeys = 96;
  std::string last;
  for (int i = 0; i < kKeys; ++i) {
    last = std::string(1 << 20, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(put("k" + std::to_string(100 + i), last).ok());
  }
  ASSERT_TRUE(put("small", "1").ok());
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  auto channel = server_->connect(arguments);
  auto stub = api::KV::NewStub(channel);
  api::RangeRequest everything;
  everything.set_key("k");
  everything.set_range_end("l");
  for (int64_t limit : {0, 50}) {
    everything.set_limit(limit);
    grpc::ClientContext context;
    api::RangeResponse response;
    const uint64_t before = resident();
    const grpc::Status status = stub->Range(&context, everything, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    const int expected = limit == 0 ? kKeys : static_cast<int>(limit);
    ASSERT_EQ(response.kvs_size(), expected);
    EXPECT_EQ(response.count(), kKeys);
    EXPECT_EQ(response.more(), limit != 0);
    EXPECT_GT(response.header().revision(), kKeys);
    for (int i = 0; i < expected; ++i) {
      ASSERT_EQ(response.kvs(i).key(), "k" + std::to_string(100 + i));
      ASSERT_EQ(response.kvs(i).value().size(), 1u << 20);
      ASSERT_EQ(response.kvs(i).value()[12345], static_cast<char>('a' + i % 26));
    }
    EXPECT_LT(resident(), before + 64 * kMiB) << "the answer was put together as a whole";
  }
}

// A client puts all its calls on one connection. What they ask together may be more than the connection's
// budget: then they wait for each other, and none fails.
TEST_F(Behaviour, ManyLargeCallsOnOneConnectionWaitForEachOther) {
  start();
  int calls = 40;
  const std::string value(1400 << 10, 'v');
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<std::string> errors;
  auto together = [&](const char* what, const std::function<grpc::Status(api::KV::Stub&, int)>& call) {
    SCOPED_TRACE(what);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    auto stub = api::KV::NewStub(server_->connect(arguments));
    for (int i = 0; i < calls; ++i) {
      threads.emplace_back([&, i] {
        const grpc::Status status = call(*stub, i);
        std::lock_guard lock(mutex);
        if (!status.ok()) errors.push_back(status.error_message());
      });
    }
    for (std::thread& t : threads) t.join();
    threads.clear();
    for (const std::string& error : errors) ADD_FAILURE() << error;
    errors.clear();
  };
  together("puts", [&](api::KV::Stub& stub, int i) {
    grpc::ClientContext context;
    api::PutResponse response;
    return stub.Put(&context, put_of("big" + std::to_string(i % 10), value), &response);
  });
  api::RangeRequest everything;
  everything.set_key("big");
  everything.set_range_end("bih");
  for (bool by_value : {false, true}) {  // sent bit by bit, and put together first
    if (by_value) calls = 12;            // one at a time: each takes most of the budget
    if (by_value) everything.set_sort_target(api::RangeRequest::VALUE);
    if (by_value) everything.set_sort_order(api::RangeRequest::DESCEND);
    together(by_value ? "ranges by value" : "ranges by key", [&](api::KV::Stub& stub, int) {
      grpc::ClientContext context;
      api::RangeResponse response;
      const grpc::Status status = stub.Range(&context, everything, &response);
      if (status.ok() && response.kvs_size() != 10)
        return grpc::Status(grpc::StatusCode::DATA_LOSS, "not all");
      return status;
    });
  }
}

TEST_F(Behaviour, AnAnswerThatIsTooLargeSaysWhatWasDone) {
  start();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(put("big" + std::to_string(i), std::string(1400 << 10, 'v')).ok());
  api::DeleteRangeRequest remove;
  remove.set_key("big");
  remove.set_range_end("bih");
  remove.set_prev_kv(true);
  const grpc::Status status = caller_->call("DeleteRange", remove).status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(
      status.error_message().starts_with("etcdserver: the request was carried out, but its answer of "))
      << status.error_message();
  api::RangeRequest everything;
  everything.set_key("big");
  everything.set_range_end("bih");
  auto answer = caller_->call("Range", everything);
  EXPECT_EQ(static_cast<api::RangeResponse&>(*answer.message).count(), 0);
}

TEST_F(Behaviour, MessagesOverTheLimitsAreRefused) {
  start();
  const std::string whole(1536 << 10, 'v');
  EXPECT_TRUE(put("a", std::string(1500 << 10, 'v')).ok());
  grpc::Status status = put("a", whole);
  EXPECT_EQ(status.error_message(), "etcdserver: request is too large");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  status = put("a", std::string(2048 << 10, 'v'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const api::PutRequest request = put_of("a", std::string(2048 << 10, 'v'));
  EXPECT_EQ(status.error_message(), "grpc: received message larger than max (" +
                                        std::to_string(request.ByteSizeLong()) + " vs. 2097152)");
  EXPECT_TRUE(put("a", "1").ok());
}

// Changes of 1.4 MiB with their previous values are more than one message may hold.
TEST_F(Behaviour, FragmentsAreMarkedAndComplete) {
  start();
  auto whole = watch(watch_of("f/", "f0", true, false)), pieces = watch(watch_of("f/", "f0", true, true));
  constexpr int kKeys = 100;
  for (int round = 0; round < 2; ++round) {
    api::TxnRequest txn;
    for (int i = 0; i < kKeys; ++i)
      *txn.add_success()->mutable_request_put() =
          put_of("f/" + std::to_string(i), std::string(14 << 10, static_cast<char>('a' + round)));
    const auto answer = caller_->call("Txn", txn);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  }
  api::WatchResponse response;
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(whole->next(&response));
    EXPECT_EQ(response.events_size(), kKeys);
    EXPECT_FALSE(response.fragment());
  }
  std::set<std::string> keys;
  int messages = 0;
  ASSERT_TRUE(pieces->next(&response));
  EXPECT_EQ(response.events_size(), kKeys) << "what fits is not split";
  do {
    ASSERT_TRUE(pieces->next(&response));
    EXPECT_LE(response.ByteSizeLong(), 2 * kMiB + 64);
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.prev_kv().value()[0], 'a');
      EXPECT_TRUE(keys.insert(event.kv().key()).second);
    }
    ++messages;
  } while (response.fragment());
  EXPECT_EQ(keys.size(), static_cast<size_t>(kKeys));
  EXPECT_GT(messages, 1);
}

TEST_F(Behaviour, ProgressIsNotifiedWhereItWasAskedFor) {
  start({"--watch-progress-notify-interval=200ms"});
  auto plain = watch(watch_of("a"));
  auto request = watch_of("a");
  request.mutable_create_request()->set_progress_notify(true);
  auto notified = watch(request);
  ASSERT_TRUE(put("b", "1").ok());
  api::WatchResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(notified->next(&response));
    EXPECT_EQ(response.events_size(), 0);
    EXPECT_EQ(response.watch_id(), 0);
    EXPECT_FALSE(response.created() || response.canceled());
  }
  EXPECT_EQ(response.header().revision(), 2);
  ASSERT_TRUE(put("a", "1").ok());
  ASSERT_TRUE(plain->next(&response));
  EXPECT_EQ(response.events_size(), 1) << "not asked for: " << response.ShortDebugString();
}

TEST_F(Behaviour, LeasesAreKeptAliveOverOneStream) {
  start();
  api::LeaseGrantRequest grant;
  grant.set_id(5);
  grant.set_ttl(100);
  ASSERT_TRUE(caller_->call("LeaseGrant", grant).status.ok());
  auto stub = api::Lease::NewStub(channel_);
  grpc::ClientContext context;
  auto stream = stub->LeaseKeepAlive(&context);
  // Asked ahead: the answers come in the order of the questions.
  constexpr int kQuestions = 2000;
  std::thread asker([&] {
    for (int i = 0; i < kQuestions; ++i) {
      api::LeaseKeepAliveRequest request;
      request.set_id(i % 2 == 0 ? 5 : 1000 + i);
      stream->Write(request);
    }
    stream->WritesDone();
  });
  api::LeaseKeepAliveResponse response;
  int answers = 0;
  while (stream->Read(&response)) {
    EXPECT_EQ(response.id(), answers % 2 == 0 ? 5 : 1000 + answers);
    EXPECT_EQ(response.ttl(), answers % 2 == 0 ? 100 : 0);
    ++answers;
  }
  asker.join();
  EXPECT_EQ(answers, kQuestions);
  EXPECT_TRUE(stream->Finish().ok());
}

// The way into a full database and out of it, as etcd's documentation has it: compact, defragment, disarm.
TEST_F(Behaviour, AFullDatabaseRefusesWritesUntilThereIsRoom) {
  start({"--quota-backend-bytes=16000000"});
  const std::string value(256 << 10, 'v');
  grpc::Status status;
  int written = 0;
  for (; written < 1000 && status.ok(); ++written) status = put("k", value);
  EXPECT_EQ(status.error_message(), "etcdserver: mvcc: database space exceeded") << written;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(put("small", "1").ok()) << "the alarm holds for every write";
  auto alarms = caller_->call("Alarm", api::AlarmRequest());
  ASSERT_EQ(static_cast<api::AlarmResponse&>(*alarms.message).alarms_size(), 1);
  EXPECT_GT(revision_of(*caller_), 2) << "reads go on";
  api::DeleteRangeRequest remove;
  remove.set_key("nothing");
  EXPECT_TRUE(caller_->call("DeleteRange", remove).status.ok());
  api::CompactionRequest compact;
  compact.set_revision(revision_of(*caller_));
  compact.set_physical(true);
  EXPECT_TRUE(caller_->call("Compact", compact).status.ok());
  EXPECT_TRUE(caller_->call("Defragment", api::DefragmentRequest()).status.ok());
  api::AlarmRequest disarm;
  disarm.set_action(api::AlarmRequest::DEACTIVATE);
  disarm.set_alarm(api::NOSPACE);
  disarm.set_memberid(static_cast<api::AlarmResponse&>(*alarms.message).alarms(0).memberid());
  EXPECT_TRUE(caller_->call("Alarm", disarm).status.ok());
  EXPECT_TRUE(put("k", value).ok());
}

grpc::ChannelArguments pinging(int every_ms) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, every_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return arguments;
}

TEST_F(Behaviour, WhoPingsTooOftenIsSentAway) {
  start({"--grpc-keepalive-min-time=10s"});
  auto stream = watch(watch_of("a"), server_->connect(pinging(50)));
  ASSERT_TRUE(wait_until(Millis(20000), [&] { return stream->ended(); }));
  EXPECT_EQ(stream->finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Behaviour, WhoMayPingIsLeftInPeace) {
  start({"--grpc-keepalive-min-time=1ms"});
  auto stream = watch(watch_of("a"), server_->connect(pinging(20)));
  // Long enough for many pings: told by another connection's many calls.
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(put("b", "1").ok());
  ASSERT_TRUE(put("a", "1").ok());
  api::WatchResponse response;
  ASSERT_TRUE(stream->next(&response)) << stream->ended();
}

// Who does not answer the server's pings is gone, whatever TCP believes.
TEST_F(Behaviour, AConnectionThatAnswersNoPingIsClosed) {
  start({"--grpc-keepalive-interval=1s", "--grpc-keepalive-timeout=1s"});
  RawClient silent(server_->port());
  silent.send(RawClient::preface());
  EXPECT_TRUE(silent.closed_within(Millis(15000)));
  EXPECT_TRUE(put("a", "1").ok());
}

// Bytes that mean nothing, half of them behind a valid preface, while a client goes about its business.
// Test suites start hundreds. The best of several starts, since the machine may be busy with something else.
TEST(Start, AnEmptyNodeServesWithinASecond) {
  Millis best = Millis::max();
  for (int i = 0; i < 10 && best > Millis(1000); ++i) {
    Server server(quorate());
    const auto began = std::chrono::steady_clock::now();
    ASSERT_TRUE(server.start()) << server.log();
    best = std::min(best, std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - began));
  }
  EXPECT_LE(best, Millis(1000));
}

TEST_F(Behaviour, WhatIsSlowIsLoggedWithoutValues) {
  start({"--warning-unary-request-duration=1ns", "--warning-apply-duration=1ns"});
  ASSERT_TRUE(put("slow-key", "hidden-value").ok());
  const std::vector<std::string> wanted = {
      R"("msg":"request stats")",     R"("response type":"/etcdserverpb.KV/Put")",
      R"("request count":1)",         R"("request content":"key:\"slow-key\" value_size:12")",
      R"("remote":"127.0.0.1:)",      R"("msg":"apply request took too long")",
      R"("expected-duration":"1ns")", R"("request":"put:{key:\"slow-key\" value_size:12}")"};
  for (const std::string& part : wanted) {
    EXPECT_TRUE(wait_until(Millis(10000), [&] { return server_->log().find(part) != std::string::npos; }))
        << part << "\n"
        << server_->log();
  }
  EXPECT_EQ(server_->log().find("hidden-value"), std::string::npos);
}

TEST_F(Behaviour, RandomBytesDoNoHarm) {
  start();
  auto stream = watch(watch_of("a"));
  const uint64_t before = resident();
  const uint64_t seed = std::random_device{}();
  std::printf("seed %lu\n", seed);
  std::mt19937_64 random(seed);
  const int rounds = env_or("QUORATE_SOAK", "").empty() ? 20 : 1000;
  for (int i = 0; i < rounds; ++i) {
    std::string bytes(kMiB, '\0');
    for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      const uint64_t word = random();
      memcpy(bytes.data() + at, &word, 8);
    }
    RawClient client(server_->port());
    client.send(i % 2 == 0 ? bytes : RawClient::preface() + bytes);
    client.closed_within(Millis(2000));
    ASSERT_TRUE(put("a", std::to_string(i)).ok()) << "round " << i << "\n" << server_->log();
    api::WatchResponse response;
    ASSERT_TRUE(stream->next(&response)) << "round " << i;
  }
  EXPECT_TRUE(wait_until(Millis(10000), [&] { return resident() < before + 32 * kMiB; }))
      << "grew by " << (resident() - before) / kMiB << " MiB";
}

}  // namespace
}  // namespace quorate::test
