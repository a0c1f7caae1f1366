// What a request must look like before it is proposed.
#include <algorithm>
#include <map>
#include <set>

#include "api/ranges.h"
#include "server/txn.h"

namespace quorate::server {
namespace {

using api::Error;
using api::RequestOp;
using OpCase = api::RequestOp::RequestCase;

std::optional<Error> check_op(const RequestOp& op, int64_t max_ops);

std::optional<Error> check_shape(const api::TxnRequest& txn, int64_t max_ops) {
  const auto ops = static_cast<int64_t>(std::max({txn.compare.size(), txn.success.size(), txn.failure.size()}));
  if (ops > max_ops) return Error::kTooManyOps;
  for (const api::Compare& compare : txn.compare) {
    if (compare.key.empty()) return Error::kEmptyKey;
  }
  for (const auto* branch : {&txn.success, &txn.failure}) {
    for (const RequestOp& op : *branch) {
      if (auto error = check_op(op, max_ops - ops)) return error;
    }
  }
  return std::nullopt;
}

std::optional<Error> check_op(const RequestOp& op, int64_t max_ops) {
  switch (op.request_case) {
    case OpCase::kRequestRange: return check_range(*op.request_range);
    case OpCase::kRequestPut: return check_put(*op.request_put);
    case OpCase::kRequestDeleteRange: return check_delete(*op.request_delete_range);
    case OpCase::kRequestTxn: return check_shape(*op.request_txn, max_ops);
    case OpCase::kNone: break;
  }
  return Error::kKeyNotFound;
}

// Disjoint intervals of deleted keys, merged, so that a look-up is logarithmic however many there are.
class DeletedKeys {
 public:
  void add(const api::Interval& interval) {
    if (interval.empty()) return;
    std::string begin(interval.begin());
    std::optional<std::string> end;  // none: unbounded
    if (interval.is_point()) {
      end = begin + '\0';
    } else if (interval.has_end()) {
      end = std::string(interval.end());
    }
    add(std::move(begin), std::move(end));
  }
  void add_all(const DeletedKeys& other) {
    for (const auto& [begin, end] : other.intervals_) add(begin, end);
  }
  bool contains(std::string_view key) const {
    auto at = intervals_.upper_bound(key);
    if (at == intervals_.begin()) return false;
    --at;
    return !at->second.has_value() || key < *at->second;
  }

 private:
  void add(std::string begin, std::optional<std::string> end) {
    auto at = intervals_.upper_bound(begin);
    if (at != intervals_.begin()) {
      auto before = std::prev(at);
      if (!before->second.has_value()) return;
      if (*before->second >= begin) {
        if (end.has_value() && *before->second > *end) end = before->second;
        begin = before->first;
        at = intervals_.erase(before);
      }
    }
    while (at != intervals_.end() && (!end.has_value() || at->first <= *end)) {
      if (!at->second.has_value()) {
        end.reset();
      } else if (end.has_value() && *at->second > *end) {
        end = at->second;
      }
      at = intervals_.erase(at);
    }
    intervals_.emplace(std::move(begin), std::move(end));
  }

