// A storage engine in the test: a map with the contract's crash semantics, and failures on request.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "quorate/plugin/storage.h"

namespace quorate::test {

// What survives the handle: the synced contents, the batches since, and what is to go wrong. One thread.
struct FaultDisk {
  using Contents = std::array<std::map<std::string, std::string>, 2>;
  struct Op {
    plugin::WriteKind kind;
    uint32_t keyspace;
    std::string key, value;
  };
  Contents durable;
  Contents live;  // what an open handle sees
  std::deque<std::vector<Op>> unsynced;

  // The next so many writes (syncs, opens, reads) answer this.
  plugin::Code write_error = plugin::Code::kOk;
  plugin::Code sync_error = plugin::Code::kOk;
  plugin::Code open_error = plugin::Code::kOk;
  uint32_t write_errors = 0;
  uint32_t sync_errors = 0;
  uint32_t open_errors = 0;
  bool failed_write_lands = false;  // the batch is there although its write answered an error
  uint64_t writes = 0;
  uint64_t multi_gets = 0;
  uint64_t gets = 0;
  bool expire_next_view = false;
  uint32_t generation = 0;  // of the handle that may write: older ones are dead

  void repair() {
    write_errors = sync_errors = open_errors = 0;
    expire_next_view = false;
  }
  static void apply(Contents& to, const std::vector<Op>& batch);
  // Loses the unsynced batches but for the first `keep`, and kills the open handle.
  void power_cut(size_t keep);
};

class FaultEngine final : public plugin::Counted<plugin::Engine> {
 public:
  explicit FaultEngine(std::shared_ptr<FaultDisk> disk) : disk_(std::move(disk)) {}
  plugin::Status open(const plugin::OpenInfo& info, plugin::StorageEvents* events,
                      plugin::Store** out) noexcept override;

 private:
  std::shared_ptr<FaultDisk> disk_;
};

}  // namespace quorate::test
