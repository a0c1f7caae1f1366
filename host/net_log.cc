#include "host/net_log.h"

namespace quorate::host {

std::string json_quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20 || u >= 0x7f) {
      out += "\\u00";
      out += kHex[u >> 4];
      out += kHex[u & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

void CauseLog::write(Cause cause, uint64_t now_ns, std::string_view message, std::string_view remote,
                     std::string_view error) {
  if (log_ == nullptr) return;
  Window& w = windows_[static_cast<uint32_t>(cause)];
  if (now_ns >= w.begin_ns + 1'000'000'000) {
    w.begin_ns = now_ns;
    w.lines = 0;
  }
  if (w.lines >= kLinesPerSecond) {
    ++w.left_out;
    return;
  }
  ++w.lines;
  std::string fields = "{\"remote-addr\":" + json_quoted(remote) + ",\"error\":" + json_quoted(error);
  if (w.left_out != 0) fields += ",\"similar-left-out\":" + std::to_string(w.left_out);
  fields += "}";
  w.left_out = 0;
  log_->write(plugin::LogLevel::kWarn, {message.data(), message.size()}, {fields.data(), fields.size()});
}

}  // namespace quorate::host
