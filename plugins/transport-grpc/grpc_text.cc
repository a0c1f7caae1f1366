#include "grpc_text.h"

#include <cstdio>
#include <cstring>
#include <limits>

namespace quorate::grpc {
namespace {

struct Unit {
  char letter;
  uint64_t ns;
};
// Finest first: format_timeout() takes the first in which the value has at most eight digits.
constexpr Unit kUnits[] = {{'n', 1},
                           {'u', 1'000},
                           {'m', 1'000'000},
                           {'S', 1'000'000'000},
                           {'M', 60'000'000'000},
                           {'H', 3'600'000'000'000}};

constexpr char kHex[] = "0123456789ABCDEF";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void percent_byte(uint8_t byte, std::string* into) {
  into->push_back('%');
  into->push_back(kHex[byte >> 4]);
  into->push_back(kHex[byte & 15]);
}

// The length of the UTF-8 sequence at `p`, 0 when there is none.
uint32_t utf8_length(const uint8_t* p, uint64_t size) {
  if (p[0] < 0x80) return 1;
  uint32_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
  if (p[0] < 0xc2 || p[0] > 0xf4 || length > size) return 0;
  for (uint32_t i = 1; i < length; ++i) {
    if ((p[i] & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what lies beyond U+10FFFF.
  if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
  if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;
  return length;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

bool parse_timeout(std::string_view text, uint64_t* ns, std::string* error) {
  auto fail = [&](const char* what) {
    *error = std::string("transport: timeout ") + what + ": " + quoted(text.substr(0, 64));
    return false;
  };
  if (text.size() < 2) return fail("string is too short");
  if (text.size() > 9) return fail("string is too long");
  uint64_t unit = 0;
  for (const Unit& u : kUnits) {
    if (u.letter == text.back()) unit = u.ns;
  }
  if (unit == 0) return fail("unit is not recognized");
  uint64_t value = 0;
  std::string_view digits = text.substr(0, text.size() - 1);
  for (char c : digits) {
    if (c < '0' || c > '9') {
      *error = "strconv.ParseUint: parsing " + quoted(digits) + ": invalid syntax";
      return false;
    }
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  *ns = value > kMost / unit ? kMost : value * unit;
  return true;
}

uint32_t format_timeout(uint64_t ns, char* into) {
  for (const Unit& u : kUnits) {
    uint64_t value = ns / u.ns + (ns % u.ns != 0 ? 1 : 0);
    if (value > 99'999'999) continue;
    return static_cast<uint32_t>(std::snprintf(into, 10, "%u%c", static_cast<unsigned>(value), u.letter));
  }
  std::memcpy(into, "99999999H", 9);
  return 9;
}

void percent_encode(std::string_view text, std::string* into) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  for (uint64_t i = 0; i < text.size();) {
    uint32_t length = utf8_length(p + i, text.size() - i);
    if (length == 0) {
      into->append("%EF%BF%BD");
      i += 1;
    } else if (length == 1 && p[i] >= ' ' && p[i] <= '~' && p[i] != '%') {
      into->push_back(static_cast<char>(p[i++]));
    } else {
      for (; length > 0; --length) percent_byte(p[i++], into);
    }
  }
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (uint64_t i = 0; i < text.size(); ++i) {
    int high = -1, low = -1;
    if (text[i] == '%' && i + 2 < text.size()) {
      high = hex_value(text[i + 1]);
      low = hex_value(text[i + 2]);
    }
    if (high < 0 || low < 0) {
      out.push_back(text[i]);
    } else {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return out;
}

void base64_encode(std::string_view bytes, std::string* into) {
  uint32_t bits = 0, count = 0;
  for (char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    for (count += 8; count >= 6; count -= 6) into->push_back(kBase64[bits >> (count - 6) & 63]);
  }
  if (count != 0) into->push_back(kBase64[bits << (6 - count) & 63]);
}

int64_t base64_decode(std::string_view text, uint8_t* into) {
  if (text.size() % 4 == 0 && !text.empty() && text.back() == '=') {
    text.remove_suffix(text[text.size() - 2] == '=' ? 2 : 1);
  }
  if (text.size() % 4 == 1) return -1;
  uint32_t bits = 0, count = 0;
  int64_t written = 0;
  for (char c : text) {
    int value = base64_value(c);
    if (value < 0) return -1;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    into[written++] = static_cast<uint8_t>(bits >> count);
  }
  return written;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (uint64_t i = 0; i < text.size();) {
    auto c = static_cast<uint8_t>(text[i]);
    uint32_t length = utf8_length(reinterpret_cast<const uint8_t*>(text.data()) + i, text.size() - i);
    if (length > 1) {
      out.append(text.substr(i, length));
    } else if (c == '"' || c == '\\') {
      out.append({'\\', static_cast<char>(c)});
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out.append({'\\', c == '\n' ? 'n' : c == '\r' ? 'r' : 't'});
    } else if (c >= ' ' && c <= '~') {
      out.push_back(static_cast<char>(c));
    } else {
      char escape[5];
      std::snprintf(escape, sizeof escape, "\\x%02x", c);
      out.append(escape);
    }
    i += length > 1 ? length : 1;
  }
  return out + "\"";
}

GrpcCode code_of_http2_error(uint32_t error) {
  switch (error) {
    case 3:  // FLOW_CONTROL_ERROR
    case 0xb:
      return kGrpcResourceExhausted;  // ENHANCE_YOUR_CALM
    case 7:
      return kGrpcUnavailable;  // REFUSED_STREAM
    case 8:
      return kGrpcCancelled;  // CANCEL
    case 0xc:
      return kGrpcPermissionDenied;  // INADEQUATE_SECURITY
    default:
      return error > 0xd ? kGrpcUnknown : kGrpcInternal;
  }
}

GrpcCode code_of_http_status(uint32_t status) {
  switch (status) {
    case 400:
      return kGrpcInternal;
    case 401:
      return kGrpcUnauthenticated;
    case 403:
      return kGrpcPermissionDenied;
    case 404:
      return kGrpcUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return kGrpcUnavailable;
    default:
      return kGrpcUnknown;
  }
}

const char* http2_error_name(uint32_t error) {
  constexpr const char* kNames[] = {"NO_ERROR",
                                    "PROTOCOL_ERROR",
                                    "INTERNAL_ERROR",
                                    "FLOW_CONTROL_ERROR",
                                    "SETTINGS_TIMEOUT",
                                    "STREAM_CLOSED",
                                    "FRAME_SIZE_ERROR",
                                    "REFUSED_STREAM",
                                    "CANCEL",
                                    "COMPRESSION_ERROR",
                                    "CONNECT_ERROR",
                                    "ENHANCE_YOUR_CALM",
                                    "INADEQUATE_SECURITY",
                                    "HTTP_1_1_REQUIRED"};
  return error < sizeof kNames / sizeof *kNames ? kNames[error] : "UNKNOWN_ERROR";
}

bool is_reserved_header(std::string_view name) {
  if (name.empty() || name[0] == ':') return true;
  switch (name.size()) {
    case 2:
      return name == "te";
    case 10:
      return name == "user-agent" || name == "connection";
    case 11:
      return name == "grpc-status";
    case 12:
      return name == "content-type" || name == "grpc-message" || name == "grpc-timeout";
    case 13:
      return name == "grpc-encoding";
    case 17:
      return name == "grpc-message-type";
    default:
      return false;
  }
}

}  // namespace quorate::grpc
