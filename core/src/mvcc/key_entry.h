// A key in the index: its newest version in place, the older ones that are still readable in a chain beside
// it.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include "mvcc/types.h"

namespace quorate::mvcc {

// A version in a chain. The chain is ascending.
struct OldVersion {
  int64_t main = 0;
  int64_t create_main = 0;
  int64_t version = 0;
  int64_t lease = 0;
  CacheRef ref = 0;
  uint32_t sub = 0;
  uint32_t record_size : 31;
  uint32_t tombstone : 1;
};
static_assert(sizeof(OldVersion) == 48);

// The header of a chain; its versions follow. Compaction removes from the front, writes append.
struct OldVersions {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t capacity = 0;
  uint32_t reserved = 0;
  OldVersion* at(uint32_t i) { return reinterpret_cast<OldVersion*>(this + 1) + i; }
  const OldVersion* at(uint32_t i) const { return reinterpret_cast<const OldVersion*>(this + 1) + i; }
};
static_assert(sizeof(OldVersions) % alignof(OldVersion) == 0);

// Made and freed by KeyIndex; stays where it is while it lives. The key's bytes follow the header.
struct KeyEntry {
  int64_t main = 0;  // of the newest version
  int64_t create_main = 0;
  int64_t version = 0;
  int64_t lease = 0;
  CacheRef ref = 0;
  OldVersions* older = nullptr;
  uint32_t sub = 0;
  uint32_t record_size = 0;
  uint32_t key_size : 31;
  uint32_t tombstone : 1;
  char key_begin[4];

  std::string_view key() const { return {key_begin, key_size}; }
  bool live() const { return tombstone == 0; }
  bool has_older() const { return older != nullptr; }
  KeyVersion newest() const {
    return {{main, sub}, create_main, version, lease, record_size, tombstone != 0, ref};
  }
  void set_newest(const KeyVersion& v) {
    main = v.mod.main;
    sub = static_cast<uint32_t>(v.mod.sub);
    create_main = v.create_main;
    version = v.version;
    lease = v.lease;
    record_size = v.record_size;
    tombstone = v.tombstone ? 1 : 0;
    ref = v.ref;
  }
  // When the set of live keys last changed because of this one.
  int64_t membership_changed() const { return live() ? create_main : main; }
  bool live_at(int64_t revision) const {
    if (main <= revision) return live();
    if (live() && create_main <= revision) return true;
    KeyVersion ignored;
    return older != nullptr && find_older(revision, &ignored);
  }
  // The version that a read at `revision` sees; false: none, or deleted.
  bool at(int64_t revision, KeyVersion* out) const {
    if (main <= revision) {
      if (live()) *out = newest();
      return live();
    }
    return older != nullptr && find_older(revision, out);
  }
  // The live version right before the one of `revision`; false: none.
  bool before(Revision revision, KeyVersion* out) const {
    if (newest().mod < revision) {
      if (live()) *out = newest();
      return live();
    }
    if (older == nullptr) return false;
    for (uint32_t i = older->end; i > older->begin; --i) {
      const OldVersion& v = *older->at(i - 1);
      if (Revision{v.main, v.sub} >= revision) continue;
      if (v.tombstone == 0)
        *out = {{v.main, v.sub}, v.create_main, v.version, v.lease, v.record_size, false, v.ref};
      return v.tombstone == 0;
    }
    return false;
  }

 private:
  bool find_older(int64_t revision, KeyVersion* out) const;
};
inline constexpr size_t kKeyOffset = offsetof(KeyEntry, key_begin);
static_assert(kKeyOffset == 60, "the bytes a key costs are counted on");

inline KeyVersion version_of(const OldVersion& v) {
  return {{v.main, v.sub}, v.create_main, v.version, v.lease, v.record_size, v.tombstone != 0, v.ref};
}

inline bool KeyEntry::find_older(int64_t revision, KeyVersion* out) const {
  uint32_t low = older->begin;  // binary search: the last one whose main revision is not above
  uint32_t high = older->end;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (older->at(middle)->main <= revision)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == older->begin || older->at(low - 1)->tombstone != 0) return false;
  *out = version_of(*older->at(low - 1));
  return true;
}

}  // namespace quorate::mvcc
