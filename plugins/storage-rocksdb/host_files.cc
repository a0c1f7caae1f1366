#include "host_files.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <vector>

#include "quorate/plugin/leveldb_log.h"

namespace quorate::rocks {
namespace {

using plugin::Code;
using plugin::Ref;
using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus to_rocks(const plugin::Status& s) {
  switch (s.code()) {
    case Code::kOk:
      return IOStatus::OK();
    case Code::kNoSpace:
      return IOStatus::NoSpace(s.text());
    case Code::kNotFound:
      return IOStatus::PathNotFound(s.text());
    case Code::kBusy:
      return IOStatus::Busy(s.text());
    case Code::kCorruption:
      return IOStatus::Corruption(s.text());
    case Code::kInvalid:
      return IOStatus::InvalidArgument(s.text());
    default:
      return IOStatus::IOError(s.text());
  }
}

class Sequential final : public rocksdb::FSSequentialFile {
 public:
  explicit Sequential(Ref<plugin::File> file, uint64_t size = UINT64_MAX)
      : file_(std::move(file)), size_(size) {}
  IOStatus Read(size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    uint64_t got = 0;
    n = std::min<uint64_t>(n, size_ - std::min(size_, offset_));
    IOStatus s = to_rocks(file_->read_at(offset_, scratch, n, &got));
    offset_ += got;
    *result = Slice(scratch, s.ok() ? got : 0);
    return s;
  }
  IOStatus Skip(uint64_t n) override {
    offset_ += n;
    return IOStatus::OK();
  }

 private:
  const Ref<plugin::File> file_;
  const uint64_t size_;  // no more than this is shown
  uint64_t offset_ = 0;
};

class RandomAccess final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccess(Ref<plugin::File> file) : file_(std::move(file)) {}
  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    uint64_t got = 0;
    IOStatus s = to_rocks(file_->read_at(offset, scratch, n, &got));
    *result = Slice(scratch, s.ok() ? got : 0);
    return s;
  }
  // No read-ahead by the system: RocksDB then reads ahead into a buffer of its own.
  IOStatus Prefetch(uint64_t, size_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("Prefetch");
  }

 private:
  const Ref<plugin::File> file_;
};

class Writable final : public rocksdb::FSWritableFile {
 public:
  // The first sync of a file syncs its entry in `entry_of` too, unless that is empty.
  Writable(Ref<plugin::Files> files, Ref<plugin::File> file, std::string entry_of)
      : files_(std::move(files)), file_(std::move(file)), entry_of_(std::move(entry_of)) {}

  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    IOStatus s = to_rocks(file_->append({data.data(), data.size()}));
    if (s.ok()) size_ += data.size();
    return s;
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    // RocksDB says the size of what it wrote when it closes a file; nothing was claimed beyond it.
    if (size == size_) return IOStatus::OK();
    IOStatus s = to_rocks(file_->truncate(size));
    if (s.ok()) size_ = size;
    return s;
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    file_.reset();
    return IOStatus::OK();
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    plugin::Status s = file_->sync();
    if (s.ok() && !entry_of_.empty()) s = files_->sync_dir(entry_of_.c_str());
    if (s.ok()) entry_of_.clear();
    return to_rocks(s);
  }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  const Ref<plugin::Files> files_;
  Ref<plugin::File> file_;
  std::string entry_of_;
  uint64_t size_ = 0;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(Ref<plugin::Files> files, std::string path) : files_(std::move(files)), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return to_rocks(files_->sync_dir(path_.c_str()));
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  const Ref<plugin::Files> files_;
  const std::string path_;
};

struct Lock final : rocksdb::FileLock {
  Ref<plugin::File> file;
};

struct Names final : plugin::NameSink {
  explicit Names(std::vector<std::string>* into) : into(into) {}
  void name(plugin::ByteView name) noexcept override { into->emplace_back(name.chars(), name.size); }
  std::vector<std::string>* into;
};

