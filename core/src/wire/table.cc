#include "wire/table.h"

namespace quorate::wire {

std::string_view EnumTable::name_of(int32_t number) const {
  for (size_t i = 0; i < count; i++)
    if (values[i].number == number) return values[i].name;
  return {};
}

const EnumValue* EnumTable::find(std::string_view name) const {
  for (size_t i = 0; i < count; i++)
    if (values[i].name == name) return &values[i];
  return nullptr;
}

}  // namespace quorate::wire
