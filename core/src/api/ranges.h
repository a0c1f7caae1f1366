// Which keys a (key, range_end) pair means; the pair is interpreted here and nowhere else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::api {

// A set of keys: one key, [begin, end) in unsigned byte order, or everything from a key on. Immutable; refers
// to bytes the caller keeps alive. [thread-safe]
//
// etcd's rules:  range_end empty: the key alone.  "\0": all keys >= key (with key "\0": all there are).
// range_end <= key otherwise: no key at all, which is no error for Range and DeleteRange.
// What an empty key means is the caller's matter: an error for KV, "\0" for Watch.
class Interval {
 public:
  static Interval of(std::string_view key, std::string_view range_end) {
    if (range_end.empty()) return point(key);
    if (range_end == std::string_view("\0", 1)) return from(key);
    return Interval(key, range_end, Kind::kRange);
  }
  static Interval point(std::string_view key) { return Interval(key, {}, Kind::kPoint); }
  static Interval from(std::string_view key) { return Interval(key, {}, Kind::kFrom); }
  static Interval all() { return from(std::string_view("\0", 1)); }

  std::string_view begin() const { return begin_; }
  // REQUIRES: has_end(). Exclusive.
  std::string_view end() const { return end_; }
  bool is_point() const { return kind_ == Kind::kPoint; }
  bool is_unbounded() const { return kind_ == Kind::kFrom; }
  bool has_end() const { return kind_ == Kind::kRange; }
  bool empty() const { return kind_ == Kind::kRange && end_ <= begin_; }

  bool contains(std::string_view key) const {
    if (kind_ == Kind::kPoint) return key == begin_;
    return key >= begin_ && before_end(key);
  }
  // Whether some key may be in both.
  bool overlaps(const Interval& o) const {
    return !empty() && !o.empty() && before_end(o.begin_) && o.before_end(begin_);
  }
  // Whether every key of `o` is in this one.
  bool covers(const Interval& o) const {
    return o.empty() || (!empty() && begin_ <= o.begin_ && o.compare_end(*this) <= 0);
  }
  // Orders by where they end: <0, 0 or >0. For merging intervals that are sorted by begin.
  int compare_end(const Interval& o) const {
    if (is_unbounded() || o.is_unbounded()) return int{is_unbounded()} - int{o.is_unbounded()};
    int c = last_bound().compare(o.last_bound());
    // A point ends just behind its key: nothing lies between it and that key followed by a zero byte.
    if (is_point() == o.is_point()) return c;
    if (is_point()) return is_successor(begin_, o.end_) ? 0 : (c >= 0 ? 1 : -1);
    return is_successor(o.begin_, end_) ? 0 : (c <= 0 ? -1 : 1);
  }

  // The same set of keys as etcd prints it, for messages: `["a", "b")`.
  std::string to_string() const;

  friend bool operator==(const Interval&, const Interval&) = default;

 private:
  enum class Kind : uint8_t { kPoint, kRange, kFrom };
  Interval(std::string_view begin, std::string_view end, Kind kind) : begin_(begin), end_(end), kind_(kind) {}

  bool before_end(std::string_view key) const {
    switch (kind_) {
      case Kind::kPoint:
        return key <= begin_;
      case Kind::kRange:
        return key < end_;
      case Kind::kFrom:
        break;
    }
    return true;
  }
  std::string_view last_bound() const { return is_point() ? begin_ : end_; }
  static bool is_successor(std::string_view key, std::string_view next) {
    return next.size() == key.size() + 1 && next.back() == 0 && next.substr(0, key.size()) == key;
  }

  std::string_view begin_;
  std::string_view end_;
  Kind kind_;
};

// The range_end that makes (prefix, range_end) mean every key that begins with `prefix`: its last byte that
// is not 0xff incremented and what follows dropped; "\0" when there is none such (and for the empty prefix).
std::string prefix_end(std::string_view prefix);

}  // namespace quorate::api
