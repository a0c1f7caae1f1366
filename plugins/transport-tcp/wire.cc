#include "wire.h"

#include <algorithm>

namespace quorate::tcp {

const char* type_name(uint8_t type) {
  constexpr const char* kNames[] = {"?",     "OPEN",   "HEADERS", "DATA", "HALF_CLOSE", "FINISH",
                                    "RESET", "CREDIT", "PING",    "PONG", "GOAWAY"};
  return type < sizeof kNames / sizeof *kNames ? kNames[type] : "?";
}

// ---- The hello --------------------

void encode_hello(const Hello& hello, uint8_t* into) {
  std::memcpy(into, kMagic.data(), kMagic.size());
  store<uint32_t>(into + 12, kVersion);
  store(into + 16, hello.max_frame);
  store(into + 20, hello.window_bytes);
  store(into + 24, hello.window_messages);
  store(into + 28, hello.max_calls);
  store(into + 8, plugin::crc32c(into + 12, kHelloSize - 12));
}

bool decode_hello(const uint8_t* in, bool from_server, Hello* hello, std::string* why) {
  auto wrong = [&](const char* field, uint64_t value, uint64_t least, uint64_t most) {
    if (value >= least && value <= most) return false;
    *why = std::string("the hello's ") + field + " is " + std::to_string(value) + ", not between " +
           std::to_string(least) + " and " + std::to_string(most);
    return true;
  };
  if (std::memcmp(in, kMagic.data(), kMagic.size()) != 0) {
    *why = "the hello does not begin with the magic";
    return false;
  }
  if (const auto version = load<uint32_t>(in + 12); version != kVersion) {
    *why = "the peer speaks version " + std::to_string(version) + ", this side " + std::to_string(kVersion);
    return false;
  }
  if (load<uint32_t>(in + 8) != plugin::crc32c(in + 12, kHelloSize - 12)) {
    *why = "the hello's checksum is wrong";
    return false;
  }
  hello->max_frame = load<uint32_t>(in + 16);
  hello->window_bytes = load<uint32_t>(in + 20);
  hello->window_messages = load<uint32_t>(in + 24);
  hello->max_calls = load<uint32_t>(in + 28);
  return !wrong("max_frame", hello->max_frame, kLeastFrame, kMostFrame) &&
         !wrong("window_bytes", hello->window_bytes, 1, kMostWindow) &&
         !wrong("window_messages", hello->window_messages, 1, kMostWindow) &&
         !(from_server && wrong("max_calls", hello->max_calls, 1, UINT32_MAX));
}

// ---- Frames --------------------

FrameHeader decode_header(const uint8_t* in) {
  FrameHeader h;
  h.crc = load<uint32_t>(in);
  h.length = load<uint32_t>(in + 4);
  h.call = load<uint32_t>(in + 8);
  h.type = in[12];
  h.flags = in[13];
  h.check = load<uint16_t>(in + 14);
  return h;
}

void encode_header(Type type, uint8_t flags, uint32_t call, uint32_t length, uint8_t* into) {
  store(into + 4, length);
  store(into + 8, call);
  into[12] = static_cast<uint8_t>(type);
  into[13] = flags;
}

// ---- Payloads --------------------

bool printable(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool valid_name(std::string_view name) {
  auto ok = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= UINT16_MAX && std::all_of(name.begin(), name.end(), ok);
}

bool valid_value(std::string_view name, std::string_view value) {
  const bool binary = name.size() >= 4 && name.substr(name.size() - 4) == "-bin";
  return value.size() <= kMostFrame && (binary || printable(value));
}

void append_headers(plugin::View<plugin::Header> headers, Builder* into) {
  const size_t at = into->out().size();
  into->number<uint16_t>(0);
  uint16_t count = 0;
  for (const plugin::Header& h : headers) {
    if (!valid_name(text(h.name)) || !valid_value(text(h.name), text(h.value)) || count == UINT16_MAX)
      continue;
    into->text16(text(h.name));
    into->text32(text(h.value));
    ++count;
  }
  std::memcpy(into->out().data() + at, &count, sizeof count);
}

bool read_headers(Cursor* in, std::vector<plugin::Header>* out, uint64_t* cost, std::string* why) {
  out->clear();
  const auto count = in->number<uint16_t>();
  for (uint32_t i = 0; i < count && in->ok(); ++i) {
    const std::string_view name = in->text16();
    const std::string_view value = in->text32();
    if (!in->ok()) break;
    if (!valid_name(name) || !valid_value(name, value)) {
      *why = "header " + std::to_string(i) + " has a name or a value that may not be";
      return false;
    }
    *cost += name.size() + value.size() + kHeaderCost;
    out->push_back({bytes(name), bytes(value)});
  }
  if (in->ok()) return true;
  *why = "its headers are longer than the frame";
  return false;
}

}  // namespace quorate::tcp
