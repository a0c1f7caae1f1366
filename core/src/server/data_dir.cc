#include "server/data_dir.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace quorate::server {
namespace {

using plugin::Code;
using plugin::Status;

class Names final : public plugin::NameSink {
 public:
  void name(plugin::ByteView name) noexcept override { names.emplace_back(name.chars(), name.size); }
  std::vector<std::string> names;
};

bool is_engine_directory(std::string_view name) {
  const size_t dash = name.rfind('-');
  return dash != name.npos && dash > 0 && name.size() - dash - 1 == 16 &&
         std::all_of(name.begin() + static_cast<ptrdiff_t>(dash) + 1, name.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::vector<std::string> list_names(FileSystem& files, const std::string& path, Status* status) {
  Names sink;
  *status = files.list(path.c_str(), &sink);
  std::sort(sink.names.begin(), sink.names.end());
  return std::move(sink.names);
}

Status remove_tree(FileSystem& files, const std::string& path, int depth) {
  if (depth == 0) return Status(Code::kInvalid, path + ": nested too deeply to be ours");
  Status status;
  for (const std::string& name : list_names(files, path, &status)) {
    std::string child = path;
    child.append("/").append(name);
    plugin::FileStat stat;
    if (Status s = files.stat(child.c_str(), &stat); !s.ok()) return s;
    Status removed =
        stat.is_directory != 0 ? remove_tree(files, child, depth - 1) : files.remove(child.c_str());
    if (!removed.ok()) return removed;
  }
  return status.ok() ? files.remove(path.c_str()) : status;
}

Status DataDir::open(FileSystem& files, const std::string& data, const std::string& wal) {
  files_ = &files;
  member_ = data + "/member";
  wal_ = wal.empty() ? member_ + "/wal" : wal;
  for (const std::string& directory : {data, member_}) {
    if (Status s = files.make_dir(directory.c_str()); !s.ok()) return s;
  }
  plugin::FileStat stat;
  if (files.stat((member_ + "/snap/db").c_str(), &stat).ok()) {
    return Status(Code::kIncompatible,
                  data +
                      " was written by etcd, whose files this version cannot take over; start with another "
                      "--data-dir and copy the keys with etcdctl make-mirror");
  }
  const std::string lock = member_ + "/lock";
  Status locked = files.lock(lock.c_str(), lock_.out());
  if (locked.code() == Code::kBusy) {
    return Status(Code::kBusy,
                  "another process is using the data directory " + data + " (it holds " + lock + ")");
  }
  if (!locked.ok()) return locked;
  if (Status s = files.make_dir(wal_.c_str()); !s.ok()) return s;
  if (Status s = files.sync_dir(member_.c_str()); !s.ok()) return s;
  return files.sync_dir(data.c_str());
}

Status DataDir::list(std::vector<std::string>* names) {
  Status status;
  for (std::string& name : list_names(*files_, member_, &status)) {
    if (is_engine_directory(name)) names->push_back(std::move(name));
  }
  return status;
}

Status DataDir::new_engine_directory(std::string_view engine, std::string* name) {
  std::vector<std::string> names;
  if (Status s = list(&names); !s.ok()) return s;
  unsigned long long highest = 0;
  for (const std::string& n : names)
    highest = std::max(highest, std::strtoull(n.c_str() + n.rfind('-') + 1, nullptr, 16));
  char number[24];
  std::snprintf(number, sizeof number, "-%016llx", highest + 1);
  *name = std::string(engine) + number;
  if (Status s = files_->make_dir(path(*name).c_str()); !s.ok()) return s;
  return files_->sync_dir(member_.c_str());
}

Status DataDir::find_used_engine(std::string* name) {
  std::vector<std::string> names;
  if (Status s = list(&names); !s.ok()) return s;
  for (const std::string& n : names) {
    Status status;
    const bool used = !list_names(*files_, path(n), &status).empty();
    if (!status.ok()) return status;
    if (used) *name = n;
  }
  return {};
}

std::string_view DataDir::engine_of(std::string_view directory) {
  const size_t dash = directory.rfind('-');
  return dash == directory.npos ? directory : directory.substr(0, dash);
}

Status DataDir::remove_others(std::string_view keep) {
  std::vector<std::string> names;
  if (Status s = list(&names); !s.ok()) return s;
  for (const std::string& name : names) {
    if (name == keep) continue;
    if (Status s = remove_tree(*files_, path(name)); !s.ok()) return s;
  }
  return files_->sync_dir(member_.c_str());
}

}  // namespace quorate::server
