// Reading of plugin options: a table of names, each bound to a variable with its range. Compiled into the
// plugin, so it may use the plugin's own standard library; nothing of it crosses the boundary.
//
//   uint64_t cache = 16 << 20;
//   Status s = OptionTable().size("block_cache", &cache, 0, 1ull << 40).apply(options);
//
// The value is a TOML scalar as text: true, 42, lz4 or "lz4"; a size may end in KiB, MiB or GiB. The first
// wrong option answers `invalid` with its name, what was wrong, and for an unknown name the nearest known
// one, or all of them when none is near.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "quorate/plugin/abi.h"

namespace quorate::plugin {

class OptionTable {
 public:
  // Each variable keeps its value, the default, unless the option is given.
  OptionTable& boolean(const char* name, bool* into) { return add({name, kBoolean, into, 0, 1, {}}); }
  OptionTable& integer(const char* name, uint64_t* into, uint64_t least, uint64_t most) {
    return add({name, kInteger, into, least, most, {}});
  }
  OptionTable& size(const char* name, uint64_t* into, uint64_t least, uint64_t most) {
    return add({name, kSize, into, least, most, {}});
  }
  // `into` becomes the place in the list.
  OptionTable& choice(const char* name, uint64_t* into, std::initializer_list<const char*> words) {
    return add({name, kChoice, into, 0, 0, words});
  }

  Status apply(View<Option> options) const {
    for (const Option& option : options) {
      std::string_view key = text(option.key);
      auto same = [&](const Entry& e) { return key == e.name; };
      auto entry = std::find_if(entries_.begin(), entries_.end(), same);
      if (entry == entries_.end()) return unknown(key);
      if (Status s = set(*entry, unquoted(text(option.value))); !s.ok()) return s;
    }
    return Status();
  }

  // Edits between two words (Levenshtein).
  static size_t distance(std::string_view a, std::string_view b) {
    if (a.size() > 128) return a.size();
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= b.size(); ++j) {
        size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    return row[b.size()];
  }

 private:
  enum Type { kBoolean, kInteger, kSize, kChoice };
  struct Entry {
    const char* name;
    Type type;
    void* into;
    uint64_t least;
    uint64_t most;
    std::vector<const char*> words;
  };

  OptionTable& add(Entry entry) {
    entries_.push_back(std::move(entry));
    return *this;
  }
  static std::string_view text(ByteView v) { return {v.chars(), static_cast<size_t>(v.size)}; }
  static std::string_view unquoted(std::string_view v) {
    bool quoted = v.size() >= 2 && v.front() == v.back() && (v.front() == '"' || v.front() == '\'');
    return quoted ? v.substr(1, v.size() - 2) : v;
  }

  static Status set(const Entry& e, std::string_view value) {
    switch (e.type) {
      case kBoolean:
        if (value != "true" && value != "false") return wrong(e, value, "is not true or false");
        *static_cast<bool*>(e.into) = value == "true";
        return Status();
      case kChoice: {
        auto word = std::find(e.words.begin(), e.words.end(), value);
        if (word == e.words.end()) return wrong(e, value, "is not one of " + joined(e.words));
        *static_cast<uint64_t*>(e.into) = static_cast<uint64_t>(word - e.words.begin());
        return Status();
      }
      case kInteger:
      case kSize:
        break;
    }
    uint64_t number = 0;
    if (!parse(value, e.type == kSize, &number)) {
      return wrong(e, value, e.type == kSize ? "is not a size such as 65536 or 16MiB" : "is not a number");
    }
    if (number < e.least || number > e.most) {
      return wrong(e, value, "is not between " + std::to_string(e.least) + " and " + std::to_string(e.most));
    }
    *static_cast<uint64_t*>(e.into) = number;
    return Status();
  }

  static bool parse(std::string_view value, bool units, uint64_t* out) {
    size_t digits = 0;
    uint64_t number = 0;
    for (; digits < value.size() && value[digits] >= '0' && value[digits] <= '9'; ++digits) {
      if (number > (UINT64_MAX - 9) / 10) return false;
      number = number * 10 + static_cast<uint64_t>(value[digits] - '0');
    }
    if (digits == 0) return false;
    std::string_view unit = value.substr(digits);
    int shift = unit.empty() ? 0 : unit == "KiB" ? 10 : unit == "MiB" ? 20 : unit == "GiB" ? 30 : -1;
    if (shift < 0 || (shift > 0 && (!units || number >> (64 - shift) != 0))) return false;
    *out = number << shift;
    return true;
  }

  static std::string joined(const std::vector<const char*>& words) {
    std::string s;
    for (const char* w : words) s += (s.empty() ? "" : ", ") + std::string(w);
    return s;
  }
  static Status wrong(const Entry& e, std::string_view value, const std::string& what) {
    return Status(Code::kInvalid, "option " + std::string(e.name) + ": '" + std::string(value) + "' " + what);
  }

  Status unknown(std::string_view key) const {
    std::string message = "unknown option '" + std::string(key) + "'";
    const char* nearest = nullptr;
    size_t least = key.size() / 2 + 1;  // farther than half of the word is no likeness
    for (const Entry& e : entries_) {
      if (size_t d = distance(key, e.name); d < least) {
        least = d;
        nearest = e.name;
      }
    }
    if (nearest != nullptr)
      return Status(Code::kInvalid, message + "; did you mean '" + std::string(nearest) + "'?");
    std::vector<const char*> names;
    for (const Entry& e : entries_) names.push_back(e.name);
    return Status(Code::kInvalid,
                  message + (names.empty() ? "; there are none" : "; known: " + joined(names)));
  }

  std::vector<Entry> entries_;
};

}  // namespace quorate::plugin
