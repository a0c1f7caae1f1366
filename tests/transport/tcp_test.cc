// transport-tcp, frame by frame: what it says, and what it makes of peers that break the protocol or abuse
// it.
#include <gtest/gtest.h>

#include "transport/raw_http2.h"
#include "transport/raw_tcp.h"

namespace quorate::test::tcp {
namespace {

using plugin::EndCause;

// The text of the Status that ended the connection, without the plugin's name.
std::string reason(const Raw& raw) {
  const std::string prefix = "transport-tcp: ";
  EXPECT_EQ(raw.failure().substr(0, prefix.size()), prefix);
  return raw.failure().substr(std::min(prefix.size(), raw.failure().size()));
}

// ---- What it says --------------------

TEST(Tcp, AConversation) {
  Raw raw(true);
  EXPECT_EQ(raw.said_hello, hello({"quorTCP\n", 1, 65536, 65536, 256, 0xffffffff}));
  raw.handler.hook = [](ServerSide& call) {
    HeaderViews headers(Metadata{{"h", "1"}});
    call.writer->headers(headers.view());
    answer_unary(call, [](const std::string& m) { return m + "!"; });
  };
  raw.put(kOpen, 0, 1, open_payload("/p.S/M", {{"token", "t"}, {"x-bin", std::string("\0\xff", 2)}}, 5000));
  ServerSide& call = *raw.handler.calls.at(0);
  EXPECT_EQ(call.method, "/p.S/M");
  EXPECT_EQ(call.authority, "a:1");
  EXPECT_EQ(call.metadata, (Metadata{{"token", "t"}, {"x-bin", std::string("\0\xff", 2)}}));
  EXPECT_EQ(call.deadline_ns, raw.connection->now_ns() + 5000);
  raw.put(kData, kLast, 1, "hi");
  ASSERT_EQ(raw.frames.size(), 3u);
  EXPECT_EQ(raw.frames[0].type, kHeaders);
  EXPECT_EQ(raw.frames[0].payload, fields({{"h", "1"}}));
  EXPECT_EQ(raw.frames[1].type, kData);
  EXPECT_EQ(raw.frames[1].payload, "hi!");
  EXPECT_EQ(raw.frames[2].type, kFinish);
  EXPECT_EQ(raw.frames[2].payload, finish_payload(0));
  EXPECT_EQ(raw.connection->charged(), 0);
}

TEST(Tcp, WhatAClientSays) {
  Raw raw(false, {}, {}, false);
  raw.open();
  EXPECT_EQ(raw.said_hello, hello({"quorTCP\n", 1, 65536, 65536, 256, 0}));
  EXPECT_TRUE(raw.frames.empty()) << "before the server's hello nothing is known of its limits";
  raw.send(hello());
  ASSERT_EQ(raw.frames.size(), 2u);
  EXPECT_EQ(raw.frames[0].type, kOpen);
  EXPECT_EQ(raw.frames[0].call, 1u);
  EXPECT_EQ(raw.frames[0].payload, u64(0) + text16("/p.S/M") + text16("server:1") + u16(0));
  EXPECT_EQ(raw.frames[1].payload, "question");
  EXPECT_EQ(raw.frames[1].flags, kLast);
}

TEST(Tcp, ALargeMessageInFrames) {
  Raw raw(true);
  raw.handler.hook = [](ServerSide& call) { write(call.writer.get(), std::string(40'000, 'x')); };
  raw.put(kOpen, 0, 1, open_payload());
  std::string sum;
  ASSERT_EQ(raw.frames.size(), 3u);
  EXPECT_EQ(raw.frames[0].number(), 40'000u);
  EXPECT_EQ(raw.frames[0].payload.size(), 16'384u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(raw.frames[i].flags, i == 2 ? 0 : kMore);
    sum += raw.frames[i].payload.substr(i == 0 ? 4 : 0);
  }
  EXPECT_EQ(sum, std::string(40'000, 'x'));
}

TEST(Tcp, TheWindowHoldsMessagesBackAndCreditOpensIt) {
  HelloFields small;
  small.window_bytes = 5;
  small.window_messages = 2;
  Raw raw(true, {}, {}, false);
  raw.send(hello(small));
  raw.handler.hook = [](ServerSide& call) {
    for (const char* m : {"123", "4567", "", "x"}) write(call.writer.get(), m);
    finish(call.writer.get(), 0);
  };
  raw.put(kOpen, 0, 1, open_payload());
  ASSERT_EQ(raw.frames.size(), 2u);
  EXPECT_EQ(raw.frames[1].payload, u32(4) + "45");
  raw.put(kCredit, 0, 1, u32(100) + u32(0));
  ASSERT_EQ(raw.frames.size(), 3u) << "two messages were allowed";
  EXPECT_EQ(raw.frames[2].payload, "67");
  EXPECT_FALSE(raw.handler.calls[0]->reader->ended);
  raw.put(kCredit, 0, 1, u32(0) + u32(2));
  ASSERT_EQ(raw.frames.size(), 6u);
  EXPECT_EQ(raw.frames[3].payload, "");
  EXPECT_EQ(raw.frames[4].payload, "x");
  EXPECT_EQ(raw.frames[5].type, kFinish);
  EXPECT_EQ(raw.handler.calls[0]->reader->cause, EndCause::kFinished);
}

TEST(Tcp, CreditFollowsCore) {
  Raw raw(true, {}, {{"stream-messages", "4"}});
  raw.put(kOpen, 0, 1, open_payload());
  for (int i = 0; i < 4; ++i) raw.put(kData, 0, 1, "m");
  const Frame* first = raw.find(kCredit, 1);
  ASSERT_NE(first, nullptr) << "core has taken one";
  EXPECT_EQ(first->number(4), 1u);
  EXPECT_TRUE(raw.put(kData, 0, 1, "m"));
  EXPECT_FALSE(raw.put(kData, 0, 1, "m"));
  EXPECT_EQ(reason(raw), "frame 6 (DATA of call 1): a message beyond the window");
}

// ---- The hello --------------------

TEST(Tcp, HellosThatAreRefused) {
  std::string flipped = hello();
  flipped[17] = static_cast<char>(flipped[17] ^ 1);
  const std::pair<std::string, std::string> kHellos[] = {
      {hello({"quorTCQ\n"}), "the hello does not begin with the magic"},
      {hello({"quorTCP\n", 2}), "the peer speaks version 2, this side 1"},
      {flipped, "the hello's checksum is wrong"},
      {hello({"quorTCP\n", 1, 16383}), "the hello's max_frame is 16383, not between 16384 and 1048576"},
      {hello({"quorTCP\n", 1, 1 << 21}), "the hello's max_frame is 2097152, not between 16384 and 1048576"},
      {hello({"quorTCP\n", 1, 65536, 0}), "the hello's window_bytes is 0, not between 1 and 2147483647"},
      {hello({"quorTCP\n", 1, 65536, 1, 0x80000000}),
       "the hello's window_messages is 2147483648, not between 1 and 2147483647"},
  };
  for (const auto& [bytes, want] : kHellos) {
    for (bool server : {true, false}) {
      Raw raw(server, {}, {}, false);
      EXPECT_FALSE(raw.send(bytes));
      EXPECT_EQ(reason(raw), want);
    }
  }
  Raw client(false, {}, {}, false);
  client.send(hello({"quorTCP\n", 1, 65536, 1, 1, 0}));
  EXPECT_EQ(reason(client), "the hello's max_calls is 0, not between 1 and 4294967295");
}

TEST(Tcp, AHelloInPieces) {
  Raw raw(true, {}, {}, false);
  EXPECT_TRUE(raw.send(hello() + raw.next(kOpen, 0, 1, open_payload()), 1));
  EXPECT_EQ(raw.handler.count, 1u);
}

TEST(Tcp, MatchNeedsTheWholeMagic) {
  auto transport = load_transport(QUORATE_BINARY_DIR, {}, kTcp);
  const std::string magic = hello().substr(0, 8);
  for (size_t n = 0; n < 8; ++n)
    EXPECT_EQ(transport->match(view(magic.substr(0, n)), {}), plugin::Match::kNeedMore) << n;
  EXPECT_EQ(transport->match(view(hello()), {}), plugin::Match::kYes);
  EXPECT_EQ(transport->match(view(hello()), view("quorate-tcp/1")), plugin::Match::kYes);
  EXPECT_EQ(transport->match(view(hello()), view("h2")), plugin::Match::kNo);
  EXPECT_EQ(transport->match(view("PRI * HTTP/2.0"), {}), plugin::Match::kNo);
  EXPECT_EQ(transport->match(view("quorTCP\r"), {}), plugin::Match::kNo);
  EXPECT_EQ(text(transport->alpn()), "quorate-tcp/1");
}

TEST(Tcp, OptionsAreChecked) {
  EXPECT_NO_THROW(load_transport(QUORATE_BINARY_DIR, {{"max-frame", "1MiB"}}, kTcp));
  const std::pair<std::pair<std::string, std::string>, std::string> kWrong[] = {
      {{"stream-windows", "1"}, "unknown option 'stream-windows'; did you mean 'stream-window'?"},
      {{"max-frame", "12"}, "option max-frame: '12' is not between 16384 and 1048576"},
      {{"noise-rate", "many"}, "option noise-rate: 'many' is not a number"}};
  for (const auto& [option, want] : kWrong) {
    try {
      load_transport(QUORATE_BINARY_DIR, {option}, kTcp);
      ADD_FAILURE() << option.first;
    } catch (const std::runtime_error& e) {
      EXPECT_EQ(e.what(), want);
    }
  }
}

// ---- Damage --------------------

TEST(Tcp, EveryFlippedBitIsNoticed) {
  std::string bytes = frame(0, kOpen, 0, 1, open_payload());
  bytes += frame(1, kData, kLast, 1, "hello");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    Raw raw(true);
    EXPECT_FALSE(raw.send(damaged)) << "bit " << bit % 8 << " of byte " << bit / 8;
    EXPECT_NE(reason(raw).find("checksum is wrong"), std::string::npos) << bit / 8 << ": " << raw.failure();
    for (auto& call : raw.handler.calls) EXPECT_EQ(call->reader->cause, EndCause::kConnectionLost);
  }
}

// The header's own sum: a wrong length is not waited for.
TEST(Tcp, AHeaderIsCheckedBeforeItsLengthIsBelieved) {
  const std::string whole = frame(0, kOpen, 0, 1, open_payload());
  for (size_t at = 4; at < kHead; ++at) {
    Raw raw(true);
    std::string head = whole.substr(0, kHead);
    head[at] = static_cast<char>(head[at] ^ 0x10);
    EXPECT_FALSE(raw.send(head)) << at;
    EXPECT_EQ(reason(raw), "frame 0: the header's checksum is wrong") << at;
  }
}

TEST(Tcp, FramesAreNumbered) {
  const std::string open = frame(0, kOpen, 0, 1, open_payload());
  auto data = [](uint32_t n) { return frame(n, kData, 0, 1, std::string(1, static_cast<char>('a' + n))); };
  for (const std::string& bytes : {open + data(2), open + data(1) + data(1), open + data(2) + data(1)}) {
    Raw raw(true);
    EXPECT_FALSE(raw.send(bytes));
    EXPECT_NE(reason(raw).find("checksum is wrong"), std::string::npos);
  }
}

TEST(Tcp, AnEndInsideAFrame) {
  const std::string whole = hello() + frame(0, kOpen, 0, 1, open_payload());
  for (size_t size = 1; size < whole.size(); ++size) {
    Raw raw(true, {}, {}, false);
    ASSERT_TRUE(raw.send(whole.substr(0, size)));
    EXPECT_EQ(raw.handler.count, 0u);
    const bool between = size == kHello;
    EXPECT_EQ(raw.connection->eof(), between) << size;
    if (between) continue;
    EXPECT_EQ(reason(raw),
              size < kHello ? "the connection ends inside the hello" : "the connection ends inside frame 0");
  }
}

// ---- Frames that may not be --------------------

struct Wrong {
  const char* name;
  std::vector<Frame> frames;
  const char* want;
};

const std::vector<Wrong>& wrong_for_servers() {
  const Frame open{kOpen, 0, 1, open_payload()};
  static const std::vector<Wrong> kWrong = {
      {"unknown type", {{99, 0, 1, ""}}, "frame 0 (? of call 1): unknown type 99"},
      {"unknown flag", {open, {kData, 4, 1, "x"}}, "frame 1 (DATA of call 1): unknown flags"},
      {"flags where none are", {{kOpen, 1, 1, open_payload()}}, "frame 0 (OPEN of call 1): unknown flags"},
      {"a call number of 0",
       {{kOpen, 0, 0, open_payload()}},
       "frame 0 (OPEN of call 0): calls are numbered one after the other"},
      {"a call number that jumps",
       {{kOpen, 0, 2, open_payload()}},
       "frame 0 (OPEN of call 2): calls are numbered one after the other"},
      {"a call opened twice",
       {open, open},
       "frame 1 (OPEN of call 1): calls are numbered one after the other"},
      {"never opened", {{kData, 0, 1, "x"}}, "frame 0 (DATA of call 1): the call was never opened"},
      {"credit for a call never opened",
       {open, {kCredit, 0, 2, u32(1) + u32(1)}},
       "frame 1 (CREDIT of call 2): the call was never opened"},
      {"a message after the last",
       {open, {kData, kLast, 1, "x"}, {kData, 0, 1, "y"}},
       "frame 2 (DATA of call 1): the call's messages had ended"},
      {"two half-closes",
       {open, {kHalfClose, 0, 1, ""}, {kHalfClose, 0, 1, ""}},
       "frame 2 (HALF_CLOSE of call 1): the call's messages had ended"},
      {"half-closed inside a message",
       {open, {kData, kMore, 1, u32(9) + "x"}, {kHalfClose, 0, 1, ""}},
       "frame 2 (HALF_CLOSE of call 1): the call ends inside a message"},
      {"the last message goes on",
       {open, {kData, kMore | kLast, 1, u32(9) + "x"}},
       "frame 1 (DATA of call 1): the last message goes on"},
      {"no length",
       {open, {kData, kMore, 1, "abc"}},
       "frame 1 (DATA of call 1): a message that goes on does not say by how much"},
      {"a length that is reached at once",
       {open, {kData, kMore, 1, u32(1) + "x"}},
       "frame 1 (DATA of call 1): a message that goes on does not say by how much"},
      {"shorter than it said",
       {open, {kData, kMore, 1, u32(9) + "x"}, {kData, 0, 1, "yz"}},
       "frame 2 (DATA of call 1): a message of another length than it said"},
      {"longer than it said",
       {open, {kData, kMore, 1, u32(3) + "x"}, {kData, 0, 1, "yza"}},
       "frame 2 (DATA of call 1): a message of another length than it said"},
      {"bytes beyond the window",
       {open,
        {kData, 0, 1, std::string(30'000, 'x')},
        {kData, 0, 1, std::string(60'000, 'x')},
        {kData, 0, 1, std::string(30'000, 'x')}},
       "frame 3 (DATA of call 1): bytes beyond the window"},
      {"credit of nothing",
       {open, {kCredit, 0, 1, u32(0) + u32(0)}},
       "frame 1 (CREDIT of call 1): credit of nothing"},
      {"credit beyond all",
       {open, {kCredit, 0, 1, u32(0x7fffffff) + u32(0)}},
       "frame 1 (CREDIT of call 1): a window above 2^31-1"},
      {"a credit cut short", {open, {kCredit, 0, 1, u32(1)}}, "frame 1 (CREDIT of call 1): not two numbers"},
      {"a reset cut short",
       {open, {kReset, 0, 1, u32(1)}},
       "frame 1 (RESET of call 1): not a code and a text"},
      {"a ping of 7 bytes", {{kPing, 0, 0, "1234567"}}, "frame 0 (PING of call 0): not 8 bytes on call 0"},
      {"a ping of a call",
       {open, {kPing, 0, 1, "12345678"}},
       "frame 1 (PING of call 1): not 8 bytes on call 0"},
      {"headers of a client",
       {open, {kHeaders, 0, 1, fields({})}},
       "frame 1 (HEADERS of call 1): only a server sends it"},
      {"an end of a client",
       {open, {kFinish, 0, 1, finish_payload(0)}},
       "frame 1 (FINISH of call 1): only a server sends it"},
      {"a goaway of a client",
       {{kGoaway, 0, 0, u32(0) + u32(0) + text32("")}},
       "frame 0 (GOAWAY of call 0): only a server sends it"},
      {"fields cut short",
       {{kOpen, 0, 1, u64(0) + u16(500) + "/p"}},
       "frame 0 (OPEN of call 1): its fields are longer than the frame"},
      {"headers cut short",
       {{kOpen, 0, 1, u64(0) + text16("/p") + text16("") + u16(1) + text16("a")}},
       "frame 0 (OPEN of call 1): its headers are longer than the frame"},
      {"something behind",
       {{kOpen, 0, 1, open_payload() + "x"}},
       "frame 0 (OPEN of call 1): something follows its headers"},
      {"no method",
       {{kOpen, 0, 1, open_payload("")}},
       "frame 0 (OPEN of call 1): a method or an authority that may not be"},
      {"a method with a newline",
       {{kOpen, 0, 1, open_payload("/a\n")}},
       "frame 0 (OPEN of call 1): a method or an authority that may not be"},
      {"a name with capitals",
       {{kOpen, 0, 1, open_payload("/p", {{"Token", "x"}})}},
       "frame 0 (OPEN of call 1): header 0 has a name or a value that may not be"},
      {"a value with a control character",
       {{kOpen, 0, 1, open_payload("/p", {{"a", "x"}, {"b", "x\r\ny"}})}},
       "frame 0 (OPEN of call 1): header 1 has a name or a value that may not be"},
  };
  return kWrong;
}

TEST(Tcp, FramesThatAServerRefuses) {
  for (const Wrong& w : wrong_for_servers()) {
    SCOPED_TRACE(w.name);
    Raw raw(true);
    for (size_t i = 0; i < w.frames.size(); ++i) {
      const Frame& f = w.frames[i];
      EXPECT_EQ(raw.put(f.type, f.flags, f.call, f.payload), i + 1 < w.frames.size()) << "frame " << i;
    }
    EXPECT_EQ(reason(raw), w.want);
    for (auto& call : raw.handler.calls) EXPECT_TRUE(call->reader->ended);
  }
}

TEST(Tcp, FramesThatAClientRefuses) {
  const std::vector<Wrong> kWrong = {
      {"an open of a server",
       {{kOpen, 0, 2, open_payload()}},
       "frame 0 (OPEN of call 2): only a client sends it"},
      {"never opened",
       {{kFinish, 0, 2, finish_payload(0)}},
       "frame 0 (FINISH of call 2): the call was never opened"},
      {"a half-close of a server",
       {{kHalfClose, 0, 1, ""}},
       "frame 0 (HALF_CLOSE of call 1): not a client's, or not empty"},
      {"a last message of a server", {{kData, kLast, 1, "x"}}, "frame 0 (DATA of call 1): unknown flags"},
      {"headers after a message",
       {{kData, 0, 1, "x"}, {kHeaders, 0, 1, fields({})}},
       "frame 1 (HEADERS of call 1): headers come once, and first"},
      {"headers inside a message",
       {{kData, kMore, 1, u32(9) + "x"}, {kHeaders, 0, 1, fields({})}},
       "frame 1 (HEADERS of call 1): it comes inside a message"},
      {"an end inside a message",
       {{kData, kMore, 1, u32(9) + "x"}, {kFinish, 0, 1, finish_payload(0)}},
       "frame 1 (FINISH of call 1): it comes inside a message"},
      {"a message after the end",
       {{kData, 0, 1, "x"}, {kData, 0, 1, "y"}, {kFinish, 0, 1, finish_payload(0)}, {kData, 0, 1, "z"}},
       "frame 3 (DATA of call 1): the call's messages had ended"},
      {"an end cut short",
       {{kFinish, 0, 1, u32(0) + u32(7)}},
       "frame 0 (FINISH of call 1): its fields are longer than the frame"},
      {"something behind the end",
       {{kFinish, 0, 1, finish_payload(0) + "x"}},
       "frame 0 (FINISH of call 1): something follows its trailers"},
      {"a goaway cut short",
       {{kGoaway, 0, 0, u32(1)}},
       "frame 0 (GOAWAY of call 0): not a number, a code and a text on call 0"},
  };
  for (const Wrong& w : kWrong) {
    SCOPED_TRACE(w.name);
    Raw raw(false);
    raw.open();
    for (size_t i = 0; i < w.frames.size(); ++i) {
      const Frame& f = w.frames[i];
      EXPECT_EQ(raw.put(f.type, f.flags, f.call, f.payload), i + 1 < w.frames.size()) << "frame " << i;
    }
    EXPECT_EQ(reason(raw), w.want);
    EXPECT_EQ(raw.reader->cause, EndCause::kConnectionLost);
    EXPECT_EQ(raw.reader->code, 14u);
  }
}

TEST(Tcp, AFrameAboveTheLimitIsNotWaitedFor) {
  Raw raw(true, {}, {{"max-frame", "16384"}});
  EXPECT_FALSE(raw.send(frame(0, kData, 0, 1, std::string(16'385, 'x')).substr(0, kHead)));
  EXPECT_EQ(reason(raw), "frame 0: 16385 bytes of payload, 16384 are the most");
}

// ---- Ends --------------------

TEST(Tcp, FramesForCallsThatHaveEndedAreDropped) {
  Raw raw(true);
  raw.handler.hook = [](ServerSide& call) { finish(call.writer.get(), 7, "no"); };
  raw.put(kOpen, 0, 1, open_payload());
  ASSERT_NE(raw.find(kFinish, 1), nullptr);
  EXPECT_TRUE(raw.put(kData, 0, 1, "late"));
  EXPECT_TRUE(raw.put(kCredit, 0, 1, u32(1) + u32(1)));
  EXPECT_TRUE(raw.put(kReset, 0, 1, u32(1) + text32("")));
  EXPECT_EQ(raw.handler.calls[0]->reader->order(), "end");
}

TEST(Tcp, AResetOfTheServersEndsTheCall) {
  Raw raw(false);
  raw.open();
  raw.put(kReset, 0, 1, u32(8) + text32("too much"));
  EXPECT_EQ(raw.reader->cause, EndCause::kCancelled);
  EXPECT_EQ(raw.reader->code, 8u);
  EXPECT_EQ(raw.reader->end_text, "too much");
  raw.open();
  EXPECT_TRUE(raw.status.ok()) << "the connection serves other calls";
}

TEST(Tcp, GoawayRefusesWhatItDoesNotCover) {
  Raw raw(false);
  raw.open();
  plugin::Ref<Recorder> first = raw.reader;
  raw.open();
  raw.put(kGoaway, 0, 0, u32(1) + u32(0) + text32("upgrade"));
  EXPECT_EQ(raw.reader->code, 14u) << "the second call was never looked at";
  EXPECT_EQ(raw.reader->end_text, "the server did not look at the call: upgrade");
  EXPECT_FALSE(first->ended);
  raw.open();
  EXPECT_FALSE(raw.status.ok());
  raw.put(kFinish, 0, 1, finish_payload(0));
  EXPECT_EQ(first->code, 0u);
  raw.collect();
  EXPECT_TRUE(raw.connection->close_asked());
}

TEST(Tcp, DrainSaysWhichCallWasTheLast) {
  Raw raw(true);
  raw.put(kOpen, 0, 1, open_payload());
  raw.connection->session()->drain();
  raw.collect();
  ASSERT_NE(raw.find(kGoaway), nullptr);
  EXPECT_EQ(raw.find(kGoaway)->number(), UINT32_MAX);
  const std::string ping = raw.find(kPing)->payload;
  raw.frames.clear();
  raw.put(kOpen, 0, 2, open_payload());
  EXPECT_EQ(raw.handler.count, 2u);
  raw.put(kPong, 0, 0, ping);
  ASSERT_NE(raw.find(kGoaway), nullptr);
  EXPECT_EQ(raw.find(kGoaway)->number(), 2u);
  raw.put(kOpen, 0, 3, open_payload());
  EXPECT_EQ(raw.handler.count, 2u) << "too late";
  for (auto& call : raw.handler.calls) finish(call->writer.get());
  raw.collect();
  EXPECT_TRUE(raw.connection->close_asked());
  EXPECT_FALSE(raw.connection->aborted());
}

// ---- Abuse --------------------

// True: the server has said why it goes, and goes.
bool went(const Raw& raw, std::string_view why) {
  const Frame* goaway = raw.find(kGoaway);
  return goaway != nullptr && goaway->number(4) == 8 && goaway->payload.substr(12) == why &&
         raw.connection->close_asked();
}

TEST(Tcp, ResetFloods) {
  for (bool refused : {false, true}) {
    plugin::TransportLimits limits;
    if (refused) limits.max_concurrent_streams = 1;
    Raw raw(true, limits);
    raw.handler.keep = false;
    uint32_t id = 0;
    for (; id < 10'000; ++id) {
      std::string bytes = raw.next(kOpen, 0, id + 1, open_payload());
      if (!refused) bytes += raw.next(kReset, 0, id + 1, u32(1) + text32(""));
      if (!raw.send(bytes)) break;
    }
    EXPECT_TRUE(went(raw, "too many resets"));
    EXPECT_LT(id, 2100u);
    EXPECT_LT(raw.connection->peak_charge(), 100'000);
  }
}

TEST(Tcp, UselessFrames) {
  auto flood = [](const char* name, uint8_t type, const std::string& payload, const std::string& first = {}) {
    SCOPED_TRACE(name);
    plugin::TransportLimits limits;
    limits.keepalive_min_time_ns = 0;
    Raw raw(true, limits);
    raw.put(kOpen, 0, 1, open_payload());
    if (!first.empty()) raw.put(kData, kMore, 1, first);
    const bool ping = type == kPing || type == kPong;
    int sent = 0;
    while (sent < 20'000 && raw.put(type, type == kData ? kMore : 0, ping ? 0 : 1, payload)) ++sent;
    EXPECT_TRUE(went(raw, "too many frames that move nothing forward")) << sent << raw.failure();
    EXPECT_LT(sent, 10'100);
  };
  flood("credit", kCredit, u32(1) + u32(0));
  flood("pings", kPing, "12345678");
  flood("pongs", kPong, "12345678");
  flood("pieces of nothing", kData, "", u32(1000) + std::string(40, 'x'));
}

TEST(Tcp, PingsThatComeTooOften) {
  Raw raw(true);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(raw.put(kPing, 0, 0, "12345678"));
  EXPECT_EQ(raw.find(kPong)->payload, "12345678");
  EXPECT_FALSE(raw.put(kPing, 0, 0, "12345678"));
  EXPECT_TRUE(went(raw, "too many pings"));
  Raw polite(true);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(polite.put(kPing, 0, 0, "12345678"));
    polite.connection->advance(5'000'000'001);
  }
}

// Answers that nobody reads: what waits is bounded.
TEST(Tcp, PongsThatThePeerDoesNotRead) {
  plugin::TransportLimits limits;
  limits.keepalive_min_time_ns = 0;
  limits.send_mark = 4096;
  Raw raw(true, limits);
  int sent = 0;
  while (sent < 20'000 && raw.connection->feed(raw.next(kPing, 0, 0, "12345678")) && raw.connection->turn() &&
         !raw.connection->close_asked())
    ++sent;
  EXPECT_LT(sent, 1500);
  EXPECT_LT(raw.connection->queued_bytes(), 100'000u);
}

TEST(Tcp, AHeaderListAboveTheLimit) {
  plugin::TransportLimits limits;
  limits.max_header_bytes = 1000;
  Raw raw(true, limits);
  EXPECT_TRUE(raw.put(kOpen, 0, 1, open_payload("/p.S/M", {{"a", std::string(1000, 'x')}})));
  EXPECT_EQ(raw.handler.count, 0u);
  ASSERT_NE(raw.find(kReset, 1), nullptr);
  EXPECT_EQ(raw.find(kReset, 1)->number(), 8u);
  raw.put(kOpen, 0, 2, open_payload());
  EXPECT_EQ(raw.handler.count, 1u) << "the connection serves others";
  EXPECT_EQ(raw.connection->session()->open_calls(), 1u);
}

// Only what has arrived is paid for, not what was announced.
TEST(Tcp, AnnouncedLengthsAreNotAllocated) {
  Raw raw(true);
  raw.handler.keep = false;
  for (uint32_t id = 1; id <= 1000; ++id) {
    raw.put(kOpen, 0, id, open_payload());
    raw.put(kData, kMore, id, u32(2u << 20) + std::string(40, 'x'));
  }
  EXPECT_EQ(raw.handler.count, 1000u);
  EXPECT_LT(raw.connection->peak_charge(), 1000 * 2048);
  const uint64_t before = heap_bytes();
  Raw slow(true);
  slow.send(frame(0, kOpen, 0, 1, std::string(60'000, 'x')).substr(0, 100));
  EXPECT_LT(slow.connection->charged(), 2000);
  EXPECT_LE(heap_bytes(), before + 100'000);
}

// A slow core: what is kept for it stays within the window, however small the messages.
TEST(Tcp, MessagesWithoutCreditAreBounded) {
  Raw raw(true);
  raw.put(kOpen, 0, 1, open_payload());
  int sent = 0;
  while (sent < 10'000 && raw.put(kData, 0, 1, "")) ++sent;
  EXPECT_EQ(sent, 256);
  EXPECT_EQ(reason(raw), "frame 257 (DATA of call 1): a message beyond the window");
  EXPECT_LT(raw.connection->peak_charge(), 65'536);
}

// A slow reader: answers wait in the call, and count.
TEST(Tcp, AnswersThatAreNotReadCount) {
  Raw raw(true, {}, {}, false);
  raw.connection->set_budget(4 << 20);
  HelloFields shut;
  shut.window_bytes = 1;
  raw.send(hello(shut));
  raw.handler.keep = false;
  raw.handler.hook = [](ServerSide& call) {
    write(call.writer.get(), std::string(1 << 20, 'r'));
    finish(call.writer.get());
  };
  for (uint32_t id = 1; id <= 50; ++id) {
    ASSERT_TRUE(raw.put(kOpen, 0, id, open_payload()));
    ASSERT_TRUE(raw.put(kHalfClose, 0, id));
    ASSERT_LT(raw.connection->charged(), 6 << 20);
  }
  EXPECT_LE(raw.connection->session()->open_calls(), 4u);
  EXPECT_EQ(raw.handler.count, 50u);
}

TEST(Tcp, MetadataThatMayNotTravel) {
  Raw raw(false);
  auto open = [&](Metadata metadata, std::string_view method = "/p.S/M") {
    HeaderViews headers(std::move(metadata));
    auto reader = plugin::make<Recorder>();
    plugin::Ref<plugin::ClientWriter> writer;
    plugin::CallInfo info;
    info.method = view(method);
    info.metadata = headers.view();
    return std::string(raw.client->open_call(info, reader.get(), writer.out()).text());
  };
  EXPECT_EQ(open({{"ok", "fine"}}), "");
  EXPECT_EQ(open({{"Not", "fine"}}), "transport-tcp: metadata with a name or a value that may not be");
  EXPECT_EQ(open({{"not", "fi\nne"}}), "transport-tcp: metadata with a name or a value that may not be");
  EXPECT_EQ(open({{"not-bin", std::string(70'000, 'x')}}), "transport-tcp: metadata larger than a frame");
  EXPECT_EQ(open({}, ""), "transport-tcp: a method that may not be");
}

}  // namespace
}  // namespace quorate::test::tcp
