// What a transaction must look like (etcd-surface §1.3 "Txn": shape, op limit, duplicate rule).
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "server/txn.h"
#include "wire/arena.h"

namespace quorate::server {
namespace {

using api::Error;

// Builds requests without ceremony; everything lives in the arena.
class Builder {
 public:
  wire::Arena arena{size_t{1} << 30};

  api::RequestOp put(std::string_view key) {
    auto* r = arena.make<api::PutRequest>();
    r->key = arena.copy(key);
    api::RequestOp op;
    op.set_request_put(r);
    return op;
  }
  api::RequestOp del(std::string_view key, std::string_view end = {}) {
    auto* r = arena.make<api::DeleteRangeRequest>();
    r->key = arena.copy(key);
    r->range_end = arena.copy(end);
    api::RequestOp op;
    op.set_request_delete_range(r);
    return op;
  }
  api::RequestOp get(std::string_view key) {
    auto* r = arena.make<api::RangeRequest>();
    r->key = arena.copy(key);
    api::RequestOp op;
    op.set_request_range(r);
    return op;
  }
  api::RequestOp nested(const api::TxnRequest& txn) {
    api::RequestOp op;
    op.set_request_txn(arena.make<api::TxnRequest>(txn));
    return op;
  }
  api::TxnRequest txn(std::vector<api::RequestOp> success, std::vector<api::RequestOp> failure = {}) {
    api::TxnRequest t;
    for (auto& op : success) t.success.push_back(arena, op);
    for (auto& op : failure) t.failure.push_back(arena, op);
    return t;
  }
};

constexpr uint32_t kMaxOps = 128;

TEST(CheckTxn, RefusesAKeyThatABranchPutsTwice) {
  Builder b;
  EXPECT_EQ(check_txn(b.txn({b.put("a"), b.put("a")}), kMaxOps), Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.put("a")}, {b.put("a")}), kMaxOps), std::nullopt)
      << "branches exclude each other";
  EXPECT_EQ(check_txn(b.txn({}, {b.put("a"), b.put("a")}), kMaxOps), Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.put("a"), b.get("a"), b.put("b")}), kMaxOps), std::nullopt);
}

TEST(CheckTxn, RefusesAPutThatADeleteOfTheSameBranchCovers) {
  Builder b;
  EXPECT_EQ(check_txn(b.txn({b.put("b"), b.del("a", "c")}), kMaxOps), Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.put("c"), b.del("a", "c")}), kMaxOps), std::nullopt) << "the end is exclusive";
  EXPECT_EQ(check_txn(b.txn({b.put("b"), b.del("b")}), kMaxOps), Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.put("z"), b.del("a", std::string_view("\0", 1))}), kMaxOps), std::nullopt)
      << "etcd takes the end literally here";
  EXPECT_EQ(check_txn(b.txn({b.del("a", "c"), b.del("b", "d")}), kMaxOps), std::nullopt)
      << "deletes may overlap";
  EXPECT_EQ(check_txn(b.txn({b.put("b"), b.del("c", "a")}), kMaxOps), std::nullopt)
      << "an empty range deletes nothing";
}

// etcd 3.7.1 panics when it applies these.
TEST(CheckTxn, RefusesToKeepWhatTheSameTransactionDeletes) {
  Builder b;
  auto keep = [&](std::string_view key) {
    api::RequestOp op = b.put(key);
    auto* r = b.arena.make<api::PutRequest>(*op.request_put);
    r->ignore_value = true;
    op.set_request_put(r);
    return op;
  };
  const std::string_view to_the_last("\0", 1);
  EXPECT_EQ(check_txn(b.txn({b.del("a", to_the_last), keep("k")}), kMaxOps), Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.del("z", to_the_last), keep("k")}), kMaxOps), std::nullopt);
  EXPECT_EQ(check_txn(b.txn({b.nested(b.txn({b.del("a", to_the_last)})), keep("k")}), kMaxOps),
            Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.del("a", to_the_last), b.nested(b.txn({}, {keep("k")}))}), kMaxOps),
            Error::kDuplicateKey);
}

TEST(CheckTxn, NestedBranchesExcludeEachOtherButNotWhatIsAround) {
  Builder b;
  EXPECT_EQ(check_txn(b.txn({b.nested(b.txn({b.put("a")}, {b.put("a")}))}), kMaxOps), std::nullopt);
  EXPECT_EQ(check_txn(b.txn({b.put("a"), b.nested(b.txn({b.put("a")}))}), kMaxOps), Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.del("a", "z"), b.nested(b.txn({}, {b.put("k")}))}), kMaxOps),
            Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.nested(b.txn({b.del("a", "z")})), b.put("k")}), kMaxOps),
            Error::kDuplicateKey);
  EXPECT_EQ(check_txn(b.txn({b.nested(b.txn({b.put("a")})), b.nested(b.txn({b.put("a")}))}), kMaxOps),
            Error::kDuplicateKey);
}

