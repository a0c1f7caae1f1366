// Strong types of the field's terms, so that an index is never passed for a term.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace quorate {

template <typename Tag>
struct Tagged {
  uint64_t value = 0;

  constexpr Tagged() = default;
  constexpr explicit Tagged(uint64_t v) : value(v) {}
  friend constexpr auto operator<=>(Tagged, Tagged) = default;
  constexpr Tagged operator+(uint64_t n) const { return Tagged(value + n); }
  constexpr Tagged operator-(uint64_t n) const { return Tagged(value - n); }
  constexpr uint64_t operator-(Tagged o) const { return value - o.value; }
  constexpr Tagged& operator++() {
    ++value;
    return *this;
  }
  constexpr explicit operator bool() const { return value != 0; }
};

using Term = Tagged<struct TermTag>;
using Index = Tagged<struct IndexTag>;        // of a log entry; the first is 1
using MemberId = Tagged<struct MemberIdTag>;  // 0: none
using ClusterId = Tagged<struct ClusterIdTag>;

}  // namespace quorate

template <typename Tag>
struct std::hash<quorate::Tagged<Tag>> {
  size_t operator()(quorate::Tagged<Tag> t) const noexcept { return std::hash<uint64_t>()(t.value); }
};
