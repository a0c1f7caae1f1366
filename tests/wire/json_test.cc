// JSON against protobuf's own, and by the conventions of etcd's gateway where the two differ.
#include "wire/json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "api/messages.h"
#include "wire/base64.h"
#include "wire/codec.h"
#include "wire/random_message.h"

namespace quorate::wire {
namespace {

namespace util = google::protobuf::util;
using namespace std::literals;

// Everything but Health's map, which JSON writes as an object and no gateway path carries.
std::vector<const MessageTable*> gateway_messages() {
  std::vector<const MessageTable*> out;
  for (const MessageTable* table : all_tables())
    if (table->name.find("HealthList") == std::string_view::npos) out.push_back(table);
  return out;
}

std::string protobuf_json(const google::protobuf::Message& m) {
  util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string out;
  EXPECT_TRUE(util::MessageToJsonString(m, &out, options).ok());
  return out;
}

class Struct {
 public:
  explicit Struct(const MessageTable& table) : table_(table), bytes_(table.size / sizeof(uint64_t) + 1) {}
  void* get() { return bytes_.data(); }
  std::string json() {
    std::string out;
    to_json(table_, get(), &out);
    return out;
  }
  std::string encoded() {
    Writer w;
    encode(table_, get(), w);
    return std::string(w.view());
  }
  JsonResult parse(std::string_view text, Arena& arena) { return from_json(table_, get(), text, arena); }

 private:
  const MessageTable& table_;
  std::vector<uint64_t> bytes_;
};

TEST(Json, WritesWhatProtobufWrites) {
  RandomMessages random(test_seed());
  SCOPED_TRACE(testing::Message() << "QUORATE_SEED=" << test_seed());
  for (const MessageTable* table : gateway_messages()) {
    auto m = new_protobuf(*table);
    for (int i = rounds(200, 10000); i > 0; i--) {
      m->Clear();
      random.fill(m.get(), {.plain_strings = true, .depth = 4});
      Arena arena;
      Struct ours(*table);
      copy_to_struct(*m, *table, ours.get(), arena);
      ASSERT_EQ(ours.json(), protobuf_json(*m)) << table->name;
    }
  }
}

TEST(Json, IsReadByProtobufAndReadsProtobufs) {
  RandomMessages random(test_seed());
  SCOPED_TRACE(testing::Message() << "QUORATE_SEED=" << test_seed());
  for (const MessageTable* table : gateway_messages()) {
    auto m = new_protobuf(*table), back = new_protobuf(*table);
    for (int i = rounds(200, 10000); i > 0; i--) {
      m->Clear();
      random.fill(m.get(), {.plain_strings = false, .depth = 4});
      std::string bytes = m->SerializeAsString();
      Arena arena;
      Struct ours(*table), read(*table), camel(*table);
      copy_to_struct(*m, *table, ours.get(), arena);
      back->Clear();
      ASSERT_TRUE(util::JsonStringToMessage(ours.json(), back.get()).ok()) << ours.json();
      ASSERT_EQ(back->SerializeAsString(), bytes) << ours.json();

      std::string theirs = protobuf_json(*m);
      JsonResult r = read.parse(theirs, arena);
      ASSERT_TRUE(r.ok) << r.error << "\n" << theirs;
      ASSERT_EQ(r.consumed, theirs.size());
      ASSERT_EQ(read.encoded(), bytes) << theirs;

      theirs.clear();
      util::JsonPrintOptions pretty;  // lowerCamel names, numbers for enums, white space, defaults
      pretty.add_whitespace = true;
      pretty.always_print_enums_as_ints = true;
      pretty.always_print_primitive_fields = true;
      ASSERT_TRUE(util::MessageToJsonString(*m, &theirs, pretty).ok());
      r = camel.parse(theirs, arena);
      ASSERT_TRUE(r.ok) << r.error << "\n" << theirs;
      ASSERT_EQ(camel.encoded(), bytes) << theirs;
    }
  }
}

TEST(Json, DamagedTextIsNeverACrash) {
  RandomMessages random(test_seed());
  SCOPED_TRACE(testing::Message() << "QUORATE_SEED=" << test_seed());
  for (const MessageTable* table : gateway_messages()) {
    auto m = new_protobuf(*table);
    for (int i = rounds(100, 10000); i > 0; i--) {
      m->Clear();
      random.fill(m.get(), {.plain_strings = false, .depth = 3});
      Arena arena;
      Struct ours(*table), read(*table);
      copy_to_struct(*m, *table, ours.get(), arena);
      std::string text = ours.json();
      if (random.one_in(2))
        text.resize(random.below(text.size()));
      else
        text[random.below(text.size())] = "{}[]\",:\\u0ed-.nt\xff"[random.below(17)];
      JsonResult r = read.parse(text, arena);
      ASSERT_EQ(r.ok, r.error.empty());
      if (r.ok) read.encoded();
    }
  }
}

template <typename M>
std::string error_of(std::string_view text) {
  Arena arena;
  M m;
  JsonResult r = from_json(&m, text, arena);
  EXPECT_FALSE(r.ok) << text;
  return r.error;
}

TEST(Json, GatewayExchanges) {
  api::ResponseHeader header{14841639068965178418u, 10276657743932975437u, 2, 2};
  api::KeyValue kv{"foo", 2, 2, 1, "bar", 0};
  api::RangeResponse range;
  range.header = &header;
  range.kvs = {&kv, 1};
  range.count = 1;
  EXPECT_EQ(
      to_json(range),
      R"({"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"2",)"
      R"("raft_term":"2"},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1",)"
      R"("value":"YmFy"}],"count":"1"})");
  Arena arena;
  api::TxnRequest txn;
  JsonResult r =
      from_json(&txn,
                R"({"compare":[{"target":"VERSION","key":"Zm9v","result":"EQUAL","version":"0"}],)"
                R"("success":[{"request_put":{"key":"Zm9v","value":"YmFy"}}],"unknown":[{"a":null}]} tail)",
                arena);
  ASSERT_TRUE(r.ok) << r.error;
  EXPECT_EQ(
      r.consumed,
      std::string_view(R"({"compare":[{"target":"VERSION","key":"Zm9v","result":"EQUAL","version":"0"}],)"
                       R"("success":[{"request_put":{"key":"Zm9v","value":"YmFy"}}],"unknown":[{"a":null}]})")
          .size());
  ASSERT_EQ(txn.compare.size(), 1u);
  EXPECT_EQ(txn.compare[0].target_union_case, api::Compare::TargetUnionCase::kVersion);
  ASSERT_EQ(txn.success.size(), 1u);
  ASSERT_NE(txn.success[0].request_put, nullptr);
  EXPECT_EQ(txn.success[0].request_put->value, "bar");
}

