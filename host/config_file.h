// Reads small files that people write.
#pragma once

#include <string>

#include "quorate/plugin/base.h"

namespace quorate::host {

// The whole file, if it is of 1 MiB at most. Errors name it; not_found when it does not exist.
plugin::Status read_text_file(const std::string& path, std::string* out);
// As above, and nobody but root and this process' user may have a hand in it (see open_safely of
// loader_file.h).
plugin::Status read_trusted_file(const std::string& path, std::string* out);

}  // namespace quorate::host
