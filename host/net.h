// Sockets: listeners, connections and dialled peers, each handed to a transport plugin. The host's half of
// quorate/plugin/transport.h.
//
// A connection begins by being sniffed: the transports that its listener allows are asked, in order, whether
// the first bytes are theirs, until one says yes or the handshake's time is up. From then on its session gets
// the bytes. What a session sends in one turn of the loop leaves at the turn's end, by one system call where
// the socket takes it. While idle a connection owns no buffer; reads go through one buffer that all of a
// loop's connections share.
//
// Everything here is [loop] unless said otherwise.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/loop.h"
#include "quorate/plugin/transport.h"

namespace quorate::host {

struct NetOptions {
  // Connections of client listeners at a time. More wait in the kernel's queue, as etcd lets them wait, so
  // that descriptors stay for peers and files. 0: what the process may open, less 150 (etcd's reserve).
  uint64_t max_connections = 0;
  // What charge() accepts: of one connection, and of all. Bytes. What is charged is not all that it takes:
  // with the rest a connection stays below 32 MiB. Once all together are over their budget, those that hold
  // less than a fair share are served on: who fills the budget is refused, not who comes next.
  uint64_t connection_budget = 24u << 20;
  uint64_t total_budget = 512u << 20;
  uint64_t fair_share = 1u << 20;
  plugin::Log* log = nullptr;  // borrowed; may be null
};

struct ListenOptions {
  std::string address;  // see address.h
  plugin::ListenerRole role = plugin::ListenerRole::kClient;
  std::vector<plugin::Transport*> transports;  // asked in this order; borrowed, they outlive Net
  plugin::TransportLimits limits;
  bool reuse_address = true;  // SO_REUSEADDR
  bool reuse_port = false;    // SO_REUSEPORT
};

struct DialOptions {
  std::string address;
  std::string authority;
  plugin::Transport* transport = nullptr;
  plugin::Lane lane = plugin::Lane::kControl;
  plugin::DialEvents* events = nullptr;  // borrowed until `closed` has run
  plugin::TransportLimits limits;        // handshake_timeout_ns also limits the connecting
};

class Net {
 public:
  // `handler` gets the calls of every listener. All borrowed.
  Net(AsioExecutor* executor, plugin::CallHandler* handler, const NetOptions& options = {});
  ~Net();  // close_all(), and every connection that plugins still hold becomes inert

  // Starts to listen; may be called again for more addresses. *bound: the address with the port that was got.
  // A unix socket's file is replaced when nobody listens on it, and removed by stop_listening(). Blocks for
  // names. Errors: invalid, not_found, busy (someone else listens there), io; the text names the address.
  plugin::Status listen(const ListenOptions& options, std::string* bound);

  // Connects, and gives `connected` the session (borrowed; retain it to keep it) or the error, never before
  // this call has returned. `closed` runs once, after the session's on_closed, if `connected` was given a
  // session.
  using Connected = UniqueFunction<void(const plugin::Status&, plugin::ClientSession*)>;
  using Closed = UniqueFunction<void(const plugin::Status&)>;
  void dial(const DialOptions& options, Connected connected, Closed closed);

  // Closes the listeners; connections go on.
  void stop_listening();
  // Closes the listeners, asks every session to drain, and runs `done` when the last connection is gone. Set
  // a time limit yourself, and call close_all() when it is over.
  void drain(Task done);
  // Aborts every connection; their sessions get on_closed before this returns.
  void close_all();

  uint64_t connections() const;    // open ones, dialled ones too
  uint64_t charged_bytes() const;  // what charge() counts, of all

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace quorate::host
