// Counting, bulk loading and the invariants of the index.
#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"
#include "mvcc/key_index.h"

namespace quorate::mvcc {

int64_t KeyIndex::count(const api::Interval& interval, int64_t revision, uint64_t leaf_budget,
                        std::optional<std::string>* resume) const {
  if (resume != nullptr) resume->reset();
  if (interval.is_point()) {
    const KeyEntry* entry = find(interval.begin());
    return entry != nullptr && entry->live_at(revision) ? 1 : 0;
  }
  if (interval.empty()) return 0;
  std::string stopped_at;
  Counter counter{revision, leaf_budget, &stopped_at};
  std::string_view from = interval.begin();
  std::string_view to = interval.has_end() ? interval.end() : std::string_view();
  int64_t n = count_node(root_, height_, &from, interval.has_end() ? &to : nullptr, counter);
  if (counter.stopped) {
    QUORATE_ASSERT(resume != nullptr, "a bounded count must be told where to note how far it came");
    *resume = std::move(stopped_at);
  }
  return n;
}

// `from` and `to` are null where the node lies within them anyway.
int64_t KeyIndex::count_node(const void* node, uint32_t height, const std::string_view* from,
                             const std::string_view* to, Counter& counter) const {
  if (height == 0) return count_leaf(*static_cast<const Leaf*>(node), from, to, counter);
  const auto& inner = *static_cast<const Inner*>(node);
  uint32_t first = from == nullptr ? 0 : child_slot(inner, *from);
  uint32_t last = to == nullptr ? inner.size - 1 : child_slot(inner, *to);
  int64_t n = 0;
  for (uint32_t i = first; i <= last && !counter.stopped; ++i) {
    const std::string_view* child_from = i == first ? from : nullptr;
    const std::string_view* child_to = i == last ? to : nullptr;
    if (child_from == nullptr && child_to == nullptr && inner.changed[i] <= counter.revision)
      n += inner.live[i];
    else
      n += count_node(inner.child[i], height - 1, child_from, child_to, counter);
  }
  return n;
}

int64_t KeyIndex::count_leaf(const Leaf& leaf, const std::string_view* from, const std::string_view* to,
                             Counter& counter) const {
  bool found = false;
  uint32_t first = from == nullptr ? 0 : entry_slot(leaf, *from, &found);
  uint32_t last = to == nullptr ? leaf.size : entry_slot(leaf, *to, &found);
  if (counter.budget == 0 && first < last) {
    counter.stopped = true;
    *counter.resume = leaf.entries[first]->key();
    return 0;
  }
  if (counter.budget != 0) --counter.budget;
  int64_t n = 0;
  for (uint32_t i = first; i < last; ++i) n += leaf.entries[i]->live_at(counter.revision) ? 1 : 0;
  return n;
}

// ---- Bulk load
// ------------------------------------------------------------------------------------------------

KeyEntry* KeyIndex::Loader::add(std::string_view key, const KeyVersion* versions, size_t count) {
  if (leaf_ != nullptr && leaf_->size == kLoadFill) close_leaf();
  if (leaf_ == nullptr) leaf_ = index_->new_node<Leaf>();
  KeyEntry* entry = index_->new_entry(key, versions[0]);
  for (size_t i = 1; i < count; ++i) index_->update(entry, versions[i]);
  set_live(leaf_, leaf_->size, entry->live());
  leaf_->entries[leaf_->size++] = entry;
  if (entry->live()) ++index_->live_;
  return entry;
}

void KeyIndex::Loader::close_leaf() {
  compute_heads(leaf_, 0);
  if (!leaves_.empty()) {
    leaf_->previous = leaves_.back();
    leaves_.back()->next = leaf_;
  }
  leaves_.push_back(std::exchange(leaf_, nullptr));
}

void KeyIndex::Loader::finish() {
  if (leaf_ != nullptr) close_leaf();
  if (leaves_.empty()) return;
  QUORATE_ASSERT(index_->height_ == 0 && static_cast<Leaf*>(index_->root_)->size == 0,
                 "bulk load of a filled index");
  index_->free_node(static_cast<Leaf*>(index_->root_));

  struct Child {
    void* node;
    std::string_view low;  // the first key below, which lives in its entry
    Summary summary;
  };
  std::vector<Child> level;
  level.reserve(leaves_.size());
  for (Leaf* leaf : leaves_) level.push_back({leaf, leaf->entries[0]->key(), KeyIndex::summary(*leaf)});
  for (index_->height_ = 0; level.size() > 1; ++index_->height_) {
    std::vector<Child> above;
    for (size_t i = 0; i < level.size(); i += kLoadFill) {
      Inner* inner = index_->new_node<Inner>();
      for (size_t k = i; k < std::min(level.size(), i + kLoadFill); ++k)
        insert_child(inner, inner->size, level[k].node,
                     k == i ? nullptr : index_->new_separator(level[k].low), level[k].summary);
      above.push_back({inner, level[i].low, KeyIndex::summary(*inner)});
    }
    level = std::move(above);
  }
  index_->root_ = level[0].node;
  leaves_.clear();
}

// ---- Invariants
// -----------------------------------------------------------------------------------------------

std::string KeyIndex::verify() const {
  std::vector<const Leaf*> leaves;
  uint64_t entries = 0;
  std::string wrong = verify_node(root_, height_, nullptr, nullptr, &leaves, &entries);
  if (!wrong.empty()) return wrong;
  uint64_t live = 0;
  for (size_t i = 0; i < leaves.size(); ++i) {
    live += static_cast<uint64_t>(std::popcount(leaves[i]->live));
    if (leaves[i]->previous != (i == 0 ? nullptr : leaves[i - 1])) return "a leaf's predecessor";
    if (leaves[i]->next != (i + 1 == leaves.size() ? nullptr : leaves[i + 1])) return "a leaf's successor";
  }
  if (live != live_) return "the number of live keys";
  return entries == entries_ ? "" : "the number of entries";
}

std::string KeyIndex::verify_node(const void* node, uint32_t height, const std::string_view* from,
                                  const std::string_view* to, std::vector<const Leaf*>* leaves,
                                  uint64_t* entries) const {
  if (height == 0) {
    const auto& leaf = *static_cast<const Leaf*>(node);
    leaves->push_back(&leaf);
    *entries += leaf.size;
    if (leaf.size == 0 && height_ != 0) return "an empty leaf";
    if ((static_cast<uint64_t>(leaf.live) >> leaf.size) != 0) return "live bits behind the last entry";
    for (uint32_t i = 0; i < leaf.size; ++i) {
      const KeyEntry& e = *leaf.entries[i];
      if (i > 0 && leaf.entries[i - 1]->key() >= e.key()) return "keys out of order";
      if ((from != nullptr && e.key() < *from) || (to != nullptr && e.key() >= *to))
        return "a key outside of its node";
      if (leaf.heads.head[i] != head_of(e.key(), leaf.heads.skip) ||
          e.key().substr(0, leaf.heads.skip) != leaf.key(0).substr(0, leaf.heads.skip))
        return "a head";
      if (e.live() != ((leaf.live >> i & 1) != 0)) return "a live bit";
      for (uint32_t k = e.older == nullptr ? 0 : e.older->begin; e.older != nullptr && k < e.older->end;
           ++k) {
        const OldVersion& v = *e.older->at(k);
        Revision next = k + 1 < e.older->end ? version_of(*e.older->at(k + 1)).mod : e.newest().mod;
        if (Revision{v.main, v.sub} >= next) return "versions out of order";
      }
    }
    return "";
  }
  const auto& inner = *static_cast<const Inner*>(node);
  if (inner.size == 0) return "an empty inner node";
  if (inner.low[0] != nullptr) return "a bound of a first child";
  for (uint32_t i = 0; i < inner.size; ++i) {
    if (i > 0 && (inner.heads.head[i] != head_of(inner.key(i), inner.heads.skip) ||
                  inner.key(i).substr(0, inner.heads.skip) != inner.key(1).substr(0, inner.heads.skip)))
      return "a head of a bound";
    std::string_view low = i == 0 ? std::string_view() : inner.low[i]->key();
    std::string_view high = i + 1 == inner.size ? std::string_view() : inner.low[i + 1]->key();
    std::string wrong = verify_node(inner.child[i], height - 1, i == 0 ? from : &low,
                                    i + 1 == inner.size ? to : &high, leaves, entries);
    if (!wrong.empty()) return wrong;
    Summary s = height == 1 ? summary(*static_cast<const Leaf*>(inner.child[i]))
                            : summary(*static_cast<const Inner*>(inner.child[i]));
    if (s.live != inner.live[i]) return "a subtree's count";
    if (s.changed > inner.changed[i]) return "a subtree's last change";
  }
  return "";
}

}  // namespace quorate::mvcc
