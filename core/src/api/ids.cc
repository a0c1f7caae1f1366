#include "api/ids.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/uuid/detail/sha1.hpp>

namespace quorate::api {
namespace {

// The first 8 bytes of the digest as a big-endian number. Boost 1.81 gives the digest as five words in the
// machine's order, the first being the first four bytes.
uint64_t sha1_prefix(const std::string& bytes) {
  boost::uuids::detail::sha1 sha1;
  sha1.process_bytes(bytes.data(), bytes.size());
  boost::uuids::detail::sha1::digest_type digest;
  sha1.get_digest(digest);
  static_assert(sizeof digest[0] == 4);
  return uint64_t{digest[0]} << 32 | digest[1];
}

}  // namespace

MemberId member_id(std::vector<std::string> peer_urls, std::string_view token,
                   std::optional<int64_t> added_at_unix_seconds) {
  std::sort(peer_urls.begin(), peer_urls.end());
  std::string bytes;
  for (const std::string& url : peer_urls) bytes += url;
  bytes += token;
  if (added_at_unix_seconds) bytes += std::to_string(*added_at_unix_seconds);
  return MemberId(sha1_prefix(bytes));
}

ClusterId cluster_id(std::span<const MemberId> initial_members) {
  std::vector<MemberId> ids(initial_members.begin(), initial_members.end());
  std::sort(ids.begin(), ids.end());
  std::string bytes;
  for (MemberId id : ids)
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(id.value >> shift);
  return ClusterId(sha1_prefix(bytes));
}

std::string to_hex(uint64_t id) {
  std::array<char, 16> digits;
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), id, 16).ptr;
  return std::string(digits.data(), end);
}

}  // namespace quorate::api
