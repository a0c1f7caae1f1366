#include "support/fault_files.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace quorate::test {

using plugin::ByteView;
using plugin::Code;
using plugin::FileStat;
using plugin::Ref;
using plugin::Status;

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kSectorsPerPage = kPage / FaultFiles::kSector;
using PageBytes = std::array<uint8_t, kPage>;

const PageBytes kZeroPage{};

bool all_zero(const uint8_t* p, uint64_t n) {
  return n == 0 || (p[0] == 0 && std::memcmp(p, p + 1, n - 1) == 0);
}

std::unique_ptr<PageBytes> copy_of(const std::unique_ptr<PageBytes>& p) {
  return p == nullptr ? nullptr : std::make_unique<PageBytes>(*p);
}

Status failure(Code code, FileOp op, const std::string& path, const char* why) {
  return Status(code, std::string(file_op_name(op)) + " " + path + ": " + why);
}

}  // namespace

const char* file_op_name(FileOp op) {
  constexpr const char* kNames[kFileOps] = {"open",     "read",   "write",    "sync", "truncate",
                                            "allocate", "rename", "remove",   "link", "list",
                                            "stat",     "mkdir",  "sync_dir", "lock"};
  return kNames[static_cast<size_t>(op)];
}

// ---- PowerCut
// --------------------------------------------------------------------------------------------------

PowerCut PowerCut::random(uint64_t seed, bool torn) {
  PowerCut cut(0);
  cut.random_.emplace(seed);
  cut.torn_ = torn;
  return cut;
}

void PowerCut::next_owner() {
  constexpr uint64_t kMoods[] = {0, 10, 50, 90, 100};
  if (random_) of_hundred_ = kMoods[(*random_)() % std::size(kMoods)];
}

bool PowerCut::keep() {
  if (random_) return (*random_)() % 100 < of_hundred_;
  return ((mask_ >> std::min<uint64_t>(position_++, 63)) & 1) != 0;
}

uint64_t PowerCut::kept_bytes() {
  if (!torn_ || (*random_)() % 4 != 0) return FaultFiles::kSector;
  return (*random_)() % FaultFiles::kSector;
}

// ---- Inodes
// ----------------------------------------------------------------------------------------------------

// `durable` means something only for the sectors in `dirty`; elsewhere it equals `now`. Null pages are zeros.
struct Page {
  std::unique_ptr<PageBytes> now;
  std::unique_ptr<PageBytes> durable;
  uint8_t dirty = 0;      // a bit per sector
  uint8_t truncated = 0;  // dirty only because the file was cut short: goes with its size
  bool claimed = false;

  const uint8_t* bytes() const { return now == nullptr ? kZeroPage.data() : now->data(); }
  const uint8_t* durable_bytes() const { return durable == nullptr ? kZeroPage.data() : durable->data(); }
  bool differs(uint64_t sector) const {
    uint64_t at = sector * FaultFiles::kSector;
    return ((dirty >> sector) & 1) != 0 &&
           std::memcmp(bytes() + at, durable_bytes() + at, FaultFiles::kSector) != 0;
  }
};

struct FaultFiles::Inode {
  uint64_t number = 0;
  bool directory = false;
  // A file.
  std::vector<Page> pages;
  std::vector<uint64_t> dirty_pages;
  uint64_t size = 0;
  uint64_t durable_size = 0;
  bool locked = false;
  std::shared_ptr<uint64_t> used_pages;
  std::string last_path;  // for pending()
  // A directory.
  std::map<std::string, InodePtr> now;
  std::map<std::string, InodePtr> durable;

  ~Inode() {
    for (Page& p : pages)
      if (p.claimed) --*used_pages;
  }
  Page& dirty_page(uint64_t index) {
    Page& p = pages[index];
    if (p.dirty == 0) {
      p.durable = copy_of(p.now);
      dirty_pages.push_back(index);
    }
    return p;
  }
  std::vector<uint64_t> sorted_dirty_pages() const {
    auto sorted = dirty_pages;
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }
};

