// The node's part of the data directory:
//
//   <data>/member/lock                 held while a process uses the directory
//   <data>/member/wal/                 the log (or --wal-dir)
//   <data>/member/<engine>-<number>/   an engine's own files; the log's Base names the one in force
//
// Blocking; used before the loop runs and after it has ended.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "quorate/runtime.h"

namespace quorate::server {

class DataDir {
 public:
  // Creates what is missing and takes the lock. Errors: busy (another process), incompatible (a directory
  // that etcd wrote), io, no_space.
  plugin::Status open(FileSystem& files, const std::string& data, const std::string& wal);
  const std::string& wal_directory() const { return wal_; }
  const std::string& member_directory() const { return member_; }
  std::string path(std::string_view engine_directory) const {
    return member_ + "/" + std::string(engine_directory);
  }

  // The name for an engine's directory that is not in use yet: "rocksdb-0000000000000001".
  plugin::Status new_engine_directory(std::string_view engine, std::string* name);
  // The engine that a directory's name speaks of: "rocksdb".
  static std::string_view engine_of(std::string_view directory);
  // Deletes engine directories other than `keep`: leftovers of an install or a migration that was not
  // finished.
  plugin::Status remove_others(std::string_view keep);
  // An engine's directory with something in it, for a start that finds no log: bootstrap() makes the log
  // before the engine writes, so such a directory belongs to a log that is somewhere else, or gone. Empty:
  // there is none.
  plugin::Status find_used_engine(std::string* name);
  void close() { lock_.reset(); }

 private:
  plugin::Status list(std::vector<std::string>* names);

  FileSystem* files_ = nullptr;
  std::string member_, wal_;
  plugin::Ref<File> lock_;
};

// Deletes a directory and what is below it, to a bounded depth.
plugin::Status remove_tree(FileSystem& files, const std::string& path, int depth = 8);
std::vector<std::string> list_names(FileSystem& files, const std::string& path, plugin::Status* status);

}  // namespace quorate::server
