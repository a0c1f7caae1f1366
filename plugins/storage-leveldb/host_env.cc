#include "host_env.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "quorate/plugin/leveldb_log.h"

namespace quorate::level {
namespace {

using leveldb::Slice;
using plugin::Code;
using plugin::Ref;
using LevelStatus = leveldb::Status;

LevelStatus to_level(const plugin::Status& s) {
  switch (s.code()) {
    case Code::kOk:
      return LevelStatus::OK();
    case Code::kNotFound:
      return LevelStatus::NotFound(s.text());
    case Code::kCorruption:
      return LevelStatus::Corruption(s.text());
    default:
      return LevelStatus::IOError(plugin::code_name(s.code()), s.text());
  }
}

// The number of "<directory>/000123.log", or 0.
uint64_t log_number(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  if (name.size() < 5 || name.substr(name.size() - 4) != ".log") return 0;
  uint64_t number = 0;
  for (char c : name.substr(0, name.size() - 4)) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

class Sequential final : public leveldb::SequentialFile {
 public:
  explicit Sequential(Ref<plugin::File> file, uint64_t size = UINT64_MAX)
      : file_(std::move(file)), size_(size) {}
  LevelStatus Read(size_t n, Slice* result, char* scratch) override {
    uint64_t got = 0;
    n = std::min<uint64_t>(n, size_ - std::min(size_, offset_));
    LevelStatus s = to_level(file_->read_at(offset_, scratch, n, &got));
    offset_ += got;
    *result = Slice(scratch, s.ok() ? got : 0);
    return s;
  }
  LevelStatus Skip(uint64_t n) override {
    offset_ += n;
    return LevelStatus::OK();
  }

 private:
  const Ref<plugin::File> file_;
  const uint64_t size_;  // no more than this is shown
  uint64_t offset_ = 0;
};

class RandomAccess final : public leveldb::RandomAccessFile {
 public:
  explicit RandomAccess(Ref<plugin::File> file) : file_(std::move(file)) {}
  LevelStatus Read(uint64_t offset, size_t n, Slice* result, char* scratch) const override {
    uint64_t got = 0;
    LevelStatus s = to_level(file_->read_at(offset, scratch, n, &got));
    *result = Slice(scratch, s.ok() ? got : 0);
    return s;
  }

 private:
  const Ref<plugin::File> file_;
};

class DroppedLog final : public leveldb::WritableFile {
 public:
  LevelStatus Append(const Slice&) override { return LevelStatus::OK(); }
  LevelStatus Close() override { return LevelStatus::OK(); }
  LevelStatus Flush() override { return LevelStatus::OK(); }
  LevelStatus Sync() override { return LevelStatus::OK(); }
};

class Writable final : public leveldb::WritableFile {
 public:
  Writable(Ref<plugin::Files> files, Ref<plugin::File> file, std::string directory, EnvEvents* events)
      : files_(std::move(files)), file_(std::move(file)), directory_(std::move(directory)), events_(events) {}
  ~Writable() override { (void)Close(); }

  LevelStatus Append(const Slice& data) override {
    unsynced_ = true;
    buffer_.append(data.data(), data.size());
    return buffer_.size() < kBuffer ? LevelStatus::OK() : flush();
  }
  LevelStatus Flush() override { return flush(); }
  LevelStatus Sync() override {
    if (LevelStatus s = flush(); !s.ok()) return s;
    plugin::Status s = file_->sync();
    if (s.ok() && !entry_synced_) s = files_->sync_dir(directory_.c_str());
    if (!s.ok()) return failed(s);
    unsynced_ = false;
    entry_synced_ = true;
    return LevelStatus::OK();
  }
  LevelStatus Close() override {
    if (!file_) return LevelStatus::OK();
    LevelStatus s = unsynced_ ? Sync() : LevelStatus::OK();
    file_.reset();
    return s;
  }

 private:
  static constexpr size_t kBuffer = 64 << 10;

  LevelStatus flush() {
    if (buffer_.empty()) return LevelStatus::OK();
    plugin::Status s = file_->append({buffer_.data(), buffer_.size()});
    buffer_.clear();
    return s.ok() ? LevelStatus::OK() : failed(s);
  }
  LevelStatus failed(const plugin::Status& s) {
    unsynced_ = false;  // never synced again
    buffer_.clear();
    events_->write_failed(s);
    return to_level(s);
  }

  const Ref<plugin::Files> files_;
  Ref<plugin::File> file_;
  const std::string directory_;
  EnvEvents* const events_;
  std::string buffer_;
  bool unsynced_ = true;
  bool entry_synced_ = false;
};

struct Lock final : leveldb::FileLock {
  Ref<plugin::File> file;
};

struct Names final : plugin::NameSink {
  explicit Names(std::vector<std::string>* into) : into(into) {}
  void name(plugin::ByteView name) noexcept override { into->emplace_back(name.chars(), name.size); }
  std::vector<std::string>* into;
};

class HostEnv final : public leveldb::EnvWrapper {
 public:
  HostEnv(plugin::Files* files, EnvEvents* events)
      : EnvWrapper(Env::Default()), files_(Ref<plugin::Files>::share(files)), events_(events) {}

  LevelStatus NewSequentialFile(const std::string& path, leveldb::SequentialFile** result) override {
    *result = nullptr;
    Ref<plugin::File> file;
    plugin::Status s = files_->open(path.c_str(), plugin::kOpenRead, file.out());
    uint64_t size = UINT64_MAX;
    if (s.ok() && path.find("/MANIFEST-") != std::string::npos)
      s = plugin::LogTail::sound_size(file.get(), &size);
    if (s.ok()) *result = new Sequential(std::move(file), size);
    return to_level(s);
  }
  LevelStatus NewRandomAccessFile(const std::string& path, leveldb::RandomAccessFile** result) override {
    *result = nullptr;
    Ref<plugin::File> file;
    plugin::Status s = files_->open(path.c_str(), plugin::kOpenRead, file.out());
    if (s.ok()) *result = new RandomAccess(std::move(file));
    return to_level(s);
  }
  LevelStatus NewWritableFile(const std::string& path, leveldb::WritableFile** result) override {
    *result = nullptr;
    Ref<plugin::File> file;
    constexpr uint32_t kFlags = plugin::kOpenWrite | plugin::kOpenCreate | plugin::kOpenTruncate;
    if (plugin::Status s = files_->open(path.c_str(), kFlags, file.out()); !s.ok()) {
      events_->write_failed(s);
      return to_level(s);
    }
    if (uint64_t number = log_number(path); number != 0) {
      *result = new DroppedLog;
      events_->log_begun(number);
    } else {
      *result = new Writable(files_, std::move(file), path.substr(0, path.rfind('/')), events_);
    }
    return LevelStatus::OK();
  }
  LevelStatus NewAppendableFile(const std::string&, leveldb::WritableFile**) override {
    return LevelStatus::NotSupported("appending to a file of an earlier life");
  }

  bool FileExists(const std::string& path) override {
    plugin::FileStat stat;
    return files_->stat(path.c_str(), &stat).ok();
  }
  LevelStatus GetChildren(const std::string& path, std::vector<std::string>* result) override {
    result->clear();
    Names names(result);
    return to_level(files_->list(path.c_str(), &names));
  }
  LevelStatus RemoveFile(const std::string& path) override {
    // LevelDB removes a log once the manifest that makes it superfluous is synced.
    if (uint64_t number = log_number(path); number != 0) events_->log_removed(number);
    return to_level(files_->remove(path.c_str()));
  }
  LevelStatus CreateDir(const std::string& path) override { return to_level(files_->make_dir(path.c_str())); }
  LevelStatus RemoveDir(const std::string& path) override { return to_level(files_->remove(path.c_str())); }
  LevelStatus GetFileSize(const std::string& path, uint64_t* size) override {
    plugin::FileStat stat;
    plugin::Status s = files_->stat(path.c_str(), &stat);
    *size = stat.size;
    return to_level(s);
  }
  LevelStatus RenameFile(const std::string& from, const std::string& to) override {
    plugin::Status s = files_->rename(from.c_str(), to.c_str());
    if (s.ok()) s = files_->sync_dir(to.substr(0, to.rfind('/')).c_str());
    if (!s.ok()) events_->write_failed(s);
    return to_level(s);
  }
  LevelStatus LockFile(const std::string& path, leveldb::FileLock** lock) override {
    *lock = nullptr;
    auto held = std::make_unique<Lock>();
    plugin::Status s = files_->lock(path.c_str(), held->file.out());
    if (s.ok()) *lock = held.release();
    return to_level(s);
  }
  LevelStatus UnlockFile(leveldb::FileLock* lock) override {
    delete static_cast<Lock*>(lock);
    return LevelStatus::OK();
  }
  LevelStatus NewLogger(const std::string&, leveldb::Logger** result) override {
    *result = nullptr;
    return LevelStatus::NotSupported("the host keeps the log");
  }

 private:
  const Ref<plugin::Files> files_;
  EnvEvents* const events_;
};

class HostLogger final : public leveldb::Logger {
 public:
  explicit HostLogger(plugin::Log* log) : log_(Ref<plugin::Log>::share(log)) {}
  void Logv(const char* format, std::va_list arguments) override {
    if (!log_ || !log_->enabled(plugin::LogLevel::kDebug)) return;  // LevelDB's lines have no level
    char line[512] = "leveldb: ";
    constexpr size_t kPrefix = 9;
    int n = std::vsnprintf(line + kPrefix, sizeof line - kPrefix, format, arguments);
    if (n < 0) return;
    log_->write(plugin::LogLevel::kDebug, {line, std::min(kPrefix + static_cast<size_t>(n), sizeof line - 1)},
                {});
  }

 private:
  const Ref<plugin::Log> log_;
};

}  // namespace

std::unique_ptr<leveldb::Env> make_host_env(plugin::Files* files, EnvEvents* events) {
  return std::make_unique<HostEnv>(files, events);
}
std::unique_ptr<leveldb::Logger> make_host_logger(plugin::Log* log) {
  return std::make_unique<HostLogger>(log);
}

plugin::Status to_plugin(const leveldb::Status& s, const char* doing) {
  if (s.ok()) return plugin::Status();
  const std::string text = s.ToString();
  // The class of an error of the host's files is the first word behind "IO error: ", as to_level() put it.
  auto host_error = [&](Code code) {
    return text.find(std::string("IO error: ") + code_name(code) + ":") == 0;
  };
  Code code = Code::kInternal;
  if (s.IsCorruption())
    code = Code::kCorruption;
  else if (s.IsNotFound())
    code = Code::kNotFound;
  else if (host_error(Code::kNoSpace))
    code = Code::kNoSpace;
  else if (host_error(Code::kBusy))
    code = Code::kBusy;
  else if (s.IsIOError())
    code = Code::kIo;
  else if (s.IsInvalidArgument())
    code = Code::kInvalid;
  else if (s.IsNotSupportedError())
    code = Code::kUnsupported;
  return plugin::Status(code, std::string("leveldb: ") + doing + ": " + text);
}

}  // namespace quorate::level