struct FaultFiles::Change {
  std::string what;
  std::vector<std::tuple<InodePtr, std::string, InodePtr>>
      entries;  // in this directory, this name leads there
};

FaultFiles::InodePtr FaultFiles::new_inode(bool directory) {
  auto inode = std::make_shared<Inode>();
  inode->number = next_inode_++;
  inode->directory = directory;
  inode->used_pages = used_pages_;
  inodes_[inode->number] = inode;
  return inode;
}

std::vector<FaultFiles::InodePtr> FaultFiles::alive() {
  std::vector<InodePtr> all;
  for (auto it = inodes_.begin(); it != inodes_.end();) {
    if (InodePtr inode = it->second.lock()) {
      all.push_back(std::move(inode));
      ++it;
    } else {
      it = inodes_.erase(it);
    }
  }
  return all;
}

bool FaultFiles::claim(Inode* inode, uint64_t index) {
  Page& p = inode->pages[index];
  if (p.claimed) return true;
  const bool apart = !part_.empty() && inode->last_path.find(part_) != std::string::npos;
  if (apart ? used_by(part_) + kPage > part_quota_ : (*used_pages_ + 1) * kPage > quota_) return false;
  ++*used_pages_;
  return p.claimed = true;
}

uint64_t FaultFiles::used_by(const std::string& path_part) const {
  uint64_t bytes = 0;
  for (const auto& [number, weak] : inodes_) {
    const InodePtr inode = weak.lock();
    if (inode == nullptr || inode->last_path.find(path_part) == std::string::npos) continue;
    for (const Page& p : inode->pages) bytes += p.claimed ? kPage : 0;
  }
  return bytes;
}

uint64_t FaultFiles::write(Inode* inode, uint64_t offset, ByteView bytes) {
  uint64_t end = offset + bytes.size;
  if (inode->pages.size() * kPage < end) inode->pages.resize((end + kPage - 1) / kPage);
  uint64_t done = 0;
  while (done < bytes.size) {
    uint64_t index = (offset + done) / kPage;
    uint64_t at = (offset + done) % kPage;
    uint64_t n = std::min(kPage - at, bytes.size - done);
    if (!claim(inode, index)) break;
    Page& p = inode->dirty_page(index);
    if (p.now != nullptr || !all_zero(bytes.data + done, n)) {
      if (p.now == nullptr) p.now = std::make_unique<PageBytes>();
      std::memcpy(p.now->data() + at, bytes.data + done, n);
    }
    uint64_t first = at / kSector;
    uint64_t last = (at + n - 1) / kSector;
    auto mask = static_cast<uint8_t>(((1u << (last + 1)) - 1) & ~((1u << first) - 1));
    p.dirty |= mask;
    p.truncated &= static_cast<uint8_t>(~mask);
    done += n;
  }
  if (done != 0) inode->size = std::max(inode->size, offset + done);
  return done;
}

void FaultFiles::read(const Inode& inode, uint64_t offset, uint8_t* into, uint64_t size) const {
  uint64_t done = 0;
  while (done < size) {
    uint64_t index = (offset + done) / kPage;
    uint64_t at = (offset + done) % kPage;
    uint64_t n = std::min(kPage - at, size - done);
    const uint8_t* from = index < inode.pages.size() ? inode.pages[index].bytes() : kZeroPage.data();
    std::memcpy(into + done, from + at, n);
    done += n;
  }
}

// Grows with zeros, or cuts short: then what was behind the end is zero from now on.
void FaultFiles::resize(Inode* inode, uint64_t size) {
  for (uint64_t index = size / kPage; index < inode->pages.size(); ++index) {
    uint64_t from = index == size / kPage ? size % kPage : 0;
    if (inode->pages[index].now != nullptr) {
      Page& p = inode->dirty_page(index);
      std::memset(p.now->data() + from, 0, kPage - from);
      auto mask = static_cast<uint8_t>(0xff & ~((1u << (from / kSector)) - 1));
      p.truncated |= static_cast<uint8_t>(mask & ~p.dirty);
      p.dirty |= mask;
      if (from == 0) p.now.reset();
    }
    if (from == 0 && inode->pages[index].claimed) {
      inode->pages[index].claimed = false;
      --*used_pages_;
    }
  }
  inode->size = size;
}

