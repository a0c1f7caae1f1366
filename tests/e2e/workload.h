// Writers whose every acknowledged change is remembered, for tests that kill the server under them.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "rpc.grpc.pb.h"

namespace quorate::test {

// What is known of one key. Each key has one writer, which does one thing at a time: when the server dies, at
// most one change of a key is of unknown outcome.
struct KnownKey {
  std::string value;     // acknowledged; empty: absent
  int64_t revision = 0;  // of the acknowledged change
  bool unknown = false;  // a change was under way when the server died: to `attempt`, or not
  std::string attempt;
};

// What all writers together know. [thread-safe]
class Ledger {
 public:
  void acknowledge(const std::string& key, const std::string& value, int64_t revision);
  void attempt(const std::string& key, const std::string& value);
  void withdraw(const std::string& key);  // refused: it did not happen
  std::map<std::string, KnownKey> keys();
  int64_t highest_revision();
  uint64_t acknowledged();
  // Compares with what the server has; the first contradiction, or empty. Unknown outcomes are settled by
  // what is there.
  std::string check(etcdserverpb::KV::Stub& kv);

 private:
  std::mutex mutex_;
  std::map<std::string, KnownKey> keys_;
  int64_t highest_ = 0;
  uint64_t acknowledged_ = 0;
};

// Writers that go on until they are stopped or the server is gone.
class Writers {
 public:
  Writers(std::shared_ptr<grpc::Channel> channel, Ledger& ledger, int count, uint64_t seed);
  ~Writers() { stop(); }
  void stop();

 private:
  void write(int writer, uint64_t seed);
  std::shared_ptr<grpc::Channel> channel_;
  Ledger& ledger_;
  std::atomic<bool> stopped_{false};
  std::vector<std::thread> threads_;
};

// Reads a server's whole history from a revision on, and checks that it has no gap: each revision that
// changed a key must be there, in order. The last revision seen, or an error.
struct Followed {
  int64_t last = 0;
  uint64_t events = 0;
  std::string error;
};
Followed follow(const std::shared_ptr<grpc::Channel>& channel, int64_t from, int64_t to);

}  // namespace quorate::test
