#include "host/main_output.h"

#include <unistd.h>

#include <cerrno>

namespace quorate::host {

namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

bool write_out(std::string_view text) { return write_all(STDOUT_FILENO, text); }
bool write_error(std::string_view text) { return write_all(STDERR_FILENO, text); }

}  // namespace quorate::host