void FaultFiles::make_durable(Inode* inode) {
  for (uint64_t index : inode->dirty_pages) {
    inode->pages[index].durable.reset();
    inode->pages[index].dirty = inode->pages[index].truncated = 0;
  }
  inode->dirty_pages.clear();
  inode->durable_size = inode->size;
  inode->pages.resize((inode->size + kPage - 1) / kPage);
}

void FaultFiles::drop_pending(Inode* inode) {
  PowerCut none = PowerCut::keep_none();
  uint64_t size = inode->size;
  settle(inode, &none);
  inode->size = std::max(inode->size, size);
}

// Decides about one file. True when it had anything pending.
bool FaultFiles::settle(Inode* inode, PowerCut* cut) {
  if (inode->dirty_pages.empty() && inode->size == inode->durable_size) return false;
  cut->next_owner();
  bool resized = inode->size != inode->durable_size;
  bool keep_size = resized && cut->keep();
  for (uint64_t index : inode->sorted_dirty_pages()) {
    Page& p = inode->pages[index];
    for (uint64_t sector = 0; sector < kSectorsPerPage; ++sector) {
      if (!p.differs(sector)) continue;
      bool with_size = resized && ((p.truncated >> sector) & 1) != 0;
      bool keep = with_size ? keep_size : cut->keep();
      uint64_t kept = keep ? (with_size ? kSector : cut->kept_bytes()) : 0;
      if (kept == kSector) continue;
      if (p.now == nullptr) p.now = std::make_unique<PageBytes>();
      uint64_t at = sector * kSector;
      std::memcpy(p.now->data() + at + kept, p.durable_bytes() + at + kept, kSector - kept);
    }
  }
  uint64_t size = keep_size ? inode->size : inode->durable_size;
  make_durable(inode);
  resize(inode, size);
  make_durable(inode);
  inode->pages.resize((size + kPage - 1) / kPage);
  return true;
}

// ---- Names
// -----------------------------------------------------------------------------------------------------

FaultFiles::FaultFiles() { root_ = new_inode(true); }

Status FaultFiles::find(const std::string& path, Place* out) {
  *out = {root_, "", root_};
  size_t at = 0;
  while (at < path.size()) {
    size_t slash = std::min(path.find('/', at), path.size());
    std::string name = path.substr(at, slash - at);
    at = slash + 1;
    if (name.empty()) continue;
    if (out->inode == nullptr) return Status(Code::kNotFound, path + ": no such file or directory");
    if (!out->inode->directory) return Status(Code::kInvalid, path + ": not a directory");
    out->directory = out->inode;
    out->name = name;
    auto entry = out->directory->now.find(name);
    out->inode = entry == out->directory->now.end() ? nullptr : entry->second;
  }
  if (out->inode != nullptr) out->inode->last_path = path;
  return {};
}

void FaultFiles::set_entry(std::map<std::string, InodePtr>* entries, const std::string& name,
                           const InodePtr& inode) {
  if (inode == nullptr)
    entries->erase(name);
  else
    (*entries)[name] = inode;
}

void FaultFiles::change(std::string what, std::vector<std::tuple<InodePtr, std::string, InodePtr>> entries) {
  for (auto& [directory, name, inode] : entries) set_entry(&directory->now, name, inode);
  changes_.push_back({std::move(what), std::move(entries)});
}

Status FaultFiles::died(FileOp op, const std::string& path) const {
  return failure(Code::kIo, op, path, "the power failed");
}

