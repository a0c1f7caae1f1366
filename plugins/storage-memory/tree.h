// A persistent ordered map: a treap whose nodes are shared between versions. Copying a Tree is O(1); changing
// one copies the path to the change, unless this version is the only one that holds it. Writers change their
// own Tree; versions may be read and dropped on any thread meanwhile.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

namespace quorate::memory {

// One key with its value, immutable, shared by all versions that hold it.
struct Entry {
  std::atomic<uint32_t> references{1};
  uint32_t key_size = 0;
  uint64_t value_size = 0;

  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view key() const { return {bytes(), key_size}; }
  std::string_view value() const { return {bytes() + key_size, value_size}; }
};

struct Node;

class Tree {
 public:
  Tree() = default;
  Tree(const Tree& o);
  Tree(Tree&& o) noexcept : root_(std::exchange(o.root_, nullptr)), entries_(o.entries_), bytes_(o.bytes_) {}
  Tree& operator=(Tree o) noexcept {
    std::swap(root_, o.root_);
    std::swap(entries_, o.entries_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~Tree();

  // [serial] put() throws std::bad_alloc before it changes anything. No memory even for a node ends the
  // process.
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key) noexcept;
  void erase_range(std::string_view begin, std::string_view end) noexcept;  // [begin, end)

  const Entry* find(std::string_view key) const;
  // Calls visit(const Entry&) → bool for [begin, end) in order until it answers false. An empty `end`: to the
  // last.
  template <typename Visit>
  void scan(std::string_view begin, std::string_view end, bool reverse, Visit&& visit) const;

  uint64_t entries() const { return entries_; }
  uint64_t bytes() const { return bytes_; }  // of keys and values

 private:
  void forget(const Node* node) noexcept;
  void insert(Entry* entry) noexcept;

  Node* root_ = nullptr;
  uint64_t entries_ = 0;
  uint64_t bytes_ = 0;
};

// A heap by `priority` and a search tree by key. Height is about 2 log2(n), so recursion is bounded by it.
struct Node {
  std::atomic<uint32_t> references{1};
  uint32_t priority = 0;
  Node* left = nullptr;
  Node* right = nullptr;
  Entry* entry = nullptr;
};

namespace internal {

template <typename Visit>
bool walk(const Node* n, std::string_view begin, std::string_view end, bool reverse, Visit& visit) {
  if (n == nullptr) return true;
  std::string_view key = n->entry->key();
  bool low = key < begin;                  // this and everything left of it is out
  bool high = !end.empty() && key >= end;  // this and everything right of it is out
  const Node* first = reverse ? n->right : n->left;
  const Node* last = reverse ? n->left : n->right;
  if (!(reverse ? high : low) && !walk(first, begin, end, reverse, visit)) return false;
  if (!low && !high && !visit(*n->entry)) return false;
  return (reverse ? low : high) || walk(last, begin, end, reverse, visit);
}

}  // namespace internal

template <typename Visit>
void Tree::scan(std::string_view begin, std::string_view end, bool reverse, Visit&& visit) const {
  internal::walk(root_, begin, end, reverse, visit);
}

}  // namespace quorate::memory
