#include "support/http2_bytes.h"

namespace quorate::test {
namespace {

void put_length(std::string* out, uint64_t n) {
  if (n < 127) {
    out->push_back(static_cast<char>(n));
    return;
  }
  out->push_back(127);
  for (n -= 127; n >= 128; n >>= 7) out->push_back(static_cast<char>(n % 128 + 128));
  out->push_back(static_cast<char>(n));
}

}  // namespace

std::string u32(uint32_t n) {
  const char bytes[4] = {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
                         static_cast<char>(n)};
  return std::string(bytes, sizeof bytes);
}

std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string out = u32(static_cast<uint32_t>(payload.size()));
  out.erase(0, 1);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  out += u32(stream);
  return out.append(payload);
}

std::string hpack(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out.push_back(0);
    put_length(&out, name.size());
    out += name;
    put_length(&out, value.size());
    out += value;
  }
  return out;
}

std::string message(std::string_view bytes, uint8_t flag) {
  std::string out(1, static_cast<char>(flag));
  out += u32(static_cast<uint32_t>(bytes.size()));
  out += bytes;
  return out;
}

Fields request(const Fields& changes) {
  Fields out = {{":method", "POST"},
                {":scheme", "http"},
                {":path", "/p.S/M"},
                {":authority", "a:1"},
                {"content-type", "application/grpc"},
                {"te", "trailers"}};
  for (const auto& change : changes) {
    bool found = false;
    for (auto it = out.begin(); it != out.end(); ++it) {
      if (it->first != change.first) continue;
      found = true;
      it->second = change.second;
      if (change.second.empty()) out.erase(it);
      break;
    }
    if (!found) out.push_back(change);
  }
  return out;
}

std::string headers(uint32_t stream, const Fields& fields, uint8_t flags) {
  return frame(kHeaders, flags, stream, hpack(fields));
}

}  // namespace quorate::test