bool FaultFiles::changes(FileOp op) const {
  switch (op) {
    case FileOp::kRead:
    case FileOp::kList:
    case FileOp::kStat:
    case FileOp::kOpen:  // counted by open() itself when it creates or truncates
    case FileOp::kLock:
      return false;
    default:
      return true;
  }
}

Status FaultFiles::begin(FileOp op, const std::string& path, Lock* lock, bool* dying) {
  *lock = Lock(mutex_);
  if (hook_) {
    auto hook = hook_;
    lock->unlock();
    hook(op, path);
    lock->lock();
  }
  *dying = false;  // the handle's: two threads may read one file
  ++counters_.operations[static_cast<size_t>(op)];
  ++counters_.total;
  if (power_failed_) return died(op, path);
  for (auto& [fault, seen] : faults_) {
    if (fault.op != op || path.find(fault.path_part) == std::string::npos) continue;
    ++seen;
    if (seen == fault.nth || (fault.repeated && seen > fault.nth))
      return failure(fault.code, op, path, "injected fault");
  }
  if (changes(op) && power_fails_at_ != 0 && ++operations_until_cut_ == power_fails_at_)
    *dying = power_failed_ = true;
  return {};
}

// ---- Files
// -----------------------------------------------------------------------------------------------------

class FaultFile final : public plugin::Counted<File> {
 public:
  FaultFile(FaultFiles* files, FaultFiles::InodePtr inode, std::string path, bool writable, bool lock)
      : files_(Ref<FaultFiles>::share(files)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        boot_(files->boot_),
        end_(inode_->size),
        writable_(writable),
        lock_(lock) {}
  ~FaultFile() override {
    FaultFiles::Lock lock(files_->mutex_);
    if (lock_ && boot_ == files_->boot_) inode_->locked = false;
    inode_.reset();
  }

  Status read_at(uint64_t offset, void* into, uint64_t size, uint64_t* got) noexcept override {
    *got = 0;
    FaultFiles::Lock lock;
    if (Status s = begin(FileOp::kRead, &lock); !s) return s;
    if (offset < inode_->size) *got = std::min(size, inode_->size - offset);
    files_->read(*inode_, offset, static_cast<uint8_t*>(into), *got);
    files_->counters_.bytes_read += *got;
    return {};
  }

  Status append(ByteView bytes) noexcept override { return write_at(end_, bytes); }

  Status write_at(uint64_t offset, ByteView bytes) noexcept override {
    FaultFiles::Lock lock;
    if (Status s = begin(FileOp::kWrite, &lock); !s) {
      // What a failed write leaves behind is undefined: here, half of it.
      if (lock.owns_lock() && usable() && !files_->power_failed_)
        files_->write(inode_.get(), offset, {bytes.data, bytes.size / 2});
      return s;
    }
    uint64_t done = files_->write(inode_.get(), offset, bytes);
    files_->counters_.bytes_written += done;
    if (done < bytes.size) return failure(Code::kNoSpace, FileOp::kWrite, path_, "no space left");
    end_ = std::max(end_, offset + done);
    return answer(FileOp::kWrite);
  }

  Status sync() noexcept override {
    FaultFiles::Lock lock;
    if (Status s = begin(FileOp::kSync, &lock); !s) {
      if (usable() && !files_->power_failed_) {
        files_->drop_pending(inode_.get());
        failed_ = true;
      }
      return s.code() == Code::kNoSpace ? failure(Code::kIo, FileOp::kSync, path_, s.text()) : s;
    }
    if (!dying_ && !files_->lie_) files_->make_durable(inode_.get());
    return answer(FileOp::kSync);
  }

  Status truncate(uint64_t size) noexcept override {
    FaultFiles::Lock lock;
    if (Status s = begin(FileOp::kTruncate, &lock); !s) return s;
    files_->resize(inode_.get(), size);
    end_ = size;
    return answer(FileOp::kTruncate);
  }

  Status allocate(uint64_t size) noexcept override {
    FaultFiles::Lock lock;
    if (Status s = begin(FileOp::kAllocate, &lock); !s) return s;
    uint64_t pages = (size + kPage - 1) / kPage;
    if (inode_->pages.size() < pages) inode_->pages.resize(pages);
    for (uint64_t i = 0; i < pages; ++i)
      if (!files_->claim(inode_.get(), i))
        return failure(Code::kNoSpace, FileOp::kAllocate, path_, "no space left");
    inode_->size = std::max(inode_->size, size);
    return answer(FileOp::kAllocate);
  }

  Status size(uint64_t* out) noexcept override {
    *out = 0;
    FaultFiles::Lock lock;
    if (Status s = begin(FileOp::kStat, &lock); !s) return s;
    *out = inode_->size;
    return {};
  }

 private:
  bool usable() const { return boot_ == files_->boot_ && !failed_; }
  Status begin(FileOp op, FaultFiles::Lock* lock) {
    if (Status s = files_->begin(op, path_, lock, &dying_); !s) return s;
    if (boot_ != files_->boot_) return failure(Code::kIo, op, path_, "opened before the power cut");
    if (failed_) return failure(Code::kIo, op, path_, "after a failed sync");
    bool writes = op == FileOp::kWrite || op == FileOp::kTruncate || op == FileOp::kAllocate;
    if (writes && !writable_) return failure(Code::kIo, op, path_, "not open for writing");
    return {};
  }
  Status answer(FileOp op) { return dying_ ? files_->died(op, path_) : Status(); }

  const Ref<FaultFiles> files_;
  FaultFiles::InodePtr inode_;
  const std::string path_;
  const uint64_t boot_;
  uint64_t end_;
  const bool writable_;
  const bool lock_;
  bool failed_ = false;
  bool dying_ = false;
};

Status FaultFiles::open(const char* path, uint32_t flags, File** out) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kOpen, path, &lock, &dying); !s) return s;
  Place place;
  if (Status s = find(path, &place); !s) return s;
  if (place.inode != nullptr && (place.inode->directory || ((flags & plugin::kOpenExclusive) != 0)))
    return failure(Code::kInvalid, FileOp::kOpen, path, place.inode->directory ? "is a directory" : "exists");
  if (place.inode == nullptr && (flags & plugin::kOpenCreate) == 0)
    return failure(Code::kNotFound, FileOp::kOpen, path, "no such file");
  bool truncates = (flags & plugin::kOpenTruncate) != 0 && place.inode != nullptr;
  if ((place.inode == nullptr || truncates) && power_fails_at_ != 0 &&
      ++operations_until_cut_ == power_fails_at_)
    dying = power_failed_ = true;
  if (place.inode == nullptr) {
    place.inode = new_inode(false);
    place.inode->last_path = path;
    change(std::string("create ") + path, {{place.directory, place.name, place.inode}});
  }
  if (truncates) resize(place.inode.get(), 0);
  if (dying) return died(FileOp::kOpen, path);
  bool writable = (flags & (plugin::kOpenWrite | plugin::kOpenCreate | plugin::kOpenTruncate)) != 0;
  *out = new FaultFile(this, place.inode, path, writable, false);
  return {};
}

