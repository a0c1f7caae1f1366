// Transactions: what a request must look like, and what applying it does. etcd-surface §1.3 "Txn".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/errors.h"
#include "api/messages.h"
#include "lease/lessor.h"
#include "mvcc/store.h"

namespace quorate::server {

// ---- Requests. Each answers nothing, or why the request is refused before it is proposed.
std::optional<api::Error> check_range(const api::RangeRequest&);
std::optional<api::Error> check_put(const api::PutRequest&);
std::optional<api::Error> check_delete(const api::DeleteRangeRequest&);
std::optional<api::Error> check_txn(const api::TxnRequest&, uint32_t max_ops);
// Only ranges: answered without the log. A nested transaction counts as a write.
bool is_read_only(const api::TxnRequest&);
// Every operation is a serializable range.
bool is_serializable(const api::TxnRequest&);
// What the quota counts for it: the dearer branch.
uint64_t cost(const api::PutRequest&);
uint64_t cost(const api::TxnRequest&);

mvcc::RangeQuery to_query(const api::RangeRequest&);

// ---- Outcomes.
struct TxnOutcome;

// What one operation did; its records are fetched where a client waits for them.
struct OpOutcome {
  enum class Kind : uint8_t { kRange, kPut, kDelete, kTxn };
  Kind kind = Kind::kRange;
  int64_t revision = 0;  // the sub-response's header
  // kRange
  bool keys_only = false;
  mvcc::SortTarget target = mvcc::SortTarget::kKey;
  mvcc::SortOrder order = mvcc::SortOrder::kNone;
  int64_t limit = 0;
  mvcc::Apply::Found found;
  // kPut with prev_kv
  std::optional<mvcc::KeyVersion> previous;
  // kDelete
  int64_t deleted = 0;
  std::vector<mvcc::KeyVersion> previous_all;  // with prev_kv
  // kTxn
  std::unique_ptr<TxnOutcome> txn;
};

struct TxnOutcome {
  bool succeeded = false;
  int64_t revision = 0;
  std::vector<OpOutcome> ops;
};

// The records that decide an apply (VALUE compares, ignore_value), by modification revision.
class DecidingRecords {
 public:
  // The value of the record of that version. REQUIRES: it was found by `collect` and resolved.
  std::string_view value(const mvcc::KeyVersion&) const;
  bool has(const mvcc::KeyVersion& version) const { return values_.contains(version.mod); }
  void add(const mvcc::Revision&, std::string value);
  void clear() { values_.clear(); }

 private:
  struct Hash {
    size_t operator()(const mvcc::Revision& r) const {
      return std::hash<int64_t>()(r.main * 1'000'003 + r.sub);
    }
  };
  std::unordered_map<mvcc::Revision, std::string, Hash> values_;
};

// The value in an encoded mvccpb.KeyValue.
std::string_view value_of(mvcc::Record record, bool* well_formed = nullptr);

// The live versions whose values decide how the request applies, both branches, as of now. Compares look at
// the state before the transaction writes anything, and a key that a branch puts is touched by nothing else
// in it.
void collect_deciding(const api::TxnRequest&, const mvcc::Store&, std::vector<mvcc::KeyVersion>* out);

// Executes within one apply. `answer`: a client waits here, so what ranges find is kept; elsewhere they are
// skipped.
class Execution {
 public:
  Execution(mvcc::Apply& apply, lease::Lessor& lessor, const DecidingRecords& deciding, bool answer,
            int64_t compacted)
      : apply_(apply), lessor_(lessor), deciding_(deciding), answer_(answer), compacted_(compacted) {}

  std::optional<api::Error> put(const api::PutRequest&, OpOutcome* out);
  void remove(const api::DeleteRangeRequest&, OpOutcome* out);
  std::optional<api::Error> txn(const api::TxnRequest&, TxnOutcome* out);
  // A transaction that only reads, outside the log.
  void range(const api::RangeRequest&, OpOutcome* out);

 private:
  std::optional<api::Error> check(const api::PutRequest&) const;
  std::optional<api::Error> check(const api::RangeRequest&) const;
  std::optional<api::Error> check_path(const api::TxnRequest&, size_t* at) const;
  void choose_path(const api::TxnRequest&);
  bool holds(const api::Compare&) const;
  bool holds(const api::Compare&, const mvcc::KeyVersion&) const;
  void execute(const api::TxnRequest&, size_t* at, TxnOutcome* out);
  void do_put(const api::PutRequest&, OpOutcome* out);

  mvcc::Apply& apply_;
  lease::Lessor& lessor_;
  const DecidingRecords& deciding_;
  const bool answer_;
  const int64_t compacted_;
  std::vector<bool> path_;  // the branch of each transaction met, in order: chosen before anything is written
};

}  // namespace quorate::server
