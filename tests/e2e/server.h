// A server under test: ours, or a real etcd to compare with.
//
//   QUORATE_BIN       our binary (default: the build's)
//   QUORATE_ETCD      an etcd 3.4 (default: `etcd` on PATH)
//   QUORATE_ETCD_NEW  an etcd 3.7.1 (no default: what only it can show is skipped)
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "support/process.h"

namespace quorate::test {

struct ServerKind {
  std::string label;   // quorate, etcd-3.4, etcd-3.7.1
  std::string binary;  // empty: not on this machine
  bool ours = false;
};

const ServerKind& quorate();
const ServerKind& etcd_34();
const ServerKind& etcd_371();

struct ServerSetup {
  std::vector<std::string> flags;
  std::string engine;  // ours only: storage-rocksdb, storage-leveldb, storage-memory; empty: the default
  std::vector<std::string> transports;  // ours only; empty: the default
};

class Server {
 public:
  // Does not start it yet. The data is in a folder of its own, which lives as long as the object.
  explicit Server(const ServerKind& kind, ServerSetup setup = {});
  ~Server();

  // Starts it and waits until it serves. False: it ended or did not get there; log() says why.
  bool start();
  // Starts it without waiting.
  void launch();
  bool wait_ready(Millis limit = Millis(60000));
  void kill9();
  // SIGTERM; the code of its end.
  int stop();

  const ServerKind& kind() const { return kind_; }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  uint16_t port() const { return port_; }
  std::string peer_url() const { return "http://127.0.0.1:" + std::to_string(peer_port_); }
  std::string client_url() const { return "http://" + endpoint(); }
  std::string data_dir() const { return dir_ / "data"; }
  const std::string& folder() const { return dir_.path(); }
  Process& process() { return *process_; }
  std::vector<std::string> command_line() const;
  // What it wrote since it was started last.
  std::string log() const;
  // A new connection, not shared with any other.
  std::shared_ptr<grpc::Channel> connect(grpc::ChannelArguments arguments = {}) const;

  ServerSetup& setup() { return setup_; }

 private:
  const ServerKind& kind_;
  ServerSetup setup_;
  TempDir dir_;
  uint16_t port_ = 0, peer_port_ = 0;
  int starts_ = 0;
  std::unique_ptr<Process> process_;
};

// The ids of the only member of a cluster and of the cluster, which differ from server to server.
struct Identity {
  uint64_t cluster = 0, member = 0;
};
Identity identity_of(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace quorate::test