Status FaultFiles::rename(const char* from, const char* to) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kRename, from, &lock, &dying); !s) return s;
  Place source, target;
  if (Status s = find(from, &source); !s) return s;
  if (Status s = find(to, &target); !s) return s;
  if (source.inode == nullptr) return failure(Code::kNotFound, FileOp::kRename, from, "no such file");
  if (target.inode == source.inode) return {};
  if (target.inode != nullptr &&
      (target.inode->directory != source.inode->directory || !target.inode->now.empty()))
    return failure(Code::kInvalid, FileOp::kRename, to, "exists");
  source.inode->last_path = to;
  change(std::string("rename ") + from + " -> " + to,
         {{source.directory, source.name, nullptr}, {target.directory, target.name, source.inode}});
  return dying ? died(FileOp::kRename, from) : Status();
}

Status FaultFiles::remove(const char* path) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kRemove, path, &lock, &dying); !s) return s;
  Place place;
  if (Status s = find(path, &place); !s) return s;
  if (place.inode == nullptr) return failure(Code::kNotFound, FileOp::kRemove, path, "no such file");
  if (place.name.empty() || !place.inode->now.empty())
    return failure(Code::kInvalid, FileOp::kRemove, path, "directory not empty");
  change(std::string("remove ") + path, {{place.directory, place.name, nullptr}});
  return dying ? died(FileOp::kRemove, path) : Status();
}

