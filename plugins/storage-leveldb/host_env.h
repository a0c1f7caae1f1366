// LevelDB's view of the file system and of logging, over the host's services, with the durability that
// LevelDB's own lacks:
//
// - *Logs are empty.* A `.log` file is created, and what LevelDB appends to it is dropped: what survives is
// what was
//   flushed into tables. LevelDB's logs cannot be made prefix-durable: an old one is closed without a sync
//   while the next is synced, and recovery reads past damage.
// - A table's directory entry is synced with its contents, before the manifest can name it; a rename (of
// CURRENT) is
//   synced before the manifest it replaces is removed.
// - Every error of a write is told at once, not at the next write.
#pragma once

#include <leveldb/env.h>

#include <memory>
#include <string>

#include "quorate/plugin/host.h"

namespace quorate::level {

// What the environment tells its store. [thread-safe]
class EnvEvents {
 public:
  virtual void write_failed(const plugin::Status& s) = 0;
  virtual void log_begun(uint64_t number) = 0;    // later batches belong to this memtable
  virtual void log_removed(uint64_t number) = 0;  // its memtable, and all before it, are durable

 protected:
  ~EnvEvents() = default;
};

// `events` outlives the environment. Threads and clock are LevelDB's own.
std::unique_ptr<leveldb::Env> make_host_env(plugin::Files* files, EnvEvents* events);

// LevelDB's own log as lines of the host's; `log` may be null.
std::unique_ptr<leveldb::Logger> make_host_logger(plugin::Log* log);

plugin::Status to_plugin(const leveldb::Status& s, const char* doing);

}  // namespace quorate::level
