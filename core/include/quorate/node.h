// A member: Raft, write-ahead log, multi-version store, watches, leases, and the services that clients call.
//
// A node lives on one loop (Executor) and is a CallHandler: the host's listeners hand it calls. It opens no
// socket.
//   start() [blocking, before the loop runs]  → begin() [loop] → ready → … → drain() [loop] → close()
//   [blocking]
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "quorate/base/function.h"
#include "quorate/options.h"
#include "quorate/plugin/storage.h"
#include "quorate/plugin/transport.h"
#include "quorate/runtime.h"

namespace quorate {

struct NodeEnvironment {
  Runtime runtime;
  plugin::Engine* engine = nullptr;  // outlives the node
  uint64_t engine_capabilities = 0;  // from its descriptor
  // Times what happens within a turn of the loop (syncs, applies), where the executor's clock may stand
  // still. Null: the executor's. Outlives the node.
  Clock* stopwatch = nullptr;
};

// [loop]
struct NodeEvents {
  UniqueFunction<void()> on_ready;  // the first linearizable read of this boot was applied
  UniqueFunction<void(const std::string& why)> on_fatal;  // the node must not go on; the host logs and stops
};

class Node : public plugin::CallHandler {
 public:
  // Opens or bootstraps the data directory. Errors are for the operator: they name the file and say what to
  // do.
  static plugin::Status start(NodeEnvironment, NodeOptions, NodeEvents, std::unique_ptr<Node>* out);
  virtual ~Node() = default;

  virtual void begin() = 0;
  // Refuses new calls with "server stopped", ends streams, then calls `done` once nothing is in flight.
  virtual void drain(Task done) = 0;
  // After the loop has ended, its helper threads have finished what they were given, and all sessions are
  // gone.
  virtual plugin::Status close() = 0;

  virtual uint64_t member_id() const = 0;
  virtual uint64_t cluster_id() const = 0;
};

}  // namespace quorate