Status FaultFiles::link(const char* from, const char* to) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kLink, from, &lock, &dying); !s) return s;
  Place source, target;
  if (Status s = find(from, &source); !s) return s;
  if (Status s = find(to, &target); !s) return s;
  if (source.inode == nullptr) return failure(Code::kNotFound, FileOp::kLink, from, "no such file");
  if (target.inode != nullptr || source.inode->directory)
    return failure(Code::kInvalid, FileOp::kLink, to, "exists");
  change(std::string("link ") + from + " -> " + to, {{target.directory, target.name, source.inode}});
  return dying ? died(FileOp::kLink, from) : Status();
}

Status FaultFiles::list(const char* directory, plugin::NameSink* sink) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kList, directory, &lock, &dying); !s) return s;
  Place place;
  if (Status s = find(directory, &place); !s) return s;
  if (place.inode == nullptr) return failure(Code::kNotFound, FileOp::kList, directory, "no such directory");
  if (!place.inode->directory) return failure(Code::kInvalid, FileOp::kList, directory, "not a directory");
  std::vector<std::string> names;
  for (auto& entry : place.inode->now) names.push_back(entry.first);
  lock.unlock();
  for (auto& name : names) sink->name({name.data(), name.size()});
  return {};
}

Status FaultFiles::stat(const char* path, FileStat* out) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kStat, path, &lock, &dying); !s) return s;
  Place place;
  if (Status s = find(path, &place); !s) return s;
  if (place.inode == nullptr) return failure(Code::kNotFound, FileOp::kStat, path, "no such file");
  out->size = place.inode->size;
  out->allocated = 0;
  for (const Page& p : place.inode->pages) out->allocated += p.claimed ? kPage : 0;
  out->modified_unix_ns = 0;
  out->is_directory = place.inode->directory ? 1 : 0;
  out->mode = place.inode->directory ? 0700 : 0600;
  return {};
}

Status FaultFiles::make_dir(const char* path) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kMakeDir, path, &lock, &dying); !s) return s;
  Place place;
  if (Status s = find(path, &place); !s) return s;
  if (place.inode != nullptr)
    return place.inode->directory ? Status() : failure(Code::kInvalid, FileOp::kMakeDir, path, "exists");
  change(std::string("mkdir ") + path, {{place.directory, place.name, new_inode(true)}});
  return dying ? died(FileOp::kMakeDir, path) : Status();
}

Status FaultFiles::sync_dir(const char* path) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kSyncDir, path, &lock, &dying); !s) return s;
  Place place;
  if (Status s = find(path, &place); !s) return s;
  if (place.inode == nullptr || !place.inode->directory)
    return failure(Code::kNotFound, FileOp::kSyncDir, path, "no such directory");
  if (dying) return died(FileOp::kSyncDir, path);
  if (lie_) return {};
  // What touches this directory, and whatever came before in the directories that those changes touch.
  std::vector<Inode*> touched = {place.inode.get()};
  auto is_touched = [&](const auto& entry) {
    return std::find(touched.begin(), touched.end(), std::get<0>(entry).get()) != touched.end();
  };
  std::vector<bool> chosen(changes_.size());
  for (size_t i = changes_.size(); i-- > 0;) {
    auto& entries = changes_[i].entries;
    chosen[i] = std::any_of(entries.begin(), entries.end(), is_touched);
    if (!chosen[i]) continue;
    for (auto& entry : entries) touched.push_back(std::get<0>(entry).get());
  }
  std::vector<Change> left;
  for (size_t i = 0; i < changes_.size(); ++i) {
    if (chosen[i])
      for (auto& [directory, name, inode] : changes_[i].entries) set_entry(&directory->durable, name, inode);
    else
      left.push_back(std::move(changes_[i]));
  }
  changes_ = std::move(left);
  return {};
}

