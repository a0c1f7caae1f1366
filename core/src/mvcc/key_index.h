// All keys, in order, in memory: a counted B+tree.
//
// Each child of an inner node comes with the number of live keys below it and the main revision at which its
// *key set* (which keys are live) last changed. A count at the current revision is therefore O(log n), and
// one at an old revision takes the number of each subtree that has not changed since and walks the others
// only. An update of an existing key changes no key set and touches no inner node.
//
// A search reads four bytes of each key, kept together in the node: those behind what all keys of the node
// begin with. Only keys equal in them are compared in full, because each of those is a cache miss.
//
// A key costs 60 bytes, itself, and 16 to 20 of the tree. [loop], or one thread before the loop runs.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/ranges.h"
#include "mvcc/key_entry.h"

namespace quorate::mvcc {

class KeyIndex {
 public:
  KeyIndex();
  ~KeyIndex();
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  // Deleted keys that are not compacted yet are found, too: ask live().
  KeyEntry* find(std::string_view key) const;

  // `v` becomes the newest version; what it replaces goes into the chain.
  KeyEntry* put(std::string_view key, const KeyVersion& v);
  // The same for a live key that stays live: no node of the tree is touched.
  void update(KeyEntry* entry, const KeyVersion& v);
  // REQUIRES: v.tombstone, and the entry is live.
  void bury(KeyEntry* entry, const KeyVersion& v);

  // Drops what a compaction at `revision` supersedes of this key: all versions but the newest at or below it,
  // and that one, too, when it is a tombstone below (not at) it. Calls dropped(KeyVersion) for each, oldest
  // first. The entry itself goes when nothing is left: true.
  template <typename F>
  bool trim(KeyEntry* entry, int64_t revision, F&& dropped) {
    while (entry->older != nullptr) {
      const OldVersion& first = *entry->older->at(entry->older->begin);
      if (next_main(entry) > revision && !(first.tombstone != 0 && first.main < revision)) return false;
      dropped(version_of(first));
      pop_oldest(entry);
    }
    if (entry->live() || entry->main >= revision) return false;
    dropped(entry->newest());
    erase(entry);
    return true;
  }

  // Calls visit(const KeyEntry&) for each entry of the interval, deleted ones included, until it answers
  // false. REQUIRES of it: leave the index alone (but for refs).
  template <typename F>
  void scan(const api::Interval& interval, F&& visit) const {
    if (interval.is_point()) {
      if (KeyEntry* entry = find(interval.begin())) visit(*entry);
      return;
    }
    if (interval.empty()) return;
    Position at = lower_bound(interval.begin());
    for (; at.leaf != nullptr; at.leaf = at.leaf->next, at.slot = 0) {
      for (; at.slot < at.leaf->size; ++at.slot) {
        KeyEntry& entry = *at.leaf->entries[at.slot];
        if (interval.has_end() && entry.key() >= interval.end()) return;
        if (!visit(entry)) return;
      }
    }
  }
  // The entry after `key`, deleted ones included; null: none.
  KeyEntry* next_key(std::string_view key) const;

  // The number of keys of the interval that were live at `revision`. Walks at most `leaf_budget` leaves; when
  // it must stop there, *resume is where to go on (count the interval from that key and add), else it is
  // reset.
  int64_t count(const api::Interval& interval, int64_t revision, uint64_t leaf_budget = UINT64_MAX,
                std::optional<std::string>* resume = nullptr) const;

  uint64_t live() const { return live_; }
  uint64_t entries() const { return entries_; }
  uint64_t bytes() const { return bytes_; }  // memory of entries, chains and nodes

  // Fills an empty index with entries in ascending key order, as fast as memory allows.
  class Loader;

  // Checks every invariant; the empty string, or what is wrong. For tests.
  std::string verify() const;

 private:
  static constexpr uint32_t kFanOut = 32;
  static constexpr uint32_t kMergeAt = kFanOut / 4;
  static constexpr uint32_t kMergeTo = kFanOut * 3 / 4;
  static constexpr uint32_t kLoadFill = 29;
  static constexpr uint32_t kMaxHeight = 20;

