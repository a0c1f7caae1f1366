// Random requests, the same for the same seed on every machine: puts, deletes, ranges, nested transactions,
// compactions and hashes over few keys, so that they meet each other. Some are wrong in a way that must be
// answered with an error.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "rpc.pb.h"

namespace quorate::test {

struct Step {
  std::string method;
  std::unique_ptr<google::protobuf::Message> request;
};

class History {
 public:
  explicit History(uint64_t seed) : random_(seed) {}
  // The next request. `revision` and `compacted` are the server's at this moment.
  Step next(int64_t revision, int64_t compacted);

 private:
  uint64_t pick(uint64_t count) {
    return random_() % count;
  }  // the standard's distributions differ between libraries
  bool chance(uint64_t one_in) { return pick(one_in) == 0; }
  std::string key();
  std::string end_of(const std::string& key);
  int64_t some_revision();
  void fill(etcdserverpb::RangeRequest* r, bool in_txn);
  void fill(etcdserverpb::PutRequest* r);
  void fill(etcdserverpb::DeleteRangeRequest* r);
  void fill(etcdserverpb::Compare* r);
  void fill(etcdserverpb::TxnRequest* r, int depth);
  void fill(etcdserverpb::RequestOp* r, int depth);

  std::mt19937_64 random_;
  // Puts of this request may keep the value or lease that is there. Then no delete goes to the last key: of
  // both together in one transaction, which its check lets through, etcd dies, and ours refuses it.
  bool keeping_ = false;
  int64_t revision_ = 1, compacted_ = 0;
};

}  // namespace quorate::test
