#include "wire/text.h"

#include "wire/access.h"

namespace quorate::wire {
namespace {

void append_quoted(std::string_view s, size_t max, std::string* out) {
  constexpr char kHex[] = "0123456789abcdef";
  *out += '"';
  for (char c : s.substr(0, max)) {
    auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      *out += c;
    } else {
      *out += "\\x";
      *out += kHex[byte >> 4];
      *out += kHex[byte & 15];
    }
  }
  *out += '"';
  if (s.size() > max) *out += "...(" + std::to_string(s.size()) + " bytes)";
}

class Printer {
 public:
  Printer(const TextOptions& options, std::string* out) : options_(options), out_(out) {}

  void message(const MessageTable& table, const void* m) {
    bool first = true;
    for (const Field& f : table) {
      if (!is_present(f, m)) continue;
      if (f.repeated) {
        repeated(f, m, &first);
        continue;
      }
      name(f, &first);
      const char* at = member(f, m);
      if (options_.sizes_only && (f.flags & kContent) != 0) {
        out_->insert(out_->size() - 1, "_size");
        *out_ += std::to_string(load<std::string_view>(at).size());
        continue;
      }
      value(f, f.kind == Kind::kMessage ? load<const void*>(at) : at);
    }
  }

 private:
  void name(const Field& f, bool* first) {
    if (!*first) *out_ += ' ';
    *first = false;
    *out_ += f.name;
    *out_ += ':';
  }
  void repeated(const Field& f, const void* m, bool* first) {
    Elements e = elements(f, m);
    for (size_t i = 0; i < e.size && i < options_.max_elements; i++) {
      name(f, first);
      value(f, e.data + i * element_size(f));
    }
    if (e.size > options_.max_elements)
      *out_ += " ...(" + std::to_string(e.size) + " " + std::string(f.name) + ")";
  }
  void value(const Field& f, const void* at) {
    if (f.flags & kSecret) {
      *out_ += "\"***\"";
      return;
    }
    switch (f.kind) {
      case Kind::kInt64:
        *out_ += std::to_string(load<int64_t>(at));
        return;
      case Kind::kUint64:
        *out_ += std::to_string(load<uint64_t>(at));
        return;
      case Kind::kUint32:
        *out_ += std::to_string(load<uint32_t>(at));
        return;
      case Kind::kBool:
        *out_ += load<bool>(at) ? "true" : "false";
        return;
      case Kind::kEnum: {
        auto number = load<int32_t>(at);
        std::string_view label = f.enumeration->name_of(number);
        *out_ += label.empty() ? std::to_string(number) : std::string(label);
        return;
      }
      case Kind::kString:
      case Kind::kBytes:
        append_quoted(load<std::string_view>(at), options_.max_bytes, out_);
        return;
      case Kind::kMessage:
        *out_ += '{';
        if (at != nullptr) message(*f.message, at);
        *out_ += '}';
        return;
    }
  }

  const TextOptions& options_;
  std::string* out_;
};

}  // namespace

std::string to_text(const MessageTable& table, const void* message, const TextOptions& options) {
  std::string out;
  Printer(options, &out).message(table, message);
  return out;
}

}  // namespace quorate::wire
