// The header fields of one call, copied out of nghttp2 into one growing block and shown as views.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "quorate/plugin/transport.h"

namespace quorate::grpc {

class HeaderBlock {
 public:
  // A field as metadata.
  void add(std::string_view name, std::string_view value) { add_sized(name, value.size(), value); }
  // The same with room for a decoded value; returns where it goes. REQUIRES: shrink_last() follows.
  uint8_t* add_room(std::string_view name, uint64_t room);
  void shrink_last(uint64_t size);
  // Keeps bytes that are no field of the metadata; `slot` picks one of the four texts.
  enum Slot : uint32_t { kPath, kAuthority, kHost, kMessage, kSlots };
  void keep(Slot slot, std::string_view value);
  std::string_view text(Slot slot) const;
  bool has(Slot slot) const { return texts_[slot].set; }

  // Stable until the next change.
  plugin::View<plugin::Header> view();
  uint64_t memory() const {
    return bytes_.capacity() + fields_.capacity() * (sizeof(Field) + sizeof(plugin::Header));
  }
  // Forgets the fields and keeps the memory, unless it is large.
  void clear();

 private:
  struct Field {
    uint32_t name, name_size, value, value_size;
  };
  struct Text {
    uint32_t offset = 0, size = 0;
    bool set = false;
  };
  void add_sized(std::string_view name, uint64_t room, std::string_view value);
  uint32_t append(std::string_view text);
  std::vector<char> bytes_;
  std::vector<Field> fields_;
  std::vector<plugin::Header> views_;
  Text texts_[kSlots];
};

}  // namespace quorate::grpc
