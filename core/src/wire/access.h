// Reading and writing a message's members through its table. For the codec's own files.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "wire/table.h"

namespace quorate::wire {

template <typename T>
T load(const void* at) {
  T v;
  std::memcpy(&v, at, sizeof v);
  return v;
}
template <typename T>
void store(void* at, T v) {
  std::memcpy(at, &v, sizeof v);
}

inline const char* member(const Field& f, const void* message) {
  return static_cast<const char*>(message) + f.offset;
}
inline char* member(const Field& f, void* message) { return static_cast<char*>(message) + f.offset; }

// A number, bool or enum as the 64 bits that protobuf's varint carries.
inline uint64_t load_scalar(Kind kind, const void* at) {
  switch (kind) {
    case Kind::kUint32:
      return load<uint32_t>(at);
    case Kind::kBool:
      return load<uint8_t>(at);
    case Kind::kEnum:
      return static_cast<uint64_t>(int64_t{load<int32_t>(at)});
    default:
      return load<uint64_t>(at);
  }
}
inline void store_scalar(Kind kind, void* at, uint64_t v) {
  switch (kind) {
    case Kind::kUint32:
    case Kind::kEnum:
      store(at, static_cast<uint32_t>(v));
      return;
    case Kind::kBool:
      store(at, static_cast<uint8_t>(v != 0));
      return;
    default:
      store(at, v);
      return;
  }
}
constexpr bool is_scalar(Kind kind) {
  return kind != Kind::kString && kind != Kind::kBytes && kind != Kind::kMessage;
}

// The elements of a repeated field.
struct Elements {
  const char* data;
  size_t size;
};
inline Elements elements(const Field& f, const void* message) {
  auto r = load<RepeatedBytes>(member(f, message));
  return {reinterpret_cast<const char*>(r.data), r.size};
}

// Whether a field that is not plain is written: the member of a oneof if it is the one that is set, an
// explicit one always.
inline bool is_set(const Field& f, const void* message) {
  return !f.in_oneof() || load<uint32_t>(static_cast<const char*>(message) + f.case_offset) == f.number;
}

// Whether a singular field is there at all, for JSON and printing.
bool is_present(const Field& f, const void* message);

// Makes `f` the member of its oneof that is set; the one set before, if another, becomes zero.
void choose_member(const MessageTable& table, const Field& f, void* message);

// The sub-message at `at` (a pointer member), made in `arena` if there is none. Null: the arena's limit.
void* mutable_message(const Field& f, void* at, Arena& arena);

// Room for one more value of `f`: a new element of a repeated field, or the member itself. Null: the arena's
// limit. For messages: of the struct itself.
void* place_for(const MessageTable& table, const Field& f, void* message, Arena& arena);

}  // namespace quorate::wire
