// Records in memory, within a byte budget.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "mvcc/types.h"
#include "quorate/plugin/base.h"

namespace quorate::mvcc {

// A log of records in mapped slabs; the oldest slab goes when a new one would exceed the budget. Whoever
// finds a record in the older half of the log adds it again (second chance): what is read stays. A CacheRef
// is a slab's number and an offset: no overhead per record, and a reference into a slab that has gone is
// recognised by its number. Nothing is lost by eviction: the engine, or the writer's kept batches, have every
// record. [loop]. Views live until the next add(), or while a Pin does.
class RecordCache {
 public:
  explicit RecordCache(uint64_t budget_bytes);
  ~RecordCache();
  RecordCache(const RecordCache&) = delete;
  RecordCache& operator=(const RecordCache&) = delete;

  // 0: not kept, because it is large for the budget.
  CacheRef add(plugin::ByteView record);
  // Takes what the other one holds, as if it had been added here after all that is here; leaves it empty. The
  // answer says what the other's references have become.
  class Moved {
   public:
    CacheRef operator()(CacheRef ref) const {
      return (ref >> kOffsetBits) < from_ ? 0 : ref + (by_ << kOffsetBits);
    }

   private:
    friend class RecordCache;
    uint64_t from_ = 0;  // the other's first slab: older references are stale
    uint64_t by_ = 0;
  };
  Moved take_over(RecordCache& other);
  // Null: gone. The caller knows the size.
  const uint8_t* find(CacheRef ref) const {
    uint64_t slab = (ref >> kOffsetBits) - first_;
    return slab < slabs_.size() ? slabs_[slab].memory + (ref & kOffsetMask) : nullptr;
  }
  // Whether a record found here is worth adding again: it is in the older half, and slabs are about to go.
  bool aging(CacheRef ref) const {
    return mapped_ > budget_ - budget_ / 8 && (ref >> kOffsetBits) - first_ < slabs_.size() / 2;
  }
  uint64_t bytes() const { return mapped_; }  // what the cache occupies
  uint64_t budget() const { return budget_; }

  // While one exists no memory is given back: views stay valid.
  class Pin {
   public:
    explicit Pin(RecordCache& cache) : cache_(cache) { ++cache_.pins_; }
    ~Pin() {
      if (--cache_.pins_ == 0) cache_.drop_retired();
    }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;

   private:
    RecordCache& cache_;
  };

 private:
  static constexpr uint32_t kOffsetBits = 24;
  static constexpr uint64_t kOffsetMask = (1u << kOffsetBits) - 1;
  struct Slab {
    uint8_t* memory = nullptr;
    uint64_t size = 0;
  };

  bool open_slab(uint64_t record_size);
  void evict_oldest();
  void drop_retired();
  static void unmap(const Slab& slab);

  uint64_t budget_;
  uint64_t slab_size_;
  uint64_t mapped_ = 0;
  uint64_t first_ = 1;  // number of slabs_[0]; 0 is no slab's, so that ref 0 is never found
  uint64_t used_ = 0;   // of the last slab
  std::deque<Slab> slabs_;
  std::vector<Slab> retired_;
  uint32_t pins_ = 0;
};

}  // namespace quorate::mvcc
