// What the server answers on the wire, case by case; texts and codes are those of grpc-go.
#include <gtest/gtest.h>

#include "transport/raw_http2.h"

namespace quorate::test {
namespace {

using plugin::EndCause;

struct Case {
  const char* name;
  Fields change;
  const char* http_status;
  const char* grpc_status;
  const char* grpc_message;
};

const Case kRefused[] = {
    {"no content-type", {{"content-type", ""}}, "415", "3", "invalid gRPC request content-type \"\""},
    {"wrong content-type",
     {{"content-type", "text/html"}},
     "415",
     "3",
     "invalid gRPC request content-type \"text/html\""},
    {"grpc-web",
     {{"content-type", "application/grpc-web"}},
     "415",
     "3",
     "invalid gRPC request content-type \"application/grpc-web\""},
    {"GET",
     {{":method", "GET"}},
     "405",
     "13",
     "Received a HEADERS frame with :method \"GET\" which should be POST"},
    {"no method",
     {{":method", ""}},
     "405",
     "13",
     "Received a HEADERS frame with :method \"\" which should be POST"},
    {"CONNECT",
     {{":method", "CONNECT"}},
     "405",
     "13",
     "Received a HEADERS frame with :method \"CONNECT\" which should be POST"},
    {"no path", {{":path", ""}}, "200", "12", "malformed method name: \"\""},
    {"a path without slash", {{":path", "p.S/M"}}, "200", "12", "malformed method name: \"p.S/M\""},
    {"OPTIONS' path", {{":path", "*"}}, "200", "12", "malformed method name: \"*\""},
    {"no method in the path", {{":path", "/service"}}, "200", "12", "malformed method name: \"/service\""},
    {"timeout without unit",
     {{"grpc-timeout", "10"}},
     "400",
     "13",
     "malformed grpc-timeout: transport: timeout unit is not recognized: \"10\""},
    {"timeout too long",
     {{"grpc-timeout", "123456789S"}},
     "400",
     "13",
     "malformed grpc-timeout: transport: timeout string is too long: \"123456789S\""},
    {"timeout too short",
     {{"grpc-timeout", "S"}},
     "400",
     "13",
     "malformed grpc-timeout: transport: timeout string is too short: \"S\""},
    {"timeout with a sign",
     {{"grpc-timeout", "-1S"}},
     "400",
     "13",
     "malformed grpc-timeout: strconv.ParseUint: parsing \"-1\": invalid syntax"},
    {"timeout of nothing", {{"grpc-timeout", "0n"}}, "200", "4", "context deadline exceeded"},
    {"bad base64",
     {{"x-bin", "a$bc"}},
     "400",
     "13",
     "malformed binary metadata \"a$bc\" in header \"x-bin\": illegal base64 data"},
    {"gzip",
     {{"grpc-encoding", "gzip"}},
     "200",
     "12",
     "grpc: Decompressor is not installed for grpc-encoding \"gzip\""},
};

TEST(Server, RequestsThatCoreNeverSees) {
  for (const Case& c : kRefused) {
    SCOPED_TRACE(c.name);
    RawServer raw;
    raw.send(headers(1, request(c.change)));
    const Frame* answer = raw.answer(1);
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(answer->get(":status"), c.http_status);
    EXPECT_EQ(answer->get("grpc-status"), c.grpc_status);
    EXPECT_EQ(answer->get("grpc-message"), c.grpc_message);
    EXPECT_EQ(answer->get("content-type"), "application/grpc");
    EXPECT_TRUE(answer->flags & kEndStream);
    ASSERT_NE(raw.find(kRstStream, 1), nullptr) << "the request is not complete: it must stop";
    EXPECT_EQ(raw.find(kRstStream, 1)->number(), 0u);
    EXPECT_EQ(raw.handler.count, 0u);
    raw.send(headers(3, request(), kEndHeaders | kEndStream));
    EXPECT_EQ(raw.handler.count, 1u) << "the connection serves others";
    EXPECT_EQ(raw.connection->session()->open_calls(), 1u);
  }
}

TEST(Server, EncodingsAreNamedWhenOneIsRefused) {
  RawServer raw;
  raw.send(headers(1, request({{"grpc-encoding", "snappy"}})));
  EXPECT_EQ(raw.answer(1)->get("grpc-accept-encoding"), "identity");
}

TEST(Server, ContentTypesThatAreGrpc) {
  const std::pair<const char*, const char*> kTypes[] = {{"application/grpc", "application/grpc"},
                                                        {"application/grpc+proto", "application/grpc+proto"},
                                                        {"Application/GRPC+Proto", "application/grpc+proto"},
                                                        {"application/grpc;proto", "application/grpc+proto"},
                                                        {"application/grpc+", "application/grpc"}};
  for (auto [sent, answered] : kTypes) {
    RawServer raw;
    raw.handler.hook = [](ServerSide& call) { answer_unary(call, [](const std::string& m) { return m; }); };
    raw.send(headers(1, request({{"content-type", sent}, {"te", ""}})) +
             frame(kData, kEndStream, 1, message("hi")));
    ASSERT_NE(raw.find(kHeaders, 1), nullptr) << sent;
    EXPECT_EQ(raw.find(kHeaders, 1)->get("content-type"), answered);
    EXPECT_EQ(raw.answer(1)->get("grpc-status"), "0");
    EXPECT_EQ(raw.answer(1)->get("grpc-message"), "(none)");
    EXPECT_EQ(raw.find(kData, 1)->payload, message("hi"));
  }
}

TEST(Server, TimeoutsOfEveryUnit) {
  const std::pair<const char*, uint64_t> kTimeouts[] = {{"5n", 5},
                                                        {"7u", 7'000},
                                                        {"99999999m", 99'999'999'000'000},
                                                        {"3S", 3'000'000'000},
                                                        {"2M", 120'000'000'000},
                                                        {"1H", 3'600'000'000'000},
                                                        {"99999999H", INT64_MAX}};
  for (auto [sent, ns] : kTimeouts) {
    RawServer raw;
    raw.send(headers(1, request({{"grpc-timeout", sent}})));
    ASSERT_EQ(raw.handler.count, 1u) << sent;
    EXPECT_EQ(raw.handler.calls[0]->deadline_ns, raw.connection->now_ns() + ns) << sent;
  }
}

TEST(Server, MetadataAsCoreSeesIt) {
  RawServer raw;
  raw.send(headers(1, request({{"host", "h:2"},
                               {"a-bin", "AAH/"},
                               {"b-bin", "AAE="},
                               {"c-bin", "AAE"},
                               {"d-bin", ""},
                               {"user-agent", "grpc-go/1"},
                               {"grpc-timeout", "1S"},
                               {"grpc-message", "x"},
                               {"grpc-accept-encoding", "gzip"},
                               {"token", "t"},
                               {"token", "u"}})));
  ASSERT_EQ(raw.handler.count, 1u);
  Metadata want = {{"content-type", "application/grpc"},
                   {"a-bin", std::string("\0\x01\xff", 3)},
                   {"b-bin", std::string("\0\x01", 2)},
                   {"c-bin", std::string("\0\x01", 2)},
                   {"d-bin", ""},
                   {"user-agent", "grpc-go/1"},
                   {"grpc-accept-encoding", "gzip"},
                   {"token", "u"}};
  EXPECT_EQ(raw.handler.calls[0]->metadata, want);
  EXPECT_EQ(raw.handler.calls[0]->authority, "a:1") << "host is dropped beside :authority";
  raw.send(headers(3, request({{":authority", ""}, {"host", "h:2"}})));
  EXPECT_EQ(raw.handler.calls.at(1)->authority, "h:2");
}

struct Broken {
  const char* name;
  std::string body;
  const char* code;
  const char* text;
};

TEST(Server, BrokenMessages) {
  const Broken kBodies[] = {
      {"compressed", message("x", 1), "13", "grpc: compressed flag set with identity or empty encoding"},
      {"flag 7", message("x", 7), "13", "grpc: received unexpected payload format 7"},
      {"4 GiB", std::string("\0\xff\xff\xff\xff", 5), "8",
       "grpc: received message larger than max (4294967295 vs. 2097152)"},
      {"half a message", message("12345").substr(0, 8), "13", "unexpected EOF"},
      {"half a prefix", std::string(3, 0), "13", "unexpected EOF"},
  };
  for (const Broken& b : kBodies) {
    SCOPED_TRACE(b.name);
    RawServer raw;
    raw.send(headers(1, request()) + frame(kData, kEndStream, 1, b.body));
    ASSERT_NE(raw.answer(1), nullptr);
    EXPECT_EQ(raw.answer(1)->get("grpc-status"), b.code);
    EXPECT_EQ(raw.answer(1)->get("grpc-message"), b.text);
    EXPECT_EQ(raw.handler.calls.at(0)->reader->order(), "end");
    EXPECT_EQ(raw.handler.calls.at(0)->reader->cause, EndCause::kProtocolError);
    EXPECT_FALSE(raw.connection->close_asked());
    EXPECT_EQ(raw.connection->session()->open_calls(), 0u);
  }
}

TEST(Server, ResetByTheClientCancels) {
  RawServer raw;
  raw.send(headers(1, request()) + frame(kRstStream, 0, 1, u32(8)));
  Recorder& reader = *raw.handler.calls.at(0)->reader;
  EXPECT_EQ(reader.cause, EndCause::kCancelled);
  EXPECT_EQ(reader.code, 1u);
  EXPECT_EQ(raw.connection->charged(), 0);
}

TEST(Server, TrailersLeaveEvenWhenTheWindowIsClosed) {
  RawServer raw;
  raw.send(frame(kSettings, 0, 0, std::string("\0\4", 2) + u32(10)));  // a window of 10 bytes
  raw.handler.hook = [](ServerSide& call) { write(call.writer.get(), "12345"); };
  raw.send(headers(1, request(), kEndHeaders | kEndStream));
  ASSERT_NE(raw.find(kData, 1), nullptr);
  EXPECT_EQ(raw.find(kData, 1)->payload, message("12345"));
  finish(raw.handler.calls[0]->writer.get());
  raw.connection->turn();
  raw.collect();
  EXPECT_EQ(raw.answer(1)->get("grpc-status"), "0");
  EXPECT_EQ(raw.handler.calls[0]->reader->order(), "half_close end");
}

TEST(Server, AnAnswerWaitsForTheWindow) {
  RawServer raw;
  raw.send(frame(kSettings, 0, 0, std::string("\0\4", 2) + u32(3)));
  raw.handler.hook = [](ServerSide& call) {
    write(call.writer.get(), "12345");
    finish(call.writer.get(), 0);
  };
  raw.send(headers(1, request(), kEndHeaders | kEndStream));
  EXPECT_EQ(raw.find(kData, 1)->payload, message("12345").substr(0, 3));
  EXPECT_FALSE(raw.handler.calls[0]->reader->ended);
  EXPECT_EQ(raw.handler.calls[0]->writer->queued_bytes(), 7u);
  raw.send(frame(kWindowUpdate, 0, 1, u32(100)));
  EXPECT_EQ(raw.answer(1)->get("grpc-status"), "0");
  EXPECT_EQ(raw.handler.calls[0]->reader->order(), "end");
  EXPECT_EQ(raw.handler.calls[0]->reader->cause, EndCause::kFinished);
}

// request() comes, and more bytes before the flush that delivers: the order is that of the wire.
TEST(Server, MessagesKeepTheirOrderAcrossCredit) {
  RawServer raw;
  raw.send(headers(1, request()) +
           frame(kData, 0, 1, message("0") + message("1") + message("2").substr(0, 3)));
  ServerSide& call = *raw.handler.calls.at(0);
  call.writer->request(1);
  raw.connection->feed(frame(kData, 0, 1, message("2").substr(3) + message("3")));
  EXPECT_EQ(call.reader->messages, std::vector<std::string>{"0"});
  call.writer->request(5);
  raw.send(frame(kData, kEndStream, 1, message("4")));
  EXPECT_EQ(call.reader->messages, (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  EXPECT_EQ(call.reader->events.back(), "half_close");
}

TEST(Server, SettingsSayWhatTheLimitsSay) {
  auto setting = [](const Frame& f, uint16_t id) -> int64_t {
    for (size_t at = 0; at + 6 <= f.payload.size(); at += 6) {
      if (static_cast<uint8_t>(f.payload[at]) == 0 && static_cast<uint8_t>(f.payload[at + 1]) == id)
        return f.number(at + 2);
    }
    return -1;
  };
  RawServer plain;
  EXPECT_EQ(setting(*plain.find(kSettings), 3), -1) << "2^32-1 streams are not announced";
  EXPECT_EQ(setting(*plain.find(kSettings), 4), 65536);
  EXPECT_EQ(setting(*plain.find(kSettings), 6), 16384);
  plugin::TransportLimits limits;
  limits.max_concurrent_streams = 2;
  RawServer bounded(limits);
  EXPECT_EQ(setting(*bounded.find(kSettings), 3), 2);
  bounded.send(headers(1, request()) + headers(3, request()) + headers(5, request()));
  EXPECT_EQ(bounded.handler.count, 2u);
}

TEST(Server, NoAnswerToTheSecondHalfOfAMessageAfterFinish) {
  RawServer raw;
  raw.handler.hook = [](ServerSide& call) { finish(call.writer.get(), 9, "stop"); };
  raw.send(headers(1, request()));
  raw.send(frame(kData, 0, 1, message(std::string(1000, 'x'))) + frame(kData, kEndStream, 1, message("y")));
  EXPECT_EQ(raw.handler.calls[0]->reader->order(), "end");
  EXPECT_EQ(raw.answer(1)->get("grpc-status"), "9");
  EXPECT_EQ(raw.answer(1)->get("grpc-message"), "stop");
  EXPECT_FALSE(raw.connection->close_asked());
}

TEST(Server, AMessageAboveTheSendLimitEndsTheCall) {
  plugin::TransportLimits limits;
  limits.max_send_message = 100;
  RawServer raw(limits);
  raw.handler.hook = [](ServerSide& call) { write(call.writer.get(), std::string(101, 'x')); };
  raw.send(headers(1, request(), kEndHeaders | kEndStream));
  EXPECT_EQ(raw.answer(1)->get("grpc-status"), "8");
  EXPECT_EQ(raw.answer(1)->get("grpc-message"), "grpc: trying to send message larger than max (101 vs. 100)");
}

TEST(Server, MatchNeedsTheWholePreface) {
  auto transport = load_transport(QUORATE_BINARY_DIR);
  for (size_t n = 0; n < kPreface.size(); ++n) {
    EXPECT_EQ(transport->match(view(kPreface.substr(0, n)), {}), plugin::Match::kNeedMore) << n;
  }
  EXPECT_EQ(transport->match(view(kPreface), {}), plugin::Match::kYes);
  EXPECT_EQ(transport->match(view(std::string(kPreface) + "x"), view("h2")), plugin::Match::kYes);
  EXPECT_EQ(transport->match(view("GET / HTTP/1.1"), {}), plugin::Match::kNo);
  EXPECT_EQ(transport->match(view("PRI * HTTP/1"), {}), plugin::Match::kNo);
  EXPECT_EQ(transport->match(view(kPreface), view("http/1.1")), plugin::Match::kNo);
  EXPECT_EQ(text(transport->alpn()), "h2");
}

TEST(Server, OptionsAreChecked) {
  EXPECT_NO_THROW(load_transport(QUORATE_BINARY_DIR, {{"stream-window", "100000"}}));
  const std::pair<std::pair<std::string, std::string>, std::string> kWrong[] = {
      {{"windows", "1"}, "transport-grpc: option windows: is not known"},
      {{"stream-window", "12"},
       "transport-grpc: option stream-window: 12 is not between 16384 and 1073741824"},
      {{"noise-rate", "many"}, "transport-grpc: option noise-rate: \"many\" is not a number"},
      {{"reset-rate", ""}, "transport-grpc: option reset-rate: \"\" is not a number"}};
  for (const auto& [option, want] : kWrong) {
    try {
      load_transport(QUORATE_BINARY_DIR, {option});
      ADD_FAILURE() << option.first;
    } catch (const std::runtime_error& e) {
      EXPECT_EQ(e.what(), want);
    }
  }
}

}  // namespace
}  // namespace quorate::test
