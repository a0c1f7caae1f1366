// A node with both transports: gRPC and framed TCP on one port, told apart by their first bytes.
#include <gtest/gtest.h>
#include <signal.h>

#include "e2e/api_client.h"
#include "e2e/plugin_client.h"
#include "e2e/raw_client.h"
#include "e2e/server.h"
#include "rpc.grpc.pb.h"

namespace quorate::test {
namespace {

etcdserverpb::PutRequest put_of(const std::string& key, const std::string& value) {
  etcdserverpb::PutRequest r;
  r.set_key(key);
  r.set_value(value);
  return r;
}

etcdserverpb::RangeRequest range_of(const std::string& key) {
  etcdserverpb::RangeRequest r;
  r.set_key(key);
  return r;
}

class BothTransports : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server.start()) << server.log(); }
  Server server{quorate(), {{}, "storage-memory", {"transport-grpc", "transport-tcp"}}};
  std::string why;
};

TEST_F(BothTransports, PutAndRangeOnOnePort) {
  PluginClient framed("transport-tcp", server.port());
  etcdserverpb::PutResponse put;
  ASSERT_TRUE(framed.call("/etcdserverpb.KV/Put", put_of("framed", "1"), &put, &why)) << why;
  auto kv = etcdserverpb::KV::NewStub(server.connect());
  grpc::ClientContext reading, writing;
  etcdserverpb::RangeResponse seen;
  ASSERT_TRUE(kv->Range(&reading, range_of("framed"), &seen).ok());
  ASSERT_EQ(seen.kvs_size(), 1);
  EXPECT_EQ(seen.kvs(0).value(), "1");
  EXPECT_EQ(seen.kvs(0).mod_revision(), put.header().revision());
  const std::string large(1'000'000, 'v');
  ASSERT_TRUE(kv->Put(&writing, put_of("grpc", large), &put).ok());
  ASSERT_TRUE(framed.call("/etcdserverpb.KV/Range", range_of("grpc"), &seen, &why)) << why;
  EXPECT_EQ(seen.kvs(0).value(), large);
  PluginClient through_grpc("transport-grpc", server.port());
  ASSERT_TRUE(through_grpc.call("/etcdserverpb.KV/Range", range_of("framed"), &seen, &why)) << why;
  EXPECT_EQ(seen.kvs(0).value(), "1");
}

TEST_F(BothTransports, ErrorsAreTheSame) {
  PluginClient framed("transport-tcp", server.port());
  etcdserverpb::PutResponse put;
  EXPECT_FALSE(framed.call("/etcdserverpb.KV/Put", put_of("", "x"), &put, &why));
  EXPECT_EQ(why, "3: etcdserver: key is not provided");
  EXPECT_FALSE(framed.call("/etcdserverpb.KV/Nothing", put_of("a", "x"), &put, &why));
  EXPECT_EQ(why.substr(0, 4), "12: ");
  EXPECT_TRUE(framed.call("/etcdserverpb.KV/Put", put_of("a", "x"), &put, &why)) << why;
}

// What etcdctl writes over gRPC, a watcher on the same port sees through frames, in order and once.
TEST_F(BothTransports, AWatchSeesWhatEtcdctlWrites) {
  const std::string ctl = find_program(env_or("QUORATE_ETCDCTL", "etcdctl"));
  if (ctl.empty()) GTEST_SKIP() << "there is no etcdctl";
  PluginClient framed("transport-tcp", server.port());
  auto watch = framed.open("/etcdserverpb.Watch/Watch");
  watch->writer->request(1000);
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key("k");
  request.mutable_create_request()->set_range_end("l");
  watch->send(request);
  ASSERT_TRUE(framed.run_until([&] { return !watch->messages.empty() || watch->ended; }));
  for (int i = 0; i < 3; ++i) {
    const Ended ended = run({{ctl, "--endpoints", server.endpoint(), "put", "k" + std::to_string(i), "v"},
                             {"ETCDCTL_API=3"},
                             {}});
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  std::vector<std::string> keys;
  size_t read = 0;
  ASSERT_TRUE(framed.run_until([&] {
    for (; read < watch->messages.size(); ++read) {
      etcdserverpb::WatchResponse response;
      if (!response.ParseFromString(watch->messages[read])) return true;
      for (const auto& event : response.events()) keys.push_back(event.kv().key());
    }
    return keys.size() >= 3 || watch->ended;
  }));
  EXPECT_EQ(keys, (std::vector<std::string>{"k0", "k1", "k2"}));
  watch->writer->cancel();
  ASSERT_TRUE(framed.run_until([&] { return watch->ended; }));
  EXPECT_EQ(watch->code, 1u);
}

// SIGTERM: the connection is drained, what runs ends, and the server goes.
TEST_F(BothTransports, APlannedStopDrains) {
  PluginClient framed("transport-tcp", server.port());
  etcdserverpb::PutResponse put;
  ASSERT_TRUE(framed.call("/etcdserverpb.KV/Put", put_of("a", "1"), &put, &why)) << why;
  server.process().signal(SIGTERM);
  EXPECT_TRUE(framed.run_until([&] { return framed.closed(); }, Millis(20000)));
  EXPECT_TRUE(framed.draining());
  EXPECT_EQ(framed.failure(), "");
  EXPECT_EQ(server.process().wait(Millis(20000)).value_or(-1), 0) << server.log();
}

TEST_F(BothTransports, DamageEndsTheConnectionAndIsLogged) {
  RawClient broken(server.port());
  broken.send(std::string("quorTCP\n") + std::string(24, '\7'));
  EXPECT_TRUE(broken.closed_within(Millis(20000)));
  EXPECT_TRUE(wait_until(Millis(20000), [&] {
    return server.log().find("transport-tcp: the peer speaks version 117901063, this side 1") !=
           std::string::npos;
  })) << server.log();
  PluginClient framed("transport-tcp", server.port());
  etcdserverpb::PutResponse put;
  EXPECT_TRUE(framed.call("/etcdserverpb.KV/Put", put_of("a", "1"), &put, &why)) << why;
}

}  // namespace
}  // namespace quorate::test
