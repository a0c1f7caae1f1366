#include "mvcc/key_index.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"

namespace quorate::mvcc {
namespace {

// The shortest beginning of `right` that is above `left`.
std::string_view shortest_separator(std::string_view left, std::string_view right) {
  size_t same = 0;
  while (same < left.size() && left[same] == right[same]) ++same;
  return right.substr(0, same + 1);
}

template <typename Array>
void open_gap(Array& array, uint32_t slot, uint32_t size) {
  std::move_backward(array.begin() + slot, array.begin() + size, array.begin() + size + 1);
}
template <typename Array>
void close_gap(Array& array, uint32_t slot, uint32_t size) {
  std::move(array.begin() + slot + 1, array.begin() + size, array.begin() + slot);
}

}  // namespace

KeyIndex::KeyIndex() : root_(new_node<Leaf>()) {}

KeyIndex::~KeyIndex() {
  // Everything pooled goes with its chunk: only nodes and what is too large for a pool is freed one by one.
  auto destroy = [this](auto&& self, void* node, uint32_t height) -> void {
    if (height == 0) {
      auto* leaf = static_cast<Leaf*>(node);
      for (uint32_t i = 0; i < leaf->size; ++i) free_entry(leaf->entries[i]);
      free_node(leaf);
      return;
    }
    auto* inner = static_cast<Inner*>(node);
    for (uint32_t i = 0; i < inner->size; ++i) {
      self(self, inner->child[i], height - 1);
      free_separator(inner->low[i]);
    }
    free_node(inner);
  };
  destroy(destroy, root_, height_);
}

// ---- Search
// ---------------------------------------------------------------------------------------------------

uint32_t KeyIndex::head_of(std::string_view key, uint32_t skip) {
  uint32_t head = 0;
  if (key.size() > skip) std::memcpy(&head, key.data() + skip, std::min<size_t>(4, key.size() - skip));
  return __builtin_bswap32(head);
}

// The first slot from `first` on whose key is not below `key`.
template <typename Node>
uint32_t KeyIndex::search(const Node& node, uint32_t first, std::string_view key, bool* found) {
  *found = false;
  const Heads& heads = node.heads;
  if (first >= node.size) return first;
  if (heads.skip != 0) {
    int order = key.substr(0, heads.skip).compare(node.key(first).substr(0, heads.skip));
    if (order != 0) return order < 0 ? first : node.size;
  }
  uint32_t head = head_of(key, heads.skip);
  auto begin = heads.head.begin();
  auto low = static_cast<uint32_t>(std::lower_bound(begin + first, begin + node.size, head) - begin);
  auto high = low;
  while (high < node.size && heads.head[high] == head) ++high;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    int order = node.key(middle).compare(key);
    if (order == 0) {
      *found = true;
      return middle;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

template <typename Node>
void KeyIndex::compute_heads(Node* node, uint32_t first) {
  if (first >= node->size) return;
  std::string_view a = node->key(first);
  std::string_view b = node->key(node->size - 1);
  size_t same = 0;
  while (same < std::min(a.size(), b.size()) && a[same] == b[same]) ++same;
  node->heads.skip = static_cast<uint32_t>(same);
  for (uint32_t i = first; i < node->size; ++i) node->heads.head[i] = head_of(node->key(i), node->heads.skip);
}
template void KeyIndex::compute_heads(Leaf*, uint32_t);
template void KeyIndex::compute_heads(Inner*, uint32_t);

// The slot was just filled. Only a new first or last key can share less with the others.
void KeyIndex::add_head(Leaf* leaf, uint32_t slot) {
  uint32_t skip = leaf->heads.skip;
  std::string_view key = leaf->key(slot);
  std::string_view other = leaf->key(slot == 0 ? leaf->size - 1 : 0);
  if (leaf->size == 1 ||
      ((slot == 0 || slot + 1 == leaf->size) && key.substr(0, skip) != other.substr(0, skip)))
    return compute_heads(leaf, 0);
  leaf->heads.head[slot] = head_of(key, skip);
}

uint32_t KeyIndex::child_slot(const Inner& node, std::string_view key) {
  bool found = false;
  uint32_t slot = search(node, 1, key, &found);
  return found ? slot : slot - 1;
}

uint32_t KeyIndex::entry_slot(const Leaf& leaf, std::string_view key, bool* found) {
  return search(leaf, 0, key, found);
}

KeyEntry* KeyIndex::find(std::string_view key) const {
  const void* node = root_;
  for (uint32_t h = height_; h > 0; --h) {
    const auto& inner = *static_cast<const Inner*>(node);
    node = inner.child[child_slot(inner, key)];
  }
  const auto& leaf = *static_cast<const Leaf*>(node);
  bool found = false;
  uint32_t slot = entry_slot(leaf, key, &found);
  return found ? leaf.entries[slot] : nullptr;
}

KeyIndex::Position KeyIndex::lower_bound(std::string_view key) const {
  Path path;
  descend(key, &path);
  return {path.leaf, path.slot};
}

KeyEntry* KeyIndex::next_key(std::string_view key) const {
  Path path;
  descend(key, &path);
  uint32_t slot = path.slot + (path.found ? 1 : 0);
  for (const Leaf* leaf = path.leaf; leaf != nullptr; leaf = leaf->next, slot = 0)
    if (slot < leaf->size) return leaf->entries[slot];
  return nullptr;
}

void KeyIndex::descend(std::string_view key, Path* path) const {
  void* node = root_;
  for (uint32_t h = height_; h > 0; --h) {
    auto* inner = static_cast<Inner*>(node);
    uint32_t slot = child_slot(*inner, key);
    path->steps[h - 1] = {inner, slot};
    node = inner->child[slot];
  }
  path->leaf = static_cast<Leaf*>(node);
  path->slot = entry_slot(*path->leaf, key, &path->found);
}

void KeyIndex::set_live(Leaf* leaf, uint32_t slot, bool live) {
  leaf->live = (leaf->live & ~(1u << slot)) | (live ? 1u << slot : 0);
}

// The key set below `path` changed at `main`.
void KeyIndex::membership(Path& path, int delta, int64_t main) {
  live_ += static_cast<uint64_t>(static_cast<int64_t>(delta));
  for (uint32_t h = 0; h < height_; ++h) {
    auto [node, slot] = path.steps[h];
    node->live[slot] += static_cast<uint32_t>(delta);
    node->changed[slot] = std::max(node->changed[slot], main);
  }
}

KeyEntry* KeyIndex::put(std::string_view key, const KeyVersion& v) {
  Path path;
  descend(key, &path);
  if (!path.found) {
    KeyEntry* entry = new_entry(key, v);
    insert(path, entry);
    return entry;
  }
  KeyEntry* entry = path.leaf->entries[path.slot];
  bool was_live = entry->live();
  update(entry, v);
  if (was_live != entry->live()) {
    set_live(path.leaf, path.slot, entry->live());
    membership(path, entry->live() ? 1 : -1, v.mod.main);
  }
  return entry;
}

void KeyIndex::update(KeyEntry* entry, const KeyVersion& v) {
  push_old(entry);
  entry->set_newest(v);
}

void KeyIndex::bury(KeyEntry* entry, const KeyVersion& v) {
  QUORATE_ASSERT(entry->live() && v.tombstone, "only a live key can be deleted");
  put(entry->key(), v);
}

KeyIndex::Summary KeyIndex::summary(const Leaf& leaf) {
  Summary s{static_cast<uint32_t>(std::popcount(leaf.live)), 0};
  for (uint32_t i = 0; i < leaf.size; ++i)
    s.changed = std::max(s.changed, leaf.entries[i]->membership_changed());
  return s;
}

KeyIndex::Summary KeyIndex::summary(const Inner& inner) {
  Summary s;
  for (uint32_t i = 0; i < inner.size; ++i) {
    s.live += inner.live[i];
    s.changed = std::max(s.changed, inner.changed[i]);
  }
  return s;
}

// ---- Insertion
// ------------------------------------------------------------------------------------------------

void KeyIndex::insert(Path& path, KeyEntry* entry) {
  if (path.leaf->size == kFanOut) {
    Split split = split_leaf(path);
    for (uint32_t h = 0; split.right != nullptr; ++h) {
      if (h == height_) {
        grow_root(split, split.left_summary.live, split.left_summary.changed);
        break;
      }
      auto [node, slot] = path.steps[h];
      node->live[slot] = split.left_summary.live;
      node->changed[slot] = split.left_summary.changed;
      Split above;
      if (node->size == kFanOut) {
        above = split_inner(node, slot);
        auto* right = static_cast<Inner*>(above.right);
        if (slot >= node->size) {
          slot -= node->size;
          node = right;
        }
        insert_child(node, slot + 1, split.right, split.low, split.right_summary);
        above.left_summary = summary(*path.steps[h].node);
        above.right_summary = summary(*right);
      } else {
        insert_child(node, slot + 1, split.right, split.low, split.right_summary);
      }
      split = above;
    }
    descend(entry->key(), &path);  // once in kFanOut/2 insertions
  }
  Leaf* leaf = path.leaf;
  open_gap(leaf->entries, path.slot, leaf->size);
  open_gap(leaf->heads.head, path.slot, leaf->size);
  leaf->entries[path.slot] = entry;
  ++leaf->size;
  add_head(leaf, path.slot);
  uint32_t below = (1u << path.slot) - 1;
  leaf->live = (leaf->live & below) | (leaf->live & ~below) << 1;
  set_live(leaf, path.slot, entry->live());
  membership(path, entry->live() ? 1 : 0, entry->main);
}

KeyIndex::Split KeyIndex::split_leaf(Path& path) {
  Leaf* left = path.leaf;
  Leaf* right = new_node<Leaf>();
  // Keys that only ever grow would leave every leaf half empty: give the last leaf's new neighbour one entry.
  uint32_t keep = path.slot == kFanOut && left->next == nullptr ? kFanOut - 1 : kFanOut / 2;
  right->size = kFanOut - keep;
  std::copy(left->entries.begin() + keep, left->entries.end(), right->entries.begin());
  right->live = left->live >> keep;
  left->size = keep;
  left->live &= (1u << keep) - 1;
  right->next = left->next;
  right->previous = left;
  if (right->next != nullptr) right->next->previous = right;
  left->next = right;
  compute_heads(left, 0);
  compute_heads(right, 0);
  Separator* low =
      new_separator(shortest_separator(left->entries[keep - 1]->key(), right->entries[0]->key()));
  return {right, low, summary(*left), summary(*right)};
}

KeyIndex::Split KeyIndex::split_inner(Inner* node, uint32_t slot) {
  Inner* right = new_node<Inner>();
  uint32_t keep = slot == kFanOut - 1 ? kFanOut - 1 : kFanOut / 2;
  right->size = kFanOut - keep;
  std::copy(node->child.begin() + keep, node->child.end(), right->child.begin());
  std::copy(node->live.begin() + keep, node->live.end(), right->live.begin());
  std::copy(node->changed.begin() + keep, node->changed.end(), right->changed.begin());
  std::copy(node->low.begin() + keep, node->low.end(), right->low.begin());
  node->size = keep;
  Separator* low = right->low[0];
  right->low[0] = nullptr;
  compute_heads(node, 1);
  compute_heads(right, 1);
  return {right, low, {}, {}};
}

void KeyIndex::insert_child(Inner* node, uint32_t slot, void* child, Separator* low, Summary s) {
  open_gap(node->child, slot, node->size);
  open_gap(node->live, slot, node->size);
  open_gap(node->changed, slot, node->size);
  open_gap(node->low, slot, node->size);
  node->child[slot] = child;
  node->live[slot] = s.live;
  node->changed[slot] = s.changed;
  node->low[slot] = low;
  ++node->size;
  compute_heads(node, 1);
}

void KeyIndex::grow_root(const Split& split, uint32_t live_left, int64_t changed_left) {
  Inner* root = new_node<Inner>();
  insert_child(root, 0, root_, nullptr, {live_left, changed_left});
  insert_child(root, 1, split.right, split.low, split.right_summary);
  root_ = root;
  ++height_;
  QUORATE_ASSERT(height_ < kMaxHeight, "more keys than memory can hold");
}

// ---- Removal
// --------------------------------------------------------------------------------------------------

// REQUIRES: deleted, and no older version: no key set changes.
void KeyIndex::erase(KeyEntry* entry) {
  Path path;
  descend(entry->key(), &path);
  QUORATE_ASSERT(path.found && path.leaf->entries[path.slot] == entry, "the index lost an entry");
  Leaf* leaf = path.leaf;
  close_gap(leaf->entries, path.slot, leaf->size);
  close_gap(leaf->heads.head, path.slot, leaf->size);
  --leaf->size;
  uint32_t below = (1u << path.slot) - 1;
  leaf->live = (leaf->live & below) | (leaf->live >> 1 & ~below);
  free_entry(entry);
  if (height_ == 0 || leaf->size > kMergeAt) return;

  auto [parent, slot] = path.steps[0];
  if (leaf->size == 0) {
    if (leaf->previous != nullptr) leaf->previous->next = leaf->next;
    if (leaf->next != nullptr) leaf->next->previous = leaf->previous;
    free_node(leaf);
    erase_child(path, 0, slot);
  } else if (slot + 1 < parent->size && merge_leaves(parent, slot)) {
    erase_child(path, 0, slot + 1);
  } else if (slot > 0 && merge_leaves(parent, slot - 1)) {
    erase_child(path, 0, slot);
  }
}

// Takes the slot, whose node is freed already, out of path.steps[level], and repairs the levels above.
void KeyIndex::erase_child(Path& path, uint32_t level, uint32_t slot) {
  Inner* node = path.steps[level].node;
  free_separator(node->low[slot]);
  close_gap(node->child, slot, node->size);
  close_gap(node->live, slot, node->size);
  close_gap(node->changed, slot, node->size);
  close_gap(node->low, slot, node->size);
  --node->size;
  if (node->size != 0 && slot == 0) {
    free_separator(node->low[0]);
    node->low[0] = nullptr;
  }
  compute_heads(node, 1);
  if (level + 1 == height_) {
    shrink_root();
    return;
  }
  if (node->size > kMergeAt) return;
  auto [parent, above] = path.steps[level + 1];
  if (node->size == 0) {
    free_node(node);
    erase_child(path, level + 1, above);
  } else if (above + 1 < parent->size && merge_inner(parent, above)) {
    erase_child(path, level + 1, above + 1);
  } else if (above > 0 && merge_inner(parent, above - 1)) {
    erase_child(path, level + 1, above);
  }
}

// Moves what child left+1 holds into child left and frees it; the caller takes its slot out.
bool KeyIndex::merge_leaves(Inner* parent, uint32_t left_slot) {
  auto* left = static_cast<Leaf*>(parent->child[left_slot]);
  auto* right = static_cast<Leaf*>(parent->child[left_slot + 1]);
  if (left->size + right->size > kMergeTo) return false;
  std::copy_n(right->entries.begin(), right->size, left->entries.begin() + left->size);
  left->live |= right->live << left->size;
  left->size += right->size;
  compute_heads(left, 0);
  left->next = right->next;
  if (left->next != nullptr) left->next->previous = left;
  parent->live[left_slot] += parent->live[left_slot + 1];
  parent->changed[left_slot] = std::max(parent->changed[left_slot], parent->changed[left_slot + 1]);
  free_node(right);
  return true;
}

bool KeyIndex::merge_inner(Inner* parent, uint32_t left_slot) {
  auto* left = static_cast<Inner*>(parent->child[left_slot]);
  auto* right = static_cast<Inner*>(parent->child[left_slot + 1]);
  if (left->size + right->size > kMergeTo) return false;
  for (uint32_t i = 0; i < right->size; ++i) {
    Separator* low = i == 0 ? new_separator(parent->low[left_slot + 1]->key()) : right->low[i];
    insert_child(left, left->size, right->child[i], low, {right->live[i], right->changed[i]});
  }
  parent->live[left_slot] += parent->live[left_slot + 1];
  parent->changed[left_slot] = std::max(parent->changed[left_slot], parent->changed[left_slot + 1]);
  free_node(right);
  return true;
}

void KeyIndex::shrink_root() {
  while (height_ > 0) {
    auto* root = static_cast<Inner*>(root_);
    if (root->size > 1) return;
    root_ = root->size == 1 ? root->child[0] : new_node<Leaf>();
    height_ = root->size == 1 ? height_ - 1 : 0;
    free_node(root);
  }
}

}  // namespace quorate::mvcc
