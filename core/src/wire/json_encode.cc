#include <array>
#include <charconv>

#include "wire/access.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/primitive.h"

namespace quorate::wire {
namespace {

template <typename T>
void append_number(T v, std::string* out) {
  std::array<char, 24> digits;
  out->append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), v).ptr);
}

void append_message(const MessageTable& table, const void* message, std::string* out);

void append_value(const Field& f, const void* at, std::string* out) {
  switch (f.kind) {
    case Kind::kInt64:
    case Kind::kUint64:
      *out += '"';
      if (f.kind == Kind::kInt64)
        append_number(load<int64_t>(at), out);
      else
        append_number(load<uint64_t>(at), out);
      *out += '"';
      return;
    case Kind::kUint32:
      append_number(load<uint32_t>(at), out);
      return;
    case Kind::kBool:
      *out += load<bool>(at) ? "true" : "false";
      return;
    case Kind::kEnum: {
      auto number = load<int32_t>(at);
      std::string_view name = f.enumeration->name_of(number);
      if (name.empty()) {
        append_number(number, out);
      } else {
        *out += '"';
        *out += name;
        *out += '"';
      }
      return;
    }
    case Kind::kString:
      append_json_string(load<std::string_view>(at), out);
      return;
    case Kind::kBytes:
      *out += '"';
      append_base64(load<std::string_view>(at), out);
      *out += '"';
      return;
    case Kind::kMessage:
      if (at == nullptr)
        *out += "{}";
      else
        append_message(*f.message, at, out);
      return;
  }
}

void append_repeated(const Field& f, const void* message, std::string* out) {
  Elements e = elements(f, message);
  *out += '[';
  for (size_t i = 0; i < e.size; i++) {
    if (i != 0) *out += ',';
    append_value(f, e.data + i * element_size(f), out);
  }
  *out += ']';
}

void append_message(const MessageTable& table, const void* message, std::string* out) {
  bool first = true;
  *out += '{';
  for (const Field& f : table) {
    if (!is_present(f, message)) continue;
    if (!first) *out += ',';
    first = false;
    *out += '"';
    *out += f.name;
    *out += "\":";
    const char* at = member(f, message);
    if (f.repeated)
      append_repeated(f, message, out);
    else
      append_value(f, f.kind == Kind::kMessage ? load<const void*>(at) : at, out);
  }
  *out += '}';
}

void append_escaped(char c, std::string* out) {
  constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      *out += "\\\"";
      return;
    case '\\':
      *out += "\\\\";
      return;
    case '\b':
      *out += "\\b";
      return;
    case '\f':
      *out += "\\f";
      return;
    case '\n':
      *out += "\\n";
      return;
    case '\r':
      *out += "\\r";
      return;
    case '\t':
      *out += "\\t";
      return;
    default:
      *out += "\\u00";
      *out += kHex[static_cast<uint8_t>(c) >> 4];
      *out += kHex[static_cast<uint8_t>(c) & 15];
  }
}

}  // namespace

void append_json_string(std::string_view s, std::string* out) {
  *out += '"';
  for (size_t i = 0; i < s.size();) {
    auto c = static_cast<uint8_t>(s[i]);
    if (c < 0x20 || c == '"' || c == '\\') {
      append_escaped(s[i++], out);
    } else if (c < 0x80) {
      *out += s[i++];
    } else {
      size_t n = utf8_sequence_size(s.substr(i));
      *out += n == 0 ? std::string_view("\xef\xbf\xbd") : s.substr(i, n);
      i += n == 0 ? 1 : n;
    }
  }
  *out += '"';
}

void to_json(const MessageTable& table, const void* message, std::string* out) {
  append_message(table, message, out);
}

}  // namespace quorate::wire
