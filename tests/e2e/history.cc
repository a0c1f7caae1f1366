#include "e2e/history.h"

namespace quorate::test {
namespace api = etcdserverpb;

std::string History::key() {
  if (chance(150)) return "";
  return "k" + std::string(1, static_cast<char>('a' + pick(10)));
}

std::string History::end_of(const std::string& key) {
  switch (pick(6)) {
    case 0:
      return key + '\0';
    case 1:
      return std::string(1, '\0');
    case 2:
      return "l";
    case 3:
      return this->key();
    default:
      return "";
  }
}

int64_t History::some_revision() {
  if (!chance(4)) return 0;
  if (chance(12)) return revision_ + 1 + static_cast<int64_t>(pick(3));
  // Now and then a compacted one.
  const int64_t from = std::max<int64_t>(1, compacted_ - 1);
  return from + static_cast<int64_t>(pick(static_cast<uint64_t>(revision_ - from + 1)));
}

void History::fill(api::RangeRequest* r, bool in_txn) {
  r->set_key(key());
  r->set_range_end(end_of(r->key()));
  r->set_revision(some_revision());
  if (chance(3)) r->set_limit(static_cast<int64_t>(pick(5)));
  if (chance(3)) r->set_sort_order(static_cast<api::RangeRequest_SortOrder>(pick(chance(30) ? 4 : 3)));
  // Sorting by something that several keys share is in no order that etcd promises: by key and revision of
  // the change only one key has each, except for what one transaction wrote.
  if (chance(12)) r->set_sort_target(api::RangeRequest_SortTarget_KEY);
  r->set_keys_only(chance(5));
  r->set_count_only(chance(6));
  r->set_serializable(chance(3));
  if (chance(6)) r->set_min_mod_revision(static_cast<int64_t>(pick(static_cast<uint64_t>(revision_) + 1)));
  if (chance(6)) r->set_max_mod_revision(static_cast<int64_t>(pick(static_cast<uint64_t>(revision_) + 1)));
  if (chance(6)) r->set_min_create_revision(static_cast<int64_t>(pick(static_cast<uint64_t>(revision_) + 1)));
  if (chance(6)) r->set_max_create_revision(static_cast<int64_t>(pick(static_cast<uint64_t>(revision_) + 1)));
  if (in_txn && chance(2)) r->set_revision(0);
}

void History::fill(api::PutRequest* r) {
  r->set_key(key());
  r->set_ignore_value(keeping_ && chance(5));
  if (!r->ignore_value() || chance(20)) r->set_value(std::string(pick(4), static_cast<char>('a' + pick(26))));
  r->set_ignore_lease(keeping_ && chance(5));
  if (chance(6) && (!r->ignore_lease() || chance(20)))
    r->set_lease(chance(20) ? 999 : 7 + static_cast<int64_t>(pick(2)));
  r->set_prev_kv(chance(3));
}

void History::fill(api::DeleteRangeRequest* r) {
  r->set_key(key());
  if (chance(3)) r->set_range_end(end_of(r->key()));
  if (keeping_ && r->range_end() == std::string(1, '\0')) r->set_range_end("l");
  r->set_prev_kv(chance(2));
}

void History::fill(api::Compare* r) {
  r->set_key(key());
  if (chance(4)) r->set_range_end(end_of(r->key()));
  r->set_result(static_cast<api::Compare_CompareResult>(pick(4)));
  r->set_target(static_cast<api::Compare_CompareTarget>(pick(5)));
  const auto number = static_cast<int64_t>(pick(static_cast<uint64_t>(revision_) + 2));
  switch (r->target()) {
    case api::Compare_CompareTarget_VERSION:
      r->set_version(static_cast<int64_t>(pick(4)));
      break;
    case api::Compare_CompareTarget_CREATE:
      r->set_create_revision(number);
      break;
    case api::Compare_CompareTarget_MOD:
      r->set_mod_revision(number);
      break;
    case api::Compare_CompareTarget_LEASE:
      r->set_lease(static_cast<int64_t>(pick(2) * 7));
      break;
    default:
      r->set_value(std::string(pick(3), static_cast<char>('a' + pick(26))));
      break;
  }
}

void History::fill(api::RequestOp* r, int depth) {
  switch (pick(depth > 0 ? 8 : 7)) {
    case 0:
    case 1:
    case 2:
      return fill(r->mutable_request_put());
    case 3:
    case 4:
      return fill(r->mutable_request_range(), true);
    case 5:
      return fill(r->mutable_request_delete_range());
    case 7:
      return fill(r->mutable_request_txn(), depth - 1);
    default:
      if (chance(60)) return;  // an operation that is none
      return fill(r->mutable_request_put());
  }
}

void History::fill(api::TxnRequest* r, int depth) {
  for (uint64_t n = pick(3); n > 0; --n) fill(r->add_compare());
  for (uint64_t n = pick(4); n > 0; --n) fill(r->add_success(), depth);
  for (uint64_t n = pick(4); n > 0; --n) fill(r->add_failure(), depth);
}

namespace {

template <typename Request, typename Fill>
Step step(const char* method, Fill fill) {
  auto request = std::make_unique<Request>();
  fill(request.get());
  return {method, std::move(request)};
}

}  // namespace

Step History::next(int64_t revision, int64_t compacted) {
  revision_ = revision;
  compacted_ = compacted;
  keeping_ = chance(2);
  const uint64_t what = pick(100);
  if (what < 60) return step<api::TxnRequest>("Txn", [&](auto* r) { fill(r, 3); });
  if (what < 75) return step<api::RangeRequest>("Range", [&](auto* r) { fill(r, false); });
  if (what < 87) return step<api::PutRequest>("Put", [&](auto* r) { fill(r); });
  if (what < 94) return step<api::DeleteRangeRequest>("DeleteRange", [&](auto* r) { fill(r); });
  if (what < 98) {
    // etcd answers the hash at the compacted revision from what it remembers of the time before: not asked
    // for.
    return step<api::HashKVRequest>("HashKV", [&](auto* r) {
      r->set_revision(compacted_ + 1 +
                      static_cast<int64_t>(pick(static_cast<uint64_t>(revision_ - compacted_) + 1)));
    });
  }
  return step<api::CompactionRequest>("Compact", [&](auto* r) {
    r->set_revision(compacted_ +
                    static_cast<int64_t>(pick(static_cast<uint64_t>(revision_ - compacted_) + 2)));
    r->set_physical(true);
  });
}

}  // namespace quorate::test