  // What a search looks at first.
  struct Heads {
    uint32_t skip = 0;                   // all keys have the same so many bytes at their beginning
    std::array<uint32_t, kFanOut> head;  // the next four, big-endian, zeros behind the end
  };
  struct Leaf {
    uint32_t size = 0;
    uint32_t live = 0;  // a bit per slot
    Heads heads;
    Leaf* previous = nullptr;
    Leaf* next = nullptr;
    std::array<KeyEntry*, kFanOut> entries;
    std::string_view key(uint32_t slot) const { return entries[slot]->key(); }
  };
  // A copy of a key, or the shortest beginning of one that tells two children apart.
  struct Separator {
    uint32_t size = 0;
    char begin[4];
    std::string_view key() const { return {begin, size}; }
  };
  struct Inner {
    uint32_t size = 0;
    Heads heads;  // of low
    std::array<uint32_t, kFanOut> live;
    std::array<int64_t, kFanOut> changed;
    std::array<void*, kFanOut> child;  // Inner or, on height 1, Leaf
    std::array<Separator*, kFanOut>
        low;  // no key below child[i] is under low[i]; low[0] is null: the parent knows
    std::string_view key(uint32_t slot) const { return low[slot]->key(); }
  };
  struct Position {
    Leaf* leaf = nullptr;
    uint32_t slot = 0;
  };
  struct Path {
    struct Step {
      Inner* node;
      uint32_t slot;
    };
    std::array<Step, kMaxHeight> steps;  // [0]: the parent of the leaf, [height-1]: the root
    Leaf* leaf = nullptr;
    uint32_t slot = 0;
    bool found = false;
  };
  struct Summary {
    uint32_t live = 0;
    int64_t changed = 0;
  };
  struct Split {  // a new right sibling that the parent must take in
    void* right = nullptr;
    Separator* low = nullptr;
    Summary left_summary, right_summary;
  };
  struct Counter {
    int64_t revision;
    uint64_t budget;
    std::string* resume;  // set when the budget has run out
    bool stopped = false;
  };

  // key_index_memory.cc
  KeyEntry* new_entry(std::string_view key, const KeyVersion& v);
  void free_entry(KeyEntry* entry);
  void push_old(KeyEntry* entry);
  void pop_oldest(KeyEntry* entry);
  static int64_t next_main(const KeyEntry* entry) {
    const OldVersions& older = *entry->older;
    return older.begin + 1 < older.end ? older.at(older.begin + 1)->main : entry->main;
  }
  void* allocate(size_t size);
  void release(void* memory, size_t size);
  template <typename Node>
  Node* new_node();
  template <typename Node>
  void free_node(Node* node);
  Separator* new_separator(std::string_view key);
  void free_separator(Separator* separator);

  // key_index.cc
  static uint32_t head_of(std::string_view key, uint32_t skip);
  template <typename Node>
  static uint32_t search(const Node& node, uint32_t first, std::string_view key, bool* found);
  template <typename Node>
  static void compute_heads(Node* node, uint32_t first);
  static void add_head(Leaf* leaf, uint32_t slot);
  static uint32_t child_slot(const Inner& node, std::string_view key);
  static uint32_t entry_slot(const Leaf& leaf, std::string_view key, bool* found);
  void descend(std::string_view key, Path* path) const;
  Position lower_bound(std::string_view key) const;
  static void set_live(Leaf* leaf, uint32_t slot, bool live);
  void membership(Path& path, int delta, int64_t main);
  static Summary summary(const Leaf& leaf);
  static Summary summary(const Inner& inner);
  void insert(Path& path, KeyEntry* entry);
  Split split_leaf(Path& path);
  Split split_inner(Inner* node, uint32_t slot);
  static void insert_child(Inner* node, uint32_t slot, void* child, Separator* low, Summary summary);
  void grow_root(const Split& split, uint32_t live_left, int64_t changed_left);
  void erase(KeyEntry* entry);
  void erase_child(Path& path, uint32_t level, uint32_t slot);
  bool merge_leaves(Inner* parent, uint32_t left);
  bool merge_inner(Inner* parent, uint32_t left);
  void shrink_root();

  // key_index_count.cc
  int64_t count_node(const void* node, uint32_t height, const std::string_view* from,
                     const std::string_view* to, Counter& counter) const;
  int64_t count_leaf(const Leaf& leaf, const std::string_view* from, const std::string_view* to,
                     Counter& counter) const;
  std::string verify_node(const void* node, uint32_t height, const std::string_view* from,
                          const std::string_view* to, std::vector<const Leaf*>* leaves,
                          uint64_t* entries) const;

  void* root_ = nullptr;  // a Leaf when height_ is 0
  uint32_t height_ = 0;
  uint64_t live_ = 0;
  uint64_t entries_ = 0;
  uint64_t bytes_ = 0;

  // Entries up to kMaxPooled bytes come from chunks, in classes of 8 bytes; larger ones from the heap.
  static constexpr size_t kGrain = 8;
  static constexpr size_t kMaxPooled = 512;
  static constexpr size_t kChunk = 256u << 10;
  std::array<void*, kMaxPooled / kGrain + 1> free_{};
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* chunk_at_ = nullptr;
  size_t chunk_left_ = 0;
};

class KeyIndex::Loader {
 public:
  // REQUIRES: the index is empty.
  explicit Loader(KeyIndex* index) : index_(index) {}
  // REQUIRES: key is above the last one. Versions ascending, at least one; the last is the newest.
  KeyEntry* add(std::string_view key, const KeyVersion* versions, size_t count);
  void finish();

 private:
  void close_leaf();
  KeyIndex* index_;
  Leaf* leaf_ = nullptr;
  std::vector<Leaf*> leaves_;
};

}  // namespace quorate::mvcc
