// What the storage suites share: a plugin opened on some Files, a model, and batches made from a seed.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "quorate/plugin/storage.h"
#include "support/plugin_host.h"

namespace quorate::test {

inline plugin::ByteView bytes(const std::string& s) { return {s.data(), s.size()}; }

// True in the long runs.
bool soak();

constexpr uint32_t kKeyspaces = 3;
constexpr uint32_t kRecords = 0;  // ascending keys; old ones are deleted
constexpr uint32_t kMeta = 1;     // "applied": the number of the last batch
constexpr uint32_t kRandom = 2;   // random keys

struct Change {
  plugin::WriteKind kind;
  uint32_t keyspace;
  std::string key;
  std::string value;
};
using Batch = std::vector<Change>;
std::vector<plugin::WriteOp> view_of(const Batch& batch);

// The i-th batch (from 1) of a seed, always the same. `size_factor` scales values.
Batch make_batch(uint64_t seed, uint64_t i, bool delete_range, uint64_t size_factor = 1);

// What a store should hold.
class Model {
 public:
  using Map = std::map<std::string, std::string>;
  void apply(const Batch& batch);
  const Map& keyspace(uint32_t i) const { return maps_[i]; }
  bool operator==(const Model& o) const { return maps_ == o.maps_; }
  uint64_t applied() const;  // of kMeta
  void put(uint32_t keyspace, const std::string& key, const std::string& value) {
    maps_[keyspace][key] = value;
  }

 private:
  std::vector<Map> maps_{kKeyspaces};
};
Model model_after(uint64_t seed, uint64_t batches, bool delete_range, uint64_t size_factor = 1);

// Collects what reads answer.
class Answers final : public plugin::ReadSink {
 public:
  uint32_t entry(uint64_t position, uint32_t found, plugin::ByteView key,
                 plugin::ByteView value) noexcept override;
  struct Entry {
    uint64_t position;
    bool found;
    std::string key;
    std::string value;
  };
  std::vector<Entry> entries;
  uint64_t limit = UINT64_MAX;
};

class Events final : public plugin::StorageEvents {
 public:
  void on_durable(plugin::Mark mark) noexcept override;
  void on_background_error(const plugin::Status& status) noexcept override;
  void on_pressure(uint32_t) noexcept override {}
  plugin::Mark durable() const { return durable_.load(); }
  uint64_t errors() const { return errors_.load(); }

 private:
  std::atomic<plugin::Mark> durable_{0};
  std::atomic<uint64_t> errors_{0};
};

// A plugin with a host around some Files. The directory must exist.
class Subject {
 public:
  Subject(const std::string& plugin_name, plugin::Ref<plugin::Files> files, std::string directory,
          std::initializer_list<std::pair<std::string, std::string>> options = {});
  ~Subject();
  Subject(const Subject&) = delete;

  bool is_volatile() const { return (descriptor_.capabilities & plugin::kCapVolatile) != 0; }
  bool delete_range() const { return (descriptor_.capabilities & plugin::kCapDeleteRange) != 0; }
  plugin::Engine* engine() { return engine_; }
  Events& events() { return *events_; }  // of the last open()
  plugin::Store* store() { return store_.get(); }
  LogLines& log() { return *log_; }

  plugin::Status open(uint32_t keyspaces = kKeyspaces, bool read_only = false);
  plugin::Status close();
  plugin::Status write(const Batch& batch, plugin::Mark mark);
  plugin::Ref<plugin::ReadView> view();

 private:
  const plugin::Descriptor& descriptor_;
  plugin::Ref<LogLines> log_ = plugin::make<LogLines>();
  plugin::Ref<PluginHost> host_;
  std::string directory_;
  plugin::Ref<plugin::Object> root_;
  plugin::Engine* engine_ = nullptr;
  std::unique_ptr<Events> events_;
  plugin::Ref<plugin::Store> store_;
};

// Everything a view holds, by scans; not ok: the first error.
plugin::Status read_all(plugin::ReadView* view, Model* out);
// Fails the test unless the store holds exactly the first n batches for some n >= `least`; returns n.
uint64_t check_prefix(Subject* subject, uint64_t seed, uint64_t least, uint64_t most,
                      uint64_t size_factor = 1);

// The suites run once for each of these.
inline const std::vector<std::string> kStoragePlugins = {"storage-memory", "storage-rocksdb",
                                                         "storage-leveldb"};
std::string suite_name(const testing::TestParamInfo<std::string>& info);

}  // namespace quorate::test
