// Which requests are HTTP and which are not: what nghttp2 leaves to us on the server's side. Verdicts are
// those of grpc-go's server.
#include <gtest/gtest.h>

#include "transport/raw_http2.h"

namespace quorate::test {
namespace {

constexpr uint32_t kProtocolError = 1;
constexpr uint8_t kWhole = kEndHeaders | kEndStream;

Fields with(Fields fields, const Fields& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

void expect_served(const Fields& fields, std::string_view authority) {
  RawServer raw;
  raw.handler.hook = [](ServerSide& call) { answer_unary(call, [](const std::string& m) { return m; }); };
  raw.send(headers(1, fields) + frame(kData, kEndStream, 1, message("hi")));
  ASSERT_EQ(raw.handler.count, 1u);
  EXPECT_EQ(raw.handler.calls[0]->authority, authority);
  EXPECT_EQ(raw.answer(1)->get("grpc-status"), "0");
  EXPECT_EQ(raw.find(kRstStream), nullptr);
}

void expect_reset(const std::string& bytes, uint64_t calls_before, const std::string& what) {
  SCOPED_TRACE(what);
  RawServer raw;
  raw.send(bytes);
  const Frame* reset = raw.find(kRstStream, 1);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->number(), kProtocolError);
  EXPECT_EQ(raw.find(kHeaders, 1), nullptr);
  EXPECT_EQ(raw.handler.count, calls_before);
  EXPECT_EQ(raw.connection->session()->open_calls(), 0u);
  raw.send(headers(3, request(), kWhole));
  EXPECT_EQ(raw.handler.count, calls_before + 1) << "the connection serves others";
}

TEST(Request, AnyAuthorityIsServed) {
  const std::string kAuthorities[] = {"http://127.0.0.1:2379",  // etcdctl 3.4: endpoint status
                                      "https://h:1/path?q#f",
                                      "unix:///tmp/sock",
                                      "unix://localhost:0",
                                      "passthrough:///h:1",
                                      "#initially=[http://127.0.0.1:2379;http://127.0.0.1:22379]",
                                      "user:password@h",
                                      "[::1]:2379",
                                      "[fe80::1%25eth0]",
                                      "h:99999",
                                      "/",
                                      " a b ",
                                      "\"<>\\^`{|}",
                                      "h\xc3\xb6st",
                                      "\xff\xfe",
                                      std::string(8000, 'a')};
  for (const std::string& authority : kAuthorities) {
    SCOPED_TRACE(authority.substr(0, 80));
    expect_served(request({{":authority", authority}}), authority);
    expect_served(request({{":authority", ""}, {"host", authority}}), authority);
  }
  expect_served(request({{":authority", ""}}), "");
  Fields empty = {{":authority", ""}, {":method", "POST"}, {":path", "/p.S/M"}};
  expect_served(with(empty, {{"content-type", "application/grpc"}, {"host", "h"}}), "");
}

TEST(Request, WhatGrpcDoesNotAskFor) {
  const Fields kOdd[] = {
      request({{":scheme", ""}}),
      request({{":scheme", "4: no scheme"}}),
      request({{":protocol", "websocket"}, {"content-type", ""}, {"te", ""}, {":scheme", ""}}),
      request({{"te", "gzip"}}),
      request({{"te", ""}}),
      request({{"keep-alive", "1"}, {"transfer-encoding", "chunked"}, {"upgrade", "h2c"}}),
      request({{"priority", "u=99"}}),
      request({{"x", " spaces around\t"}}),
      request({{"x", "\x80\xff"}}),
      request({{"!#$%&'*+-.^_`|~09az", "x"}}),
  };
  for (Fields fields : kOdd) {
    SCOPED_TRACE(hpack(fields));
    if (fields.back().first == ":protocol") fields = with(fields, {{"content-type", "application/grpc"}});
    expect_served(fields, "a:1");
  }
}

TEST(Request, MalformedFieldsResetTheStream) {
  std::vector<std::pair<std::string, Fields>> cases = {
      {"connection", request({{"connection", "close"}})},
      {"capitals", request({{"Upper", "x"}})},
      {"a capital inside", request({{"uppEr", "x"}})},
      {"no name", with(request(), {{"", "x"}})},
      {"a space in the name", with(request(), {{"a b", "x"}})},
      {"a colon in the name", with(request(), {{"a:b", "x"}})},
      {"not ASCII in the name", with(request(), {{"\xc3\xb6", "x"}})},
      {"a NUL in the name", with(request(), {{std::string("a\0b", 3), "x"}})},
      {"only a colon", with({{":", "x"}}, request())},
      {"an unknown pseudo header", with({{":unknown", "x"}}, request())},
      {"a pseudo header of answers", with({{":status", "200"}}, request())},
      {"a pseudo header in capitals", with({{":Path", "/a/b"}}, request())},
  };
  for (const char* name : {":method", ":scheme", ":path", ":authority", ":protocol"}) {
    cases.emplace_back(std::string("twice ") + name, with({{name, "POST"}, {name, "POST"}}, request()));
    Fields late = request({{name, ""}});
    cases.emplace_back(std::string("late ") + name, with(late, {{name, "POST"}}));
  }
  for (int c = 0; c < 256; ++c) {
    if ((c >= 0x20 || c == '\t') && c != 0x7f) continue;
    std::string value = "a" + std::string(1, static_cast<char>(c)) + "b";
    cases.emplace_back("control " + std::to_string(c) + " in a value", request({{"x", value}}));
    cases.emplace_back("control " + std::to_string(c) + " in :authority", request({{":authority", value}}));
    cases.emplace_back("control " + std::to_string(c) + " in :path", request({{":path", "/a/" + value}}));
  }
  for (const auto& [what, fields] : cases) {
    expect_reset(headers(1, fields), 0, what);
    expect_reset(headers(1, fields, kWhole), 0, what);
    std::string block = hpack(fields);
    for (size_t cut : {size_t{1}, block.size() / 2, block.size() - 1}) {
      expect_reset(frame(kHeaders, 0, 1, block.substr(0, cut)) +
                       frame(kContinuation, kEndHeaders, 1, block.substr(cut)),
                   0, what + ", in two frames");
    }
  }
}

TEST(Request, OneHostOnly) {
  for (bool authority : {true, false}) {
    RawServer raw;
    Fields fields = authority ? request() : request({{":authority", ""}});
    raw.send(headers(1, with(fields, {{"host", "a"}, {"host", "a"}})));
    ASSERT_NE(raw.answer(1), nullptr);
    EXPECT_EQ(raw.answer(1)->get(":status"), "400");
    EXPECT_EQ(raw.answer(1)->get("grpc-status"), "13");
    EXPECT_EQ(raw.answer(1)->get("grpc-message"),
              std::string("num values of :authority: ") + (authority ? "1" : "0") +
                  ", num values of host: 2, both must only have 1 value as per HTTP/2 spec");
    EXPECT_EQ(raw.handler.count, 0u);
    // The objects of calls are used again: nothing of this one stays.
    raw.send(headers(3, request({{"host", "b"}}), kWhole));
    EXPECT_EQ(raw.handler.count, 1u);
  }
}

// A method stays refused when the object served a POST before.
TEST(Request, TheMethodIsOfThisRequest) {
  RawServer raw;
  raw.handler.keep = false;
  raw.handler.hook = [](ServerSide& call) { finish(call.writer.get()); };
  raw.send(headers(1, request(), kWhole));
  raw.send(headers(3, request({{":method", ""}}), kWhole));
  EXPECT_EQ(raw.answer(3)->get(":status"), "405");
  EXPECT_EQ(raw.handler.count, 1u);
}

// The body ends where END_STREAM says; nothing else is believed, and nothing is allocated for it.
TEST(Request, ContentLengthIsNotBelieved) {
  for (const char* length : {"0", "3", "7", "8", "18446744073709551616", "-1", "x", " "}) {
    SCOPED_TRACE(length);
    RawServer raw;
    raw.handler.hook = [](ServerSide& call) { answer_unary(call, [](const std::string& m) { return m; }); };
    uint64_t before = heap_bytes();
    raw.send(headers(1, with(request(), {{"content-length", length}, {"content-length", "5"}})) +
             frame(kData, kEndStream, 1, message("hi")));
    EXPECT_LT(heap_bytes(), before + (64u << 10));
    ASSERT_NE(raw.find(kData, 1), nullptr);
    EXPECT_EQ(raw.find(kData, 1)->payload, message("hi"));
    EXPECT_EQ(raw.answer(1)->get("grpc-status"), "0");
  }
}

TEST(Request, Trailers) {
  const std::string first = headers(1, request()) + frame(kData, 0, 1, message("hi"));
  RawServer raw;
  raw.handler.hook = [](ServerSide& call) { answer_unary(call, [](const std::string& m) { return m; }); };
  raw.send(first + headers(1, {{"x", "ignored"}}, kWhole));
  EXPECT_EQ(raw.answer(1)->get("grpc-status"), "0");
  EXPECT_EQ(raw.find(kData, 1)->payload, message("hi"));

  expect_reset(first + headers(1, {{"x", "not the end"}}), 1, "trailers without END_STREAM");
  expect_reset(first + headers(1, {}), 1, "empty ones without END_STREAM");
  expect_reset(first + headers(1, {{":path", "/p.S/Other"}}, kWhole), 1, "a pseudo header in them");
  expect_reset(first + headers(1, {{"Upper", "x"}}, kWhole), 1, "capitals in them");
  expect_reset(first + headers(1, {{"connection", "x"}}, kWhole), 1, "connection in them");
}

// Core learns of a call that its peer breaks.
TEST(Request, ACallThatBreaksLaterEnds) {
  RawServer raw;
  raw.send(headers(1, request()) + headers(1, {{"x", "y"}}));
  Recorder& reader = *raw.handler.calls.at(0)->reader;
  EXPECT_EQ(reader.order(), "end");
  EXPECT_EQ(reader.cause, plugin::EndCause::kProtocolError);
  EXPECT_EQ(reader.end_text, "the stream was reset: PROTOCOL_ERROR");
  write(raw.handler.calls[0]->writer.get(), "nobody hears it");
  finish(raw.handler.calls[0]->writer.get());
  raw.connection->turn();
  EXPECT_FALSE(raw.connection->failed());
}

// A refused request is answered at once; more header blocks on it do not keep its stream busy.
TEST(Request, BlocksAfterARefusal) {
  RawServer raw;
  std::string bytes = headers(1, request({{"content-type", "text/html"}}));
  for (int i = 0; i < 1000; ++i) bytes += headers(1, {{"x", "y"}});
  raw.send(bytes);
  EXPECT_NE(raw.find(kRstStream, 1), nullptr);
  EXPECT_EQ(raw.connection->session()->open_calls(), 0u);
  raw.send(headers(3, request(), kWhole));
  EXPECT_EQ(raw.handler.count, 1u);
}

}  // namespace
}  // namespace quorate::test
