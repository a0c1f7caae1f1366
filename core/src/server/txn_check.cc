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
  const auto ops =
      static_cast<int64_t>(std::max({txn.compare.size(), txn.success.size(), txn.failure.size()}));
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
    case OpCase::kRequestRange:
      return check_range(*op.request_range);
    case OpCase::kRequestPut:
      return check_put(*op.request_put);
    case OpCase::kRequestDeleteRange:
      return check_delete(*op.request_delete_range);
    case OpCase::kRequestTxn:
      return check_shape(*op.request_txn, max_ops);
    case OpCase::kNone:
      break;
  }
  return Error::kKeyNotFound;
}

// Disjoint intervals of deleted keys, merged, so that a look-up is logarithmic however many there are.
class DeletedKeys {
 public:
  // As etcd's own check has it: the end is taken literally, so that "\0", which means "to the last key"
  // everywhere else, is an end before every key here, and covers none.
  void add(std::string_view key, std::string_view range_end) {
    if (range_end.empty()) {
      merge(std::string(key), std::string(key) + '\0');
    } else if (key < range_end) {
      merge(std::string(key), std::string(range_end));
    }
  }
  void add_all(const DeletedKeys& other) {
    for (const auto& [begin, end] : other.intervals_) merge(begin, end);
  }
  bool contains(std::string_view key) const {
    auto at = intervals_.upper_bound(key);
    return at != intervals_.begin() && key < std::prev(at)->second;
  }

 private:
  void merge(std::string begin, std::string end) {
    auto at = intervals_.upper_bound(begin);
    if (at != intervals_.begin() && std::prev(at)->second >= begin) {
      --at;
      begin = at->first;
    }
    while (at != intervals_.end() && at->first <= end) {
      end = std::max(end, at->second);
      at = intervals_.erase(at);
    }
    intervals_.emplace(std::move(begin), std::move(end));
  }

  std::map<std::string, std::string, std::less<>> intervals_;
};

struct Touched {
  std::set<std::string_view> puts;
  DeletedKeys deletes;
  // Puts that keep the old value or lease, and the first key that a delete "to the last key" takes. The rule
  // above lets them meet, and then there would be nothing to keep (etcd 3.7 panics there): refused.
  std::set<std::string_view> keeps;
  std::optional<std::string_view> deleted_from;

  void add_delete(const api::DeleteRangeRequest& r) {
    deletes.add(r.key, r.range_end);
    if (r.range_end == std::string_view("\0", 1))
      deleted_from = std::min(deleted_from.value_or(r.key), r.key);
  }
  void add_all(const Touched& o) {
    puts.insert(o.puts.begin(), o.puts.end());
    deletes.add_all(o.deletes);
    keeps.insert(o.keeps.begin(), o.keeps.end());
    if (o.deleted_from) deleted_from = std::min(deleted_from.value_or(*o.deleted_from), *o.deleted_from);
  }
  bool keeps_nothing() const { return deleted_from && !keeps.empty() && *keeps.rbegin() >= *deleted_from; }
};

// Within a branch a key may be put once and not deleted as well; what nested transactions may do counts,
// except that their two branches exclude each other.
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
  touched->add_all(then_ops);
  touched->add_all(else_ops);
  return false;
}

bool overlaps(const wire::Repeated<RequestOp>& ops, Touched* touched) {
  for (const RequestOp& op : ops) {
    if (op.request_case != OpCase::kRequestDeleteRange) continue;
    touched->add_delete(*op.request_delete_range);
  }
  for (const RequestOp& op : ops) {
    if (op.request_case == OpCase::kRequestTxn && add_nested(*op.request_txn, touched)) return true;
  }
  for (const RequestOp& op : ops) {
    if (op.request_case != OpCase::kRequestPut) continue;
    if (touched->deletes.contains(op.request_put->key)) return true;
    if (!touched->puts.insert(op.request_put->key).second) return true;
    if (op.request_put->ignore_value || op.request_put->ignore_lease)
      touched->keeps.insert(op.request_put->key);
  }
  return touched->keeps_nothing();
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

bool is_read_only(const api::TxnRequest& txn) {
  return all_ranges(txn.success, false) && all_ranges(txn.failure, false);
}
bool is_serializable(const api::TxnRequest& txn) {
  return all_ranges(txn.success, true) && all_ranges(txn.failure, true);
}

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
