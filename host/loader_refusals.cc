#include "host/loader_refusals.h"

#include <cstring>

#include "base/assert.h"

namespace quorate::host {

using plugin::Code;

const RefusalRow kRefusals[] = {
    {Refusal::kCannotOpen, Code::kNotFound, "cannot be opened: {}"},
    {Refusal::kNotRegular, Code::kInvalid, "is not a regular file"},
    {Refusal::kForeignOwner, Code::kInvalid,
     "is not safe: {} belongs to user {}, and only root and user {}, whom this process runs as, are trusted"},
    {Refusal::kWritable, Code::kInvalid, "is not safe: {} may be written by {}"},
    {Refusal::kBadPin, Code::kInvalid, "the pinned sha256 is not 64 hexadecimal digits"},
    {Refusal::kTooLarge, Code::kInvalid, "has {} bytes; a pinned plugin may have {}"},
    {Refusal::kWrongSha256, Code::kInvalid, "its SHA-256 is {}, and {} is pinned"},
    {Refusal::kNotElf, Code::kInvalid, "is not an ELF library for a 64-bit little-endian machine"},
    {Refusal::kTruncated, Code::kCorruption, "is truncated or damaged: {}"},
    {Refusal::kNoDescriptor, Code::kInvalid,
     "is a library, but not a plugin of Quorate: it has no section .quorate.plugin"},
    {Refusal::kBadMagic, Code::kInvalid,
     "its descriptor does not begin with the magic of a plugin of Quorate"},
    {Refusal::kOtherAbiMajor, Code::kIncompatible,
     "was built for version {} of the plugin ABI; this host has {}"},
    {Refusal::kBadDescriptor, Code::kInvalid, "its descriptor is malformed: {}"},
    {Refusal::kWrongKind, Code::kInvalid, "is of kind {}, where {} is wanted"},
    {Refusal::kWrongName, Code::kInvalid, "is named {}, where {} is wanted"},
    {Refusal::kDuplicate, Code::kInvalid, "{} is loaded already, from {}"},
    {Refusal::kNewerAbiMinor, Code::kIncompatible,
     "needs at least version {} of the plugin ABI; this host has {}"},
    {Refusal::kOtherArchitecture, Code::kIncompatible, "was built for {}; this host is {}"},
    {Refusal::kOtherSanitizer, Code::kIncompatible,
     "was built with {}, this host with {}: build both with one preset"},
    {Refusal::kCannotLoad, Code::kInvalid, "cannot be loaded: {}"},
    {Refusal::kNoSymbol, Code::kInvalid, "does not export quorate_plugin_v1"},
    {Refusal::kChanged, Code::kInvalid, "changed while it was being loaded"},
    {Refusal::kOptions, Code::kInvalid, "refuses its options: {}"},
    {Refusal::kCreateFailed, Code::kInternal, "create() failed: {}"},
    {Refusal::kCreateThrew, Code::kInternal, "create() let an exception escape: {}"},
    {Refusal::kNoObject, Code::kInternal, "create() succeeded without an object"},
    {Refusal::kNoInterface, Code::kIncompatible, "its object does not offer {}"},
};

plugin::Status refuse(Refusal refusal, std::string_view path,
                      std::initializer_list<std::string_view> values) {
  const RefusalRow& row = kRefusals[static_cast<uint32_t>(refusal) - 1];
  QUORATE_ASSERT(row.refusal == refusal, "the rows are in the order of the enum");
  std::string text = "plugin " + std::string(path) + ": ";
  const char* rest = row.text;
  for (std::string_view value : values) {
    const char* hole = std::strstr(rest, "{}");
    QUORATE_ASSERT(hole != nullptr, "more values than the text has places");
    text.append(rest, hole).append(value);
    rest = hole + 2;
  }
  QUORATE_ASSERT(std::strstr(rest, "{}") == nullptr, "fewer values than the text has places");
  return plugin::Status(row.code, text + rest);
}

}  // namespace quorate::host
