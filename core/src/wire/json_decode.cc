#include "wire/access.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/json_lexer.h"
#include "wire/primitive.h"

namespace quorate::wire {
namespace {

constexpr const char* kKindNames[] = {"int64", "uint64", "uint32", "bool",
                                      "enum",  "string", "bytes",  "message"};

// The lowerCamel form of a proto name: without underscores, what follows one in upper case.
std::string camel_of(std::string_view proto_name) {
  std::string out;
  bool upper = false;
  for (char c : proto_name) {
    if (c != '_') out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = c == '_';
  }
  return out;
}

const Field* find_field(const MessageTable& table, std::string_view name) {
  for (const Field& f : table)
    if (f.name == name || (f.name.size() > name.size() && camel_of(f.name) == name)) return &f;
  return nullptr;
}

class JsonDecoder {
 public:
  JsonDecoder(std::string_view text, Arena& arena) : in_(text, arena) {}

  JsonLexer& lexer() { return in_; }

  bool message(const MessageTable& table, void* out, int depth) {
    if (in_.peek() != '{') return in_.unexpected();
    if (depth == 0) return in_.fail("exceeded max recursion depth");
    in_.take('{');
    uint64_t seen = 0;
    if (in_.take('}')) return true;
    do {
      if (!field(table, out, &seen, depth)) return false;
    } while (in_.take(','));
    return in_.expect('}');
  }

 private:
  // One name and its value.
  bool field(const MessageTable& table, void* out, uint64_t* seen, int depth) {
    in_.peek();
    size_t start = in_.position();
    std::string_view name;
    if (!in_.string(&name) || !in_.expect(':')) return false;
    const Field* f = find_field(table, name);
    if (f == nullptr) return in_.skip(depth);
    uint64_t bit = uint64_t{1} << (f - table.begin());
    if (*seen & bit) return in_.fail_at(start, "duplicate field \"" + std::string(name) + "\"");
    *seen |= bit;
    if (in_.peek() == 'n') return in_.literal("null");
    if (f->repeated) return list(table, *f, out, depth);
    if (f->in_oneof() && load<uint32_t>(static_cast<char*>(out) + f->case_offset) != 0)
      return in_.fail_at(start, "error parsing \"" + std::string(name) + "\", oneof " +
                                    std::string(table.name) + "." + std::string(f->oneof) +
                                    " is already set");
    return value(table, *f, out, depth);
  }

  bool list(const MessageTable& table, const Field& f, void* out, int depth) {
    if (!in_.expect('[')) return false;
    if (in_.take(']')) return true;
    do {
      if (!value(table, f, out, depth)) return false;
    } while (in_.take(','));
    return in_.expect(']');
  }

  bool value(const MessageTable& table, const Field& f, void* out, int depth) {
    if (f.kind == Kind::kMessage) {
      if (in_.peek() != '{') return in_.unexpected();
      void* at = place_for(table, f, out, in_.arena());
      return at == nullptr ? too_large() : message(*f.message, at, depth - 1);
    }
    uint64_t scalar = 0;
    std::string_view bytes;
    bool ignored = false;
    if (!(is_scalar(f.kind) ? read_scalar(f, &scalar, &ignored) : read_bytes_of(f, &bytes))) return false;
    if (ignored) return true;
    void* at = place_for(table, f, out, in_.arena());
    if (at == nullptr) return too_large();
    if (is_scalar(f.kind))
      store_scalar(f.kind, at, scalar);
    else
      store(at, bytes);
    return true;
  }

  bool too_large() { return in_.fail("message needs too much memory"); }

  bool invalid(const Field& f, size_t start) {
    constexpr size_t kShown = 64;
    std::string shown(in_.since(start).substr(0, kShown));
    while (!valid_utf8(shown)) shown.pop_back();
    return in_.fail_at(start, std::string("invalid value for ") + kKindNames[static_cast<int>(f.kind)] +
                                  " field " + camel_of(f.name) + ": " + shown);
  }

  bool read_bytes_of(const Field& f, std::string_view* bytes) {
    char c = in_.peek();
    size_t start = in_.position();
    if (c != '"') return other_value(f, start);
    std::string_view s;
    if (!in_.string(&s)) return false;
    *bytes = s;
    return f.kind == Kind::kString || decode_base64(s, in_.arena(), bytes) || invalid(f, start);
  }

  // A value of a kind the field cannot take.
  bool other_value(const Field& f, size_t start) {
    char c = in_.peek();
    if (c == '{' || c == '[') return in_.unexpected();
    return in_.skip(1) && invalid(f, start);
  }

  bool read_scalar(const Field& f, uint64_t* v, bool* ignored) {
    char c = in_.peek();
    size_t start = in_.position();
    if (f.kind == Kind::kBool) {
      *v = c == 't';
      if (c != 't' && c != 'f') return other_value(f, start);
      return in_.literal(c == 't' ? "true" : "false");
    }
    std::string_view digits;
    if (c == '"') {
      if (!in_.string(&digits)) return false;
      if (f.kind == Kind::kEnum) return read_enum_name(f, digits, v, ignored);
      JsonLexer quoted(digits, in_.arena());
      std::string_view all = digits;
      if (!quoted.number(&digits) || digits != all) return invalid(f, start);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      if (!in_.number(&digits)) return false;
    } else {
      return other_value(f, start);
    }
    return to_integer(f.kind, digits, v) || invalid(f, start);
  }

  // A name this enum does not have is ignored, as unknown fields are: a newer client may know more.
  bool read_enum_name(const Field& f, std::string_view name, uint64_t* v, bool* ignored) {
    const EnumValue* known = f.enumeration->find(name);
    *ignored = known == nullptr;
    if (known != nullptr) *v = static_cast<uint64_t>(int64_t{known->number});
    return true;
  }

  static bool to_integer(Kind kind, std::string_view digits, uint64_t* v) {
    bool negative = false;
    uint64_t magnitude = 0;
    if (!parse_json_integer(digits, &negative, &magnitude)) return false;
    bool is_signed = kind == Kind::kInt64 || kind == Kind::kEnum;
    uint64_t limit = kind == Kind::kEnum     ? uint64_t{INT32_MAX}
                     : kind == Kind::kInt64  ? uint64_t{INT64_MAX}
                     : kind == Kind::kUint32 ? uint64_t{UINT32_MAX}
                                             : UINT64_MAX;
    if (negative && !is_signed) return false;
    if (magnitude > limit + (negative ? 1 : 0)) return false;
    *v = negative ? uint64_t{0} - magnitude : magnitude;
    return true;
  }

  JsonLexer in_;
};

}  // namespace

JsonResult from_json(const MessageTable& table, void* message, std::string_view text, Arena& arena) {
  JsonDecoder decoder(text, arena);
  JsonResult result;
  result.ok = decoder.message(table, message, kMaxDepth + 1);
  JsonLexer& lexer = decoder.lexer();
  result.consumed = lexer.position();
  result.incomplete = lexer.incomplete();
  result.error = lexer.error();
  return result;
}

}  // namespace quorate::wire
