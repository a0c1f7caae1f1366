// Ranges that are answered in parts: what their parts have in common, and the answer to a Range that is too
// large to be in memory as a whole. Such an answer goes out while it is read, a little ahead of the client:
// one that does not read costs a little, and one that does gets as much as it asked for, as from etcd.
//
// [loop]
#pragma once

#include <memory>
#include <string>

#include "mvcc/store.h"
#include "server/call.h"

namespace quorate::server {

class Server;

namespace kv {

// The next part's limit of keys: doubled or halved when the last one was far from `target` bytes. Never 0,
// which would mean no limit.
int64_t next_limit(int64_t limit, uint64_t size, uint64_t target);
// The key of a record: the next part begins behind it.
std::string key_of(const mvcc::Record& record);

class LongRange : public std::enable_shared_from_this<LongRange> {
 public:
  static constexpr uint64_t kFrom = 1u << 20;  // bytes of records; smaller answers are put together at once

  // Whether the query's records come in the order of keys, and the transport can send a message bit by bit.
  static bool can_take(UnaryCall& call, const mvcc::RangeQuery& query);
  // Answers the call. `totals`: the result of the query, whose records were left out.
  static void start(Server& server, plugin::Ref<UnaryCall> call, const mvcc::RangeQuery& query,
                    const mvcc::RangeResult& totals);

  LongRange(Server& server, plugin::Ref<UnaryCall> call, const mvcc::RangeQuery& query,
            const mvcc::RangeResult& totals);

 private:
  void begin(const mvcc::RangeResult& totals);
  void next();
  void part(const mvcc::RangeResult& result);
  void next_later();

  Server& server_;
  const plugin::Ref<UnaryCall> call_;
  plugin::LongMessage& message_;  // of the call's writer
  mvcc::RangeQuery query_;
  std::string key_, range_end_;
  const bool has_end_;
  int64_t left_;
  uint64_t bytes_left_;
  std::string tail_;
  bool waiting_ = false;
};

}  // namespace kv
}  // namespace quorate::server
