// The server as a process under attack: what each attack costs it at most, what of it is left afterwards, and
// how long another client waits meanwhile. The table that is printed stands in docs/testing.md.
// QUORATE_SOAK=1 runs the counts that the project's goals name.
#include <cstring>
#include <random>

#include "attack/siege.h"

namespace quorate::test {
namespace {
namespace api = etcdserverpb;

constexpr uint64_t kLimit = 32 * kMiB;  // of any attack

uint32_t nth_stream(uint64_t n) { return static_cast<uint32_t>(2 * n + 1); }

api::PutRequest put_of(const std::string& key, const std::string& value) {
  api::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  return request;
}

api::RangeRequest range_of(const std::string& key, const std::string& end) {
  api::RangeRequest request;
  request.set_key(key);
  request.set_range_end(end);
  return request;
}

api::WatchRequest watch_of(const std::string& key, const std::string& end = "") {
  api::WatchRequest request;
  request.mutable_create_request()->set_key(key);
  request.mutable_create_request()->set_range_end(end);
  return request;
}

std::mt19937_64 random_of(const char* test) {
  const std::string given = env_or("QUORATE_SEED", "");
  const uint64_t seed = given.empty() ? 1 : std::stoull(given);
  std::printf("%s: QUORATE_SEED=%lu\n", test, seed);
  return std::mt19937_64(seed);
}

// ---- Bytes that mean nothing, or almost something

std::string random_bytes(std::mt19937_64& random, size_t size) {
  std::string bytes(size, '\0');
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    const uint64_t word = random();
    memcpy(bytes.data() + at, &word, 8);
  }
  return bytes;
}

// An ordinary client, as long as one likes. Nothing of what it says changes the data, which would be in the
// measure.
std::string session_of(size_t size) {
  std::string out = client_hello();
  for (uint64_t n = 0; out.size() < size; ++n) {
    const std::string key = "mutant/" + std::to_string(n % 100);
    switch (n % 6) {
      case 0: {
        api::PutRequest put = put_of(key, "");
        put.set_ignore_value(true);  // the key is not there: an error, after all the work of a put
        put.set_prev_kv(n % 4 == 0);
        out += whole_call(nth_stream(n), "KV/Put", put);
        break;
      }
      case 1:
        out += whole_call(nth_stream(n), "KV/Range", range_of(key, key + "9"));
        break;
      case 2: {
        api::TxnRequest txn;
        *txn.add_success()->mutable_request_put() = put_of(key, "t");
        txn.add_compare()->set_version(1);
        txn.mutable_compare(0)->set_key(key);
        txn.mutable_compare(0)->set_target(api::Compare::VERSION);
        out += whole_call(nth_stream(n), "KV/Txn", txn);
        break;
      }
      case 3:
        out += call_of(nth_stream(n), "Watch/Watch") +
               data_frames(nth_stream(n), message(watch_of(key).SerializeAsString()));
        break;
      case 4: {
        api::LeaseTimeToLiveRequest time;
        time.set_id(static_cast<int64_t>(n));
        time.set_keys(true);
        out += whole_call(nth_stream(n), "Lease/LeaseTimeToLive", time);
        break;
      }
      default:
        out += frame(kRstStream, 0, nth_stream(n - 2), u32(8)) + frame(kWindowUpdate, 0, 0, u32(1000));
    }
  }
  return out;
}

void mutate(std::string* bytes, std::mt19937_64& random) {
  for (uint64_t n = bytes->size() / 4096 + 1; n > 0; --n)
    (*bytes)[client_hello().size() + random() % (bytes->size() - client_hello().size())] =
        static_cast<char>(random());
}

class Attack : public Siege {};

TEST_F(Attack, RandomBytesAndMutatedSessions) {
  auto random = random_of("RandomBytesAndMutatedSessions");
  const uint64_t rounds = count_of(1000, 24);
  const std::string session = session_of(kMiB);
  attack(std::to_string(rounds) + " x 1 MiB of rubbish", kLimit, [&] {
    for (uint64_t i = 0; i < rounds; ++i) {
      std::string bytes = i % 4 == 3 ? session : random_bytes(random, kMiB);
      if (i % 4 == 3) mutate(&bytes, random);
      if (i % 4 == 1) bytes = client_hello() + bytes;
      RawClient client(server_->port());
      client.send(bytes, i % 8 < 4);
      client.closed_within(Millis(20));
    }
  });
}

TEST_F(Attack, SlowLoris) {
  const uint64_t clients = 500;
  const std::string call = call_of(1, "KV/Put"), hello = client_hello();
  const std::string script = hello + call + data_frames(1, message(std::string(1 << 20, 'x')));
  // A quarter each says nothing; crawls through the preface; through its headers; through a message.
  const size_t skip[] = {script.size(), 0, hello.size(), hello.size() + call.size() + 100};
  attack("slow-loris of 500 connections", kLimit, [&] {
    std::vector<std::unique_ptr<RawClient>> all;
    for (uint64_t i = 0; i < clients; ++i) all.push_back(std::make_unique<RawClient>(server_->port()));
    for (uint64_t step = 0; step < count_of(120, 15); ++step) {
      for (uint64_t i = 0; i < clients; ++i) {
        if (i % 4 == 0) continue;
        if (step == 0) all[i]->send(script.substr(0, skip[i % 4]));
        all[i]->send(script.substr(skip[i % 4] + step, 1), true);
      }
      std::this_thread::sleep_for(Millis(100));
    }
  });
}

// ---- Frames that are cheap to send

// Sends `piece` until `count` have arrived, on as many connections as that takes: the server ends them.
void flood(uint16_t port, uint64_t count, const std::function<std::string(uint64_t)>& piece) {
  constexpr uint64_t kBundle = 50, kPerConnection = 2500;  // more than is forgiven of anything
  for (uint64_t sent = 0; sent < count;) {
    RawClient client(port);
    bool open = client.send(client_hello());
    for (uint64_t n = 0; open && sent < count && n < kPerConnection; sent += kBundle) {
      std::string bytes;
      for (uint64_t i = 0; i < kBundle; ++i) bytes += piece(n++);
      open = client.send(bytes, true);
    }
    client.half_close();
    ASSERT_TRUE(client.closed_within(Millis(10000)));
  }
}

TEST_F(Attack, StreamResets) {
  const uint64_t count = count_of(100'000, 20'000);
  attack(std::to_string(count) + " resets of puts", kLimit, [&] {
    flood(server_->port(), count, [&](uint64_t n) {
      return call_of(nth_stream(n), "KV/Put") + frame(kRstStream, 0, nth_stream(n), u32(8));
    });
  });
  attack(std::to_string(count) + " resets of watches with one watch", kLimit, [&] {
    const std::string create = message(watch_of("a", "b").SerializeAsString());
    flood(server_->port(), count, [&](uint64_t n) {
      return call_of(nth_stream(n), "Watch/Watch") + data_frames(nth_stream(n), create) +
             frame(kRstStream, 0, nth_stream(n), u32(8));
    });
  });
  attack(std::to_string(count) + " resets that the server is made to send", kLimit, [&] {
    flood(server_->port(), count, [&](uint64_t n) {
      return call_of(nth_stream(n), "KV/Put") + frame(kWindowUpdate, 0, nth_stream(n), u32(0x7fffffff));
    });
  });
}

TEST_F(Attack, FramesThatDoNothing) {
  const uint64_t count = count_of(100'000, 20'000);
  const std::pair<const char*, std::string> kFloods[] = {
      {"PING", frame(kPing, 0, 0, "12345678")},
      {"SETTINGS", frame(kSettings, 0, 0)},
      {"empty DATA", call_of(1, "KV/Put") + frame(kData, 0, 1)},
      {"WINDOW_UPDATE", frame(kWindowUpdate, 0, 0, u32(1))},
      {"PRIORITY", frame(kPriority, 0, 5, u32(1) + "x")},
  };
  for (const auto& [name, bytes] : kFloods)
    attack(std::to_string(count) + " " + name, kLimit,
           [&, &bytes = bytes] { flood(server_->port(), count, [&](uint64_t) { return bytes; }); });
  attack(std::to_string(count) + " PING, unread answers", kLimit, [&] {
    for (uint64_t sent = 0; sent < count; sent += 5000) {
      RawClient client(server_->port(), 4096);
      std::string bytes = client_hello();
      for (int i = 0; i < 5000; ++i) bytes += frame(kPing, 0, 0, "12345678");
      client.send(bytes);
    }
  });
}

TEST_F(Attack, Headers) {
  const uint64_t count = count_of(20'000, 2000);
  attack(std::to_string(count) + " CONTINUATION without end", kLimit, [&] {
    const std::string more = frame(kContinuation, 0, 1, hpack({{"x", std::string(10'000, 'v')}}));
    flood(server_->port(), count,
          [&](uint64_t n) { return n == 0 ? frame(kHeaders, 0, 1, hpack(request())) : more; });
  });
  attack(std::to_string(count) + " requests of 15 KiB of headers", kLimit, [&] {
    const Fields fields = request({{":path", "/etcdserverpb.KV/Put"}, {"big", std::string(15'000, 'x')}});
    flood(server_->port(), count, [&](uint64_t n) { return headers(nth_stream(n), fields); });
  });
  attack(std::to_string(count) + " HPACK bombs", kLimit, [&] {
    const std::string entry = std::string("\x40\x01") + "b" + "\x7f\xa1\x1e" + std::string(4000, 'v');
    const std::string bomb = hpack(request()) + std::string(16'000, '\xbe');
    flood(server_->port(), count, [&](uint64_t n) {
      return frame(kHeaders, kEndHeaders, nth_stream(n), n == 0 ? hpack(request()) + entry : bomb);
    });
  });
}

// ---- Requests

TEST_F(Attack, RequestsOverTheLimit) {
  UnaryCaller caller(server_->connect());
  ASSERT_TRUE(caller.call("Put", put_of("a", "1")).status.ok());  // its connection is there before
  attack("requests over the limit", kLimit, [&] {
    for (uint64_t i = 0; i < count_of(200, 20); ++i) {
      auto answer = caller.call("Put", put_of("a", std::string(1536 << 10, 'v')));
      EXPECT_EQ(answer.status.error_message(), "etcdserver: request is too large");
      answer = caller.call("Put", put_of("a", std::string(3 << 20, 'v')));
      EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    }
    // Without waiting for an answer, as fast as the port takes them.
    const std::string big = message(put_of("a", std::string(1536 << 10, 'v')).SerializeAsString());
    for (uint64_t i = 0; i < count_of(20, 2); ++i) {
      RawClient client(server_->port());
      client.send(client_hello());
      for (uint64_t n = 0; n < 50; ++n)
        if (!client.send(call_of(nth_stream(n), "KV/Put") + data_frames(nth_stream(n), big), true)) break;
    }
  });
}

// As much of each as the windows allow, and more as they open again.
TEST_F(Attack, UnfinishedMessages) {
  const uint64_t streams = count_of(1000, 500), rounds = count_of(25, 3);
  attack(std::to_string(streams) + " unfinished messages of 1.5 MiB", kLimit, [&] {
    RawClient client(server_->port());
    client.send(client_hello());
    uint64_t in_flight = 0;
    for (uint64_t round = 0; round < rounds; ++round) {
      for (uint64_t n = 0; n < streams; ++n) {
        std::string bytes = round == 0 ? call_of(nth_stream(n), "KV/Put") : "";
        std::string part = round == 0 ? std::string(1, '\0') + u32(1536 << 10) : "";
        part.resize(60'000, 'x');
        if (!client.send(bytes + data_frames(nth_stream(n), part), true)) return;
        in_flight += part.size();
        if (in_flight < 600'000) continue;
        client.has_input(Millis(200));  // the connection's window opens again
        client.drop_input();
        in_flight = 0;
      }
    }
    std::this_thread::sleep_for(Millis(200));
  });
}

// Calls that are refused at once, and nobody reads the refusals.
TEST_F(Attack, RefusalsThatAreNotRead) {
  const uint64_t count = count_of(100'000, 20'000);
  attack(std::to_string(count) + " refused calls, unread answers", kLimit, [&] {
    RawClient client(server_->port(), 4096);
    client.send(client_hello());
    for (uint64_t n = 0; n < count; ++n)
      if (!client.send(headers(nth_stream(n), request({{":path", "/no.such/" + std::string(500, 'm')}}), 5)))
        break;
    std::this_thread::sleep_for(Millis(500));
  });
}

// What one round of attacks leaves behind the next one uses again: nothing adds up.
TEST_F(Attack, RepeatedAttacksAddNothing) {
  const Fields large = request({{":path", "/etcdserverpb.KV/Put"}, {"big", std::string(15'000, 'x')}});
  const std::string watch = message(watch_of("a", "b").SerializeAsString());
  auto round = [&] {
    flood(server_->port(), 2000, [&](uint64_t n) {
      return call_of(nth_stream(n), "Watch/Watch") + data_frames(nth_stream(n), watch) +
             (n % 2 == 0 ? frame(kRstStream, 0, nth_stream(n), u32(8)) : "");
    });
    flood(server_->port(), 500, [&](uint64_t n) { return headers(nth_stream(n), large); });
    flood(server_->port(), 2000, [&](uint64_t n) { return n == 0 ? "rubbish" : frame(kSettings, 0, 0); });
  };
  for (int i = 0; i < 3; ++i) round();
  std::this_thread::sleep_for(Millis(5000));  // what is freed goes back every other second
  const uint64_t before = footprint().memory;
  const uint64_t rounds = count_of(200, 20);
  for (uint64_t i = 0; i < rounds; ++i) round();
  EXPECT_TRUE(wait_until(Millis(10000), [&] { return grown_since(before) < rounds * 4096 + 512 * 1024; }))
      << grown_since(before) / rounds << " bytes stay of each round";
}

TEST_F(Attack, HalfOpenConnections) {
  attack("500 connections with 20 idle calls each", kLimit, [&] {
    std::vector<std::unique_ptr<RawClient>> all;
    std::string bytes = client_hello();
    for (uint64_t n = 0; n < 20; ++n) bytes += call_of(nth_stream(n), "Watch/Watch");
    for (uint64_t i = 0; i < 500; ++i) {
      all.push_back(std::make_unique<RawClient>(server_->port()));
      all.back()->send(bytes);
    }
    std::this_thread::sleep_for(Millis(1000));
  });
}

}  // namespace
}  // namespace quorate::test
