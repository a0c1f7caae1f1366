// JSON's tokens, for json_decode.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/arena.h"

namespace quorate::wire {

// Reads tokens from the start of a text that may go on after the value [serial]. A method returns false when
// it has failed; the first reason stays.
class JsonLexer {
 public:
  JsonLexer(std::string_view text, Arena& arena) : text_(text), arena_(arena) {}

  // The next byte that is not white space, or 0 at the end of the text.
  char peek();
  // Takes `c` if it is next.
  bool take(char c);
  // Fails if `c` is not next.
  bool expect(char c);
  // A string without its quotes and escapes: a view into the text, or into the arena if it had escapes.
  bool string(std::string_view* s);
  // A number as it is written.
  bool number(std::string_view* digits);
  // "true", "false" or "null".
  bool literal(std::string_view word);
  // Any value, of at most `depth` levels.
  bool skip(int depth);

  bool fail(std::string what);
  // With the position of a token that was read before.
  bool fail_at(size_t position, std::string what);
  // Not JSON, here.
  bool unexpected();

  size_t position() const { return at_; }
  // The text from `position` to here.
  std::string_view since(size_t position) const { return text_.substr(position, at_ - position); }
  bool incomplete() const { return incomplete_; }
  const std::string& error() const { return error_; }
  Arena& arena() { return arena_; }

 private:
  bool end_of_text();
  bool fail_syntax(std::string what);
  bool fail_with(std::string_view prefix, size_t position, std::string what);
  bool unescape(std::string_view raw, std::string_view* s);
  bool skip_digits();

  std::string_view text_;
  Arena& arena_;
  size_t at_ = 0;
  bool incomplete_ = false;
  std::string error_;
};

// The integer that a JSON number is, given as digits with an optional fraction and exponent (`1e3` is one,
// `1.5` is not). False if it is none or needs more than 64 bits.
bool parse_json_integer(std::string_view number, bool* negative, uint64_t* magnitude);

}  // namespace quorate::wire
