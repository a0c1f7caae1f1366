// What the program prints on stdout, when printing is what it was asked for.
#pragma once

#include <string_view>

namespace quorate::host {

// All of it, waiting as long as it takes. False: nobody reads it any more.
bool write_out(std::string_view text);
// The same on stderr: only for a command line that cannot be understood, before there is a log.
bool write_error(std::string_view text);

}  // namespace quorate::host
