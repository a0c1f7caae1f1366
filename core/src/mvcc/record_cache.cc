#include "mvcc/record_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

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
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;  // a smaller cache is slower, not wrong
  slabs_.push_back({static_cast<uint8_t*>(memory), size});
  mapped_ += size;
  used_ = 0;
  return true;
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
