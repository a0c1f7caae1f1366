// A small sorted set of member ids: iteration order is the same on every member and in every run.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "base/types.h"

namespace quorate::raft {

class MemberSet {
 public:
  MemberSet() = default;
  MemberSet(std::initializer_list<MemberId> ids) {
    for (MemberId id : ids) insert(id);
  }

  bool contains(MemberId id) const { return std::binary_search(ids_.begin(), ids_.end(), id); }
  void insert(MemberId id) {
    auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (at == ids_.end() || *at != id) ids_.insert(at, id);
  }
  void erase(MemberId id) {
    auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (at != ids_.end() && *at == id) ids_.erase(at);
  }
  void clear() { ids_.clear(); }
  bool empty() const { return ids_.empty(); }
  size_t size() const { return ids_.size(); }
  auto begin() const { return ids_.begin(); }
  auto end() const { return ids_.end(); }
  friend bool operator==(const MemberSet&, const MemberSet&) = default;

 private:
  std::vector<MemberId> ids_;
};

}  // namespace quorate::raft
