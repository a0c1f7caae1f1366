// The metadata record's body, by cereal: cold, small, and never from a socket. docs/formats.md has its bytes.
#pragma once

#include <string>

#include "quorate/plugin/base.h"
#include "wal/wal.h"

namespace quorate::wal {

std::string encode(const Metadata& metadata);
// False: malformed. A length is checked before anything is allocated for it, which cereal by itself does not
// do.
bool decode(plugin::ByteView body, Metadata* out);

}  // namespace quorate::wal
