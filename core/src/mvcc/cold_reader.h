// Reads of records that are not in memory.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "mvcc/engine_writer.h"

namespace quorate::mvcc {

// What is asked for in one tick of the loop becomes one multi-get on Lane::kRead. [loop]
class ColdReader {
 public:
  struct Want {
    Revision revision;
    bool tombstone = false;
  };
  // ok with a record; not_found; corruption, with text; anything else: the engine failed.
  struct Answer {
    plugin::Status status = plugin::Status(plugin::Code::kNotFound);
    plugin::Buffer record;
  };
  using Done = UniqueFunction<void(std::vector<Answer>)>;

  ColdReader(Executor* executor, EngineWriter* writer) : executor_(executor), writer_(writer) {}
  // REQUIRES: each record was written to the engine, or stays pinned until `done`. One answer per want, in
  // order.
  void read(std::vector<Want> wants, Done done);

 private:
  struct Request {
    size_t count = 0;
    Done done;
  };
  struct Round;
  void start_round();
  void run(std::shared_ptr<Round> round);
  void finish(Round& round);
  static void work(Round& round);

  Executor* executor_;
  EngineWriter* writer_;
  std::shared_ptr<Round> next_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::mvcc
