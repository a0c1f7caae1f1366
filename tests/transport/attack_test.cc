// What a hostile peer may try, with a bound on what it costs us. Numbers: the fault catalogue's H1-H8.
#include <gtest/gtest.h>

#include "transport/raw_http2.h"

namespace quorate::test {
namespace {

constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kEnhanceYourCalm = 11;

// Watches the heap between pieces.
class HeapWatch {
 public:
  void look() { peak_ = std::max(peak_, heap_bytes()); }
  uint64_t grown() const { return peak_ > start_ ? peak_ - start_ : 0; }

 private:
  uint64_t start_ = heap_bytes();
  uint64_t peak_ = 0;
};

// Sends `piece(i)` until the server closes; returns how often, at most `most`.
uint64_t flood(RawServer* raw, uint64_t most, HeapWatch* heap,
               const std::function<std::string(uint64_t)>& piece) {
  for (uint64_t i = 0; i < most; ++i) {
    if (!raw->send(piece(i)) || raw->connection->close_asked()) return i;
    raw->frames().clear();
    if (i % 64 == 0) heap->look();
  }
  return most;
}

uint32_t nth_stream(uint64_t i) { return static_cast<uint32_t>(2 * i + 1); }

TEST(Attack, RapidResets) {
  RawServer raw;
  raw.handler.keep = false;
  HeapWatch heap;
  uint64_t sent = flood(&raw, 100'000, &heap, [](uint64_t i) {
    return headers(nth_stream(i), request()) + frame(kRstStream, 0, nth_stream(i), u32(8));
  });
  EXPECT_LT(sent, 2100u);
  EXPECT_TRUE(raw.goaway(kEnhanceYourCalm, "too_many_resets"));
  EXPECT_TRUE(raw.connection->close_asked());
  EXPECT_LT(heap.grown(), 4u << 20);
}

TEST(Attack, RapidResetsInOneRead) {
  RawServer raw;
  raw.handler.keep = false;
  std::string all;
  for (uint64_t i = 0; i < 100'000; ++i) {
    all += headers(nth_stream(i), request()) + frame(kRstStream, 0, nth_stream(i), u32(8));
  }
  HeapWatch heap;
  raw.send(all);
  heap.look();
  EXPECT_TRUE(raw.goaway(kEnhanceYourCalm, "too_many_resets"));
  EXPECT_LT(raw.handler.count, 2300u);
  EXPECT_LT(heap.grown(), 32u << 20);
}

TEST(Attack, ResetsAtASlowRateAreServed) {
  RawServer raw;
  raw.handler.keep = false;
  HeapWatch heap;
  uint64_t sent = flood(&raw, 20'000, &heap, [&](uint64_t i) {
    raw.connection->set_now(raw.connection->now_ns() + 10'000'000);
    return headers(nth_stream(i), request()) + frame(kRstStream, 0, nth_stream(i), u32(8));
  });
  EXPECT_EQ(sent, 20'000u);
  EXPECT_LT(heap.grown(), 1u << 20) << "closed streams leave nothing behind";
}

// The peer makes us reset: a window that overflows, again and again.
TEST(Attack, ResetsThatTheServerIsMadeToSend) {
  RawServer raw;
  raw.handler.keep = false;
  HeapWatch heap;
  uint64_t sent = flood(&raw, 100'000, &heap, [](uint64_t i) {
    return headers(nth_stream(i), request()) + frame(kWindowUpdate, 0, nth_stream(i), u32(0x7fffffff));
  });
  EXPECT_LT(sent, 2100u);
  EXPECT_TRUE(raw.goaway(kEnhanceYourCalm, "too_many_resets"));
}

struct Useless {
  const char* name;
  std::string bytes;
};

