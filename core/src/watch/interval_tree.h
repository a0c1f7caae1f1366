// Which of many key ranges hold a key: a treap over (begin, end) whose nodes know the furthest end below
// them, so that a look-up visits the ranges it finds and a logarithmic number of others (Cormen et al.,
// "Interval trees").
//
// Priorities come from a hash of the range, so the same ranges always make the same tree. [loop]
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/ranges.h"

namespace quorate::watch {

template <typename Value>
class IntervalTree {
 public:
  // The value of exactly this range, made when absent. REQUIRES: not a point, not empty.
  Value& operator[](const api::Interval& range) {
    Value* found = nullptr;
    insert(root_, Bounds::of(range), &found);
    return *found;
  }
  void erase(const api::Interval& range) { erase(root_, Bounds::of(range)); }
  bool empty() const { return root_ == nullptr; }
  // Calls visit(value) for each range that holds `key`.
  template <typename Visit>
  void find(std::string_view key, Visit&& visit) {
    find(root_.get(), key, visit);
  }

 private:
  struct Bounds {
    std::string begin;
    std::optional<std::string> end;  // none: unbounded
    static Bounds of(const api::Interval& r) {
      Bounds b{std::string(r.begin()), std::nullopt};
      if (r.has_end()) b.end = std::string(r.end());
      return b;
    }
    int compare(const Bounds& o) const {
      if (int c = begin.compare(o.begin); c != 0) return c;
      return compare_end(end, o.end);
    }
  };
  struct Node {
    Bounds bounds;
    std::optional<std::string> furthest;  // end of any range in this subtree
    uint64_t priority = 0;
    Value value{};
    std::unique_ptr<Node> left, right;
  };
  using Link = std::unique_ptr<Node>;

  static int compare_end(const std::optional<std::string>& a, const std::optional<std::string>& b) {
    if (!a || !b) return int{!a} - int{!b};
    return a->compare(*b);
  }
  static void update(Node& n) {
    n.furthest = n.bounds.end;
    for (const Link* child : {&n.left, &n.right}) {
      if (*child && compare_end((*child)->furthest, n.furthest) > 0) n.furthest = (*child)->furthest;
    }
  }
  static void rotate_right(Link& at) {
    Link left = std::move(at->left);
    at->left = std::move(left->right);
    update(*at);
    left->right = std::move(at);
    at = std::move(left);
    update(*at);
  }
  static void rotate_left(Link& at) {
    Link right = std::move(at->right);
    at->right = std::move(right->left);
    update(*at);
    right->left = std::move(at);
    at = std::move(right);
    update(*at);
  }
  static uint64_t priority_of(const Bounds& b) {
    uint64_t h = 1469598103934665603u;  // FNV-1a
    auto add = [&h](std::string_view s) {
      for (unsigned char c : s) h = (h ^ c) * 1099511628211u;
      h = (h ^ 0x1ff) * 1099511628211u;
    };
    add(b.begin);
    if (b.end) add(*b.end);
    h ^= h >> 31;
    return h * 0x9e3779b97f4a7c15u;
  }
  void insert(Link& at, Bounds bounds, Value** found) {
    if (!at) {
      at = std::make_unique<Node>();
      at->priority = priority_of(bounds);
      at->bounds = std::move(bounds);
      update(*at);
      *found = &at->value;
      return;
    }
    const int c = bounds.compare(at->bounds);
    if (c == 0) {
      *found = &at->value;
      return;
    }
    Link& child = c < 0 ? at->left : at->right;
    insert(child, std::move(bounds), found);
    update(*at);
    if (child->priority > at->priority) c < 0 ? rotate_right(at) : rotate_left(at);
  }
  void erase(Link& at, const Bounds& bounds) {
    if (!at) return;
    const int c = bounds.compare(at->bounds);
    if (c != 0) {
      erase(c < 0 ? at->left : at->right, bounds);
    } else if (!at->left || !at->right) {
      at = std::move(at->left ? at->left : at->right);
      return;  // the subtree that moved up is up to date
    } else if (at->left->priority > at->right->priority) {
      rotate_right(at);
      erase(at->right, bounds);
    } else {
      rotate_left(at);
      erase(at->left, bounds);
    }
    if (at) update(*at);
  }
  template <typename Visit>
  static void find(Node* n, std::string_view key, Visit& visit) {
    if (n == nullptr || (n->furthest && *n->furthest <= key)) return;  // everything below ends before the key
    find(n->left.get(), key, visit);
    if (key < n->bounds.begin) return;  // and so does everything to the right begin behind it
    if (!n->bounds.end || key < *n->bounds.end) visit(n->value);
    find(n->right.get(), key, visit);
  }

  Link root_;
};

}  // namespace quorate::watch
