#include "mvcc/records.h"

#include <gtest/gtest.h>

#include <random>

#include "api/messages_kv.h"
#include "wire/codec.h"

namespace quorate::mvcc {
namespace {

std::string text(plugin::ByteView v) { return {v.chars(), v.size}; }

TEST(Records, KeysAreEtcds) {
  EXPECT_EQ(text(RecordKey({1, 2}, false).view()), std::string("\0\0\0\0\0\0\0\1_\0\0\0\0\0\0\0\2", 17));
  EXPECT_EQ(text(RecordKey({258, 0}, true).view()), std::string("\0\0\0\0\0\0\1\2_\0\0\0\0\0\0\0\0t", 18));
  Revision revision;
  bool tombstone = false;
  ASSERT_TRUE(parse_record_key(RecordKey({258, 7}, true).view(), &revision, &tombstone));
  EXPECT_EQ(revision, (Revision{258, 7}));
  EXPECT_TRUE(tombstone);
}

TEST(Records, ForeignKeysAreRefused) {
  Revision revision;
  bool tombstone = false;
  std::string good = text(RecordKey({5, 1}, true).view());
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_FALSE(parse_record_key({good.data(), i == 17 ? 16 : i}, &revision, &tombstone)) << i;
  }
  for (size_t i : {0u, 8u, 9u, 17u}) {
    std::string bad = good;
    bad[i] = static_cast<char>(0xff);
    EXPECT_FALSE(parse_record_key(bytes_of(bad), &revision, &tombstone)) << i;
  }
  std::string zero(17, '\0');
  zero[8] = '_';
  EXPECT_FALSE(parse_record_key(bytes_of(zero), &revision, &tombstone)) << "there is no revision 0";
}

TEST(Records, EncodeAsTheMessageTableDoes) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 2000; ++i) {
    auto number = [&]() -> int64_t {
      return random() % 3 == 0
                 ? 0
                 : static_cast<int64_t>(random() >> random() % 64) * (random() % 9 == 0 ? -1 : 1);
    };
    std::string key(random() % 200, 'k');
    std::string value(random() % 3 == 0 ? 0 : random() % 20000, 'v');
    api::KeyValue message;
    message.key = key;
    message.value = value;
    message.create_revision = number();
    message.mod_revision = number();
    message.version = number();
    message.lease = number();
    plugin::Buffer expected = wire::encode_to_buffer(message);
    KeyValueView kv{key,          value, message.create_revision, message.mod_revision, message.version,
                    message.lease};
    plugin::Buffer got = encode(kv);
    ASSERT_EQ(text(got.view()), text(expected.view()));
    KeyValueView back;
    ASSERT_TRUE(decode(got.view(), &back));
    EXPECT_EQ(back.key, key);
    EXPECT_EQ(back.value, value);
    EXPECT_EQ(back.create, kv.create);
    EXPECT_EQ(back.mod, kv.mod);
    EXPECT_EQ(back.version, kv.version);
    EXPECT_EQ(back.lease, kv.lease);
    if (!key.empty()) {
      EXPECT_EQ(key_of(got.view()), key);
    }
  }
}

TEST(Records, DecodingAnyBytesIsSafe) {
  std::mt19937_64 random(6);
  plugin::Buffer good = encode({"some/key", "a value", 3, 9, 2, 77});
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = text(good.view());
    bytes.resize(random() % (bytes.size() + 1));
    for (uint64_t n = random() % 4; n > 0 && !bytes.empty(); --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    auto heap =
        std::make_unique<uint8_t[]>(bytes.size());  // of the exact size: a sanitizer sees what reads beyond
    std::copy(bytes.begin(), bytes.end(), heap.get());
    KeyValueView kv;
    if (decode({heap.get(), bytes.size()}, &kv)) {
      EXPECT_LE(kv.key.size() + kv.value.size(), bytes.size());
    }
  }
}

TEST(Records, UnknownFieldsAreSkipped) {
  std::string bytes = text(encode({"k", "v", 1, 2, 3, 4}).view());
  std::string unknown(
      "\x50\x05\x5a\x02hi\x65"
      "abcd\x61"
      "12345678",
      6 + 5 + 9);
  KeyValueView kv;
  bytes = unknown + bytes + unknown;
  ASSERT_TRUE(decode(bytes_of(bytes), &kv));
  EXPECT_EQ(kv.key, "k");
  EXPECT_EQ(kv.lease, 4);
}

TEST(Records, AChecksumBelongsToItsRevision) {
  std::string record = text(encode({"k", "v", 1, 2, 3, 4}).view());
  RecordKey key({2, 0}, false);
  std::string stored = record + std::string(4, 0);
  store_checksum(record_checksum(key.view(), bytes_of(record)),
                 reinterpret_cast<uint8_t*>(stored.data()) + record.size());
  plugin::ByteView out;
  ASSERT_TRUE(open_record(key.view(), bytes_of(stored), &out));
  EXPECT_EQ(text(out), record);
  EXPECT_FALSE(open_record(RecordKey({3, 0}, false).view(), bytes_of(stored), &out));
  EXPECT_FALSE(open_record(RecordKey({2, 0}, true).view(), bytes_of(stored), &out));
  for (size_t i = 0; i < stored.size(); ++i) {
    std::string bad = stored;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(open_record(key.view(), bytes_of(bad), &out)) << i;
  }
  EXPECT_FALSE(open_record(key.view(), {stored.data(), 3}, &out));
}

TEST(Records, StateRoundTripsAndDamageIsSeen) {
  State state;
  state.batch = 9;
  state.applied = Index(77);
  state.applied_term = Term(3);
  state.revision = 12345;
  state.compacted = -1;
  state.state_hash = 0xfedcba9876543210;
  std::string bytes(State::kEncodedSize, 0);
  state.encode(reinterpret_cast<uint8_t*>(bytes.data()));
  State back;
  ASSERT_TRUE(State::decode(bytes_of(bytes), &back).ok());
  EXPECT_EQ(back.batch, state.batch);
  EXPECT_EQ(back.applied, state.applied);
  EXPECT_EQ(back.applied_term, state.applied_term);
  EXPECT_EQ(back.revision, state.revision);
  EXPECT_EQ(back.compacted, state.compacted);
  EXPECT_EQ(back.state_hash, state.state_hash);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_EQ(State::decode(bytes_of(bad), &back).code(),
              i < 4 ? plugin::Code::kIncompatible : plugin::Code::kCorruption)
        << i;
  }
  EXPECT_FALSE(State::decode({bytes.data(), 20}, &back).ok());
}

// Found by the fuzzer: a compaction above the current revision let the next one meet an assertion.
TEST(Records, AStateThatNoStoreCanBeInIsRefused) {
  struct Case {
    int64_t revision, compacted;
    bool good;
  };
  for (const Case& c : {Case{1, -1, true}, Case{7, 7, true}, Case{7, 0, true}, Case{7, 8, false},
                        Case{7, -2, false}, Case{0, -1, false}, Case{-5, -1, false},
                        Case{INT64_MAX, 3, false}, Case{State::kMaxRevision, 3, true}}) {
    State state, back;
    state.revision = c.revision;
    state.compacted = c.compacted;
    std::string bytes(State::kEncodedSize, 0);
    state.encode(reinterpret_cast<uint8_t*>(bytes.data()));
    plugin::Status status = State::decode(bytes_of(bytes), &back);
    EXPECT_EQ(status.code(), c.good ? plugin::Code::kOk : plugin::Code::kCorruption)
        << c.revision << " " << c.compacted << ": " << status.text();
  }
}

}  // namespace
}  // namespace quorate::mvcc