Status FaultFiles::lock(const char* path, File** out) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kLock, path, &lock, &dying); !s) return s;
  Place place;
  if (Status s = find(path, &place); !s) return s;
  if (place.inode == nullptr) {
    place.inode = new_inode(false);
    place.inode->last_path = path;
    change(std::string("create ") + path, {{place.directory, place.name, place.inode}});
  }
  if (place.inode->locked) return failure(Code::kBusy, FileOp::kLock, path, "held by someone else");
  if (place.inode->directory) return failure(Code::kInvalid, FileOp::kLock, path, "is a directory");
  place.inode->locked = true;
  *out = new FaultFile(this, place.inode, path, true, true);
  return {};
}

Status FaultFiles::free_space(const char* path, uint64_t* bytes) noexcept {
  Lock lock;
  bool dying = false;
  if (Status s = begin(FileOp::kStat, path, &lock, &dying); !s) return s;
  const bool apart = !part_.empty() && std::string_view(path).find(part_) != std::string_view::npos;
  const uint64_t used = apart ? used_by(part_) : *used_pages_ * kPage;
  const uint64_t quota = apart ? part_quota_ : quota_;
  *bytes = quota > used ? quota - used : 0;
  return {};
}

void* FaultFiles::query(const char* id) noexcept {
  return std::strcmp(id, plugin::Files::kId) == 0 ? static_cast<plugin::Files*>(this) : nullptr;
}

// ---- Power
// -----------------------------------------------------------------------------------------------------

void FaultFiles::power_cut(PowerCut cut) {
  Lock lock(mutex_);
  for (auto& inode : alive()) {
    if (!inode->directory) settle(inode.get(), &cut);
    inode->locked = false;
  }
  cut.next_owner();
  for (Change& c : changes_) {
    if (!cut.keep()) continue;
    for (auto& [directory, name, inode] : c.entries) set_entry(&directory->durable, name, inode);
  }
  changes_.clear();
  for (auto& inode : alive())
    if (inode->directory) inode->now = inode->durable;
  ++boot_;
  power_failed_ = false;
  power_fails_at_ = 0;
}

std::vector<PendingItem> FaultFiles::pending() {
  Lock lock(mutex_);
  std::vector<PendingItem> items;
  for (auto& inode : alive()) {
    if (inode->directory) continue;
    bool resized = inode->size != inode->durable_size;
    if (resized) items.push_back({PendingItem::kSize, inode->last_path, 0});
    for (uint64_t index : inode->sorted_dirty_pages()) {
      const Page& p = inode->pages[index];
      for (uint64_t sector = 0; sector < kSectorsPerPage; ++sector)
        if (p.differs(sector) && !(resized && ((p.truncated >> sector) & 1) != 0))
          items.push_back({PendingItem::kSector, inode->last_path, index * kSectorsPerPage + sector});
    }
  }
  for (Change& c : changes_) items.push_back({PendingItem::kEntry, c.what, 0});
  return items;
}

void FaultFiles::fail_power_at(uint64_t nth) {
  Lock lock(mutex_);
  power_fails_at_ = nth;
  operations_until_cut_ = 0;
}

bool FaultFiles::power_failed() {
  Lock lock(mutex_);
  return power_failed_;
}