TEST(Json, NumbersAsInGo) {
  Arena arena;
  api::RangeRequest m;
  for (auto [text, value] : std::initializer_list<std::pair<const char*, int64_t>>{
           {R"({"limit":5})", 5},
           {R"({"limit":"5"})", 5},
           {R"({"limit":-5})", -5},
           {R"({"limit":1e3})", 1000},
           {R"({"limit":"1.50e1"})", 15},
           {R"({"limit":100e-2})", 1},
           {R"({"limit":-0})", 0},
           {R"({"limit":null})", 0},
           {R"({"limit":0e999999999999})", 0},
           {R"({"limit":"9223372036854775807"})", INT64_MAX},
           {R"({"limit":-9223372036854775808})", INT64_MIN}}) {
    JsonResult r = from_json(&m, text, arena);
    EXPECT_TRUE(r.ok) << text << r.error;
    EXPECT_EQ(m.limit, value) << text;
  }
  for (const char* text :
       {R"({"limit":1.5})", R"({"limit":"1 "})", R"({"limit":""})", R"({"limit":9223372036854775808})",
        R"({"limit":1e19})", R"({"limit":1e999999999999})", R"({"limit":-9223372036854775809})",
        R"({"limit":true})", R"({"limit":[1]})", R"({"limit":01})", R"({"limit":.5})",
        R"({"serializable":"true"})", R"({"serializable":1})", R"({"key":5})", R"({"sort_order":1.5})",
        R"({"sort_order":2147483648})"})
    EXPECT_FALSE(error_of<api::RangeRequest>(text).empty());
  EXPECT_FALSE(error_of<api::MoveLeaderRequest>(R"({"targetID":-1})").empty());
  EXPECT_FALSE(error_of<api::HashResponse>(R"({"hash":4294967296})").empty());
}

TEST(Json, RefusesWithTheReason) {
  EXPECT_EQ(error_of<api::RangeRequest>(R"({"limit":"x"})"),
            R"(proto: (line 1:10): invalid value for int64 field limit: "x")");
  EXPECT_EQ(error_of<api::RangeRequest>("{\n \"key\": \"!\"}"),
            R"(proto: (line 2:9): invalid value for bytes field key: "!")");
  EXPECT_EQ(error_of<api::RangeRequest>(R"({"key":"","key":""})"),
            R"(proto: (line 1:11): duplicate field "key")");
  EXPECT_EQ(error_of<api::RangeRequest>(R"({"range_end":"","rangeEnd":""})"),
            R"(proto: (line 1:17): duplicate field "rangeEnd")");
  EXPECT_EQ(
      error_of<api::RequestOp>(R"({"request_put":{},"request_range":{}})"),
      R"(proto: (line 1:19): error parsing "request_range", oneof etcdserverpb.RequestOp.request is already set)");
  EXPECT_EQ(error_of<api::RangeRequest>("{"), "unexpected EOF");
  EXPECT_EQ(error_of<api::RangeRequest>(R"({"max_mod_revision":1.5})"),
            "proto: (line 1:21): invalid value for int64 field maxModRevision: 1.5");
  EXPECT_EQ(error_of<api::RangeRequest>("[]"), "proto: syntax error (line 1:1): unexpected token [");
  for (const char* text :
       {"{\"key\":\"\x01\"}", "{\"unknown\":\"\xff\"}", R"({"unknown":"\ud800"})", R"({"x":"\q"})",
        R"({"x":"\ud800\u0041"})", R"({"x":01})", R"({"x":nul})", R"({"x":[1,]})", R"({,})", R"({"x" 1})",
        R"({"request_put":null,})", R"({"kvs":[null]})"})
    EXPECT_FALSE(error_of<api::RangeResponse>(text).empty());
}

