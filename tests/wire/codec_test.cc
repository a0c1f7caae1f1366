// The codec's rules one by one, and its pieces: writer, reader, arena, printing.
#include "wire/codec.h"

#include <gtest/gtest.h>

#include "api/messages.h"
#include "wire/reader.h"
#include "wire/text.h"

namespace quorate::wire {
namespace {

using namespace std::literals;

template <typename M>
DecodeError verdict(std::string_view bytes) {
  Arena arena;
  M m;
  return decode(&m, bytes, arena);
}

TEST(Decode, LastScalarWinsAndSubMessagesMerge) {
  Arena arena;
  api::PutResponse m;
  // prev_kv {key "a", version 1}, prev_kv {value "v", version 2}
  ASSERT_EQ(decode(&m,
                   "\x12\x05\x0a\x01"
                   "a\x20\x01\x12\x05\x2a\x01v\x20\x02"sv,
                   arena),
            DecodeError::kNone);
  ASSERT_NE(m.prev_kv, nullptr);
  EXPECT_EQ(m.prev_kv->key, "a");
  EXPECT_EQ(m.prev_kv->value, "v");
  EXPECT_EQ(m.prev_kv->version, 2);
}

TEST(Decode, TheLastOfAOneofWinsAndTheOthersAreZero) {
  Arena arena;
  api::Compare m;
  // version 7, value "x", mod_revision 0
  ASSERT_EQ(decode(&m, "\x20\x07\x3a\x01x\x30\x00"sv, arena), DecodeError::kNone);
  EXPECT_EQ(m.target_union_case, api::Compare::TargetUnionCase::kModRevision);
  EXPECT_EQ(m.version, 0);
  EXPECT_EQ(m.value, "");
  EXPECT_EQ(encode_to_string(m), "\x30\x00"sv) << "a member that is set is written even if zero";
}

TEST(Decode, ViewsPointIntoTheInput) {
  std::string bytes = "\x0a\x03key\x12\x05value";
  Arena arena;
  api::PutRequest m;
  ASSERT_EQ(decode(&m, bytes, arena), DecodeError::kNone);
  EXPECT_EQ(m.key.data(), bytes.data() + 2);
  EXPECT_EQ(arena.used(), 0u);
}

TEST(Decode, PackedAndUnpackedEnums) {
  Arena arena;
  api::WatchCreateRequest m;
  ASSERT_EQ(decode(&m, "\x28\x01\x2a\x02\x00\x01\x28\x00"sv, arena), DecodeError::kNone);
  ASSERT_EQ(m.filters.size(), 4u);
  EXPECT_EQ(encode_to_string(m), "\x2a\x04\x01\x00\x01\x00"sv);
}

TEST(Decode, NegativeNumbersTakeTenBytes) {
  api::RangeRequest m;
  m.limit = -1;
  m.sort_order = static_cast<api::RangeRequest::SortOrder>(-1);
  EXPECT_EQ(encode_to_string(m),
            "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv);
}

TEST(Decode, Refusals) {
  EXPECT_EQ(verdict<api::PutRequest>("\x00"sv), DecodeError::kMalformed) << "field number 0";
  EXPECT_EQ(verdict<api::PutRequest>("\x02\x00"sv), DecodeError::kMalformed) << "field number 0, bytes";
  EXPECT_EQ(verdict<api::PutRequest>("\x0a\x05"
                                     "ab"sv),
            DecodeError::kMalformed);
  EXPECT_EQ(verdict<api::PutRequest>("\x0a\xff\xff\xff\xff\x0f"sv), DecodeError::kMalformed);
  EXPECT_EQ(verdict<api::PutRequest>("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv),
            DecodeError::kMalformed);
  EXPECT_EQ(verdict<api::PutRequest>("\x0e"sv), DecodeError::kMalformed) << "wire type 6";
  EXPECT_EQ(verdict<api::PutRequest>("\x0c"sv), DecodeError::kMalformed)
      << "end of a group that did not begin";
  EXPECT_EQ(verdict<api::PutRequest>("\x53\x5c"sv), DecodeError::kMalformed) << "group 10 ended as 11";
  EXPECT_EQ(verdict<api::PutRequest>("\x53\x54"sv), DecodeError::kNone);
  EXPECT_EQ(verdict<api::PutRequest>("\x0a\x01\xff"sv), DecodeError::kNone) << "bytes are any bytes";
  EXPECT_EQ(verdict<api::AuthRoleAddRequest>("\x0a\x01\xff"sv), DecodeError::kInvalidUtf8);
  EXPECT_EQ(verdict<api::MemberAddRequest>("\x0a\x01\xff"sv), DecodeError::kInvalidUtf8);
  EXPECT_EQ(text_of(DecodeError::kInvalidUtf8), "string field contains invalid UTF-8");
}

TEST(Decode, AKnownFieldOfAnotherWireTypeIsSkipped) {
  Arena arena;
  api::PutRequest m;
  // key as varint, lease as bytes, lease as fixed64, then lease 5
  ASSERT_EQ(decode(&m,
                   "\x08\x01\x1a\x01z\x19"
                   "12345678\x18\x05"sv,
                   arena),
            DecodeError::kNone);
  EXPECT_EQ(m.key, "");
  EXPECT_EQ(m.lease, 5);
}

std::string nested_txn(int levels) {
  std::string bytes;
  for (int i = 0; i < levels; i++) {
    Writer op, txn;
    op.message_field(4, bytes);
    txn.message_field(2, op.view());
    bytes = txn.view();
  }
  return bytes;
}

TEST(Decode, DepthIsBounded) {
  // Each level is a RequestOp and a TxnRequest.
  EXPECT_EQ(verdict<api::TxnRequest>(nested_txn(50)), DecodeError::kNone);
  EXPECT_EQ(verdict<api::TxnRequest>(nested_txn(51)), DecodeError::kTooDeep);
  EXPECT_EQ(verdict<api::TxnRequest>(nested_txn(2000)), DecodeError::kTooDeep);
  EXPECT_EQ(verdict<api::PutRequest>(std::string(100, '\x53') + std::string(100, '\x54')),
            DecodeError::kNone);
  EXPECT_EQ(verdict<api::PutRequest>(std::string(101, '\x53') + std::string(101, '\x54')),
            DecodeError::kTooDeep);
  EXPECT_EQ(verdict<api::PutRequest>(std::string(1000000, '\x53')), DecodeError::kTooDeep);
}

TEST(Decode, MemoryIsBounded) {
  std::string bytes;
  for (int i = 0; i < 100000; i++) bytes += "\x0a\x00"sv;  // empty compares
  Arena enough, small(100000);
  api::TxnRequest m;
  EXPECT_EQ(decode(&m, bytes, enough), DecodeError::kNone);
  EXPECT_EQ(m.compare.size(), 100000u);
  EXPECT_EQ(decode(&m, bytes, small), DecodeError::kTooLarge);
  EXPECT_LE(small.used(), 100000u);
}

TEST(Writer, BuildsAMessageFromEncodedParts) {
  api::ResponseHeader header{1, 2, 3, 4};
  api::KeyValue kv{"k", 5, 6, 7, "v", 8};
  api::RangeResponse m;
  m.header = &header;
  api::KeyValue two[] = {kv, kv};
  m.kvs = {two, 2};
  m.more = true;
  m.count = 300;

  std::string stored = encode_to_string(kv);
  Writer w;
  w.message_field(1, encode_to_string(header));
  w.message_field(2, stored);
  w.message_header(2, stored.size());
  w.append(stored);
  w.varint_field(3, 1);
  w.varint_field(4, 300);
  w.varint_field(5, 0);
  w.bytes_field(6, "");
  EXPECT_EQ(w.view(), encode_to_string(m));
  EXPECT_EQ(w.size(), encoded_size(m));
  EXPECT_EQ(bytes_field_size(2, stored.size()), stored.size() + 2);
  EXPECT_EQ(varint_field_size(4, 300), 3u);
  EXPECT_EQ(varint_field_size(4, 0), 0u);

  plugin::Buffer taken = w.take();
  EXPECT_EQ(std::string_view(taken.chars(), taken.size()), encode_to_string(m));
  EXPECT_EQ(w.size(), 0u);
  w.append("again");
  EXPECT_EQ(w.view(), "again");
}

TEST(Primitives, VarintSizes) {
  for (int bits = 0; bits < 64; bits++)
    for (uint64_t v : {uint64_t{1} << bits, (uint64_t{1} << bits) - 1}) {
      uint8_t buffer[10];
      EXPECT_EQ(varint_size(v), static_cast<size_t>(write_varint(buffer, v) - buffer)) << v;
      uint64_t back = 0;
      EXPECT_EQ(read_varint(buffer, buffer + varint_size(v), &back), buffer + varint_size(v));
      EXPECT_EQ(back, v);
      EXPECT_EQ(read_varint(buffer, buffer + varint_size(v) - 1, &back), nullptr);
    }
}

TEST(FieldReader, YieldsFieldsInOrder) {
  FieldReader r(
      "\x0a\x01k\x10\x05\x19"
      "12345678\x2a\x01v"sv);
  ASSERT_TRUE(r.next());
  EXPECT_TRUE(r.number() == 1 && r.is_bytes() && r.bytes() == "k");
  ASSERT_TRUE(r.next());
  EXPECT_TRUE(r.number() == 2 && r.is_varint() && r.varint() == 5);
  EXPECT_EQ(r.raw(), "\x10\x05");
  ASSERT_TRUE(r.next());
  EXPECT_EQ(r.type(), WireType::kFixed64);
  ASSERT_TRUE(r.next());
  EXPECT_EQ(r.bytes(), "v");
  EXPECT_FALSE(r.next());
  EXPECT_TRUE(r.ok());
  FieldReader bad("\x10\x05\x0a\x09x"sv);
  EXPECT_TRUE(bad.next());
  EXPECT_FALSE(bad.next());
  EXPECT_FALSE(bad.ok());
  EXPECT_FALSE(bad.next());
}

TEST(Repeated, GrowsInTheArena) {
  Arena arena;
  Repeated<int64_t> a, b;
  for (int64_t i = 0; i < 1000; i++) {
    a.push_back(arena, i);
    if (i % 3 == 0) b.push_back(arena, -i);
  }
  for (int64_t i = 0; i < 1000; i++) EXPECT_EQ(a[static_cast<size_t>(i)], i);
  EXPECT_EQ(b.size(), 334u);
  int64_t mine[] = {1, 2};
  Repeated<int64_t> view(mine, 2);
  view.push_back(arena, 3);
  EXPECT_EQ(view.size(), 3u);
  EXPECT_EQ(view[0] + view[1] + view[2], 6);
  arena.reset();
  EXPECT_EQ(arena.used(), 0u);
}

TEST(Text, ShowsEverythingButSecrets) {
  api::AlarmMember alarm{10276657743932975437u, api::AlarmType::kNoSpace};
  EXPECT_EQ(to_text(alarm), "memberID:10276657743932975437 alarm:NOSPACE");
  api::AuthenticateRequest auth{"root", "hunter2"};
  EXPECT_EQ(to_text(auth), R"(name:"root" password:"***")");
  api::AuthenticateResponse token;
  token.token = "hunter2";
  EXPECT_EQ(to_text(token).find("hunter2"), std::string::npos);
  for (const MessageTable* t :
       {&api::AuthUserAddRequest::kTable, &api::AuthUserChangePasswordRequest::kTable})
    for (const Field& f : *t) {
      bool secret = f.name == "password" || f.name == "hashedPassword";
      EXPECT_EQ((f.flags & kSecret) != 0, secret) << f.name;
    }
  EXPECT_NE(api::User::kTable.find(2)->flags & kSecret, 0);

  Arena arena;
  api::TxnRequest txn;
  api::PutRequest put{"a\"\n", std::string(200, 'x'), -3};
  std::string value(200, 'x');
  put.value = value;
  txn.success.push_back(arena).set_request_put(&put);
  txn.compare.push_back(arena);
  EXPECT_EQ(to_text(txn, {.max_bytes = 4}),
            R"(compare:{} success:{request_put:{key:"a\"\x0a" value:"xxxx"...(200 bytes) lease:-3}})");
  api::Compare compare{.key = "k"};
  compare.set_value("secret");
  txn.compare.push_back(arena) = compare;
  EXPECT_EQ(
      to_text(txn, {.sizes_only = true}),
      R"(compare:{} compare:{key:"k" value_size:6} success:{request_put:{key:"a\"\x0a" value_size:200 lease:-3}})");
}

}  // namespace
}  // namespace quorate::wire
