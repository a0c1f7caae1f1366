#include "wire/writer.h"

#include <algorithm>

namespace quorate::wire {

void Writer::reallocate(size_t needed) {
  size_t old = size();
  size_t capacity = std::max(needed, old == 0 ? size_t{64} : 2 * old);
  uint8_t* fresh = nullptr;
  plugin::Buffer grown = plugin::Buffer::allocate(capacity, &fresh);
  if (old != 0) std::memcpy(fresh, begin_, old);
  storage_ = std::move(grown);
  begin_ = fresh;
  next_ = fresh + old;
  end_ = fresh + capacity;
}

plugin::Buffer Writer::take() {
  plugin::Buffer out = size() == 0 ? plugin::Buffer() : storage_.slice(0, size());
  storage_ = plugin::Buffer();
  begin_ = next_ = end_ = nullptr;
  return out;
}

}  // namespace quorate::wire
