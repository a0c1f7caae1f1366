#include "tree.h"

#include <cstring>
#include <limits>
#include <new>

namespace quorate::memory {
namespace {

Entry* make_entry(std::string_view key, std::string_view value) {
  if (key.size() > std::numeric_limits<uint32_t>::max()) throw std::bad_alloc();
  void* memory = ::operator new(sizeof(Entry) + key.size() + value.size());
  auto* entry = new (memory) Entry;
  entry->key_size = static_cast<uint32_t>(key.size());
  entry->value_size = value.size();
  char* bytes = static_cast<char*>(memory) + sizeof(Entry);
  if (!key.empty()) std::memcpy(bytes, key.data(), key.size());
  if (!value.empty()) std::memcpy(bytes + key.size(), value.data(), value.size());
  return entry;
}

void drop(Entry* entry) {
  if (entry->references.fetch_sub(1, std::memory_order_acq_rel) == 1) ::operator delete(entry);
}

Node* share(Node* n) {
  if (n != nullptr) n->references.fetch_add(1, std::memory_order_relaxed);
  return n;
}

void drop(Node* n) {
  if (n == nullptr || n->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  drop(n->left);
  drop(n->right);
  drop(n->entry);
  delete n;
}

// A node that only the caller holds: itself, or a copy. Takes over the caller's reference.
Node* own(Node* n) noexcept {
  if (n->references.load(std::memory_order_acquire) == 1) return n;
  auto* copy = new Node;
  copy->priority = n->priority;
  copy->left = share(n->left);
  copy->right = share(n->right);
  copy->entry = n->entry;
  copy->entry->references.fetch_add(1, std::memory_order_relaxed);
  drop(n);
  return copy;
}

// Only the shape of the tree depends on it: a fixed sequence keeps runs repeatable.
uint32_t next_priority() {
  static std::atomic<uint64_t> counter{0};
  uint64_t z = counter.fetch_add(0x9E3779B97F4A7C15, std::memory_order_relaxed);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return static_cast<uint32_t>(z >> 32);
}

// Takes over `n`; *low gets the keys < key, *high the others.
void split(Node* n, std::string_view key, Node** low, Node** high) noexcept {
  if (n == nullptr) {
    *low = *high = nullptr;
    return;
  }
  n = own(n);
  if (n->entry->key() < key) {
    Node* middle = n->right;
    split(middle, key, &n->right, high);
    *low = n;
  } else {
    Node* middle = n->left;
    split(middle, key, low, &n->left);
    *high = n;
  }
}

// Takes over both; every key of `low` is below every key of `high`.
Node* merge(Node* low, Node* high) noexcept {
  if (low == nullptr) return high;
  if (high == nullptr) return low;
  if (low->priority >= high->priority) {
    low = own(low);
    low->right = merge(low->right, high);
    return low;
  }
  high = own(high);
  high->left = merge(low, high->left);
  return high;
}

// The link to the node of `key`, every node on the way owned. REQUIRES: the key is there.
Node** descend(Node** at, std::string_view key) noexcept {
  for (;;) {
    *at = own(*at);
    int order = key.compare((*at)->entry->key());
    if (order == 0) return at;
    at = order < 0 ? &(*at)->left : &(*at)->right;
  }
}

}  // namespace

Tree::Tree(const Tree& o) : root_(share(o.root_)), entries_(o.entries_), bytes_(o.bytes_) {}
Tree::~Tree() { drop(root_); }

void Tree::forget(const Node* n) noexcept {
  if (n == nullptr) return;
  forget(n->left);
  forget(n->right);
  --entries_;
  bytes_ -= n->entry->key_size + n->entry->value_size;
}

const Entry* Tree::find(std::string_view key) const {
  for (const Node* n = root_; n != nullptr;) {
    int order = key.compare(n->entry->key());
    if (order == 0) return n->entry;
    n = order < 0 ? n->left : n->right;
  }
  return nullptr;
}

void Tree::put(std::string_view key, std::string_view value) {
  Entry* entry = make_entry(key, value);
  bytes_ += key.size() + value.size();
  const Entry* old = find(key);
  if (old == nullptr) return insert(entry);
  bytes_ -= old->key_size + old->value_size;
  drop(std::exchange((*descend(&root_, key))->entry, entry));
}

void Tree::insert(Entry* entry) noexcept {
  ++entries_;
  auto* node = new Node;
  node->priority = next_priority();
  node->entry = entry;
  Node** at = &root_;
  while (*at != nullptr && (*at)->priority >= node->priority) {
    *at = own(*at);
    at = entry->key() < (*at)->entry->key() ? &(*at)->left : &(*at)->right;
  }
  split(*at, entry->key(), &node->left, &node->right);
  *at = node;
}

void Tree::erase(std::string_view key) noexcept {
  const Entry* old = find(key);
  if (old == nullptr) return;
  --entries_;
  bytes_ -= old->key_size + old->value_size;
  Node** at = descend(&root_, key);
  Node* gone = *at;
  *at = merge(gone->left, gone->right);
  gone->left = gone->right = nullptr;
  drop(gone);
}

void Tree::erase_range(std::string_view begin, std::string_view end) noexcept {
  if (begin >= end) return;
  Node* low = nullptr;
  Node* middle = nullptr;
  Node* high = nullptr;
  split(std::exchange(root_, nullptr), begin, &low, &middle);
  split(middle, end, &middle, &high);
  forget(middle);
  drop(middle);
  root_ = merge(low, high);
}

}  // namespace quorate::memory
