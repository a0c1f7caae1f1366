// Memory that lives as long as one request: what decoding makes beyond the input bytes themselves
// (sub-messages, repeated fields, unescaped JSON strings), and what a handler builds its reply from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>

namespace quorate::wire {

// A bump allocator [serial]. Nothing in it is destroyed, so only trivially destructible types may live here;
// pointers stay valid until reset() or destruction. The first kInlineBytes come from the object itself:
// decoding a Put or a small Txn allocates nothing.
class Arena {
 public:
  static constexpr size_t kInlineBytes = 512;
  static constexpr size_t kDefaultLimit = size_t{64} << 20;

  // `limit`: bytes that try_allocate() hands out at most. Decoding needs up to some hundred bytes of memory
  // for two bytes of input (an empty sub-message), so the input's size alone does not bound it.
  explicit Arena(size_t limit = kDefaultLimit) : limit_(limit) { rewind(); }
  ~Arena() { free_blocks(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Null once `limit` would be passed. For sizes that outside input decides. `align` is a power of two <= 16.
  void* try_allocate(size_t size, size_t align = alignof(std::max_align_t)) {
    if (size > limit_ || used_ > limit_ - size) return nullptr;
    return allocate(size, align);
  }
  // Never null (throws std::bad_alloc when the process has no memory). For what our own code decides.
  void* allocate(size_t size, size_t align = alignof(std::max_align_t)) {
    uintptr_t at = (next_ + align - 1) & ~uintptr_t{align - 1};
    if (at > end_ || size > end_ - at) return allocate_block(size);
    next_ = at + size;
    used_ += size;
    return reinterpret_cast<void*>(at);
  }
  // Grows the newest allocation in place; false if it is not the newest or there is no room.
  bool try_extend(const void* p, size_t size, size_t new_size) {
    auto at = reinterpret_cast<uintptr_t>(p);
    size_t more = new_size - size;
    if (p == nullptr || at + size != next_ || more > end_ - next_ || more > limit_ || used_ > limit_ - more)
      return false;
    next_ += more;
    used_ += more;
    return true;
  }

  template <typename T>
  T* make() {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T), alignof(T))) T();
  }
  template <typename T>
  T* make(const T& value) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T), alignof(T))) T(value);
  }
  std::string_view copy(std::string_view s) {
    if (s.empty()) return {};
    auto* p = static_cast<char*>(allocate(s.size(), 1));
    std::memcpy(p, s.data(), s.size());
    return {p, s.size()};
  }

  size_t used() const { return used_; }
  // Forgets everything, frees all but the inline block.
  void reset() {
    free_blocks();
    rewind();
  }

 private:
  struct Block {
    Block* previous;
    size_t size;
  };
  void* allocate_block(size_t size);
  void free_blocks();
  void rewind() {
    next_ = reinterpret_cast<uintptr_t>(inline_);
    end_ = next_ + kInlineBytes;
    used_ = 0;
    block_size_ = 4096;
  }

  uintptr_t next_ = 0;
  uintptr_t end_ = 0;
  size_t used_ = 0;
  size_t limit_;
  size_t block_size_ = 0;
  Block* blocks_ = nullptr;
  alignas(std::max_align_t) unsigned char inline_[kInlineBytes];
};

// A repeated field: a view of contiguous elements that live in an Arena or in the caller's memory. Copying it
// copies the view, not the elements.
template <typename T>
class Repeated {
 public:
  static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);

  constexpr Repeated() = default;
  // Elements kept alive by the caller.
  constexpr Repeated(const T* data, size_t size)
      : data_(const_cast<T*>(data)), size_(static_cast<uint32_t>(size)) {}

  const T* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  const T& operator[](size_t i) const { return data_[i]; }
  const T& front() const { return data_[0]; }
  const T& back() const { return data_[size_ - 1]; }

  // The reference is good until the next push_back(). Elements in the caller's memory move to `arena` first.
  T& push_back(Arena& arena, const T& value = T()) {
    if (size_ >= capacity_) grow(arena);
    return data_[size_++] = value;
  }

 private:
  void grow(Arena& arena) {
    uint32_t capacity = size_ == 0 ? 4 : 2 * size_;
    if (!arena.try_extend(data_, capacity_ * sizeof(T), capacity * sizeof(T))) {
      auto* data = static_cast<T*>(arena.allocate(capacity * sizeof(T), alignof(T)));
      for (uint32_t i = 0; i < size_; i++) new (&data[i]) T(data_[i]);
      data_ = data;
    }
    capacity_ = capacity;
  }

  friend struct RepeatedBytes;
  T* data_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

// The same field as the table-driven code sees it, which knows only the element's size.
struct RepeatedBytes {
  unsigned char* data;
  uint32_t size;
  uint32_t capacity;

  // A zeroed element at the end; null if the arena's limit forbids it.
  void* append(Arena& arena, size_t element);
};
static_assert(sizeof(RepeatedBytes) == sizeof(Repeated<int64_t>));

}  // namespace quorate::wire
