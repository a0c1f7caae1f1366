// The client's side against servers that answer oddly, byte by byte; keep-alive of both sides.
#include <gtest/gtest.h>

#include "transport/raw_http2.h"

namespace quorate::test {
namespace {

using plugin::EndCause;

// A client session with raw bytes on the other side.
class RawClient : public plugin::DialEvents {
 public:
  explicit RawClient(plugin::TransportLimits limits = {})
      : connection(plugin::make<FakeConnection>(limits)), transport_(load_transport(QUORATE_BINARY_DIR)) {
    nghttp2_hd_inflate_new(&inflater_);
    plugin::DialInfo dial;
    dial.authority = view("server:1");
    dial.events = this;
    EXPECT_TRUE(transport_->dial(connection.get(), dial, &session).ok());
    connection->attach(session);
    connection->turn();
    start = connection->take();
    receive(frame(kSettings, 0, 0) + frame(kSettings, kAck, 0));
  }
  ~RawClient() {
    connection->lose();
    nghttp2_hd_inflate_del(inflater_);
  }
  void receive(std::string_view bytes) {
    connection->feed(bytes);
    collect();
  }
  void collect() {
    connection->turn();
    pending_ += connection->take();
    parse_frames(&pending_, inflater_, &frames);
  }
  // Opens a call with one message.
  void open(uint64_t deadline_ns = 0) {
    reader = plugin::make<Recorder>();
    plugin::CallInfo info;
    info.method = view("/p.S/M");
    info.deadline_ns = deadline_ns;
    writer.reset();
    status = session->open_call(info, reader.get(), writer.out());
    if (!status.ok()) return;
    write(writer.get(), "question");
    writer->half_close();
    collect();
  }
  void on_ready() noexcept override { ++ready; }
  void on_draining() noexcept override { ++draining; }

  plugin::Ref<FakeConnection> connection;
  plugin::ClientSession* session = nullptr;
  plugin::Ref<Recorder> reader;
  plugin::Ref<plugin::ClientWriter> writer;
  plugin::Status status;
  std::vector<Frame> frames;
  std::string start;
  int ready = 0;
  int draining = 0;

