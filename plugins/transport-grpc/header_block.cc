#include "header_block.h"

namespace quorate::grpc {

uint32_t HeaderBlock::append(std::string_view text) {
  auto offset = static_cast<uint32_t>(bytes_.size());
  bytes_.insert(bytes_.end(), text.begin(), text.end());
  return offset;
}

void HeaderBlock::add_sized(std::string_view name, uint64_t room, std::string_view value) {
  Field field{};
  field.name = append(name);
  field.name_size = static_cast<uint32_t>(name.size());
  field.value = append(value);
  field.value_size = static_cast<uint32_t>(room);
  if (room > value.size()) bytes_.resize(bytes_.size() + room - value.size());
  fields_.push_back(field);
}

uint8_t* HeaderBlock::add_room(std::string_view name, uint64_t room) {
  add_sized(name, room, {});
  return reinterpret_cast<uint8_t*>(bytes_.data() + fields_.back().value);
}

void HeaderBlock::shrink_last(uint64_t size) {
  fields_.back().value_size = static_cast<uint32_t>(size);
  bytes_.resize(fields_.back().value + size);
}

void HeaderBlock::keep(Slot slot, std::string_view value) {
  texts_[slot].offset = append(value);
  texts_[slot].size = static_cast<uint32_t>(value.size());
  texts_[slot].set = true;
}

std::string_view HeaderBlock::text(Slot slot) const {
  return texts_[slot].size == 0 ? std::string_view()
                                : std::string_view(bytes_.data() + texts_[slot].offset, texts_[slot].size);
}

plugin::View<plugin::Header> HeaderBlock::view() {
  views_.clear();
  for (const Field& f : fields_) {
    views_.push_back({{bytes_.data() + f.name, f.name_size}, {bytes_.data() + f.value, f.value_size}});
  }
  return {views_.data(), views_.size()};
}

void HeaderBlock::clear() {
  if (bytes_.capacity() > 2048) bytes_ = decltype(bytes_)();
  bytes_.clear();
  if (fields_.capacity() > 64) {
    fields_ = decltype(fields_)();
    views_ = decltype(views_)();
  }
  fields_.clear();
  views_.clear();
  for (Text& text : texts_) text = {};
}

}  // namespace quorate::grpc
