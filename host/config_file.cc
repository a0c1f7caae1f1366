#include "host/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/loader_file.h"

namespace quorate::host {

using plugin::Code;
using plugin::Status;

namespace {

Status read_all(const std::string& path, int fd, std::string* out) {
  constexpr size_t kMost = 1u << 20;
  out->clear();
  char buffer[16384];
  while (true) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n == 0) return {};
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Status(Code::kIo, path + ": " + std::strerror(errno));
    out->append(buffer, static_cast<size_t>(n));
    if (out->size() > kMost) return Status(Code::kInvalid, path + ": is larger than 1 MiB");
  }
}

}  // namespace

Status read_text_file(const std::string& path, std::string* out) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return Status(errno == ENOENT ? Code::kNotFound : Code::kIo, path + ": " + std::strerror(errno));
  OpenFile file(fd);
  return read_all(path, fd, out);
}

Status read_trusted_file(const std::string& path, std::string* out) {
  if (access(path.c_str(), F_OK) != 0 && errno == ENOENT)
    return Status(Code::kNotFound, path + ": " + std::strerror(errno));
  OpenFile file;
  if (Status s = open_safely(path, &file); !s.ok()) return s;
  return read_all(path, file.get(), out);
}

}  // namespace quorate::host
