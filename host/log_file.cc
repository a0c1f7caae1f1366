#include "host/log_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <vector>

namespace quorate::host {

using plugin::Code;
using plugin::Status;

namespace {

constexpr char kTimeFormat[] = "%Y-%m-%dT%H-%M-%S";
constexpr size_t kTimeLength = 19 + 4;  // and milliseconds

std::string time_for_name(bool local) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  if (local)
    localtime_r(&now.tv_sec, &parts);
  else
    gmtime_r(&now.tv_sec, &parts);
  char text[32];
  size_t size = std::strftime(text, sizeof text, kTimeFormat, &parts);
  std::string milliseconds = std::to_string(1000 + now.tv_nsec / 1'000'000);
  return std::string(text, size) + "." + milliseconds.substr(1);
}

Status cannot_open(const std::string& path) {
  return Status(Code::kIo, path + ": cannot be opened for the log: " + std::strerror(errno));
}

}  // namespace

Status check_places(const LogOptions& options) {
  for (const std::string& output : options.outputs) {
    if (output == "default" || output == "stderr" || output == "stdout") continue;
    std::filesystem::path folder = std::filesystem::path(output).parent_path();
    if (folder.empty()) folder = ".";
    bool is_there = access(output.c_str(), F_OK) == 0;
    if (access(is_there ? output.c_str() : folder.c_str(), W_OK) != 0) return cannot_open(output);
  }
  return {};
}

Status LogTarget::duplicate(int fd, const std::string& name, std::unique_ptr<LogTarget>* out) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  // A closed stderr is no reason not to start.
  if (copy < 0) copy = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (copy < 0) return Status(Code::kIo, name + ": " + std::strerror(errno));
  out->reset(new LogTarget);
  (*out)->fd_ = copy;
  return {};
}

Status LogTarget::file(const std::string& path, const LogRotation* rotation,
                       std::unique_ptr<LogTarget>* out) {
  out->reset(new LogTarget);
  (*out)->path_ = path;
  if (rotation != nullptr) (*out)->rotation_ = std::make_unique<LogRotation>(*rotation);
  return (*out)->open_file();
}

LogTarget::~LogTarget() {
  if (fd_ >= 0) close(fd_);
}

Status LogTarget::open_file() {
  // O_NONBLOCK: the open file is ours alone, and may be a FIFO.
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
  if (fd_ < 0) return cannot_open(path_);
  struct stat info {};
  size_ = fstat(fd_, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0;
  return {};
}

bool LogTarget::write(std::string_view line, const std::atomic<bool>& abandoned) {
  if (rotation_ && size_ + line.size() > rotation_->max_bytes && size_ > 0) rotate();
  size_ += line.size();
  while (!line.empty() && !is_lost_) {
    pollfd room{fd_, POLLOUT, 0};
    int ready = poll(&room, 1, 50);
    if (ready == 0) {
      if (abandoned.load(std::memory_order_relaxed)) return false;
      continue;
    }
    // A pipe with room takes this much at once (PIPE_BUF), so the thread does not block in write().
    constexpr size_t kPiece = 4096;
    ssize_t n = ::write(fd_, line.data(), std::min(line.size(), kPiece));
    if (n >= 0)
      line.remove_prefix(static_cast<size_t>(n));
    else if (errno == EPIPE || errno == EIO || errno == EBADF)
      is_lost_ = path_.empty();
    if (n < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (n < 0 && abandoned.load(std::memory_order_relaxed)) return false;
  }
  return line.empty();
}

// As lumberjack, the library behind etcd's flag, names them: server.log becomes
// server-2006-01-02T15-04-05.000.log.
void LogTarget::rotate() {
  std::filesystem::path path(path_);
  std::string old = (path.parent_path() / path.stem()).string() + "-" + time_for_name(rotation_->local_time) +
                    path.extension().string();
  if (rename(path_.c_str(), old.c_str()) != 0) return;  // goes on in the old file
  int before = fd_;
  if (open_file().ok()) {
    close(before);
    delete_old_files();
  } else {
    fd_ = before;
  }
}

void LogTarget::delete_old_files() {
  std::filesystem::path path(path_);
  std::string prefix = path.stem().string() + "-";
  std::string suffix = path.extension().string();
  std::vector<std::filesystem::path> old;
  std::error_code error;
  std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    bool is_backup = name.size() == prefix.size() + kTimeLength + suffix.size() &&
                     name.compare(0, prefix.size(), prefix) == 0 &&
                     name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
    tm parts{};
    if (is_backup && strptime(name.c_str() + prefix.size(), kTimeFormat, &parts) != nullptr)
      old.push_back(entry.path());
  }
  std::sort(old.rbegin(), old.rend());  // the newest first: the names sort by time
  for (size_t i = 0; i < old.size(); ++i) {
    struct stat info {};
    bool too_many = rotation_->max_backups != 0 && i >= rotation_->max_backups;
    bool too_old = rotation_->max_age_days != 0 && stat(old[i].c_str(), &info) == 0 &&
                   time(nullptr) - info.st_mtime > static_cast<time_t>(rotation_->max_age_days * 86400);
    if (too_many || too_old) unlink(old[i].c_str());
  }
}

}  // namespace quorate::host
