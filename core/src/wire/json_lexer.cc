#include "wire/json_lexer.h"

#include <algorithm>

#include "wire/primitive.h"

namespace quorate::wire {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The four digits of \uXXXX, or -1.
int32_t hex4(std::string_view s) {
  if (s.size() < 4) return -1;
  int32_t v = 0;
  for (size_t i = 0; i < 4; i++) {
    int digit = hex_digit(s[i]);
    if (digit < 0) return -1;
    v = v << 4 | digit;
  }
  return v;
}

char* put_utf8(char* p, uint32_t c) {
  if (c < 0x80) {
    *p++ = static_cast<char>(c);
  } else if (c < 0x800) {
    *p++ = static_cast<char>(0xc0 | c >> 6);
    *p++ = static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *p++ = static_cast<char>(0xe0 | c >> 12);
    *p++ = static_cast<char>(0x80 | (c >> 6 & 63));
    *p++ = static_cast<char>(0x80 | (c & 63));
  } else {
    *p++ = static_cast<char>(0xf0 | c >> 18);
    *p++ = static_cast<char>(0x80 | (c >> 12 & 63));
    *p++ = static_cast<char>(0x80 | (c >> 6 & 63));
    *p++ = static_cast<char>(0x80 | (c & 63));
  }
  return p;
}

// Reads \uXXXX, or a surrogate pair of them, at the start of `s` (after the backslash and the u). Returns how
// many characters that took, 0 if it is not valid.
size_t read_unicode_escape(std::string_view s, uint32_t* c) {
  int32_t first = hex4(s);
  if (first < 0 || (first >= 0xdc00 && first <= 0xdfff)) return 0;
  *c = static_cast<uint32_t>(first);
  if (first < 0xd800 || first > 0xdbff) return 4;
  if (s.size() < 10 || s[4] != '\\' || s[5] != 'u') return 0;
  int32_t second = hex4(s.substr(6));
  if (second < 0xdc00 || second > 0xdfff) return 0;
  *c = 0x10000 + ((*c - 0xd800) << 10) + static_cast<uint32_t>(second - 0xdc00);
  return 10;
}

}  // namespace

char JsonLexer::peek() {
  while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) at_++;
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonLexer::take(char c) {
  if (peek() != c || at_ == text_.size()) return false;
  at_++;
  return true;
}

bool JsonLexer::expect(char c) { return take(c) || unexpected(); }

bool JsonLexer::fail(std::string what) { return fail_at(at_, std::move(what)); }

bool JsonLexer::fail_syntax(std::string what) {
  return error_.empty() ? fail_with("proto: syntax error ", at_, std::move(what)) : false;
}

bool JsonLexer::fail_at(size_t position, std::string what) {
  return error_.empty() ? fail_with("proto: ", position, std::move(what)) : false;
}

bool JsonLexer::fail_with(std::string_view prefix, size_t position, std::string what) {
  std::string_view before = text_.substr(0, position);
  auto line = 1 + std::count(before.begin(), before.end(), '\n');
  size_t column = position - (before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1) + 1;
  error_ =
      std::string(prefix) + "(line " + std::to_string(line) + ":" + std::to_string(column) + "): " + what;
  return false;
}

bool JsonLexer::end_of_text() {
  if (error_.empty()) {
    incomplete_ = true;
    error_ = "unexpected EOF";
  }
  return false;
}

bool JsonLexer::unexpected() {
  if (peek() == '\0' && at_ == text_.size()) return end_of_text();
  size_t n = 1;
  if (auto c = static_cast<uint8_t>(text_[at_]); c >= 0x80)
    n = std::max<size_t>(1, utf8_sequence_size(text_.substr(at_)));
  return fail_syntax("unexpected token " + std::string(text_.substr(at_, n)));
}

bool JsonLexer::string(std::string_view* s) {
  if (!expect('"')) return false;
  size_t start = at_;
  bool escaped = false;
  while (at_ < text_.size() && text_[at_] != '"') {
    if (static_cast<uint8_t>(text_[at_]) < 0x20) return fail_syntax("invalid character in string");
    bool backslash = text_[at_] == '\\';
    escaped |= backslash;
    at_ += backslash ? 2 : 1;
  }
  if (at_ >= text_.size()) {
    at_ = text_.size();
    return end_of_text();
  }
  std::string_view raw = since(start);
  at_++;
  if (!valid_utf8(raw)) return fail_at(start, "invalid UTF-8 in string");
  *s = raw;
  return !escaped || unescape(raw, s) || fail_at(start, "invalid escape in string");
}

