// RocksDB's view of the file system and of logging, over the host's services.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <memory>
#include <string>

#include "quorate/plugin/host.h"

namespace quorate::rocks {

// [thread-safe] All of the engine's files, through `files`, which it keeps a reference to.
std::shared_ptr<rocksdb::FileSystem> make_host_file_system(plugin::Files* files);

// [thread-safe] RocksDB's own log as lines of the host's. Without it RocksDB writes a file of its own, and
// aborts when there is no space for a line. `log` may be null: nothing is written.
std::shared_ptr<rocksdb::Logger> make_host_logger(plugin::Log* log);

// What a status of RocksDB is at the boundary; `doing` begins the text.
plugin::Status to_plugin(const rocksdb::Status& s, const char* doing);

}  // namespace quorate::rocks
