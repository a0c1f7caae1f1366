// Where the index keeps entries, chains and nodes.
#include <cstdlib>
#include <new>

#include "base/assert.h"
#include "mvcc/key_index.h"

namespace quorate::mvcc {
namespace {
constexpr uint32_t kFirstChain = 2;
size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
size_t chain_size(uint32_t capacity) { return sizeof(OldVersions) + capacity * sizeof(OldVersion); }
}  // namespace

void* KeyIndex::allocate(size_t size) {
  size = round_up(size, kGrain);
  bytes_ += size;
  if (size > kMaxPooled) return ::operator new(size);
  void*& head = free_[size / kGrain];
  if (head != nullptr) {
    void* memory = head;
    std::memcpy(&head, memory, sizeof head);
    return memory;
  }
  if (chunk_left_ < size) {
    // The rest of the old chunk is less than one pooled block: it is not worth a list.
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(kChunk));
    chunk_at_ = chunks_.back().get();
    chunk_left_ = kChunk;
  }
  void* memory = chunk_at_;
  chunk_at_ += size;
  chunk_left_ -= size;
  return memory;
}

void KeyIndex::release(void* memory, size_t size) {
  size = round_up(size, kGrain);
  bytes_ -= size;
  if (size > kMaxPooled) {
    ::operator delete(memory);
    return;
  }
  void*& head = free_[size / kGrain];
  std::memcpy(memory, &head, sizeof head);
  head = memory;
}

KeyEntry* KeyIndex::new_entry(std::string_view key, const KeyVersion& v) {
  auto* entry = static_cast<KeyEntry*>(allocate(std::max(kKeyOffset + key.size(), sizeof(KeyEntry))));
  entry->older = nullptr;
  entry->key_size = static_cast<uint32_t>(key.size());
  std::memcpy(reinterpret_cast<char*>(entry) + kKeyOffset, key.data(), key.size());
  entry->set_newest(v);
  ++entries_;
  return entry;
}

void KeyIndex::free_entry(KeyEntry* entry) {
  if (entry->older != nullptr) release(entry->older, chain_size(entry->older->capacity));
  release(entry, std::max(kKeyOffset + entry->key_size, sizeof(KeyEntry)));
  --entries_;
}

void KeyIndex::push_old(KeyEntry* entry) {
  OldVersions* older = entry->older;
  if (older == nullptr || older->end == older->capacity) {
    uint32_t held = older == nullptr ? 0 : older->end - older->begin;
    // Room at the front is reused once it is half of the chain: pushing stays O(1) on average.
    if (older != nullptr && older->begin >= older->capacity / 2) {
      std::memmove(older->at(0), older->at(older->begin), held * sizeof(OldVersion));
    } else {
      uint32_t capacity = held == 0 ? kFirstChain : held * 2;
      auto* bigger = static_cast<OldVersions*>(allocate(chain_size(capacity)));
      bigger->capacity = capacity;
      if (held != 0) std::memcpy(bigger->at(0), older->at(older->begin), held * sizeof(OldVersion));
      if (older != nullptr) release(older, chain_size(older->capacity));
      entry->older = older = bigger;
    }
    older->begin = 0;
    older->end = held;
  }
  OldVersion v;
  v.main = entry->main;
  v.create_main = entry->create_main;
  v.version = entry->version;
  v.lease = entry->lease;
  v.ref = entry->ref;
  v.sub = entry->sub;
  v.record_size = entry->record_size;
  v.tombstone = entry->tombstone;
  *older->at(older->end++) = v;
}

void KeyIndex::pop_oldest(KeyEntry* entry) {
  OldVersions* older = entry->older;
  if (++older->begin < older->end) return;
  release(older, chain_size(older->capacity));
  entry->older = nullptr;
}

template <typename Node>
Node* KeyIndex::new_node() {
  bytes_ += sizeof(Node);
  return new Node;
}
template <typename Node>
void KeyIndex::free_node(Node* node) {
  bytes_ -= sizeof(Node);
  delete node;
}
template KeyIndex::Leaf* KeyIndex::new_node<KeyIndex::Leaf>();
template KeyIndex::Inner* KeyIndex::new_node<KeyIndex::Inner>();
template void KeyIndex::free_node(Leaf*);
template void KeyIndex::free_node(Inner*);

KeyIndex::Separator* KeyIndex::new_separator(std::string_view key) {
  auto* s = static_cast<Separator*>(allocate(offsetof(Separator, begin) + key.size() + 1));
  s->size = static_cast<uint32_t>(key.size());
  std::memcpy(reinterpret_cast<char*>(s) + offsetof(Separator, begin), key.data(), key.size());
  return s;
}

void KeyIndex::free_separator(Separator* separator) {
  if (separator != nullptr) release(separator, offsetof(Separator, begin) + separator->size + 1);
}

}  // namespace quorate::mvcc
