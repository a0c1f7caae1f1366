#include "wire/access.h"

namespace quorate::wire {

bool is_present(const Field& f, const void* message) {
  if (f.repeated) return elements(f, message).size != 0;
  if (!f.is_plain()) return is_set(f, message);
  const char* at = member(f, message);
  if (f.kind == Kind::kMessage) return load<const void*>(at) != nullptr;
  if (is_scalar(f.kind)) return load_scalar(f.kind, at) != 0;
  return !load<std::string_view>(at).empty();
}

void choose_member(const MessageTable& table, const Field& f, void* message) {
  char* at = static_cast<char*>(message) + f.case_offset;
  auto before = load<uint32_t>(at);
  if (before == f.number) return;
  if (const Field* old = table.find(before); old != nullptr)
    std::memset(member(*old, message), 0, old->kind == Kind::kMessage ? sizeof(void*) : element_size(*old));
  store(at, f.number);
}

void* mutable_message(const Field& f, void* at, Arena& arena) {
  auto* m = load<void*>(at);
  if (m == nullptr) {
    m = arena.try_allocate(f.message->size);
    if (m == nullptr) return nullptr;
    std::memset(m, 0, f.message->size);
    store(at, m);
  }
  return m;
}

void* place_for(const MessageTable& table, const Field& f, void* message, Arena& arena) {
  char* at = member(f, message);
  if (f.repeated) {
    auto r = load<RepeatedBytes>(at);
    void* element = r.append(arena, element_size(f));
    if (element != nullptr) store(at, r);
    return element;
  }
  if (f.in_oneof()) choose_member(table, f, message);
  return f.kind == Kind::kMessage ? mutable_message(f, at, arena) : at;
}

}  // namespace quorate::wire
