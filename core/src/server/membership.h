// Who the members are, as the replicated state knows it: ids, names, URLs; and the cluster's version.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "quorate/plugin/base.h"

namespace quorate::server {

struct MemberInfo {
  uint64_t id = 0;
  std::string name;  // empty until it has started
  std::vector<std::string> peer_urls;
  std::vector<std::string> client_urls;
  bool is_learner = false;
  friend bool operator==(const MemberInfo&, const MemberInfo&) = default;
};

class Membership {
 public:
  uint64_t cluster_id = 0;
  uint64_t self = 0;
  std::string cluster_version;  // "3.7.0"; empty: not decided yet

  const std::map<uint64_t, MemberInfo>& members() const { return members_; }
  const MemberInfo* find(uint64_t id) const {
    auto at = members_.find(id);
    return at == members_.end() ? nullptr : &at->second;
  }
  void set(MemberInfo info) { members_[info.id] = std::move(info); }

 private:
  std::map<uint64_t, MemberInfo> members_;
};

// The bytes of a member's meta record: api::Member, protobuf.
std::string encode_member(const MemberInfo&);
// False: malformed.
bool decode_member(std::string_view bytes, MemberInfo* out);

}  // namespace quorate::server
