// The vocabulary of the multi-version store.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace quorate::mvcc {

// A place in the history: `main` counts the entries that changed a key, `sub` the changes within one of them.
struct Revision {
  int64_t main = 0;
  int64_t sub = 0;
  friend constexpr auto operator<=>(const Revision&, const Revision&) = default;
};

// Where the record cache holds a record; 0: nowhere. May go stale at any time: the cache checks it.
using CacheRef = uint64_t;

// One version of a key, as the index knows it without reading the record.
struct KeyVersion {
  Revision mod;
  int64_t create_main = 0;  // main revision of the put that (re)created the key
  int64_t version = 0;      // 1 on create; 0 for a tombstone
  int64_t lease = 0;
  uint32_t record_size = 0;  // of the encoded mvccpb.KeyValue
  bool tombstone = false;
  CacheRef ref = 0;
};

}  // namespace quorate::mvcc