Ref<FaultFiles> FaultFiles::clone() {
  Lock lock(mutex_);
  auto copy = plugin::make<FaultFiles>();
  copy->inodes_.clear();
  *copy->used_pages_ = *used_pages_;
  std::map<const Inode*, InodePtr> twins = {{nullptr, nullptr}};
  auto all = alive();
  for (auto& inode : all) {
    auto twin = std::make_shared<Inode>();
    twin->number = inode->number;
    twin->directory = inode->directory;
    twin->dirty_pages = inode->dirty_pages;
    twin->size = inode->size;
    twin->durable_size = inode->durable_size;
    twin->used_pages = copy->used_pages_;
    twin->last_path = inode->last_path;
    for (const Page& p : inode->pages)
      twin->pages.push_back({copy_of(p.now), copy_of(p.durable), p.dirty, p.truncated, p.claimed});
    twins[inode.get()] = twin;
    copy->inodes_[twin->number] = twin;
  }
  for (auto& inode : all) {
    for (auto& [name, to] : inode->now) twins[inode.get()]->now[name] = twins[to.get()];
    for (auto& [name, to] : inode->durable) twins[inode.get()]->durable[name] = twins[to.get()];
  }
  for (Change& c : changes_) {
    copy->changes_.push_back({c.what, {}});
    for (auto& [directory, name, inode] : c.entries)
      copy->changes_.back().entries.emplace_back(twins[directory.get()], name, twins[inode.get()]);
  }
  copy->root_ = twins[root_.get()];
  copy->next_inode_ = next_inode_;
  copy->quota_ = quota_;
  copy->part_ = part_;
  copy->part_quota_ = part_quota_;
  return copy;
}

// ---- Faults and convenience
// ------------------------------------------------------------------------------------

void FaultFiles::flip_bit(const std::string& path, uint64_t offset, uint32_t bit) {
  Lock lock(mutex_);
  Place place;
  QUORATE_ASSERT(find(path, &place).ok() && place.inode != nullptr, "flip_bit: no such file");
  QUORATE_ASSERT(offset < place.inode->size, "flip_bit: behind the end of the file");
  Page& p = place.inode->pages[offset / kPage];
  for (auto* bytes : {&p.now, &p.durable}) {
    if (*bytes == nullptr) *bytes = std::make_unique<PageBytes>();
    (**bytes)[offset % kPage] ^= static_cast<uint8_t>(1u << bit);
  }
  if (p.dirty == 0) p.durable.reset();
}

void FaultFiles::make_dirs(const std::string& path) {
  Lock lock(mutex_);
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    Place place;
    QUORATE_ASSERT(find(path.substr(0, at), &place).ok(), "make_dirs: a file is in the way");
    if (place.inode != nullptr) continue;
    place.directory->now[place.name] = place.directory->durable[place.name] = new_inode(true);
  }
}

void FaultFiles::put(const std::string& path, ByteView bytes) {
  Lock lock(mutex_);
  Place place;
  QUORATE_ASSERT(find(path, &place).ok() && place.directory != nullptr, "put: no such directory");
  InodePtr inode = new_inode(false);
  inode->last_path = path;
  place.directory->now[place.name] = place.directory->durable[place.name] = inode;
  uint64_t quota = std::exchange(quota_, ~uint64_t{0});
  write(inode.get(), 0, bytes);
  quota_ = quota;
  make_durable(inode.get());
}

std::string FaultFiles::get(const std::string& path) {
  Lock lock(mutex_);
  Place place;
  if (!find(path, &place) || place.inode == nullptr || place.inode->directory) return "";
  std::string bytes(place.inode->size, '\0');
  read(*place.inode, 0, reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  return bytes;
}

bool FaultFiles::exists(const std::string& path) {
  Lock lock(mutex_);
  Place place;
  return find(path, &place).ok() && place.inode != nullptr;
}

std::vector<std::string> FaultFiles::names(const std::string& directory) {
  Lock lock(mutex_);
  Place place;
  std::vector<std::string> names;
  if (find(directory, &place).ok() && place.inode != nullptr)
    for (auto& entry : place.inode->now) names.push_back(entry.first);
  return names;
}

}  // namespace quorate::test
