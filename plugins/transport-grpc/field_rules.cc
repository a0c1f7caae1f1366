#include "field_rules.h"

#include <nghttp2/nghttp2.h>

namespace quorate::grpc {
namespace {

constexpr uint32_t kRegular = 1;

const uint8_t* bytes(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

// A bit for each pseudo header that a request may have; 0: none of them.
uint32_t pseudo_header(std::string_view name) {
  switch (name.size()) {
    case 5:
      return name == ":path" ? 2 : 0;
    case 7:
      return name == ":method" ? 4 : name == ":scheme" ? 8 : 0;
    case 9:
      return name == ":protocol" ? 16 : 0;
    case 10:
      return name == ":authority" ? 32 : 0;
    default:
      return 0;
  }
}

}  // namespace

bool FieldRules::accept(std::string_view name, std::string_view value, bool trailers) {
  // Control characters but the tab.
  if (nghttp2_check_header_value(bytes(value), value.size()) == 0) return false;
  if (!name.empty() && name[0] == ':') {
    const uint32_t bit = pseudo_header(name);
    if (bit == 0 || trailers || (seen_ & (bit | kRegular)) != 0) return false;
    seen_ |= bit;
    return true;
  }
  seen_ |= kRegular;
  // Empty, no token, or with capitals. Of the connection-specific fields grpc-go refuses only this one.
  return nghttp2_check_header_name(bytes(name), name.size()) != 0 && name != "connection";
}

}  // namespace quorate::grpc
