// Many records whose values need not be remembered: each follows from its key and version.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rpc.grpc.pb.h"

namespace quorate::test {

// Keys are written in blocks of kBlock by one transaction each, then each fourth block once more. All methods
// that answer a text answer what was wrong, or nothing. One thread, but for what a method starts itself.
class ColdData {
 public:
  // Behind a zero byte: see Frame.
  static constexpr std::string_view kPrefix{"\0cold/", 6}, kEnd{"\0cold0", 6};

  explicit ColdData(uint64_t bytes);
  uint64_t keys() const { return blocks() * kBlock; }
  uint64_t versions() const { return log_blocks_ * kBlock + again_; }
  int64_t compacted() const { return compacted_; }

  // Each answers how many records it was about.
  uint64_t fill(const std::shared_ptr<grpc::Channel>& channel, std::string* error);
  uint64_t scan(etcdserverpb::KV::Stub& kv, std::string* error);
  // From a revision on that leaves an eighth of the changes, or from the compacted one, up to the last.
  uint64_t watch(const std::shared_ptr<grpc::Channel>& channel, std::string* error);
  uint64_t check_many(const std::shared_ptr<grpc::Channel>& channel, int clients, uint64_t count,
                      std::string* error);
  // At the current revision.
  uint64_t compact(etcdserverpb::KV::Stub& kv, std::string* error);

  // Changes below that revision may be gone.
  void compacted_by_others(int64_t revision) { compacted_ = revision; }

  std::string check_one(etcdserverpb::KV::Stub& kv, uint64_t key) const;
  // A key that was written twice, at a revision between the two.
  std::string check_past(etcdserverpb::KV::Stub& kv, uint64_t random) const;
  // Writes the next version and asks for the one before.
  std::string put_again(etcdserverpb::KV::Stub& kv, uint64_t key);
  // A transaction that goes on only if the value is what it must be.
  std::string compare(etcdserverpb::KV::Stub& kv, uint64_t key) const;

 private:
  static constexpr uint64_t kBlock = 100;
  struct Change {
    int64_t revision;
    uint64_t first, count;  // keys
    uint32_t version;
  };

  uint64_t blocks() const { return version_.size() / kBlock; }
  static std::string key_name(uint64_t key);
  std::string check(const mvccpb::KeyValue& kv, uint64_t key, uint32_t version) const;
  std::string write_blocks(const std::shared_ptr<grpc::Channel>& channel, uint64_t step, uint32_t version);

  std::vector<uint32_t> version_;        // of each key
  std::vector<Change> log_;              // by revision
  uint64_t log_blocks_ = 0, again_ = 0;  // changes of a block, of one key
  int64_t compacted_ = 0;
};

}  // namespace quorate::test