TEST(CheckTxn, CountsOperationsAtEachLevel) {
  Builder b;
  std::vector<api::RequestOp> ops;
  for (int i = 0; i < 128; ++i) ops.push_back(b.put("k" + std::to_string(i)));
  EXPECT_EQ(check_txn(b.txn(ops), kMaxOps), std::nullopt);
  ops.push_back(b.put("one more"));
  EXPECT_EQ(check_txn(b.txn(ops), kMaxOps), Error::kTooManyOps);
  ops.resize(127);
  // 127 operations and the nested transaction are 128: nothing is left for what is inside.
  ops.push_back(b.nested(b.txn({b.put("x")})));
  EXPECT_EQ(check_txn(b.txn(ops), kMaxOps), Error::kTooManyOps);
  ops.pop_back();
  ops.pop_back();
  ops.push_back(b.nested(b.txn({b.put("x")})));
  EXPECT_EQ(check_txn(b.txn(ops), kMaxOps), std::nullopt);
}

TEST(CheckTxn, RefusesIncompleteOperations) {
  Builder b;
  EXPECT_EQ(check_txn(b.txn({api::RequestOp()}), kMaxOps), Error::kKeyNotFound);
  EXPECT_EQ(check_txn(b.txn({b.put("")}), kMaxOps), Error::kEmptyKey);
  EXPECT_EQ(check_txn(b.txn({}, {b.get("")}), kMaxOps), Error::kEmptyKey);
  api::TxnRequest txn;
  txn.compare.push_back(b.arena, api::Compare());
  EXPECT_EQ(check_txn(txn, kMaxOps), Error::kEmptyKey);
  auto* sorted = b.arena.make<api::RangeRequest>();
  sorted->key = "a";
  sorted->sort_target = static_cast<api::RangeRequest::SortTarget>(5);
  api::RequestOp op;
  op.set_request_range(sorted);
  EXPECT_EQ(check_txn(b.txn({op}), kMaxOps), Error::kInvalidSortOption);
}

TEST(CheckTxn, KnowsWhatOnlyReads) {
  Builder b;
  EXPECT_TRUE(is_read_only(b.txn({b.get("a")}, {b.get("b")})));
  EXPECT_TRUE(is_read_only(b.txn({})));
  EXPECT_FALSE(is_read_only(b.txn({b.get("a")}, {b.put("b")})));
  EXPECT_FALSE(is_read_only(b.txn({b.nested(b.txn({b.get("a")}))})))
      << "a nested transaction counts as a write";
  EXPECT_FALSE(is_serializable(b.txn({b.get("a")})));
}

TEST(CheckTxn, CostIsThatOfTheDearerBranch) {
  Builder b;
  EXPECT_EQ(cost(b.txn({b.put("ab")}, {b.del("x")})), 258u);
  EXPECT_EQ(cost(b.txn({b.put("a")}, {b.put("a"), b.nested(b.txn({b.put("bcd")}))})), 257u + 259u);
}

// Distribution: 20,000 branches of 1 to 8 operations over the keys 00..19, two thirds puts, one third deletes
// (half of them of a range); the model looks at every pair.
TEST(CheckTxn, AgreesWithAPairwiseModel) {
  constexpr uint32_t kSeed = 7;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937 random(kSeed);
  auto key = [&](uint32_t i) {
    std::string k = std::to_string(i % 20);
    return std::string(2 - k.size(), '0') + k;
  };
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    Builder b;
    std::vector<api::RequestOp> ops;
    const uint32_t n = 1 + random() % 8;
    for (uint32_t i = 0; i < n; ++i) {
      if (random() % 3 != 0) {
        ops.push_back(b.put(key(random())));
      } else if (random() % 2 == 0) {
        ops.push_back(b.del(key(random())));
      } else {
        ops.push_back(b.del(key(random()), key(random())));
      }
    }
    bool clash = false;
    for (size_t i = 0; i < ops.size(); ++i) {
      if (ops[i].request_put == nullptr) continue;
      for (size_t j = 0; j < ops.size(); ++j) {
        if (i == j) continue;
        if (ops[j].request_put != nullptr && ops[j].request_put->key == ops[i].request_put->key) clash = true;
        if (const auto* d = ops[j].request_delete_range; d != nullptr) {
          clash = clash || (d->range_end.empty() ? d->key == ops[i].request_put->key
                                                 : d->key <= ops[i].request_put->key &&
                                                       ops[i].request_put->key < d->range_end);
        }
      }
    }
    refused += clash;
    ASSERT_EQ(check_txn(b.txn(ops), kMaxOps) == Error::kDuplicateKey, clash) << "round " << round;
  }
  EXPECT_GT(refused, 2'000);
  EXPECT_LT(refused, 18'000);
}

}  // namespace
}  // namespace quorate::server
