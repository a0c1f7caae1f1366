#include "server/entry.h"

#include <cstring>

namespace quorate::server {

plugin::Buffer encode_entry(EntryKind kind, std::string_view request) {
  uint8_t* fill = nullptr;
  plugin::Buffer data = plugin::Buffer::allocate(1 + request.size(), &fill);
  fill[0] = static_cast<uint8_t>(kind);
  if (!request.empty()) std::memcpy(fill + 1, request.data(), request.size());
  return data;
}

std::optional<EntryView> decode_entry(const plugin::Buffer& data) {
  if (data.empty()) return std::nullopt;
  const uint8_t kind = data.data()[0];
  if (kind < static_cast<uint8_t>(EntryKind::kPut) ||
      kind > static_cast<uint8_t>(EntryKind::kClusterVersion)) {
    return std::nullopt;
  }
  return EntryView{static_cast<EntryKind>(kind), {data.chars() + 1, data.size() - 1}};
}

}  // namespace quorate::server