TEST(Attack, FloodsOfFramesThatDoNothing) {
  const Useless kFloods[] = {
      {"SETTINGS", frame(kSettings, 0, 0)},
      {"SETTINGS of 30 entries",
       [] {
         std::string entries;
         for (int i = 0; i < 30; ++i)
           entries += std::string("\0\4", 2) + u32(static_cast<uint32_t>(70'000 + i));
         return frame(kSettings, 0, 0, entries);
       }()},
      {"empty DATA", frame(kData, 0, 1)},
      {"one byte of DATA", frame(kData, 0, 1, "x")},
      {"padded DATA", frame(kData, 8, 1, std::string("\x05\0\0\0\0\0", 6))},
      {"PRIORITY", frame(kPriority, 0, 5, u32(1) + "x")},
      {"WINDOW_UPDATE", frame(kWindowUpdate, 0, 0, u32(1))},
      {"unknown frames", frame(0x77, 0, 1, "abc")},
      {"GOAWAY", frame(kGoaway, 0, 0, u32(0) + u32(0))},
  };
  for (const Useless& f : kFloods) {
    SCOPED_TRACE(f.name);
    RawServer raw;
    raw.send(headers(1, request()) + frame(kData, 0, 1, std::string("\0\0\1\0\0", 5)));
    HeapWatch heap;
    uint64_t sent = flood(&raw, 100'000, &heap, [&](uint64_t) { return f.bytes; });
    EXPECT_LT(sent, 10'100u);
    EXPECT_TRUE(raw.goaway(kEnhanceYourCalm, "too_many_useless_frames"));
    EXPECT_LT(heap.grown(), 1u << 20);
  }
}

TEST(Attack, PingsAreAnsweredUntilTheThirdStrike) {
  RawServer raw;
  for (int i = 0; i < 3; ++i) raw.send(frame(kPing, 0, 0, "12345678"));
  EXPECT_FALSE(raw.connection->close_asked()) << "the first is free, two strikes are forgiven";
  EXPECT_EQ(raw.find(kPing)->payload, "12345678");
  raw.send(frame(kPing, 0, 0, "12345678"));
  EXPECT_TRUE(raw.goaway(kEnhanceYourCalm, "too_many_pings"));
  EXPECT_TRUE(raw.connection->close_asked());
}

TEST(Attack, PingsOfAClientThatKeepsTheRules) {
  RawServer raw;
  raw.send(headers(1, request()));
  for (int i = 0; i < 100; ++i) {
    raw.connection->advance(5'000'000'001);
    ASSERT_TRUE(raw.send(frame(kPing, 0, 0, "12345678"))) << i;
  }
  // A client measures the bandwidth with pings while it is served.
  for (int i = 0; i < 100; ++i) {
    write(raw.handler.calls[0]->writer.get(), "event");
    raw.connection->turn();
    raw.collect();
    ASSERT_TRUE(raw.send(frame(kPing, 0, 0, "87654321"))) << i;
  }
  EXPECT_FALSE(raw.connection->close_asked());
  // Without a call the limit is two hours.
  finish(raw.handler.calls[0]->writer.get());
  raw.send(frame(kData, kEndStream, 1));
  raw.send(frame(kPing, 0, 0, "12345678"));
  for (int i = 0; i < 3; ++i) {
    raw.connection->advance(3'600'000'000'000);
    raw.send(frame(kPing, 0, 0, "12345678"));
  }
  EXPECT_TRUE(raw.goaway(kEnhanceYourCalm, "too_many_pings"));
}

// Answers to PING and SETTINGS pile up when the peer does not read: nghttp2's bound closes.
TEST(Attack, AcksThatThePeerDoesNotRead) {
  plugin::TransportLimits limits;
  limits.keepalive_min_time_ns = 0;
  RawServer raw(limits);
  HeapWatch heap;
  std::string pings;
  for (int i = 0; i < 500; ++i) pings += frame(kPing, 0, 0, "12345678");
  bool open = true;
  for (int i = 0; i < 200 && open; ++i) {
    open = raw.connection->feed(pings) && raw.connection->turn();  // nothing is taken off the socket
    heap.look();
  }
  EXPECT_FALSE(open && !raw.connection->close_asked());
  EXPECT_LT(heap.grown(), 2u << 20);
}

TEST(Attack, ContinuationFlood) {
  RawServer raw;
  HeapWatch heap;
  raw.send(frame(kHeaders, 0, 1, hpack(request())));
  uint64_t sent = flood(&raw, 10'000, &heap, [](uint64_t i) {
    return frame(kContinuation, 0, 1, hpack({{"x" + std::to_string(i), std::string(10'000, 'v')}}));
  });
  EXPECT_LT(sent, 10u);
  EXPECT_LT(heap.grown(), 1u << 20);
  EXPECT_EQ(raw.handler.count, 0u);
}

TEST(Attack, HeaderListLargerThanTheLimit) {
  const Fields kLarge[] = {
      request({{"big", std::string(16'000, 'x')}, {"more", std::string(500, 'y')}}),
      [] {
        Fields many = request();
        for (int i = 0; i < 500; ++i) many.emplace_back("a", "");
        return many;
      }(),
  };
  for (const Fields& fields : kLarge) {
    RawServer raw;
    std::string block = hpack(fields);
    std::string bytes =
        frame(kHeaders, 0, 1, block.substr(0, 16'000)) +
        frame(kContinuation, kEndHeaders, 1, block.size() > 16'000 ? block.substr(16'000) : "");
    raw.send(bytes);
    ASSERT_NE(raw.find(kRstStream, 1), nullptr);
    EXPECT_EQ(raw.find(kRstStream, 1)->number(), kEnhanceYourCalm);
    EXPECT_EQ(raw.handler.count, 0u);
    raw.send(headers(3, request()));
    EXPECT_EQ(raw.handler.count, 1u) << "the connection serves others";
  }
}

// The rest of a malformed block is decoded, not looked at: that is paid for by its size.
TEST(Attack, MalformedRequests) {
  const std::pair<const char*, std::string> kBlocks[] = {
      {"a bomb behind a bad name", hpack({{"Upper", "x"}}) + std::string(16'000, '\x82')},
      {"small ones", hpack({{"Upper", "x"}})},
  };
  for (const auto& [name, block] : kBlocks) {
    SCOPED_TRACE(name);
    RawServer raw;
    HeapWatch heap;
    uint64_t sent = flood(&raw, 100'000, &heap, [&block = block](uint64_t i) {
      return frame(kHeaders, kEndHeaders, nth_stream(i), block);
    });
    EXPECT_LT(sent, block.size() > 1000 ? 30u : 2100u);
    EXPECT_TRUE(raw.connection->close_asked());
    EXPECT_EQ(raw.handler.count, 0u);
    EXPECT_LT(heap.grown(), 1u << 20);
  }
}

// One 4 KB entry in the table, then one byte for each time it is meant.
TEST(Attack, HpackBomb) {
  RawServer raw;
  HeapWatch heap;
  std::string name_length = std::string("\x40\x01") + "b";
  std::string value_length = "\x7f\xa1\x1e";  // 4000
  raw.send(frame(kHeaders, kEndHeaders, 1,
                 hpack(request()) + name_length + value_length + std::string(4000, 'v')));
  EXPECT_EQ(raw.handler.count, 1u);
  std::string bomb = hpack(request()) + std::string(16'000, '\xbe');
  uint64_t sent = flood(&raw, 2000, &heap,
                        [&](uint64_t i) { return frame(kHeaders, kEndHeaders, nth_stream(i + 1), bomb); });
  EXPECT_LT(sent, 2000u) << "closed for its waste";
  EXPECT_LT(heap.grown(), 1u << 20);
  EXPECT_EQ(raw.handler.count, 1u);
}

TEST(Attack, HpackTableResizeThrash) {
  RawServer raw;
  HeapWatch heap;
  std::string thrash;
  for (int i = 0; i < 4000; ++i) thrash += "\x20\x3f\xe1\x1f";  // 0, then 4096
  raw.send(frame(kHeaders, kEndHeaders, 1, thrash + hpack(request())));
  heap.look();
  EXPECT_LT(heap.grown(), 1u << 20);
}

TEST(Attack, AnnouncedLengthsAreNotAllocated) {
  RawServer raw;
  HeapWatch heap;
  std::string bytes;
  for (uint64_t i = 0; i < 1000; ++i) {
    bytes += headers(nth_stream(i), request()) +
             frame(kData, 0, nth_stream(i), std::string("\0\0\x1f\xff\xff", 5) + "1");
  }
  raw.handler.keep = false;
  raw.send(bytes);
  heap.look();
  EXPECT_EQ(raw.handler.count, 1000u);
  EXPECT_LT(raw.connection->peak_charge(), 1000 * 4096);
  EXPECT_LT(heap.grown(), 8u << 20) << "2 MiB were announced a thousand times";
}

// A message in frames of one byte: what is held stays below four times what came.
TEST(Attack, TinyFramesDoNotAmplify) {
  RawServer raw({}, {{"noise-burst", "1000000"}});
  const uint64_t size = 200'000;
  raw.send(headers(1, request()) + frame(kData, 0, 1, std::string(1, 0) + u32(size)));
  HeapWatch heap;
  int64_t before = raw.connection->charged();
  for (uint64_t i = 0; i + 1 < size; ++i) {
    ASSERT_TRUE(raw.connection->feed(frame(kData, 0, 1, "x"))) << i << raw.connection->failure();
    if (i % 1000 == 999) {
      raw.connection->turn();
      raw.connection->take();
      heap.look();
      ASSERT_LE(raw.connection->charged() - before, static_cast<int64_t>(2 * i + 4096));
    }
  }
  raw.send(frame(kData, kEndStream, 1, "x"));
  EXPECT_EQ(raw.handler.calls[0]->reader->messages.at(0).size(), size);
  EXPECT_LT(heap.grown(), 4 * size);
}

// The same when core has given no credit: raw bytes, bounded by the stream's window.
TEST(Attack, TinyMessagesWithoutCredit) {
  RawServer raw({}, {{"noise-burst", "1000000"}});
  raw.send(headers(1, request()) + frame(kData, 0, 1, message("")));
  HeapWatch heap;
  Recorder& reader = *raw.handler.calls.at(0)->reader;
  uint64_t sent = 0;
  for (; sent < 100'000 && !reader.ended; ++sent) {
    raw.send(frame(kData, 0, 1, message("")));
    heap.look();
  }
  EXPECT_EQ(sent, 65'536 / 5) << "beyond the window it is a flow-control error";
  ASSERT_NE(raw.find(kRstStream, 1), nullptr);
  EXPECT_EQ(raw.find(kRstStream, 1)->number(), 3u);
  EXPECT_EQ(reader.messages.size(), 1u);
  EXPECT_LT(raw.connection->peak_charge(), 4 * 65'536);
  EXPECT_LT(heap.grown(), 1u << 20);
}

TEST(Attack, MemoryBudgetOfAConnection) {
  RawServer raw;
  raw.connection->set_budget(1 << 20);
  raw.handler.keep = false;
  raw.handler.hook = [](ServerSide& call) { call.reader->message_hook = [](const std::string&) {}; };
  std::string big = std::string(1, 0) + u32(60'000) + std::string(10'000, 'x');
  for (uint64_t i = 0; i < 500; ++i) {
    raw.send(headers(nth_stream(i), request()) + frame(kData, 0, nth_stream(i), big));
    ASSERT_LT(raw.connection->charged(), (1 << 20) + 100'000);
  }
  const Frame* reset = raw.find(kRstStream);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->number(), kEnhanceYourCalm);
}

// A turn's answers are charged one by one: together they may be more than the machine has.
TEST(Attack, AnswersOfOneTurnCountAsTheyAreWritten) {
  RawServer raw;
  raw.connection->set_budget(4 << 20);
  raw.send(frame(kSettings, 0, 0, std::string("\0\4", 2) + u32(0)));  // a window of nothing
  raw.handler.keep = false;
  const std::string megabyte(1 << 20, 'r');
  raw.handler.hook = [&](ServerSide& call) {
    write(call.writer.get(), megabyte);
    finish(call.writer.get());
  };
  std::string all;
  for (uint64_t i = 0; i < 100; ++i) all += headers(nth_stream(i), request());
  HeapWatch heap;
  raw.send(all);
  heap.look();
  EXPECT_EQ(raw.handler.count, 100u);
  EXPECT_LT(raw.connection->peak_charge(), 6 << 20);
  EXPECT_LT(heap.grown(), 8u << 20);
  ASSERT_NE(raw.find(kRstStream), nullptr);
  EXPECT_EQ(raw.find(kRstStream)->number(), kEnhanceYourCalm);
  const std::string small(100, 's');
  raw.handler.hook = [&](ServerSide& call) {
    write(call.writer.get(), small);
    finish(call.writer.get());
  };
  raw.send(headers(nth_stream(100), request()));
  EXPECT_EQ(raw.find(kRstStream, nth_stream(100)), nullptr) << "the connection serves on";
}

TEST(Attack, AnswersThatAreNotReadCountToo) {
  RawServer raw;
  raw.connection->set_budget(4 << 20);
  raw.send(frame(kSettings, 0, 0, std::string("\0\4", 2) + u32(0)));  // a window of nothing
  raw.handler.keep = false;
  std::string megabyte(1 << 20, 'r');
  raw.handler.hook = [&](ServerSide& call) {
    write(call.writer.get(), megabyte);
    finish(call.writer.get());
  };
  for (uint64_t i = 0; i < 50; ++i) {
    raw.send(headers(nth_stream(i), request(), kEndHeaders | kEndStream));
    ASSERT_LT(raw.connection->charged(), 6 << 20);
  }
  EXPECT_LE(raw.connection->session()->open_calls(), 4u);
}

TEST(Attack, WindowUpdates) {
  RawServer zero;
  zero.send(headers(1, request()) + frame(kWindowUpdate, 0, 1, u32(0)));
  ASSERT_TRUE(zero.find(kRstStream, 1) != nullptr || zero.find(kGoaway) != nullptr);
  RawServer overflow;
  overflow.send(frame(kWindowUpdate, 0, 0, u32(0x7fffffff)));
  ASSERT_NE(overflow.find(kGoaway), nullptr);
  EXPECT_EQ(overflow.find(kGoaway)->number(4), 3u) << "FLOW_CONTROL_ERROR";
  EXPECT_TRUE(overflow.connection->close_asked());
}

TEST(Attack, SlowPreface) {
  RawServer raw({}, {}, false);
  raw.send(kPreface.substr(0, 10));
  raw.connection->advance(9'999'999'999);
  EXPECT_FALSE(raw.connection->failed());
  raw.connection->advance(1);
  EXPECT_TRUE(raw.connection->failed());
  EXPECT_NE(raw.connection->failure().find("preface"), std::string::npos);
}

TEST(Attack, SlowHeaders) {
  RawServer raw;
  raw.send(frame(kHeaders, 0, 1, hpack(request())));
  raw.connection->advance(9'000'000'000);
  EXPECT_FALSE(raw.connection->failed());
  raw.send(frame(kContinuation, 0, 1, hpack({{"a", "b"}})));
  raw.connection->advance(1'000'000'001);
  EXPECT_TRUE(raw.connection->failed()) << "the time counts from the block's first frame";
}

TEST(Attack, SlowHeadersInsideOneFrame) {
  RawServer raw;
  std::string bytes = headers(1, request());
  raw.send(bytes.substr(0, 40));
  raw.connection->advance(10'000'000'001);
  EXPECT_TRUE(raw.connection->failed());
}

// Blocks that are thrown away end like any other: an idle connection is not taken for a slow one.
TEST(Attack, IdleAfterHeadersThatWereIgnored) {
  RawServer raw;
  Fields large = request({{"big", std::string(9'000, 'x')}, {"more", std::string(8'000, 'y')}});
  std::string block = hpack(large);
  raw.send(frame(kHeaders, 0, 1, block.substr(0, 16'000)) +
           frame(kContinuation, kEndHeaders, 1, block.substr(16'000)));
  raw.send(headers(3, request()) + frame(kRstStream, 0, 3, u32(8)) +
           headers(3, {{"late", "x"}}, kEndHeaders | kEndStream));
  raw.connection->advance(60'000'000'000);
  EXPECT_FALSE(raw.connection->failed()) << raw.connection->failure();
  raw.send(headers(5, request()));
  EXPECT_EQ(raw.handler.count, 2u);
}

TEST(Attack, NotHttp2AtAll) {
  for (std::string bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(1000, '\0'), std::string(1000, '\xff')}) {
    RawServer raw({}, {}, false);
    raw.send(bytes);
    EXPECT_TRUE(raw.connection->failed() || raw.connection->close_asked());
  }
  RawServer raw({}, {}, false);
  raw.send(std::string(kPreface) + frame(kPing, 0, 0, "12345678"));
  EXPECT_TRUE(raw.connection->failed() || raw.connection->close_asked()) << "SETTINGS must come first";
}

TEST(Attack, BrokenFrames) {
  const Useless kFrames[] = {
      {"DATA on stream 0", frame(kData, 0, 0, "x")},
      {"DATA before HEADERS", frame(kData, 0, 1, "x")},
      {"HEADERS on stream 0", headers(0, request())},
      {"HEADERS after the end",
       headers(1, request(), kEndHeaders | kEndStream) + headers(1, {{"a", "b"}}, 5)},
      {"DATA after the end", headers(1, request(), kEndHeaders | kEndStream) + frame(kData, 0, 1, "x")},
      {"HEADERS on an even stream", headers(2, request())},
      {"RST_STREAM of an idle stream", frame(kRstStream, 0, 99, u32(8))},
      {"RST_STREAM too short", frame(kRstStream, 0, 1, "ab")},
      {"PING of 7 bytes", frame(kPing, 0, 0, "1234567")},
      {"SETTINGS of 5 bytes", frame(kSettings, 0, 0, "12345")},
      {"SETTINGS with a bad window", frame(kSettings, 0, 0, std::string("\0\4", 2) + u32(0x80000000))},
      {"SETTINGS with a bad frame size", frame(kSettings, 0, 0, std::string("\0\5", 2) + u32(1))},
      {"CONTINUATION alone", frame(kContinuation, kEndHeaders, 1, hpack(request()))},
      {"a frame in the middle of headers",
       frame(kHeaders, 0, 1, hpack(request())) + frame(kPing, 0, 0, "12345678")},
      {"padding longer than the frame", headers(1, request()) + frame(kData, 8, 1, "\xff")},
      {"an unknown HPACK index", frame(kHeaders, kEndHeaders, 1, "\xff\xff\xff\x0f")},
      {"a frame above 16 KiB", frame(kData, 0, 1, std::string(16'385, 'x'))},
      {"PUSH_PROMISE from a client", frame(5, kEndHeaders, 1, u32(2) + hpack(request()))},
  };
  for (const Useless& f : kFrames) {
    SCOPED_TRACE(f.name);
    RawServer raw;
    raw.send(f.bytes);
    EXPECT_TRUE(raw.connection->close_asked() || raw.connection->failed());
    if (!raw.connection->failed()) {
      ASSERT_NE(raw.find(kGoaway), nullptr);
      EXPECT_GE(raw.find(kGoaway)->number(4), kProtocolError);
    }
  }
}

TEST(Attack, OurGoawayIsNotWaitedForLongerThanASecond) {
  RawServer raw;
  raw.send(headers(1, request()));
  std::string flood_bytes;
  for (int i = 0; i < 10'100; ++i) flood_bytes += frame(kData, 0, 1, "");
  raw.connection->feed(flood_bytes);  // no turn: the loop never gets to flush
  EXPECT_FALSE(raw.connection->close_asked());
  raw.connection->set_now(raw.connection->now_ns() + 2'000'000'000);
  EXPECT_NE(raw.connection->armed(), 0u);
  EXPECT_TRUE(raw.connection->session()->on_timer(raw.connection->now_ns()).ok());
  EXPECT_TRUE(raw.connection->aborted());
}

}  // namespace
}  // namespace quorate::test
