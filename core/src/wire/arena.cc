#include "wire/arena.h"

#include <algorithm>

namespace quorate::wire {

void* Arena::allocate_block(size_t size) {
  size_t bytes = std::max(block_size_, size);
  block_size_ = std::min<size_t>(2 * block_size_, size_t{1} << 20);
  auto* block = static_cast<Block*>(::operator new(sizeof(Block) + bytes));
  block->previous = blocks_;
  block->size = bytes;
  blocks_ = block;
  next_ = reinterpret_cast<uintptr_t>(block + 1) + size;
  end_ = reinterpret_cast<uintptr_t>(block + 1) + bytes;
  used_ += size;
  return block + 1;
}

void Arena::free_blocks() {
  while (blocks_ != nullptr) {
    Block* previous = blocks_->previous;
    ::operator delete(blocks_);
    blocks_ = previous;
  }
}

void* RepeatedBytes::append(Arena& arena, size_t element) {
  if (size >= capacity) {
    if (size > UINT32_MAX / 2) return nullptr;
    uint32_t more = size == 0 ? 4 : 2 * size;
    if (!arena.try_extend(data, capacity * element, more * element)) {
      auto* grown = static_cast<unsigned char*>(arena.try_allocate(more * element));
      if (grown == nullptr) return nullptr;
      if (size != 0) std::memcpy(grown, data, size * element);
      data = grown;
    }
    capacity = more;
  }
  void* at = data + size++ * element;
  std::memset(at, 0, element);
  return at;
}

}  // namespace quorate::wire
