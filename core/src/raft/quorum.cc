#include "raft/quorum.h"

#include <cstdio>

namespace quorate::raft {

std::string describe_reached(const MemberSet& voters, const std::map<MemberId, uint64_t>& acked) {
  if (voters.empty()) return "<empty majority quorum>";
  const size_t n = voters.size();
  auto value = [&](MemberId id) {
    auto at = acked.find(id);
    return at == acked.end() ? 0 : at->second;
  };
  std::string out(n, ' ');
  out += "    idx\n";
  for (MemberId id : voters) {
    size_t behind = 0;
    for (MemberId other : voters) behind += value(other) < value(id);
    if (acked.count(id) == 0)
      out += "?" + std::string(n, ' ');
    else
      out += std::string(behind, 'x') + ">" + std::string(n - behind, ' ');
    char line[64];
    std::snprintf(line, sizeof line, " %5llu    (id=%llx)\n", static_cast<unsigned long long>(value(id)),
                  static_cast<unsigned long long>(id.value));
    out += line;
  }
  return out;
}

}  // namespace quorate::raft