 private:
  plugin::Ref<plugin::Transport> transport_;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string pending_;
};

Fields ok_headers() { return {{":status", "200"}, {"content-type", "application/grpc"}}; }

TEST(Client, WhatARequestLooksLike) {
  RawClient raw;
  EXPECT_EQ(raw.start.substr(0, kPreface.size()), kPreface);
  EXPECT_EQ(raw.ready, 1);
  raw.open(raw.connection->now_ns() + 250'000'000);
  ASSERT_EQ(raw.frames.size(), 3u) << "SETTINGS ack, HEADERS, DATA";
  Fields want = {{":method", "POST"},
                 {":scheme", "http"},
                 {":path", "/p.S/M"},
                 {":authority", "server:1"},
                 {"content-type", "application/grpc"},
                 {"user-agent", "quorate"},
                 {"te", "trailers"},
                 {"grpc-timeout", "250000u"}};
  EXPECT_EQ(raw.frames[1].fields, want);
  EXPECT_EQ(raw.frames[2].payload, message("question"));
  EXPECT_TRUE(raw.frames[2].flags & kEndStream);
}

struct Answer {
  const char* name;
  std::string bytes;
  EndCause cause;
  uint32_t code;
  const char* text;
};

TEST(Client, Answers) {
  const std::string ok = headers(1, ok_headers());
  auto trailers = [](const Fields& fields) { return headers(1, fields, kEndHeaders | kEndStream); };
  Fields only = ok_headers();
  only.emplace_back("grpc-status", "5");
  only.emplace_back("grpc-message", "not%20here%");
  const Answer kAnswers[] = {
      {"trailers only", trailers(only), EndCause::kFinished, 5, "not here%"},
      {"ordinary", ok + frame(kData, 0, 1, message("a")) + trailers({{"grpc-status", "0"}}),
       EndCause::kFinished, 0, ""},
      {"a status nobody knows", ok + trailers({{"grpc-status", "x"}}), EndCause::kFinished, 2, ""},
      {"no trailers", ok + frame(kData, kEndStream, 1, message("a")), EndCause::kProtocolError, 13,
       "server closed the stream without sending trailers"},
      {"half a message",
       ok + frame(kData, 0, 1, message("abc").substr(0, 6)) + trailers({{"grpc-status", "0"}}),
       EndCause::kProtocolError, 13, "unexpected EOF"},
      {"404", headers(1, {{":status", "404"}}, kEndHeaders | kEndStream), EndCause::kProtocolError, 12,
       "unexpected HTTP status code received from server: 404"},
      {"502 with a page",
       headers(1, {{":status", "502"}, {"content-type", "text/html"}}) +
           frame(kData, kEndStream, 1, "<html>"),
       EndCause::kProtocolError, 14, "unexpected HTTP status code received from server: 502"},
      {"not gRPC", headers(1, {{":status", "200"}, {"content-type", "text/html"}}), EndCause::kProtocolError,
       2, "the server's content-type is not gRPC's"},
      {"compressed", ok + frame(kData, 0, 1, message("a", 1)), EndCause::kProtocolError, 13,
       "grpc: compressed flag set with identity or empty encoding"},
      {"refused", frame(kRstStream, 0, 1, u32(7)), EndCause::kCancelled, 14,
       "stream terminated by RST_STREAM with error code: REFUSED_STREAM"},
      {"calm", ok + frame(kRstStream, 0, 1, u32(11)), EndCause::kCancelled, 8,
       "stream terminated by RST_STREAM with error code: ENHANCE_YOUR_CALM"},
      {"informational first",
       headers(1, {{":status", "103"}, {"link", "x"}}) + ok + trailers({{"grpc-status", "0"}}),
       EndCause::kFinished, 0, ""},
  };
  for (const Answer& a : kAnswers) {
    SCOPED_TRACE(a.name);
    RawClient raw;
    raw.open();
    raw.writer->request(10);
    raw.receive(a.bytes);
    ASSERT_TRUE(raw.reader->ended);
    EXPECT_EQ(raw.reader->cause, a.cause);
    EXPECT_EQ(raw.reader->code, a.code);
    EXPECT_EQ(raw.reader->end_text, a.text);
    EXPECT_EQ(raw.session->open_calls(), 0u);
    EXPECT_FALSE(raw.connection->failed());
    raw.open();
    EXPECT_TRUE(raw.status.ok()) << "the connection serves other calls";
  }
}

TEST(Client, AnswersThatAreNotHttp) {
  const Fields kMalformed[] = {
      {{"content-type", "application/grpc"}, {"grpc-status", "0"}},
      {{":status", "200"}, {":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}},
      {{"content-type", "application/grpc"}, {":status", "200"}, {"grpc-status", "0"}},
      {{":status", "20"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}},
      {{":status", "2x0"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}},
      {{":status", "200"}, {":path", "/"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}},
      {{":status", "200"}, {"Content-Type", "application/grpc"}, {"grpc-status", "0"}},
      {{":status", "200"},
       {"content-type", "application/grpc"},
       {"grpc-status", "0"},
       {"content-length", "1"}},
  };
  for (const Fields& fields : kMalformed) {
    RawClient raw;
    raw.open();
    raw.receive(headers(1, fields, kEndHeaders | kEndStream));
    ASSERT_TRUE(raw.reader->ended) << hpack(fields);
    EXPECT_EQ(raw.reader->cause, EndCause::kProtocolError) << hpack(fields);
    EXPECT_EQ(raw.reader->code, 13u);
    EXPECT_EQ(raw.reader->end_text, "stream terminated by RST_STREAM with error code: PROTOCOL_ERROR");
    raw.open();
    EXPECT_TRUE(raw.status.ok()) << "the connection serves other calls";
  }
}

TEST(Client, GoawayRefusesWhatItDoesNotCover) {
  RawClient raw;
  raw.open();
  plugin::Ref<Recorder> first = raw.reader;
  raw.open();
  raw.receive(frame(kGoaway, 0, 0, u32(1) + u32(0)));
  EXPECT_EQ(raw.draining, 1);
  EXPECT_TRUE(raw.reader->ended) << "the second call was never looked at";
  EXPECT_EQ(raw.reader->code, 14u);
  EXPECT_FALSE(first->ended);
  raw.receive(headers(1, {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}},
                      kEndHeaders | kEndStream));
  EXPECT_EQ(first->code, 0u);
  EXPECT_TRUE(raw.connection->close_asked());
  raw.open();
  EXPECT_FALSE(raw.status.ok());
}

TEST(Client, CancelWhileMessagesWaitForCredit) {
  RawClient raw;
  raw.open();
  raw.receive(headers(1, ok_headers()) + frame(kData, 0, 1, message("a") + message("b")) +
              headers(1, {{"grpc-status", "0"}}, kEndHeaders | kEndStream));
  EXPECT_EQ(raw.reader->order(), "headers message");
  raw.writer->cancel();
  EXPECT_FALSE(raw.reader->ended);
  raw.collect();
  EXPECT_EQ(raw.reader->code, 1u);
  EXPECT_EQ(raw.session->open_calls(), 0u);
}

TEST(Client, DrainEndsWithTheLastCall) {
  RawClient raw;
  raw.open();
  raw.session->drain();
  raw.collect();
  EXPECT_FALSE(raw.connection->close_asked());
  raw.receive(headers(1, {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}},
                      kEndHeaders | kEndStream));
  raw.collect();
  EXPECT_TRUE(raw.connection->close_asked());
}

uint64_t count_pings(const std::vector<Frame>& frames) {
  uint64_t n = 0;
  for (const Frame& f : frames) n += f.type == kPing && (f.flags & kAck) == 0 ? 1 : 0;
  return n;
}

TEST(Keepalive, AnIdlePeerIsPingedAndThenCut) {
  plugin::TransportLimits limits;
  limits.keepalive_interval_ns = 60'000'000'000;
  RawServer raw(limits);
  raw.connection->advance(59'999'999'999);
  raw.collect();
  EXPECT_EQ(count_pings(raw.frames()), 0u);
  raw.connection->advance(1);
  raw.collect();
  ASSERT_EQ(count_pings(raw.frames()), 1u);
  raw.send(frame(kPing, kAck, 0, raw.find(kPing)->payload));
  raw.connection->advance(60'000'000'000);
  raw.collect();
  EXPECT_EQ(count_pings(raw.frames()), 2u);
  EXPECT_FALSE(raw.connection->failed());
  raw.connection->advance(20'000'000'001);
  EXPECT_TRUE(raw.connection->failed());
  EXPECT_NE(raw.connection->failure().find("keepalive"), std::string::npos);
}

TEST(Keepalive, AClientPingsOnlyWhileItHasCalls) {
  plugin::TransportLimits limits;
  limits.keepalive_interval_ns = 10'000'000'000;
  RawClient raw(limits);
  raw.connection->advance(100'000'000'000);
  raw.collect();
  EXPECT_EQ(count_pings(raw.frames), 0u);
  raw.open();
  raw.connection->advance(10'000'000'001);
  raw.collect();
  EXPECT_EQ(count_pings(raw.frames), 1u);
}

TEST(Drain, TwoGoaways) {
  RawServer raw;
  raw.send(headers(1, request()));
  raw.connection->session()->drain();
  raw.connection->turn();
  raw.collect();
  ASSERT_NE(raw.find(kGoaway), nullptr);
  EXPECT_EQ(raw.find(kGoaway)->number(), 0x7fffffffu);
  EXPECT_EQ(raw.find(kGoaway)->number(4), 0u);
  std::string payload = raw.find(kPing)->payload;
  raw.frames().clear();
  raw.send(headers(3, request()));
  EXPECT_EQ(raw.handler.count, 2u);
  raw.send(frame(kPing, kAck, 0, payload));
  ASSERT_NE(raw.find(kGoaway), nullptr);
  EXPECT_EQ(raw.find(kGoaway)->number(), 3u);
  raw.send(headers(5, request()));
  EXPECT_EQ(raw.handler.count, 2u) << "too late";
  for (auto& call : raw.handler.calls) finish(call->writer.get());
  raw.connection->turn();
  EXPECT_TRUE(raw.connection->close_asked());
}

TEST(Drain, APeerThatDoesNotAnswerThePing) {
  RawServer raw;
  raw.connection->session()->drain();
  raw.connection->turn();
  EXPECT_FALSE(raw.connection->close_asked());
  raw.connection->advance(5'000'000'001);
  EXPECT_TRUE(raw.connection->close_asked());
}

}  // namespace
}  // namespace quorate::test