class HostFileSystem final : public rocksdb::FileSystem {
 public:
  explicit HostFileSystem(plugin::Files* files) : files_(Ref<plugin::Files>::share(files)) {}
  const char* Name() const override { return "QuorateHostFiles"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    Ref<plugin::File> file;
    plugin::Status s = files_->open(path.c_str(), plugin::kOpenRead, file.out());
    uint64_t size = UINT64_MAX;
    if (s.ok() && path.find("/MANIFEST-") != std::string::npos)
      s = plugin::LogTail::sound_size(file.get(), &size);
    if (s.ok()) *result = std::make_unique<Sequential>(std::move(file), size);
    return to_rocks(s);
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    Ref<plugin::File> file;
    plugin::Status s = files_->open(path.c_str(), plugin::kOpenRead, file.out());
    if (s.ok()) *result = std::make_unique<RandomAccess>(std::move(file));
    return to_rocks(s);
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    // A leftover of an earlier life under the same number is replaced, not appended to.
    constexpr uint32_t kFlags = plugin::kOpenWrite | plugin::kOpenCreate | plugin::kOpenTruncate;
    Ref<plugin::File> file;
    plugin::Status s = files_->open(path.c_str(), kFlags, file.out());
    if (!s.ok()) return to_rocks(s);
    // RocksDB syncs the directory after it renamed CURRENT: the rename could be kept, and the new manifest's
    // own entry lost. Tables it does sync before it names them.
    const size_t slash = path.rfind('/');
    const bool manifest = path.compare(slash, 10, "/MANIFEST-") == 0;
    *result =
        std::make_unique<Writable>(files_, std::move(file), manifest ? path.substr(0, slash) : std::string());
    return IOStatus::OK();
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    plugin::FileStat stat;
    if (plugin::Status s = files_->stat(path.c_str(), &stat); !s.ok()) return to_rocks(s);
    if (stat.is_directory == 0) return IOStatus::IOError(path, "is not a directory");
    *result = std::make_unique<Directory>(files_, path);
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    plugin::FileStat stat;
    plugin::Status s = files_->stat(path.c_str(), &stat);
    return s.code() == Code::kNotFound ? IOStatus::NotFound(path) : to_rocks(s);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    result->clear();
    Names names(result);
    plugin::Status s = files_->list(path.c_str(), &names);
    return s.code() == Code::kNotFound ? IOStatus::NotFound(path) : to_rocks(s);
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_rocks(files_->remove(path.c_str()));
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_rocks(files_->make_dir(path.c_str()));
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_rocks(files_->make_dir(path.c_str()));
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_rocks(files_->remove(path.c_str()));
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size, IODebugContext*) override {
    plugin::FileStat stat;
    plugin::Status s = files_->stat(path.c_str(), &stat);
    *size = stat.size;
    return to_rocks(s);
  }
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, uint64_t* seconds,
                                   IODebugContext*) override {
    plugin::FileStat stat;
    plugin::Status s = files_->stat(path.c_str(), &stat);
    *seconds = stat.modified_unix_ns / 1'000'000'000;
    return to_rocks(s);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return to_rocks(files_->rename(from.c_str(), to.c_str()));
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                    IODebugContext*) override {
    return to_rocks(files_->link(from.c_str(), to.c_str()));
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    auto held = std::make_unique<Lock>();
    if (plugin::Status s = files_->lock(path.c_str(), held->file.out()); !s.ok()) return to_rocks(s);
    *lock = held.release();
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete static_cast<Lock*>(lock);
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("GetTestDirectory");
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* out,
                           IODebugContext*) override {
    *out = path;  // the host's paths are absolute
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, uint64_t* bytes,
                        IODebugContext*) override {
    return to_rocks(files_->free_space(path.c_str(), bytes));
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is, IODebugContext*) override {
    plugin::FileStat stat;
    plugin::Status s = files_->stat(path.c_str(), &stat);
    *is = stat.is_directory != 0;
    return to_rocks(s);
  }

 private:
  const Ref<plugin::Files> files_;
};

class HostLogger final : public rocksdb::Logger {
 public:
  explicit HostLogger(plugin::Log* log)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(Ref<plugin::Log>::share(log)) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    write(plugin::LogLevel::kInfo, format, arguments);
  }
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel()) return;
    write(level >= rocksdb::InfoLogLevel::ERROR_LEVEL  ? plugin::LogLevel::kError
          : level == rocksdb::InfoLogLevel::WARN_LEVEL ? plugin::LogLevel::kWarn
                                                       : plugin::LogLevel::kInfo,
          format, arguments);
  }
  void LogHeader(const char*, va_list) override {}

 private:
  void write(plugin::LogLevel level, const char* format, va_list arguments) {
    if (!log_ || !log_->enabled(level)) return;
    char line[1024] = "rocksdb: ";
    constexpr size_t kPrefix = 9;
    int n = std::vsnprintf(line + kPrefix, sizeof line - kPrefix, format, arguments);
    if (n < 0) return;
    size_t size = std::min(kPrefix + static_cast<size_t>(n), sizeof line - 1);
    log_->write(level, {line, size}, {});
  }
  const Ref<plugin::Log> log_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> make_host_file_system(plugin::Files* files) {
  return std::make_shared<HostFileSystem>(files);
}
std::shared_ptr<rocksdb::Logger> make_host_logger(plugin::Log* log) {
  return std::make_shared<HostLogger>(log);
}

plugin::Status to_plugin(const rocksdb::Status& s, const char* doing) {
  if (s.ok()) return plugin::Status();
  Code code = Code::kInternal;
  if (s.IsNoSpace())
    code = Code::kNoSpace;
  else if (s.IsCorruption())
    code = Code::kCorruption;
  else if (s.IsBusy())
    code = Code::kBusy;
  else if (s.IsIOError())
    code = Code::kIo;
  else if (s.IsNotFound())
    code = Code::kNotFound;
  else if (s.IsInvalidArgument())
    code = Code::kInvalid;
  else if (s.IsNotSupported())
    code = Code::kUnsupported;
  else if (s.IsTryAgain() || s.IsMemoryLimit())
    code = Code::kRetryable;
  return plugin::Status(code, std::string("rocksdb: ") + doing + ": " + s.ToString());
}

}  // namespace quorate::rocks