  std::map<std::string, std::optional<std::string>, std::less<>> intervals_;
};

struct Touched {
  std::set<std::string_view> puts;
  DeletedKeys deletes;
};

// Within a branch a key may be put once and not deleted as well; what nested transactions may do counts, except that
// their two branches exclude each other.
bool overlaps(const wire::Repeated<RequestOp>& ops, Touched* touched);

bool add_nested(const api::TxnRequest& nested, Touched* touched) {
  Touched then_ops, else_ops;
  if (overlaps(nested.success, &then_ops) || overlaps(nested.failure, &else_ops)) return true;
  for (std::string_view key : then_ops.puts) {
    if (touched->puts.contains(key) || touched->deletes.contains(key)) return true;
  }
  for (std::string_view key : else_ops.puts) {
    if (touched->puts.contains(key) || touched->deletes.contains(key)) return true;
  }
  touched->puts.insert(then_ops.puts.begin(), then_ops.puts.end());
  touched->puts.insert(else_ops.puts.begin(), else_ops.puts.end());
  touched->deletes.add_all(then_ops.deletes);
  touched->deletes.add_all(else_ops.deletes);
  return false;
}

bool overlaps(const wire::Repeated<RequestOp>& ops, Touched* touched) {
  for (const RequestOp& op : ops) {
    if (op.request_case != OpCase::kRequestDeleteRange) continue;
    touched->deletes.add(api::Interval::of(op.request_delete_range->key, op.request_delete_range->range_end));
  }
  for (const RequestOp& op : ops) {
    if (op.request_case == OpCase::kRequestTxn && add_nested(*op.request_txn, touched)) return true;
  }
  for (const RequestOp& op : ops) {
    if (op.request_case != OpCase::kRequestPut) continue;
    if (touched->deletes.contains(op.request_put->key)) return true;
    if (!touched->puts.insert(op.request_put->key).second) return true;
  }
  return false;
}

uint64_t cost_of(const wire::Repeated<RequestOp>& ops) {
  uint64_t sum = 0;
  for (const RequestOp& op : ops) {
    if (op.request_case == OpCase::kRequestPut) sum += server::cost(*op.request_put);
    if (op.request_case == OpCase::kRequestTxn) sum += server::cost(*op.request_txn);
  }
  return sum;
}

bool all_ranges(const wire::Repeated<RequestOp>& ops, bool serializable) {
  return std::all_of(ops.begin(), ops.end(), [&](const RequestOp& op) {
    return op.request_case == OpCase::kRequestRange && (!serializable || op.request_range->serializable);
  });
}

}  // namespace

std::optional<Error> check_range(const api::RangeRequest& r) {
  if (r.key.empty()) return Error::kEmptyKey;
  const auto order = static_cast<int32_t>(r.sort_order);
  const auto target = static_cast<int32_t>(r.sort_target);
  if (order < 0 || order > 2 || target < 0 || target > 4) return Error::kInvalidSortOption;
  return std::nullopt;
}

std::optional<Error> check_put(const api::PutRequest& r) {
  if (r.key.empty()) return Error::kEmptyKey;
  if (r.ignore_value && !r.value.empty()) return Error::kValueProvided;
  if (r.ignore_lease && r.lease != 0) return Error::kLeaseProvided;
  return std::nullopt;
}

std::optional<Error> check_delete(const api::DeleteRangeRequest& r) {
  return r.key.empty() ? std::optional(Error::kEmptyKey) : std::nullopt;
}

std::optional<Error> check_txn(const api::TxnRequest& txn, uint32_t max_ops) {
  if (auto error = check_shape(txn, max_ops)) return error;
  Touched then_ops, else_ops;
  if (overlaps(txn.success, &then_ops) || overlaps(txn.failure, &else_ops)) return Error::kDuplicateKey;
  return std::nullopt;
}

bool is_read_only(const api::TxnRequest& txn) { return all_ranges(txn.success, false) && all_ranges(txn.failure, false); }
bool is_serializable(const api::TxnRequest& txn) { return all_ranges(txn.success, true) && all_ranges(txn.failure, true); }

uint64_t cost(const api::PutRequest& r) { return 256 + r.key.size() + r.value.size(); }
uint64_t cost(const api::TxnRequest& txn) { return std::max(cost_of(txn.success), cost_of(txn.failure)); }

mvcc::RangeQuery to_query(const api::RangeRequest& r) {
  mvcc::RangeQuery query{.interval = api::Interval::of(r.key, r.range_end)};
  query.revision = r.revision;
  query.limit = r.limit;
  query.order = static_cast<mvcc::SortOrder>(r.sort_order);
  query.target = static_cast<mvcc::SortTarget>(r.sort_target);
  query.keys_only = r.keys_only;
  query.count_only = r.count_only;
  query.min_mod = r.min_mod_revision;
  query.max_mod = r.max_mod_revision;
  query.min_create = r.min_create_revision;
  query.max_create = r.max_create_revision;
  return query;
}

}  // namespace quorate::server
