#include "runtime/posix_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace quorate {

using plugin::ByteView;
using plugin::Code;
using plugin::FileStat;
using plugin::Ref;
using plugin::Status;

namespace {

constexpr uint64_t kLargestCall = 1 << 30;  // the kernel caps one read or write just below 2 GiB
constexpr uint64_t kLargestOffset = uint64_t{1} << 62;

Code class_of(int error) {
  switch (error) {
    case ENOENT:
      return Code::kNotFound;
    case ENOSPC:
    case EDQUOT:
      return Code::kNoSpace;
    case EEXIST:
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ELOOP:
    case EFBIG:
      return Code::kInvalid;
    default:
      return Code::kIo;
  }
}

Status failure(const char* call, const char* path, int error, Code code) {
  char reason[128];
  char line[768];
  // The GNU strerror_r, which may answer a static text instead of using the buffer.
  const char* text = strerror_r(error, reason, sizeof reason);
  int n = std::snprintf(line, sizeof line, "%s %s: %s (errno %d)", call, path, text, error);
  return Status(code, line, std::min<size_t>(static_cast<size_t>(std::max(n, 0)), sizeof line - 1));
}
Status failure(const char* call, const char* path, int error) {
  return failure(call, path, error, class_of(error));
}

// Repeats a system call that a signal interrupted.
template <typename Call>
auto retried(Call&& call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  int detach() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace

class PosixFile final : public plugin::Counted<File> {
 public:
  // Takes over `fd`.
  PosixFile(PosixFiles* files, int fd, const char* path, uint64_t end)
      : files_(Ref<PosixFiles>::share(files)), fd_(fd), path_(path), end_(end) {}
  ~PosixFile() override = default;

  Status read_at(uint64_t offset, void* into, uint64_t size, uint64_t* got) noexcept override {
    *got = 0;
    if (failed_) return refused("read");
    if (offset > kLargestOffset) return failure("read", path(), EINVAL);
    auto* out = static_cast<char*>(into);
    while (*got < size) {
      uint64_t want = std::min(size - *got, kLargestCall);
      ssize_t n =
          retried([&] { return ::pread(fd_.get(), out + *got, want, static_cast<off_t>(offset + *got)); });
      if (n < 0) {
        if (without_direct()) continue;
        return failure("read", path(), errno);
      }
      if (n == 0) break;
      *got += static_cast<uint64_t>(n);
    }
    files_->bytes_read_.fetch_add(*got, std::memory_order_relaxed);
    return {};
  }

  Status append(ByteView bytes) noexcept override { return write_at(end_, bytes); }

  Status write_at(uint64_t offset, ByteView bytes) noexcept override {
    if (failed_) return refused("write");
    if (offset > kLargestOffset || bytes.size > kLargestOffset) return failure("write", path(), EINVAL);
    uint64_t done = 0;
    while (done < bytes.size) {
      uint64_t want = std::min(bytes.size - done, kLargestCall);
      ssize_t n = retried(
          [&] { return ::pwrite(fd_.get(), bytes.data + done, want, static_cast<off_t>(offset + done)); });
      if (n < 0) {
        if (without_direct()) continue;
        return failure("write", path(), errno);
      }
      if (n == 0) return failure("write", path(), EIO);
      done += static_cast<uint64_t>(n);
    }
    end_ = std::max(end_, offset + done);
    files_->bytes_written_.fetch_add(done, std::memory_order_relaxed);
    return {};
  }

  Status sync() noexcept override {
    if (failed_) return refused("sync");
    uint64_t began = files_->clock_->monotonic_ns();
    bool ok = retried([&] { return ::fdatasync(fd_.get()); }) == 0;
    int error = errno;
    // Always io, whatever the errno: no_space would read as "try again later".
    if (!ok) failed_ = true;
    files_->count_sync(began, ok, false);
    return ok ? Status() : failure("sync", path(), error, Code::kIo);
  }

  Status truncate(uint64_t size) noexcept override {
    if (failed_) return refused("truncate");
    if (size > kLargestOffset) return failure("truncate", path(), EINVAL);
    if (retried([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0)
      return failure("truncate", path(), errno);
    end_ = size;
    return {};
  }

  Status allocate(uint64_t size) noexcept override {
    if (failed_) return refused("allocate");
    if (size > kLargestOffset) return failure("allocate", path(), EINVAL);
    if (size == 0 || retried([&] { return ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)); }) == 0)
      return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) return failure("allocate", path(), errno);
    files_->unsupported_.fetch_add(1, std::memory_order_relaxed);
    return fill_to(size);
  }

  Status size(uint64_t* out) noexcept override {
    *out = 0;
    if (failed_) return refused("size");
    struct ::stat s {};
    if (::fstat(fd_.get(), &s) != 0) return failure("stat", path(), errno);
    *out = static_cast<uint64_t>(s.st_size);
    return {};
  }

 private:
  const char* path() const { return path_.c_str(); }
  Status refused(const char* call) { return failure(call, (path_ + " after a failed sync").c_str(), EIO); }

  // O_DIRECT wants aligned memory, offsets and sizes (EINVAL): the first call that has them not ends the
  // wish.
  bool without_direct() {
    if (errno != EINVAL) return false;
    int flags = ::fcntl(fd_.get(), F_GETFL);
    if (flags < 0 || (flags & O_DIRECT) == 0 || ::fcntl(fd_.get(), F_SETFL, flags & ~O_DIRECT) != 0) {
      errno = EINVAL;
      return false;
    }
    files_->unsupported_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  // Claims space where fallocate() cannot: writes zeros behind the end. Holes before it stay holes.
  Status fill_to(uint64_t size) {
    uint64_t at = 0;
    if (Status s = this->size(&at); !s) return s;
    uint64_t end = end_;
    std::vector<uint8_t> zeros(std::min<uint64_t>(size > at ? size - at : 0, 1 << 20));
    while (at < size) {
      uint64_t n = std::min<uint64_t>(size - at, zeros.size());
      Status s = write_at(at, {zeros.data(), n});
      end_ = end;
      if (!s) return s;
      at += n;
    }
    return {};
  }

  const Ref<PosixFiles> files_;
  Descriptor fd_;
  const std::string path_;
  uint64_t end_;  // where append() writes: allocate() does not move it
  std::atomic<bool> failed_{false};
};

Status PosixFiles::open(const char* path, uint32_t flags, File** out) noexcept {
  bool write = (flags & (plugin::kOpenWrite | plugin::kOpenCreate | plugin::kOpenTruncate)) != 0;
  int mode = O_CLOEXEC | O_NOCTTY | (write ? O_RDWR | O_NOFOLLOW : O_RDONLY);
  if ((flags & plugin::kOpenCreate) != 0) mode |= O_CREAT;
  if ((flags & plugin::kOpenExclusive) != 0) mode |= O_EXCL;
  if ((flags & plugin::kOpenTruncate) != 0) mode |= O_TRUNC;
  int direct = (flags & plugin::kOpenDirect) != 0 ? O_DIRECT : 0;
  Descriptor fd(retried([&] { return ::open(path, mode | direct, 0600); }));
  if (!fd.ok() && direct != 0 && errno == EINVAL) {
    unsupported_.fetch_add(1, std::memory_order_relaxed);
    // The failed attempt may have created the file.
    fd = Descriptor(retried([&] { return ::open(path, mode & ~O_EXCL, 0600); }));
  }
  if (!fd.ok()) return failure("open", path, errno);
  struct ::stat s {};
  if (::fstat(fd.get(), &s) != 0) return failure("stat", path, errno);
  if (S_ISDIR(s.st_mode)) return failure("open", path, EISDIR);
  *out = new PosixFile(this, fd.detach(), path, static_cast<uint64_t>(s.st_size));
  return {};
}

Status PosixFiles::rename(const char* from, const char* to) noexcept {
  return ::rename(from, to) == 0 ? Status() : failure("rename", from, errno);
}

Status PosixFiles::remove(const char* path) noexcept {
  return ::remove(path) == 0 ? Status() : failure("remove", path, errno);
}

Status PosixFiles::link(const char* from, const char* to) noexcept {
  return ::link(from, to) == 0 ? Status() : failure("link", to, errno);
}

Status PosixFiles::list(const char* directory, plugin::NameSink* sink) noexcept {
  DIR* d = ::opendir(directory);
  if (d == nullptr) return failure("list", directory, errno);
  errno = 0;
  while (const dirent* entry = ::readdir(d)) {
    const char* name = entry->d_name;
    if (std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0) sink->name({name, std::strlen(name)});
    errno = 0;
  }
  int error = errno;
  ::closedir(d);
  return error == 0 ? Status() : failure("list", directory, error);
}

Status PosixFiles::stat(const char* path, FileStat* out) noexcept {
  struct ::stat s {};
  if (::stat(path, &s) != 0) return failure("stat", path, errno);
  out->size = static_cast<uint64_t>(s.st_size);
  out->allocated = static_cast<uint64_t>(s.st_blocks) * 512;
  out->modified_unix_ns =
      static_cast<uint64_t>(s.st_mtim.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(s.st_mtim.tv_nsec);
  out->is_directory = S_ISDIR(s.st_mode) ? 1 : 0;
  out->mode = s.st_mode & 07777;
  return {};
}

Status PosixFiles::make_dir(const char* path) noexcept {
  if (::mkdir(path, 0700) == 0) return {};
  int error = errno;
  struct ::stat s {};
  if (error == EEXIST && ::stat(path, &s) == 0 && S_ISDIR(s.st_mode)) return {};
  return failure("mkdir", path, error);
}

Status PosixFiles::sync_dir(const char* path) noexcept {
  Descriptor fd(retried([&] { return ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd.ok()) return failure("open", path, errno);
  uint64_t began = clock_->monotonic_ns();
  bool ok = retried([&] { return ::fsync(fd.get()); }) == 0;
  int error = errno;
  if (!ok && (error == EINVAL || error == EOPNOTSUPP)) {
    unsupported_.fetch_add(1, std::memory_order_relaxed);
    return {};
  }
  count_sync(began, ok, true);
  return ok ? Status() : failure("sync", path, error, Code::kIo);
}

Status PosixFiles::lock(const char* path, File** out) noexcept {
  Descriptor fd(
      retried([&] { return ::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600); }));
  if (!fd.ok()) return failure("open", path, errno);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (retried([&] { return ::fcntl(fd.get(), F_OFD_SETLK, &whole); }) != 0) {
    bool held = errno == EAGAIN || errno == EACCES;
    return held ? failure("lock", path, errno, Code::kBusy) : failure("lock", path, errno);
  }
  *out = new PosixFile(this, fd.detach(), path, 0);
  return {};
}

Status PosixFiles::free_space(const char* path, uint64_t* bytes) noexcept {
  struct statvfs s {};
  if (retried([&] { return ::statvfs(path, &s); }) != 0) return failure("statvfs", path, errno);
  *bytes = static_cast<uint64_t>(s.f_bavail) * s.f_frsize;
  return {};
}

void* PosixFiles::query(const char* id) noexcept {
  return std::strcmp(id, plugin::Files::kId) == 0 ? static_cast<plugin::Files*>(this) : nullptr;
}

void PosixFiles::count_sync(uint64_t began_ns, bool ok, bool directory) {
  uint64_t now = clock_->monotonic_ns();
  std::lock_guard lock(mutex_);
  ++(directory ? syncs_.directory_syncs : syncs_.syncs);
  if (!ok) ++syncs_.failed_syncs;
  syncs_.last_sync_ns = now - began_ns;
  recent_max_.add(now, now - began_ns);
}

FileStats PosixFiles::stats() {
  uint64_t now = clock_->monotonic_ns();
  std::lock_guard lock(mutex_);
  FileStats s = syncs_;
  s.bytes_read = bytes_read_.load(std::memory_order_relaxed);
  s.bytes_written = bytes_written_.load(std::memory_order_relaxed);
  s.unsupported = unsupported_.load(std::memory_order_relaxed);
  s.recent_max_sync_ns = recent_max_.max(now);
  return s;
}

}  // namespace quorate
