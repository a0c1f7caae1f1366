// A server as a process, somebody who attacks it, and a bystander who is to notice nothing of it.
//
// What an attack costs is measured from outside: RssAnon, the resident pages of the process that no file
// backs. It counts what the allocator keeps to itself, because that is lost to the machine as well, and
// leaves out the pages of the program and of files, which the system takes back when it likes.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "e2e/api_client.h"
#include "e2e/raw_client.h"
#include "e2e/server.h"
#include "support/http2_bytes.h"

namespace quorate::test {

constexpr uint64_t kMiB = 1u << 20;

// What the long variant (QUORATE_SOAK) runs, or the short one.
uint64_t count_of(uint64_t soak, uint64_t quick);

struct Footprint {
  uint64_t memory = 0;  // bytes, RssAnon
  uint64_t sockets = 0, threads = 0;
  static Footprint of(pid_t pid);
};

// Puts, gets and watches, one after the other without a pause, on a connection of its own.
class Bystander {
 public:
  explicit Bystander(std::shared_ptr<grpc::Channel> channel);
  ~Bystander();
  uint64_t rounds() const { return rounds_; }
  Millis slowest() const { return Millis(slowest_ms_); }
  std::string error();  // the first; empty: none

 private:
  std::string round(uint64_t number);
  void run();
  std::shared_ptr<grpc::Channel> channel_;
  UnaryCaller caller_;
  WatchStream watch_;
  std::atomic<uint64_t> rounds_{0};
  std::atomic<int64_t> slowest_ms_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::string error_;
  std::thread thread_;
};

class Siege : public testing::Test {
 protected:
  void SetUp() override { start(""); }
  void TearDown() override;
  // (Re)starts the server, used once already so that everything that it makes on first use is there.
  void start(const std::string& engine);
  Footprint footprint() { return Footprint::of(server_->process().pid()); }
  // Runs `assault`, at whose end its connections are gone, beside a bystander, and holds the server to: at
  // most `limit` more bytes while it lasts, all of it back (memory, sockets, threads) within 10 s, nobody
  // else kept waiting for long. Returns what it cost at most.
  uint64_t attack(const std::string& name, uint64_t limit, const std::function<void()>& assault);
  uint64_t grown_since(uint64_t memory);

  std::unique_ptr<Server> server_;

 private:
  Footprint before_;
};

// ---- What attackers say

std::string client_hello();  // preface, SETTINGS, and the acknowledgement of the server's
std::string call_of(uint32_t stream, const std::string& method, uint8_t flags = kEndHeaders);  // its HEADERS
std::string whole_call(uint32_t stream, const std::string& method, const google::protobuf::Message& request);
// DATA frames of the largest size that a server takes by default.
std::string data_frames(uint32_t stream, std::string_view bytes);

}  // namespace quorate::test
