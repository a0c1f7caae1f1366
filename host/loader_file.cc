#include "host/loader_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <deque>
#include <memory>

namespace quorate::host {
namespace {

using plugin::Status;

constexpr uint64_t kMostBytes = 512u << 20;  // of a pinned plugin: it is copied into memory
constexpr int kMostLinks = 40;               // as the kernel's own limit

Status check_trust(const struct stat& st, const std::string& plugin, const std::string& what) {
  if (st.st_uid != 0 && st.st_uid != geteuid())
    return refuse(Refusal::kForeignOwner, plugin,
                  {what, std::to_string(st.st_uid), std::to_string(geteuid())});
  // Root's sticky folders let others add names of their own, never change or replace ours.
  if (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0 && st.st_uid == 0) return {};
  if ((st.st_mode & S_IWOTH) != 0) return refuse(Refusal::kWritable, plugin, {what, "everyone"});
  if ((st.st_mode & S_IWGRP) != 0 && st.st_gid != 0 && st.st_gid != getegid())
    return refuse(Refusal::kWritable, plugin, {what, "group " + std::to_string(st.st_gid)});
  return {};
}

// Resolves a path as the kernel does, but looks at each step.
class Walk {
 public:
  explicit Walk(const std::string& path) : plugin_(path) {}

  Status run(OpenFile* out) {
    std::string path = plugin_;
    if (path.empty() || path[0] != '/') {
      char here[PATH_MAX];
      if (getcwd(here, sizeof here) == nullptr) return failed(errno);
      path = std::string(here) + "/" + path;
    }
    Status status = to_root();
    if (status.ok()) push_front(path);
    while (status.ok() && !rest_.empty()) status = step();
    if (!status.ok()) return status;
    if (!file_found_) return refuse(Refusal::kNotRegular, plugin_);
    *out = OpenFile(open(at_.proc_path().c_str(), O_RDONLY | O_CLOEXEC));
    return out->get() < 0 ? failed(errno) : Status();
  }

 private:
  Status failed(int error) { return refuse(Refusal::kCannotOpen, plugin_, {std::strerror(error)}); }

  Status to_root() {
    at_ = OpenFile(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    where_.clear();
    return at_.get() < 0 ? failed(errno) : check("/");
  }

  void push_front(const std::string& path) {
    size_t end = path.size();
    while (end != 0) {
      size_t slash = path.rfind('/', end - 1);
      size_t begin = slash == std::string::npos ? 0 : slash + 1;
      if (begin != end) rest_.push_front(path.substr(begin, end - begin));
      if (slash == std::string::npos) break;
      end = slash;
    }
  }

  Status check(const std::string& what) {
    struct stat st {};
    if (fstat(at_.get(), &st) != 0) return failed(errno);
    return check_trust(st, plugin_, what);
  }

  Status step() {
    std::string name = rest_.front();
    rest_.pop_front();
    if (name == ".") return {};
    if (file_found_) return failed(ENOTDIR);
    if (name == "..") where_.erase(std::min(where_.rfind('/'), where_.size()));
    OpenFile next(openat(at_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (next.get() < 0 || fstat(next.get(), &st) != 0) return failed(errno);
    if (S_ISLNK(st.st_mode)) return follow(next);
    if (name != "..") where_ += "/" + name;
    at_ = std::move(next);
    if (S_ISREG(st.st_mode))
      file_found_ = true;
    else if (!S_ISDIR(st.st_mode))
      return refuse(Refusal::kNotRegular, plugin_);
    return check(where_.empty() ? "/" : where_);
  }

  // The folder that holds the link has been checked: nobody else made it point there.
  Status follow(const OpenFile& link) {
    char target[PATH_MAX];
    if (++links_ > kMostLinks) return failed(ELOOP);
    ssize_t n = readlinkat(link.get(), "", target, sizeof target);
    if (n <= 0 || n == sizeof target) return failed(n < 0 ? errno : ENAMETOOLONG);
    push_front(std::string(target, static_cast<size_t>(n)));
    return target[0] == '/' ? to_root() : Status();
  }

  const std::string plugin_;
  std::deque<std::string> rest_;
  OpenFile at_;
  std::string where_;  // at_'s path, without links; empty: the root
  int links_ = 0;
  bool file_found_ = false;
};

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void add(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string hex() {
    constexpr char kHex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      text += kHex[digest[i] >> 4];
      text += kHex[digest[i] & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

Status check_size(const std::string& path, const OpenFile& file) {
  struct stat st {};
  if (fstat(file.get(), &st) != 0) return refuse(Refusal::kCannotOpen, path, {std::strerror(errno)});
  if (static_cast<uint64_t>(st.st_size) <= kMostBytes) return {};
  return refuse(Refusal::kTooLarge, path,
                {std::to_string(st.st_size), "at most " + std::to_string(kMostBytes)});
}

// Reads the whole file through `each`, which answers false to stop.
template <typename Each>
Status read_all(const std::string& path, const OpenFile& file, Each each) {
  Status status = check_size(path, file);
  if (!status.ok()) return status;
  auto buffer = std::make_unique<uint8_t[]>(1 << 16);
  uint64_t offset = 0;
  while (offset <= kMostBytes) {  // whoever may write to it may also make it grow
    ssize_t n = pread(file.get(), buffer.get(), 1 << 16, static_cast<off_t>(offset));
    if (n == 0) return {};
    if (n < 0) {
      if (errno == EINTR) continue;
      return refuse(Refusal::kCannotOpen, path, {std::strerror(errno)});
    }
    offset += static_cast<uint64_t>(n);
    if (!each(buffer.get(), static_cast<size_t>(n)))
      return refuse(Refusal::kCannotOpen, path, {std::strerror(errno)});
  }
  return check_size(path, file);
}

bool write_all(int fd, const uint8_t* data, size_t size) {
  while (size != 0) {
    ssize_t n = write(fd, data, size);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) {
      data += n;
      size -= static_cast<size_t>(n);
    }
  }
  return true;
}

}  // namespace

OpenFile::~OpenFile() {
  if (fd_ >= 0) close(fd_);
}

Status open_safely(const std::string& path, OpenFile* out) { return Walk(path).run(out); }

Status open_for_reading(const std::string& path, OpenFile* out) {
  OpenFile file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat st {};
  if (file.get() < 0 || fstat(file.get(), &st) != 0)
    return refuse(Refusal::kCannotOpen, path, {std::strerror(errno)});
  if (!S_ISREG(st.st_mode)) return refuse(Refusal::kNotRegular, path);
  *out = std::move(file);
  return {};
}

Status copy_sealed(const std::string& path, const OpenFile& file, OpenFile* copy, std::string* sha256) {
  std::string name = path.substr(path.rfind('/') + 1).substr(0, 200);
  OpenFile memory(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (memory.get() < 0) return refuse(Refusal::kCannotOpen, path, {std::strerror(errno)});
  Sha256 hash;
  Status status = read_all(path, file, [&](const uint8_t* data, size_t size) {
    hash.add(data, size);
    return write_all(memory.get(), data, size);
  });
  if (!status.ok()) return status;
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return refuse(Refusal::kCannotOpen, path, {std::strerror(errno)});
  *sha256 = hash.hex();
  *copy = std::move(memory);
  return {};
}

Status sha256_of(const std::string& path, const OpenFile& file, std::string* sha256) {
  Sha256 hash;
  Status status = read_all(path, file, [&](const uint8_t* data, size_t size) {
    hash.add(data, size);
    return true;
  });
  *sha256 = hash.hex();
  return status;
}

}  // namespace quorate::host
