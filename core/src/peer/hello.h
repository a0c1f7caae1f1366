// The first call on every connection between members, on every transport: who calls whom, in which cluster,
// and in which version of the protocol. Nothing else is served on a peer connection before it.
#pragma once

#include <optional>
#include <string>

#include "api/errors.h"
#include "base/types.h"
#include "quorate/plugin/transport.h"

namespace quorate::peer {

// Versions of the peer protocol that this build speaks. A cluster is upgraded member by member: the highest
// version that both sides know is spoken.
inline constexpr uint32_t kOldestVersion = 1;
inline constexpr uint32_t kNewestVersion = 1;

struct Hello {
  uint32_t oldest = kOldestVersion;
  uint32_t newest = kNewestVersion;
  ClusterId cluster;
  MemberId from;
  MemberId to;  // whom the caller believes to have reached
  plugin::Lane lane = plugin::Lane::kControl;
  std::string
      node_id;  // of the caller's log: tells a wiped or copied data directory from the one that was known
  std::string version;  // of the caller's software, for logs and the cluster's version: "3.7.1"
  // What the caller can prove to have promised: a disk that was set back has promised less than others
  // remember.
  Term term;
  Index last_index;
  friend bool operator==(const Hello&, const Hello&) = default;
};

struct Welcome {
  uint32_t version = 0;  // of the protocol, as spoken from here on
  std::string node_id;
  std::string software;
  // What the called member remembers of the caller's promises; 0: nothing.
  Term known_term;
  Index known_index;
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

std::string encode(const Hello&);
std::string encode(const Welcome&);
// False: malformed, or a text is longer than any honest one.
bool decode(std::string_view bytes, Hello* out);
bool decode(std::string_view bytes, Welcome* out);

// How a member that is `self` of `cluster` takes a Hello: nothing, and *version is what is spoken; or the
// refusal, whose text names what is wrong on both sides.
std::optional<api::RpcError> judge(const Hello& hello, ClusterId cluster, MemberId self,
                                   bool caller_was_removed, uint32_t* version);

// The texts that a caller recognises among refusals, since they call for more than another try.
inline constexpr std::string_view kRemovedText = "the member has been removed from the cluster";

}  // namespace quorate::peer
