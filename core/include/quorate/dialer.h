// Connections that a node opens to other members. The host makes them of sockets, the simulator of a virtual
// network; both give them to a transport plugin's client side.
#pragma once

#include <string>

#include "quorate/base/function.h"
#include "quorate/plugin/transport.h"

namespace quorate {

class Dialer {
 public:
  virtual ~Dialer() = default;

  // Connects to a member's peer URL ("http://10.0.0.1:2380") and gives `connected` the session (borrowed;
  // retain it to keep it) or the error, once, and never before this call has returned. `closed` runs once,
  // after the session's on_closed, if `connected` was given a session. `events` is borrowed until then, or
  // until `connected` was given an error. Errors: not_found where the other machine answered that nobody
  // listens there (a process that died, not a network that was cut); retryable and others where nothing
  // answered. [loop]
  using Connected = UniqueFunction<void(const plugin::Status&, plugin::ClientSession*)>;
  using Closed = UniqueFunction<void(const plugin::Status&)>;
  virtual void dial(const std::string& url, plugin::Lane lane, plugin::DialEvents* events,
                    Connected connected, Closed closed) = 0;
};

}  // namespace quorate
