// The description of a message that drives everything done to it: protobuf, JSON and printing.
//
// A message is a plain struct of the fields below, zero when absent, trivially copyable; copying one copies
// views and pointers, never what they refer to, which its Arena, its input bytes or the caller keeps alive.
//   bytes, string      std::string_view
//   int64 uint64 uint32 bool        the C++ type
//   enum               enum class of int32_t (open: numbers without a name are kept)
//   message            const T*, null when absent
//   repeated T         Repeated<T>
//   oneof              one member per field, plus a case member holding the number of the field that is set,
//   or 0;
//                      the others are zero. Encoding looks at the case only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "wire/arena.h"

namespace quorate::wire {

struct MessageTable;

struct EnumValue {
  int32_t number;
  std::string_view name;
};
struct EnumTable {
  const EnumValue* values;
  size_t count;

  // Empty if the number has no name.
  std::string_view name_of(int32_t number) const;
  // Null if there is no such name.
  const EnumValue* find(std::string_view name) const;
};
// The table of an enum type; specialised beside the enum.
template <typename E>
inline constexpr const EnumTable* kEnumTable = nullptr;

enum class Kind : uint8_t { kInt64, kUint64, kUint32, kBool, kEnum, kString, kBytes, kMessage };

enum FieldFlag : uint8_t {
  kSecret = 1,    // printing shows that it is set, not what it is
  kExplicit = 2,  // encoded even if zero (the key and value of a map's entry)
  kContent = 4,   // bytes that belong to clients, a key's value: printing can be told to show their size only
};
inline constexpr uint16_t kNoOneof = 0xffff;

struct Field {
  uint32_t number;
  Kind kind;
  bool repeated;
  uint8_t flags;
  uint16_t offset;
  uint16_t case_offset;  // of the oneof's case, or kNoOneof
  std::string_view name;
  std::string_view oneof;        // its name, if it is a member of one
  const MessageTable* message;   // kMessage
  const EnumTable* enumeration;  // kEnum

  bool in_oneof() const { return case_offset != kNoOneof; }
  // Whether its value alone says if it is there: nothing is written for the default.
  bool is_plain() const { return case_offset == kNoOneof && (flags & kExplicit) == 0; }
};

struct MessageTable {
  static constexpr uint32_t kDense = 16;
  static constexpr uint8_t kNone = 0xff;

  std::string_view name;  // "etcdserverpb.PutRequest"
  const Field* fields;    // by ascending number
  uint32_t count;
  uint32_t size;                      // sizeof the struct
  std::array<uint8_t, kDense> dense;  // number -> position in fields, for small numbers

  const Field* begin() const { return fields; }
  const Field* end() const { return fields + count; }
  const Field* find(uint32_t number) const {
    if (number < kDense) return dense[number] == kNone ? nullptr : fields + dense[number];
    for (const Field* f = end(); f != begin();)
      if ((--f)->number == number) return f;
    return nullptr;
  }
};

// What a field's C++ type says about it.
template <typename T>
struct FieldType {
  static constexpr Kind kind() {
    if constexpr (std::is_enum_v<T>) return Kind::kEnum;
    if constexpr (std::is_same_v<T, int64_t>) return Kind::kInt64;
    if constexpr (std::is_same_v<T, uint64_t>) return Kind::kUint64;
    if constexpr (std::is_same_v<T, uint32_t>) return Kind::kUint32;
    if constexpr (std::is_same_v<T, bool>) return Kind::kBool;
    if constexpr (std::is_same_v<T, std::string_view>) return Kind::kBytes;
    return Kind::kMessage;
  }
  static constexpr bool kRepeated = false;
  static constexpr const MessageTable* message() {
    if constexpr (kind() == Kind::kMessage) return &T::kTable;
    return nullptr;
  }
  static constexpr const EnumTable* enumeration() {
    if constexpr (std::is_enum_v<T>) return kEnumTable<T>;
    return nullptr;
  }
};
template <typename T>
struct FieldType<const T*> : FieldType<T> {};
template <typename T>
struct FieldType<Repeated<T>> : FieldType<T> {
  static constexpr bool kRepeated = true;
};

template <typename T>
constexpr Field make_field(uint32_t number, std::string_view name, size_t offset, bool is_string = false,
                           uint8_t flags = 0, size_t case_offset = kNoOneof, std::string_view oneof = {}) {
  using Type = FieldType<T>;
  return {number,
          is_string ? Kind::kString : Type::kind(),
          Type::kRepeated,
          flags,
          static_cast<uint16_t>(offset),
          static_cast<uint16_t>(case_offset),
          name,
          oneof,
          Type::message(),
          Type::enumeration()};
}

template <typename M, size_t N>
constexpr MessageTable make_table(std::string_view name, const std::array<Field, N>& fields) {
  static_assert(std::is_trivially_copyable_v<M> && std::is_trivially_destructible_v<M> &&
                std::is_standard_layout_v<M>);
  MessageTable t{name, fields.data(), static_cast<uint32_t>(N), static_cast<uint32_t>(sizeof(M)), {}};
  t.dense.fill(MessageTable::kNone);
  for (size_t i = 0; i < N; i++)
    if (fields[i].number < MessageTable::kDense) t.dense[fields[i].number] = static_cast<uint8_t>(i);
  return t;
}

// Size of one element of a repeated field.
constexpr size_t element_size(const Field& f) {
  switch (f.kind) {
    case Kind::kInt64:
    case Kind::kUint64:
      return 8;
    case Kind::kUint32:
    case Kind::kEnum:
      return 4;
    case Kind::kBool:
      return 1;
    case Kind::kString:
    case Kind::kBytes:
      return sizeof(std::string_view);
    case Kind::kMessage:
      break;
  }
  return f.message->size;
}

}  // namespace quorate::wire