TEST(Json, TellsIncompleteFromWrong) {
  constexpr std::string_view kText =
      R"( {"create_request":{"key":"Zm9v","filters":["NOPUT",1],"watch_id":"12"}})";
  for (size_t n = 0; n < kText.size(); n++) {
    Arena arena;
    api::WatchRequest m;
    JsonResult r = from_json(&m, kText.substr(0, n), arena);
    EXPECT_FALSE(r.ok);
    EXPECT_TRUE(r.incomplete) << n;
  }
  Arena arena;
  api::WatchRequest m;
  std::string two(kText);
  two += "{}";
  JsonResult r = from_json(&m, two, arena);
  ASSERT_TRUE(r.ok) << r.error;
  EXPECT_EQ(r.consumed, kText.size());
  ASSERT_EQ(m.create_request->filters.size(), 2u);
  EXPECT_EQ(m.create_request->filters[1], api::WatchCreateRequest::FilterType::kNoDelete);
  EXPECT_FALSE(from_json(&m, "{]", arena).incomplete);
}

TEST(Json, DepthIsBounded) {
  auto nested = [](int levels) {
    std::string open, close;
    for (int i = 0; i < levels; i++) open += R"({"success":[{"request_txn":)", close += "}]}";
    return open + "{}" + close;
  };
  Arena arena;
  api::TxnRequest m;
  EXPECT_TRUE(from_json(&m, nested(50), arena).ok);
  EXPECT_NE(error_of<api::TxnRequest>(nested(51)).find("recursion"), std::string::npos);
  EXPECT_NE(error_of<api::TxnRequest>(nested(100000)).find("recursion"), std::string::npos);
  std::string arrays = "{\"x\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_NE(error_of<api::TxnRequest>(arrays).find("recursion"), std::string::npos);
}

TEST(Json, UnknownEnumNamesAreIgnored) {
  Arena arena;
  api::RangeRequest m;
  ASSERT_TRUE(from_json(&m, R"({"sort_order":"SIDEWAYS","sort_target":7})", arena).ok);
  EXPECT_EQ(m.sort_order, api::RangeRequest::SortOrder::kNone);
  EXPECT_EQ(to_json(m), R"({"sort_target":7})");
}

TEST(Json, Escapes) {
  Arena arena;
  api::AuthRoleAddRequest m;
  JsonResult r = from_json(&m, R"({"na\u006de":"\u00e9\ud83d\ude00\u0800A\n\b\f\r\t\/\\\"\u0000"})", arena);
  ASSERT_TRUE(r.ok) << r.error;
  EXPECT_EQ(m.name, "\u00e9\U0001F600\u0800A\n\b\f\r\t/\\\"\0"sv);
}

TEST(Json, BrokenUtf8IsReplaced) {
  std::string out;
  append_json_string("a\xff\"\xe6\xbc", &out);
  EXPECT_EQ(out, "\"a\xef\xbf\xbd\\\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(Base64, BothAlphabetsPaddedOrNot) {
  Arena arena;
  std::string_view b;
  for (const char* text : {"+/8=", "-_8=", "-_8", "+/8", "+/\r\n8=\r\n"}) {
    ASSERT_TRUE(decode_base64(text, arena, &b)) << text;
    EXPECT_EQ(b, "\xfb\xff") << text;
  }
  for (const char* text :
       {"+_8=", "A", "AAAAA", "A===", "AA=A", "=AAA", "AAA==", "AA=", "AAAA====", "AA A", "AA\xff="})
    EXPECT_FALSE(decode_base64(text, arena, &b)) << text;
  RandomMessages random(test_seed());
  for (int i = 0; i < 1000; i++) {
    std::string bytes = random.bytes(), text;
    append_base64(bytes, &text);
    EXPECT_EQ(text.size(), (bytes.size() + 2) / 3 * 4);
    ASSERT_TRUE(decode_base64(text, arena, &b));
    ASSERT_EQ(b, bytes);
  }
}

}  // namespace
}  // namespace quorate::wire
