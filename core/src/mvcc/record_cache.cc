#include "mvcc/record_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace quorate::mvcc {
namespace {
constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxSlab = 1u << 20;
constexpr uint64_t kSlabsPerBudget = 16;  // so that losing the oldest one loses little
uint64_t round_to_page(uint64_t n) { return (n + kPage - 1) / kPage * kPage; }
}  // namespace

RecordCache::RecordCache(uint64_t budget_bytes)
    : budget_(budget_bytes),
      slab_size_(std::clamp(budget_bytes / kSlabsPerBudget / kPage * kPage, kPage, kMaxSlab)) {}

RecordCache::~RecordCache() {
  QUORATE_ASSERT(pins_ == 0, "a pin outlives the cache");
  for (const Slab& slab : slabs_) unmap(slab);
}

void RecordCache::unmap(const Slab& slab) { munmap(slab.memory, slab.size); }

CacheRef RecordCache::add(plugin::ByteView record) {
  if (slabs_.empty() || used_ + record.size > slabs_.back().size) {
    if (!open_slab(record.size)) return 0;
  }
  uint64_t offset = used_;
  std::memcpy(slabs_.back().memory + offset, record.data, record.size);
  used_ += record.size;
  return (first_ + slabs_.size() - 1) << kOffsetBits | offset;
}

bool RecordCache::open_slab(uint64_t record_size) {
  uint64_t size = std::max(slab_size_, round_to_page(record_size));
  if (size > std::max(budget_ / 2, slab_size_) || size > budget_ || size > kOffsetMask) return false;
  while (mapped_ + size > budget_) evict_oldest();
  // Populated: a slab is filled from its beginning to its end, and a fault per page costs more than the
  // copying.
  void* memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return false;  // a smaller cache is slower, not wrong
  slabs_.push_back({static_cast<uint8_t*>(memory), size});
  mapped_ += size;
  used_ = 0;
  return true;
}

RecordCache::Moved RecordCache::take_over(RecordCache& other) {
  Moved moved;
  moved.from_ = other.first_;
  if (other.slabs_.empty()) {
    moved.from_ = UINT64_MAX;
    return moved;
  }
  moved.by_ = first_ + slabs_.size() - other.first_;
  slabs_.insert(slabs_.end(), other.slabs_.begin(), other.slabs_.end());
  mapped_ += std::exchange(other.mapped_, 0);
  used_ = std::exchange(other.used_, 0);
  other.first_ += other.slabs_.size();
  other.slabs_.clear();
  while (mapped_ > budget_) evict_oldest();
  return moved;
}

void RecordCache::evict_oldest() {
  Slab slab = slabs_.front();
  slabs_.pop_front();
  ++first_;
  mapped_ -= slab.size;
  if (pins_ == 0)
    unmap(slab);
  else
    retired_.push_back(slab);
}

void RecordCache::drop_retired() {
  for (const Slab& slab : retired_) unmap(slab);
  retired_.clear();
}

}  // namespace quorate::mvcc
