// Why a plugin is refused: every reason and its exact text, in the order in which the loader looks. The
// loader, the tests and the documentation all use this table.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "quorate/plugin/base.h"

namespace quorate::host {

enum class Refusal : uint32_t {
  kNone = 0,
  kCannotOpen,
  kNotRegular,
  kForeignOwner,
  kWritable,
  kBadPin,
  kTooLarge,
  kWrongSha256,
  kNotElf,
  kTruncated,
  kNoDescriptor,
  kBadMagic,
  kOtherAbiMajor,
  kBadDescriptor,
  kWrongKind,
  kWrongName,
  kDuplicate,
  kNewerAbiMinor,
  kOtherArchitecture,
  kOtherSanitizer,
  kCannotLoad,
  kNoSymbol,
  kChanged,
  kOptions,
  kCreateFailed,
  kCreateThrew,
  kNoObject,
  kNoInterface,
  kCount,
};

struct RefusalRow {
  Refusal refusal;
  plugin::Code code;
  const char* text;  // follows "plugin PATH: "; each {} is replaced
};

extern const RefusalRow kRefusals[static_cast<uint32_t>(Refusal::kCount) - 1];

// The Status of a refusal: "plugin PATH: TEXT". REQUIRES: as many values as the row has {}.
plugin::Status refuse(Refusal refusal, std::string_view path,
                      std::initializer_list<std::string_view> values = {});

}  // namespace quorate::host
