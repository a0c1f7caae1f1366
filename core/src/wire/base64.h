// RFC 4648 base64.
#pragma once

#include <string>
#include <string_view>

#include "wire/arena.h"

namespace quorate::wire {

// Appends, standard alphabet, with padding.
void append_base64(std::string_view bytes, std::string* out);

// Decodes into `arena`. Takes the standard or the URL-safe alphabet (not both), padded, or unpadded when the
// length says so; line breaks inside are ignored. False if it is anything else or the arena is full.
bool decode_base64(std::string_view text, Arena& arena, std::string_view* bytes);

}  // namespace quorate::wire
