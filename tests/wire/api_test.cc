// Methods, errors, ids and key ranges.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "api/errors.h"
#include "api/ids.h"
#include "api/methods.h"
#include "api/ranges.h"
#include "wire/random_message.h"

namespace quorate::api {
namespace {

using namespace std::literals;

TEST(Methods, AreThoseOfTheProtos) {
  wire::new_protobuf(*method(MethodId::kKVPut).request);
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  std::map<std::string, int> declared;
  for (const Method& m : methods()) {
    SCOPED_TRACE(m.path);
    const auto* d = pool->FindMethodByName(std::string(m.service()) + "." + std::string(m.name()));
    ASSERT_NE(d, nullptr);
    EXPECT_EQ(m.request->name, d->input_type()->full_name());
    EXPECT_EQ(m.response->name, d->output_type()->full_name());
    EXPECT_EQ(m.kind != MethodKind::kUnary, d->server_streaming());
    EXPECT_EQ(m.kind == MethodKind::kBidi, d->client_streaming());
    declared[d->service()->full_name()] = d->service()->method_count();
    EXPECT_EQ(find_method(m.path), &m);
    EXPECT_EQ(&method(m.id), &m);
  }
  int total = 0;
  for (auto& [service, count] : declared) total += count;
  EXPECT_EQ(static_cast<size_t>(total), kMethodCount) << "an rpc of a served service is missing";
  EXPECT_EQ(declared.size(), 9u);
}

TEST(Methods, GatewayPaths) {
  std::set<std::string_view> paths;
  for (const Method& m : methods())
    for (std::string_view path : m.gateway)
      if (!path.empty()) {
        EXPECT_EQ(find_gateway(path), &m) << path;
        EXPECT_TRUE(paths.insert(path).second) << path;
      }
  EXPECT_EQ(paths.size(), 51u);
  EXPECT_EQ(find_gateway("/v3/kv/lease/revoke"), &method(MethodId::kLeaseRevoke));
  for (const char* path : {"", "/", "/v3/kv/rangestream", "/v3/kv/range/", "/v3/kv/rangf"})
    EXPECT_EQ(find_gateway(path), nullptr) << path;
  for (const char* path : {"", "/", "/etcdserverpb.KV/put", "/etcdserverpb.KV/", "etcdserverpb.KV/Put"})
    EXPECT_EQ(find_method(path), nullptr) << path;
}

TEST(Methods, OnALearner) {
  for (const Method& m : methods()) {
    OnLearner expected = m.id == MethodId::kKVRange ? OnLearner::kIfSerializable
                         : m.id == MethodId::kMaintenanceStatus || m.id == MethodId::kMaintenanceSnapshot
                             ? OnLearner::kYes
                             : OnLearner::kNo;
    EXPECT_EQ(m.on_learner, expected) << m.path;
  }
}

TEST(Errors, HttpStatusFollowsTheCode) {
  std::set<std::string_view> texts, names;
  for (size_t i = 0; i < kErrorCount; i++) {
    const ErrorInfo& e = info(static_cast<Error>(i));
    EXPECT_EQ(e.http_status, http_status(e.code)) << e.text;
    EXPECT_TRUE(e.text.starts_with("etcdserver: ")) << e.text;
    EXPECT_TRUE(texts.insert(e.text).second) << e.text;
    EXPECT_TRUE(names.insert(e.name).second) << e.name;
  }
  EXPECT_EQ(kErrorCount, 63u);
}

// The rows against the source they describe: QUORATE_ETCD_SOURCE names a checkout of etcd 3.7.
TEST(Errors, AreThoseOfRpctypes) {
  const char* root = std::getenv("QUORATE_ETCD_SOURCE");
  if (root == nullptr) GTEST_SKIP() << "QUORATE_ETCD_SOURCE is not set: no etcd checkout to compare with";
  std::ifstream file(std::string(root) + "/api/v3rpc/rpctypes/error.go");
  ASSERT_TRUE(file.good());
  std::map<std::string, std::pair<std::string, std::string>> declared;
  for (std::string line; std::getline(file, line);) {
    size_t name = line.find("ErrGRPC"), call = line.find("status.Error(codes.");
    if (name == std::string::npos || call == std::string::npos) continue;
    size_t comma = line.find(", \"", call), close = line.rfind("\")");
    declared[line.substr(name + 7, line.find(' ', name) - name - 7)] = {
        line.substr(call + 19, comma - call - 19), line.substr(comma + 3, close - comma - 3)};
  }
  EXPECT_EQ(declared.size(), kErrorCount);
  for (size_t i = 0; i < kErrorCount; i++) {
    const ErrorInfo& e = info(static_cast<Error>(i));
    auto at = declared.find(std::string(e.name));
    ASSERT_NE(at, declared.end()) << e.name;
    EXPECT_EQ(at->second.first, name_of(e.code)) << e.name;
    EXPECT_EQ(at->second.second, e.text) << e.name;
  }
}

TEST(Errors, OnTheWire) {
  EXPECT_EQ(rpc_error(Error::kLeaseNotFound),
            (RpcError{GrpcCode::kNotFound, "etcdserver: requested lease not found"}));
  EXPECT_EQ(rpc_error(Error::kRequestTooManyRequests),
            (RpcError{GrpcCode::kUnknown, "etcdserver: too many requests"}));
  EXPECT_EQ(rpc_error(Error::kMemberNotEnoughStarted).grpc_code, GrpcCode::kUnknown);
  EXPECT_EQ(to_string(rpc_error(Error::kPermissionDenied)),
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied");
  EXPECT_EQ(message_too_large(5, 4).text, "grpc: received message larger than max (5 vs. 4)");
  EXPECT_EQ(unknown_method("/etcdserverpb.KV/Foo").text, "unknown method Foo for service etcdserverpb.KV");
  EXPECT_EQ(unknown_method("/a.b.C/Foo").text, "unknown service a.b.C");
  EXPECT_EQ(unknown_method("nonsense").text, "malformed method name: \"nonsense\"");
  EXPECT_EQ(undecodable_request("string field contains invalid UTF-8"),
            (RpcError{GrpcCode::kInternal,
                      "grpc: error unmarshalling request: string field contains invalid UTF-8"}));
}

TEST(Ids, KnownClusters) {
  MemberId single = member_id({"http://localhost:2380"}, "etcd-cluster");
  EXPECT_EQ(single.value, 10276657743932975437u);
  EXPECT_EQ(to_hex(single.value), "8e9e05c52164694d");
  EXPECT_EQ(cluster_id({{single}}).value, 14841639068965178418u);

  std::vector<MemberId> three;
  for (const char* url : {"http://127.0.0.1:12380", "http://127.0.0.1:22380", "http://127.0.0.1:32380"})
    three.push_back(member_id({url}, "etcd-cluster-1"));
  EXPECT_EQ(std::set<std::string>({to_hex(three[0].value), to_hex(three[1].value), to_hex(three[2].value)}),
            std::set<std::string>({"8211f1d0f64f3269", "91bc3c398fb3c146", "fd422379fda50e48"}));
  EXPECT_EQ(cluster_id(three).value, 17237436991929493444u);
  std::swap(three[0], three[2]);
  EXPECT_EQ(cluster_id(three).value, 17237436991929493444u) << "the order of members does not matter";
  EXPECT_EQ(member_id({"http://b", "http://a"}, "t"), member_id({"http://a", "http://b"}, "t"));
  EXPECT_EQ(member_id({"http://a"}, "", 15), member_id({"http://a"}, "15"))
      << "the time is appended in decimal";
  EXPECT_EQ(to_hex(0), "0");
}

TEST(Ids, GeneratorLayout) {
  IdGenerator g(MemberId(0x12345678), 0xab'0102'0304'0506);
  EXPECT_EQ(g.next(), 0x5678'0203'0405'0601u & 0xffff'ffff'ffff'ffffu);
  for (int i = 0; i < 255; i++) g.next();
  EXPECT_EQ(g.next(), 0x5678'0203'0405'0701u) << "the counter overflows into the time";
  IdGenerator wraps(MemberId(0xffff), 0xff'ffff'ffff);
  for (int i = 0; i < 255; i++) EXPECT_EQ(wraps.next() >> 48, 0xffffu);
  EXPECT_EQ(wraps.next(), 0xffff'0000'0000'0000u) << "and never into the member";
  IdGenerator none(MemberId(0x8000), 0xff'ffff'ffff);
  for (int i = 0; i < 1000; i++) EXPECT_GT(none.next_lease(), 0);
}

// ---- Ranges
// --------------------------------------------------------------------------------------------------

TEST(Interval, Meaning) {
  EXPECT_TRUE(Interval::of("a", "").is_point());
  EXPECT_TRUE(Interval::of("a", "\0"sv).is_unbounded());
  EXPECT_EQ(Interval::of("\0"sv, "\0"sv), Interval::all());
  EXPECT_TRUE(Interval::of("b", "a").empty());
  EXPECT_TRUE(Interval::of("b", "b").empty());
  EXPECT_FALSE(Interval::of("b", "b\0"sv).empty());
  EXPECT_FALSE(Interval::point("").empty());
  EXPECT_TRUE(Interval::of("a", "\x80").contains("b")) << "bytes are unsigned";
  EXPECT_EQ(prefix_end("ab"), "ac");
  EXPECT_EQ(prefix_end("a\xff\xff"), "b");
  EXPECT_EQ(prefix_end("\xff\xff"), "\0"sv);
  EXPECT_EQ(prefix_end(""), "\0"sv);
  EXPECT_EQ(Interval::of("a", "\0"sv).to_string(), "[\"a\", infinity)");
  EXPECT_EQ(Interval::of("a", "b").to_string(), "[\"a\", \"b\")");
}

// Every pair of intervals over a small universe, against the sets of keys they mean.
TEST(Interval, AgreesWithSetsOfKeys) {
  std::vector<std::string> keys;
  for (const char* stem : {"a", "b", "c"})
    for (auto tail : {""s, "\0"s, "\0\0"s, "z"s}) keys.push_back(stem + tail);
  std::vector<std::string> ends = keys;
  ends.push_back("");
  ends.push_back(std::string(1, 0));
  // The universe has a key behind every bound, so that sets differ whenever intervals do.
  std::set<std::string> universe;
  for (const std::string& k : keys)
    for (auto tail : {""s, "\0"s, "\0\0"s, "\0\0\0"s, "zz"s}) universe.insert(k + tail);

  std::vector<std::pair<Interval, std::set<std::string>>> all;
  for (const std::string& k : keys)
    for (const std::string& e : ends) {
      Interval interval = Interval::of(k, e);
      std::set<std::string> in;
      for (const std::string& u : universe) {
        bool expected = e.empty() ? u == k : u >= k && (e == "\0"sv || u < e);
        EXPECT_EQ(interval.contains(u), expected);
        if (expected) in.insert(u);
      }
      EXPECT_EQ(interval.empty(), in.empty());
      all.emplace_back(interval, in);
    }
  for (auto& [a, in_a] : all)
    for (auto& [b, in_b] : all) {
      bool common = false, subset = true;
      for (const std::string& k : in_b) common |= in_a.count(k) != 0, subset &= in_a.count(k) != 0;
      ASSERT_EQ(a.overlaps(b), common) << a.to_string() << " " << b.to_string();
      ASSERT_EQ(a.covers(b), subset) << a.to_string() << " " << b.to_string();
      if (in_a.empty() || in_b.empty()) continue;
      bool differ = *in_a.rbegin() != *in_b.rbegin();
      ASSERT_TRUE(!differ || (a.compare_end(b) < 0) == (*in_a.rbegin() < *in_b.rbegin()))
          << a.to_string() << b.to_string();
      ASSERT_EQ(a.compare_end(b), -b.compare_end(a));
    }
}

}  // namespace
}  // namespace quorate::api
