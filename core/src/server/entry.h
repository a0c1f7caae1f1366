// What the log's normal entries hold: one byte of kind, then the request as the client encoded it (protobuf),
// with what the proposer decided (a lease's id and time) filled in. docs/formats.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "quorate/plugin/base.h"

namespace quorate::server {

enum class EntryKind : uint8_t {
  kPut = 1,
  kDeleteRange = 2,
  kTxn = 3,
  kCompaction = 4,
  kLeaseGrant = 5,  // ID and the effective TTL are set
  kLeaseRevoke = 6,
  kAlarm = 7,
  kPublish = 8,  // api::Member: a member's name and client URLs
  kClusterVersion = 9,
};

plugin::Buffer encode_entry(EntryKind kind, std::string_view request);

struct EntryView {
  EntryKind kind;
  std::string_view request;
};
// Nothing if it is none of ours: applied as a failed request that changes nothing.
std::optional<EntryView> decode_entry(const plugin::Buffer& data);

}  // namespace quorate::server
