// How etcd derives its ids, so that clusters, tools and clients that know them see the same numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace quorate::api {

// Of a member: the first 8 bytes of SHA-1 over its peer URLs, sorted and joined without separator, followed
// by `token` (initial-cluster-token; empty for a member added at runtime) and, for one added at runtime, the
// time of that in seconds since 1970 in decimal. [thread-safe]
MemberId member_id(std::vector<std::string> peer_urls, std::string_view token,
                   std::optional<int64_t> added_at_unix_seconds = std::nullopt);

// Of a cluster: the first 8 bytes of SHA-1 over its initial members' ids, ascending, 8 big-endian bytes each.
ClusterId cluster_id(std::span<const MemberId> initial_members);

// Lowercase hex without padding, as logs, etcdctl and metrics show ids.
std::string to_hex(uint64_t id);

// Unique 64-bit ids without coordination: two bytes of the member's id, five of the time in milliseconds at
// start, one of a counter that may overflow into the time. Unique after a restart as long as fewer than 256
// ids were made per millisecond of the time before it. [serial]
class IdGenerator {
 public:
  IdGenerator(MemberId member, uint64_t unix_milliseconds)
      : prefix_((member.value & 0xffff) << 48), suffix_((unix_milliseconds & 0xff'ffff'ffff) << 8) {}

  // Of a request.
  uint64_t next() { return prefix_ | (++suffix_ & 0xffff'ffff'ffff); }
  // Of a lease: positive, so that it survives every client's int64; never 0, which means none.
  int64_t next_lease() {
    while (true) {
      auto id = static_cast<int64_t>(next() & INT64_MAX);
      if (id != 0) return id;
    }
  }

 private:
  uint64_t prefix_;
  uint64_t suffix_;
};

}  // namespace quorate::api
