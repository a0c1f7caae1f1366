// What applying a put, a delete or a transaction does.
#include "server/txn.h"

#include "base/assert.h"
#include "wire/reader.h"

namespace quorate::server {

using api::Error;
using OpCase = api::RequestOp::RequestCase;
using Target = api::Compare::CompareTarget;
using Union = api::Compare::TargetUnionCase;

std::string_view DecidingRecords::value(const mvcc::KeyVersion& version) const {
  auto at = values_.find(version.mod);
  QUORATE_ASSERT(at != values_.end(), "the value of a deciding record was not resolved before the apply");
  return at->second;
}

void DecidingRecords::add(const mvcc::Revision& revision, std::string value) {
  values_.insert_or_assign(revision, std::move(value));
}

std::string_view value_of(mvcc::Record record, bool* well_formed) {
  std::string_view value;
  wire::FieldReader fields({record.chars(), record.size});
  while (fields.next()) {
    if (fields.number() == 5 && fields.is_bytes()) value = fields.bytes();
  }
  if (well_formed != nullptr) *well_formed = fields.ok() && record.size != 0;
  return value;
}

void collect_deciding(const api::TxnRequest& txn, const mvcc::Store& store,
                      std::vector<mvcc::KeyVersion>* out) {
  for (const api::Compare& compare : txn.compare) {
    if (compare.target != Target::kValue) continue;
    store.scan(api::Interval::of(compare.key, compare.range_end),
               [&](std::string_view, const mvcc::KeyVersion& v) {
                 out->push_back(v);
                 return true;
               });
  }
  for (const auto* branch : {&txn.success, &txn.failure}) {
    for (const api::RequestOp& op : *branch) {
      if (op.request_case == OpCase::kRequestTxn) collect_deciding(*op.request_txn, store, out);
      if (op.request_case != OpCase::kRequestPut || !op.request_put->ignore_value) continue;
      if (auto version = store.get(op.request_put->key)) out->push_back(*version);
    }
  }
}

// ---- Checks: all that can fail comes before the first write
// ---------------------------------------------------------

std::optional<Error> Execution::check(const api::PutRequest& r) const {
  if (r.lease != 0 && !lessor_.exists(r.lease)) return Error::kLeaseNotFound;
  if ((r.ignore_value || r.ignore_lease) && !apply_.get(r.key)) return Error::kKeyNotFound;
  return std::nullopt;
}

std::optional<Error> Execution::check(const api::RangeRequest& r) const {
  if (r.revision == 0) return std::nullopt;
  if (r.revision > apply_.revision()) return Error::kFutureRev;
  // A store that was never compacted counts as compacted at -1, so that even absurd revisions get etcd's
  // answer.
  if (r.revision < (compacted_ > 0 ? compacted_ : -1)) return Error::kCompacted;
  return std::nullopt;
}

std::optional<Error> Execution::check_path(const api::TxnRequest& txn, size_t* at) const {
  const auto& branch = path_[(*at)++] ? txn.success : txn.failure;
  for (const api::RequestOp& op : branch) {
    std::optional<Error> error;
    if (op.request_case == OpCase::kRequestRange) error = check(*op.request_range);
    if (op.request_case == OpCase::kRequestPut) error = check(*op.request_put);
    if (op.request_case == OpCase::kRequestTxn) error = check_path(*op.request_txn, at);
    if (error) return error;
  }
  return std::nullopt;
}

// ---- Compares
// ------------------------------------------------------------------------------------------------------

namespace {

bool satisfies(api::Compare::CompareResult wanted, int order) {
  switch (wanted) {
    case api::Compare::CompareResult::kEqual:
      return order == 0;
    case api::Compare::CompareResult::kGreater:
      return order > 0;
    case api::Compare::CompareResult::kLess:
      return order < 0;
    case api::Compare::CompareResult::kNotEqual:
      return order != 0;
  }
  return true;  // an unknown result, as etcd has it
}

int order_of(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

}  // namespace

bool Execution::holds(const api::Compare& c, const mvcc::KeyVersion& v) const {
  // An operand of another kind than the target asks for counts as absent.
  auto operand = [&](Union kind, int64_t value) { return c.target_union_case == kind ? value : 0; };
  switch (c.target) {
    case Target::kVersion:
      return satisfies(c.result, order_of(v.version, operand(Union::kVersion, c.version)));
    case Target::kCreate:
      return satisfies(c.result, order_of(v.create_main, operand(Union::kCreateRevision, c.create_revision)));
    case Target::kMod:
      return satisfies(c.result, order_of(v.mod.main, operand(Union::kModRevision, c.mod_revision)));
    case Target::kLease:
      return satisfies(c.result, order_of(v.lease, operand(Union::kLease, c.lease)));
    case Target::kValue: {
      std::string_view value = c.target_union_case == Union::kValue ? c.value : std::string_view();
      return satisfies(c.result, deciding_.value(v).compare(value));
    }
  }
  return satisfies(c.result, 0);  // an unknown target compares nothing
}

bool Execution::holds(const api::Compare& c) const {
  bool any = false, all = true;
  apply_.scan(api::Interval::of(c.key, c.range_end), [&](std::string_view, const mvcc::KeyVersion& v) {
    any = true;
    return all = holds(c, v);
  });
  if (any) return all;
  // No key: a value can be compared with nothing; everything else compares as zero.
  return c.target != Target::kValue && holds(c, mvcc::KeyVersion());
}

void Execution::choose_path(const api::TxnRequest& txn) {
  bool success = true;
  for (const api::Compare& compare : txn.compare) {
    if (!(success = holds(compare))) break;
  }
  path_.push_back(success);
  for (const api::RequestOp& op : success ? txn.success : txn.failure) {
    if (op.request_case == OpCase::kRequestTxn) choose_path(*op.request_txn);
  }
}

// ---- Effects
// -------------------------------------------------------------------------------------------------------

void Execution::do_put(const api::PutRequest& r, OpOutcome* out) {
  out->kind = OpOutcome::Kind::kPut;
  std::string_view value = r.value;
  int64_t lease = r.lease;
  if (r.ignore_value || r.ignore_lease) {
    auto current = apply_.get(r.key);
    QUORATE_ASSERT(current.has_value(), "a put that keeps value or lease was not checked");
    if (r.ignore_value) value = deciding_.value(*current);
    if (r.ignore_lease) lease = current->lease;
  }
  std::optional<mvcc::KeyVersion> previous = apply_.put(r.key, value, lease);
  lessor_.move_key(r.key, previous ? previous->lease : 0, lease);
  if (r.prev_kv) out->previous = std::move(previous);
  out->revision = apply_.revision();
}

std::optional<Error> Execution::put(const api::PutRequest& r, OpOutcome* out) {
  if (auto error = check(r)) return error;
  do_put(r, out);
  return std::nullopt;
}

void Execution::remove(const api::DeleteRangeRequest& r, OpOutcome* out) {
  out->kind = OpOutcome::Kind::kDelete;
  out->deleted = apply_.remove(api::Interval::of(r.key, r.range_end),
                               [&](std::string_view key, const mvcc::KeyVersion& version) {
                                 lessor_.move_key(key, version.lease, 0);
                                 if (r.prev_kv && answer_) out->previous_all.push_back(version);
                               });
  out->revision = apply_.revision();
}

void Execution::range(const api::RangeRequest& r, OpOutcome* out) {
  out->kind = OpOutcome::Kind::kRange;
  const mvcc::RangeQuery query = to_query(r);
  if (answer_) out->found = apply_.range(query);
  out->keys_only = query.keys_only;
  out->target = query.target;
  out->order = query.order;
  out->limit = query.limit;
  out->revision = apply_.revision();
}

void Execution::execute(const api::TxnRequest& txn, size_t* at, TxnOutcome* out) {
  out->succeeded = path_[(*at)++];
  const auto& branch = out->succeeded ? txn.success : txn.failure;
  out->ops.resize(branch.size());
  for (size_t i = 0; i < branch.size(); ++i) {
    const api::RequestOp& op = branch[i];
    OpOutcome& outcome = out->ops[i];
    switch (op.request_case) {
      case OpCase::kRequestRange:
        range(*op.request_range, &outcome);
        break;
      case OpCase::kRequestPut:
        do_put(*op.request_put, &outcome);
        break;
      case OpCase::kRequestDeleteRange:
        remove(*op.request_delete_range, &outcome);
        break;
      case OpCase::kRequestTxn:
        outcome.kind = OpOutcome::Kind::kTxn;
        outcome.txn = std::make_unique<TxnOutcome>();
        execute(*op.request_txn, at, outcome.txn.get());
        break;
      case OpCase::kNone:
        break;
    }
  }
}

std::optional<Error> Execution::txn(const api::TxnRequest& txn, TxnOutcome* out) {
  path_.clear();
  choose_path(txn);
  size_t at = 0;
  if (auto error = check_path(txn, &at)) return error;
  at = 0;
  execute(txn, &at, out);
  out->revision = apply_.revision();
  return std::nullopt;
}

}  // namespace quorate::server
