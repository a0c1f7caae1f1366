// One member's log on a machine that can lose power: what the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/fault_files.h"
#include "support/manual_executor.h"
#include "wal/wal.h"

namespace quorate::wal {

using plugin::Code;
using test::FaultFiles;
using test::FileFault;
using test::FileOp;
using test::PowerCut;

inline raft::Entry entry(uint64_t term, uint64_t index, const std::string& data) {
  return {Term(term), Index(index), data.empty() ? raft::EntryType::kNoOp : raft::EntryType::kNormal,
          plugin::Buffer::copy_of({data.data(), data.size()})};
}
inline std::string text(const raft::Entry& e) {
  return std::to_string(e.term.value) + ":" + std::to_string(e.index.value) + ":" +
         std::string(e.data.chars(), e.data.size());
}

struct Machine {
  explicit Machine(plugin::Ref<FaultFiles> disk, uint64_t seed = 1)
      : files(std::move(disk)), random(seed), runtime{&executor, files.get(), &random, nullptr} {
    options.directory = "/data/wal";
    options.segment_bytes = 64 << 10;
    options.zero_ahead_bytes = 0;
  }
  explicit Machine(uint64_t seed = 1) : Machine(plugin::make<FaultFiles>(), seed) {
    files->make_dirs("/data");
  }
  ~Machine() { executor.kill(); }

  Status create() {
    return Wal::create(runtime, options, {ClusterId(7), MemberId(8), "node", "cfg"},
                       {Index(0), Term(0), "m0", "db-1"}, {}, &wal);
  }
  Status recover() {
    wal.reset();
    return Wal::recover(runtime, options, &recovered, &wal);
  }
  // Appends, and runs until it is answered.
  Status append(Batch batch) {
    Status answer(Code::kInternal, "no answer");
    wal->append(std::move(batch), [&](const Status& s, const Appended&) { answer = s; });
    executor.run_until_idle();
    return answer;
  }
  Status append(std::vector<raft::Entry> entries) {
    Batch b;
    b.entries = std::move(entries);
    return append(std::move(b));
  }
  // The process dies: nothing that was under way goes on. The disk keeps its pending writes.
  void kill() {
    executor.kill();
    wal.reset();
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (auto& e : recovered.entries) all.push_back(text(e));
    return all;
  }
  std::string newest_segment() const {
    std::string newest;
    for (auto& name : files->names("/data/wal"))
      if (name.ends_with(".wal")) newest = name;
    return "/data/wal/" + newest;
  }

  plugin::Ref<FaultFiles> files;
  test::ManualExecutor executor;
  test::SeededRandom random;
  Runtime runtime;
  Options options;
  std::unique_ptr<Wal> wal;
  Recovered recovered;
};

}  // namespace quorate::wal
