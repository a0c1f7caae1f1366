// Clients that ask for much and read nothing, and the price of an idle watch, in the whole process.
#include <cstring>

#include "attack/siege.h"

namespace quorate::test {
namespace {
namespace api = etcdserverpb;

class Readers : public Siege {
 protected:
  void put(UnaryCaller& caller, const std::string& key, const std::string& value) {
    api::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    auto answer = caller.call("Put", request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  }
  // `calls` of RangeStream, Range or Watch on one connection, and nothing of their answers is read.
  void ask_without_reading(const std::string& method, const google::protobuf::Message& request,
                           uint32_t calls, uint32_t window, const std::function<void()>& meanwhile) {
    RawClient client(server_->port(), 4096);
    std::string bytes = client_hello() + frame(kSettings, 0, 0, std::string("\0\4", 2) + u32(window)) +
                        frame(kWindowUpdate, 0, 0, u32(1u << 30));
    for (uint32_t n = 0; n < calls; ++n)
      bytes += call_of(2 * n + 1, method) + data_frames(2 * n + 1, message(request.SerializeAsString())) +
               (method.starts_with("KV/") ? frame(kData, kEndStream, 2 * n + 1) : "");
    client.send(bytes);
    meanwhile();
  }
};

TEST_F(Readers, ManyWatchesOnOneStream) {
  const uint64_t watches = count_of(100'000, 25'000);
  for (bool ranges : {false, true}) {
    const std::string name = std::to_string(watches) + " watches of " + (ranges ? "ranges" : "keys");
    attack(name, watches * 1024, [&] {
      auto channel = server_->connect();
      WatchStream stream(channel);
      const uint64_t before = footprint().memory;
      std::thread asks([&] {
        for (uint64_t i = 0; i < watches; ++i) {
          api::WatchRequest request;
          const std::string key = "registry/pods/" + std::to_string(i);
          request.mutable_create_request()->set_key(key);
          if (ranges) request.mutable_create_request()->set_range_end(key + "0");
          if (!stream.send(request)) return;
        }
      });
      api::WatchResponse response;
      uint64_t made = 0;
      while (made < watches && stream.next(&response) && response.created() && !response.canceled()) ++made;
      asks.join();
      ASSERT_EQ(made, watches) << stream.finish().error_message();
      const uint64_t each = grown_since(before) / watches;
      std::printf("%s: %lu bytes each\n", name.c_str(), each);
      EXPECT_LE(each, 1024u);
      EXPECT_GE(each, 100u) << "nothing was measured";
      UnaryCaller caller(channel);
      put(caller, "registry/pods/17777", "1");
      ASSERT_TRUE(stream.next(&response));
      EXPECT_EQ(response.watch_id(), 17777);
    });
  }
}

// Events that are there already, and the client takes none of them. (Events as they happen: tests/watch,
// where what the writes themselves take is not in the measure.)
TEST_F(Readers, AWatcherOfThePastThatNeverReads) {
  UnaryCaller caller(server_->connect());
  for (int i = 0; i < 500; ++i) put(caller, "k", std::string(64 << 10, 'v'));  // 32 MiB
  api::WatchRequest request;
  request.mutable_create_request()->set_key("k");
  request.mutable_create_request()->set_start_revision(1);
  const auto rest = [] { std::this_thread::sleep_for(Millis(1000)); };
  for (uint32_t window : {65535u, 0x7fffffffu}) {
    if (window == 65535 && count_of(1, 0) == 0) continue;
    const std::string name = window == 65535 ? "" : ", a window of 2 GiB";
    attack("watch of 32 MiB, never read" + name, 8 * kMiB,
           [&] { ask_without_reading("Watch/Watch", request, 1, window, rest); });
    attack("100 watches of 32 MiB, never read" + name, 32 * kMiB,
           [&] { ask_without_reading("Watch/Watch", request, 100, window, rest); });
  }
}

TEST_F(Readers, ARangeThatIsNeverRead) {
  UnaryCaller caller(server_->connect());
  const std::string value(64 << 10, 'v');
  for (int i = 0; i < 320; ++i) put(caller, "k" + std::to_string(i), value);  // 20 MiB
  api::RangeRequest all;
  all.set_key("k");
  all.set_range_end("l");
  const auto rest = [] { std::this_thread::sleep_for(Millis(1000)); };
  for (uint32_t calls : {1, 100}) {
    const std::string times = std::to_string(calls) + " x 20 MiB, never read: ";
    attack(times + "RangeStream", calls == 1 ? 8 * kMiB : 32 * kMiB,
           [&] { ask_without_reading("KV/RangeStream", all, calls, 65535, rest); });
    attack(times + "Range", calls == 1 ? 8 * kMiB : 32 * kMiB,
           [&] { ask_without_reading("KV/Range", all, calls, 65535, rest); });
  }
}

}  // namespace
}  // namespace quorate::test
