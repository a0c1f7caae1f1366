#include "host/flags_values.h"

#include <algorithm>
#include <cstdio>

namespace quorate::host {

using plugin::Code;
using plugin::Status;

std::optional<bool> parse_bool(std::string_view text) {
  for (std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"})
    if (text == yes) return true;
  for (std::string_view no : {"0", "f", "F", "FALSE", "false", "False"})
    if (text == no) return false;
  return {};
}

namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

std::optional<uint64_t> parse_digits(std::string_view text, uint64_t base) {
  if (text.empty()) return {};
  uint64_t value = 0;
  for (char c : text) {
    auto digit = static_cast<uint64_t>(digit_of(c));
    if (digit >= base || value > (UINT64_MAX - digit) / base) return {};
    value = value * base + digit;
  }
  return value;
}

// One unit of a duration at the front of *text, in nanoseconds; 0: none.
uint64_t take_unit(std::string_view* text) {
  struct Unit {
    std::string_view name;
    uint64_t ns;
  };
  constexpr Unit kUnits[] = {
      {"ns", 1},         {"us", 1'000},        {"\xc2\xb5s", 1'000},  {"\xce\xbcs", 1'000},
      {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
  size_t length = 0;
  while (length < text->size() && (*text)[length] != '.' && digit_of((*text)[length]) > 9) ++length;
  std::string_view name = text->substr(0, length);
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    text->remove_prefix(length);
    return unit.ns;
  }
  return 0;
}

std::string_view take_digits(std::string_view* text) {
  size_t length = 0;
  while (length < text->size() && digit_of((*text)[length]) <= 9) ++length;
  std::string_view digits = text->substr(0, length);
  text->remove_prefix(length);
  return digits;
}

// "1.5h": a number and its unit. False: malformed or beyond 292 years.
bool add_term(std::string_view* text, uint64_t* total) {
  std::string_view whole = take_digits(text);
  std::string_view fraction;
  if (!text->empty() && text->front() == '.') {
    text->remove_prefix(1);
    fraction = take_digits(text);
  }
  if (whole.empty() && fraction.empty()) return false;
  uint64_t unit = take_unit(text);
  std::optional<uint64_t> number = whole.empty() ? 0 : parse_digits(whole, 10);
  constexpr auto kMost = static_cast<uint64_t>(INT64_MAX);
  if (unit == 0 || !number || *number > kMost / unit) return false;
  uint64_t ns = *number * unit;
  uint64_t scale = unit;
  for (char c : fraction) {
    scale /= 10;
    ns += static_cast<uint64_t>(digit_of(c)) * scale;
  }
  if (ns > kMost - *total) return false;
  *total += ns;
  return true;
}

}  // namespace

std::optional<uint64_t> parse_unsigned(std::string_view text) {
  if (text.size() > 1 && text[0] == '0') {
    switch (text[1]) {
      case 'x':
      case 'X':
        return parse_digits(text.substr(2), 16);
      case 'b':
      case 'B':
        return parse_digits(text.substr(2), 2);
      case 'o':
      case 'O':
        return parse_digits(text.substr(2), 8);
      default:
        return parse_digits(text.substr(1), 8);
    }
  }
  return parse_digits(text, 10);
}

std::optional<int64_t> parse_signed(std::string_view text) {
  bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  std::optional<uint64_t> value = parse_unsigned(text);
  if (!value || *value > static_cast<uint64_t>(INT64_MAX)) return {};
  return negative ? -static_cast<int64_t>(*value) : static_cast<int64_t>(*value);
}

std::optional<int64_t> parse_duration(std::string_view text) {
  bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text == "0") return 0;
  if (text.empty()) return {};
  uint64_t total = 0;
  while (!text.empty())
    if (!add_term(&text, &total)) return {};
  return negative ? -static_cast<int64_t>(total) : static_cast<int64_t>(total);
}

std::vector<std::string> split_list(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  for (size_t begin = 0;;) {
    size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      out += c;
      continue;
    }
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
    out += hex;
  }
  return out + "\"";
}

namespace {

const char* complaint(FlagType type, std::string_view text) {
  switch (type) {
    case FlagType::kBool:
      return parse_bool(text) ? nullptr : "is not true or false";
    case FlagType::kUnsigned:
      return parse_unsigned(text) ? nullptr : "is not a number from 0 to 2^64-1";
    case FlagType::kUnsigned32: {
      std::optional<uint64_t> value = parse_unsigned(text);
      return value && *value <= UINT32_MAX ? nullptr : "is not a number from 0 to 2^32-1";
    }
    case FlagType::kSigned:
      return parse_signed(text) ? nullptr : "is not a number from -2^63+1 to 2^63-1";
    case FlagType::kDuration:
      return parse_duration(text) ? nullptr : "is not a duration such as 1h30m or 300ms";
    default:
      return nullptr;
  }
}

}  // namespace

FlagValues::FlagValues() {
  for (const FlagRow& row : kFlags) values_.push_back({row.default_text, FlagSource::kDefault, ""});
}

Status FlagValues::set(size_t index, std::string text, FlagSource source, std::string where) {
  const FlagRow& row = kFlags[index];
  if (const char* wrong = complaint(row.type, text); wrong != nullptr)
    return Status(Code::kInvalid, where + ": " + in_quotes(text) + " " + wrong);
  values_[index] = {std::move(text), source, std::move(where)};
  return {};
}

bool FlagValues::boolean(std::string_view name) const { return *parse_bool(text(name)); }
uint64_t FlagValues::number(std::string_view name) const { return *parse_unsigned(text(name)); }

int64_t FlagValues::signed_number(std::string_view name) const {
  const std::string& value = text(name);
  return flag_row(name).type == FlagType::kDuration ? *parse_duration(value) : *parse_signed(value);
}

std::vector<std::string> FlagValues::list(std::string_view name) const {
  std::vector<std::string> parts = split_list(text(name));
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return parts;
}

}  // namespace quorate::host
