// A message of any table, for targets that decode.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/methods.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/text.h"

namespace quorate::fuzz {

class MessageBuffer {
 public:
  explicit MessageBuffer(const wire::MessageTable& table)
      : table_(table), bytes_(table.size / sizeof(uint64_t) + 1) {}
  void* get() { return bytes_.data(); }
  std::string encoded() {
    wire::Writer w;
    wire::encode(table_, get(), w);
    return std::string(w.view());
  }
  std::string json() {
    std::string out;
    wire::to_json(table_, get(), &out);
    return out;
  }
  // What was accepted survives its own encoding: decoded and encoded again it is the same bytes.
  void check_round_trip() {
    std::string once = encoded();
    wire::Arena arena;
    MessageBuffer again(table_);
    EXPECT_EQ(wire::merge(table_, again.get(), once, arena), wire::DecodeError::kNone)
        << "own bytes are refused";
    EXPECT_EQ(again.encoded(), once);
    wire::to_text(table_, get());
  }

 private:
  const wire::MessageTable& table_;
  std::vector<uint64_t> bytes_;
};

inline constexpr size_t kDecodeArenaBytes = size_t{16} << 20;

// Which message an input is about is its first byte.
inline const wire::MessageTable& table_of(uint8_t choice) {
  const api::Method& method = api::methods()[choice % api::kMethodCount];
  return choice < 128 ? *method.request : *method.response;
}

// Requests and answers as JSON, each behind the byte that chooses its table.
inline std::vector<std::string> json_seeds() {
  struct Seed {
    api::MethodId method;
    bool response;
    const char* json;
  };
  static constexpr Seed kSeeds[] = {
      {api::MethodId::kKVRange, false,
       R"({"key":"Zm9v","range_end":"Zm9w","limit":"5","revision":"-3","sort_order":"DESCEND","keys_only":true})"},
      {api::MethodId::kKVRange, true,
       R"({"header":{"cluster_id":"1","revision":"2"},"kvs":[{"key":"YQ==","lease":"7","value":"_-8"}],"more":true})"},
      {api::MethodId::kKVTxn, false,
       R"({"compare":[{"target":"VALUE","result":"NOT_EQUAL","key":"YQ==","value":"Yg=="}],"success":[)"
       R"({"request_put":{"key":"YQ==","value":"Yg==","prev_kv":true}},{"request_txn":{"failure":[{"request_range":)"
       R"({"key":"AA=="}}]}}]})"},
      {api::MethodId::kKVTxn, true,
       R"({"succeeded":true,"responses":[)"
       R"({"response_put":{"prev_kv":{"key":"YQ=="}}},{"response_range":{"count":"1"}}]})"},
      {api::MethodId::kWatch, false,
       R"({"create_request":{"key":"YQ==","filters":["NOPUT",1],)"
       R"("start_revision":"9","watch_id":"-1","fragment":true}})"},
      {api::MethodId::kWatch, true,
       R"({"watch_id":"3","canceled":true,"cancel_reason":"a \u00e4\ud83d\ude00\n",)"
       R"("events":[{"type":"DELETE","kv":{}}]})"},
      {api::MethodId::kMaintenanceStatus, true,
       R"({"version":"3.7.1","dbSize":"20480","errors":["NOSPACE"],"raftTerm":2.0e1,"isLearner":null})"},
      {api::MethodId::kClusterMemberList, true,
       R"({"members":[{"ID":18446744073709551615,"name":"m","peerURLs":["http:\/\/a:1","b"]}]})"},
  };
  std::vector<std::string> out;
  for (const Seed& s : kSeeds) {
    // The lower half chooses requests, the upper one responses.
    size_t choice = static_cast<size_t>(s.method);
    while (s.response && choice < 128) choice += api::kMethodCount;
    out.push_back(std::string(1, static_cast<char>(choice)) + s.json);
  }
  return out;
}

}  // namespace quorate::fuzz
