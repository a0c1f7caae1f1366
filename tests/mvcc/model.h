// What the store should answer, the slow and obvious way: every version of every key in a map.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mvcc/records.h"
#include "mvcc/store.h"

namespace quorate::test {

using mvcc::Revision;

struct ModelVersion {
  Revision mod;
  bool tombstone = false;
  int64_t create = 0, version = 0, lease = 0;
  std::string key, value;

  std::string record() const;  // as the engine has it
  std::string event() const;   // as watchers get it
};

// One change of an entry.
struct ModelOp {
  enum Kind { kPut, kRemove, kMeta, kCompact } kind = kPut;
  std::string key, end, value;  // kRemove: [key, end), as in a request
  int64_t number = 0;           // kPut: lease; kCompact: revision
};
using ModelEntry = std::vector<ModelOp>;

struct ModelQuery {
  std::string key, end;
  mvcc::RangeQuery query{api::Interval::all()};
};
struct ModelAnswer {
  mvcc::ReadError error = mvcc::ReadError::kNone;
  int64_t count = 0;
  bool more = false;
  std::vector<std::string> records;
  friend bool operator==(const ModelAnswer&, const ModelAnswer&) = default;
};

class Model {
 public:
  // The events of the entry, in order.
  std::vector<ModelVersion> apply(const ModelEntry& entry);
  ModelAnswer range(const ModelQuery& q) const;
  std::optional<ModelVersion> at(const std::string& key, int64_t revision) const;
  // The live version before `revision` of `key`, if a read could still see it.
  std::optional<ModelVersion> before(const std::string& key, Revision revision) const;
  // What a compaction that has done its work leaves.
  std::map<Revision, ModelVersion> retained() const;
  // etcd's HashKV, from what etcd keeps.
  uint32_t hash_kv(int64_t revision) const;
  int64_t keys() const;

  int64_t revision = 1;
  int64_t compacted = -1;
  std::map<Revision, ModelVersion> history;  // everything that ever happened
  std::map<std::string, std::string> meta;

 private:
  std::map<std::string, std::vector<ModelVersion>> keys_;
};

}  // namespace quorate::test