bool JsonLexer::unescape(std::string_view raw, std::string_view* s) {
  constexpr std::string_view kLetters = "\"\\/bfnrt", kBytes = "\"\\/\b\f\n\r\t";
  // An escape is never shorter than what it stands for.
  auto* out = static_cast<char*>(arena_.try_allocate(raw.size(), 1));
  if (out == nullptr) return false;
  char* p = out;
  for (size_t i = 0; i < raw.size();) {
    if (raw[i] != '\\') {
      *p++ = raw[i++];
      continue;
    }
    if (++i == raw.size()) return false;
    char letter = raw[i++];
    if (size_t k = kLetters.find(letter); k != std::string_view::npos) {
      *p++ = kBytes[k];
    } else {
      uint32_t c = 0;
      size_t n = letter == 'u' ? read_unicode_escape(raw.substr(i), &c) : 0;
      if (n == 0) return false;
      p = put_utf8(p, c);
      i += n;
    }
  }
  *s = {out, static_cast<size_t>(p - out)};
  return true;
}

bool JsonLexer::skip_digits() {
  size_t start = at_;
  while (at_ < text_.size() && is_digit(text_[at_])) at_++;
  return at_ != start || (at_ == text_.size() ? end_of_text() : unexpected());
}

bool JsonLexer::number(std::string_view* digits) {
  auto next_is = [&](std::string_view any) {
    return at_ < text_.size() && any.find(text_[at_]) != std::string_view::npos;
  };
  peek();
  size_t start = at_;
  if (next_is("-")) at_++;
  if (next_is("0"))
    at_++;
  else if (!skip_digits())
    return false;
  if (next_is(".")) {
    at_++;
    if (!skip_digits()) return false;
  }
  if (next_is("eE")) {
    at_++;
    if (next_is("+-")) at_++;
    if (!skip_digits()) return false;
  }
  *digits = since(start);
  return true;
}

bool JsonLexer::literal(std::string_view word) {
  peek();
  std::string_view rest = text_.substr(at_, word.size());
  if (rest == word) {
    at_ += word.size();
    return true;
  }
  if (word.substr(0, rest.size()) != rest) return unexpected();
  at_ = text_.size();
  return end_of_text();
}

bool JsonLexer::skip(int depth) {
  std::string_view ignored;
  char c = peek();
  if (c == '"') return string(&ignored);
  if (c == 't') return literal("true");
  if (c == 'f') return literal("false");
  if (c == 'n') return literal("null");
  if (c == '-' || is_digit(c)) return number(&ignored);
  if (c != '{' && c != '[') return unexpected();
  if (depth == 0) return fail("exceeded max recursion depth");
  char close = c == '{' ? '}' : ']';
  at_++;
  if (take(close)) return true;
  do {
    if (c == '{' && (!string(&ignored) || !expect(':'))) return false;
    if (!skip(depth - 1)) return false;
  } while (take(','));
  return expect(close);
}

bool parse_json_integer(std::string_view number, bool* negative, uint64_t* magnitude) {
  *negative = !number.empty() && number.front() == '-';
  *magnitude = 0;
  size_t e = number.find_first_of("eE");
  std::string_view mantissa =
      number.substr(*negative ? 1 : 0, e == std::string_view::npos ? e : e - (*negative ? 1 : 0));
  int64_t exponent = 0;
  if (e != std::string_view::npos) {
    bool down = number[e + 1] == '-';
    for (char c : number.substr(e + 1))
      if (is_digit(c)) exponent = std::min<int64_t>(exponent * 10 + (c - '0'), 1'000'000'000);
    if (down) exponent = -exponent;
  }
  size_t dot = std::min(mantissa.find('.'), mantissa.size());
  // Digits before position `units` count, those behind it must be zero.
  int64_t units = static_cast<int64_t>(dot) + exponent;
  int64_t position = 0;
  for (char c : mantissa) {
    if (c == '.') continue;
    uint64_t digit = static_cast<uint64_t>(c - '0');
    if (position++ >= units) {
      if (digit != 0) return false;
      continue;
    }
    if (__builtin_mul_overflow(*magnitude, 10u, magnitude) ||
        __builtin_add_overflow(*magnitude, digit, magnitude))
      return false;
  }
  for (; position < units && *magnitude != 0; position++)
    if (__builtin_mul_overflow(*magnitude, 10u, magnitude)) return false;
  return true;
}

}  // namespace quorate::wire
