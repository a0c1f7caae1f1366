#include "api/ranges.h"

#include "wire/json.h"

namespace quorate::api {

std::string Interval::to_string() const {
  std::string out = "[";
  wire::append_json_string(begin_, &out);
  if (is_point()) return out + "]";
  out += ", ";
  if (is_unbounded()) return out + "infinity)";
  wire::append_json_string(end_, &out);
  return out + ")";
}

std::string prefix_end(std::string_view prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.remove_suffix(1);
  if (prefix.empty()) return std::string(1, '\0');
  std::string end(prefix);
  end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  return end;
}

}  // namespace quorate::api
