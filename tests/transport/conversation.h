// A recorded conversation, and sessions that are fed whatever was made of it.
#pragma once

#include <random>
#include <string>

#include "transport/peers.h"

namespace quorate::test {

struct Recording {
  std::string from_client;
  std::string from_server;
};

// Several calls of different kinds over that transport, both directions recorded.
Recording record_conversation(const std::string& plugin);

struct Served {
  bool failed = false;  // the session gave the connection up
  uint64_t calls = 0;
};
// A server session that gets `bytes` in random pieces; checks that every call it has begun is ended.
Served serve_bytes(plugin::Transport* transport, std::string bytes, bool small_budget,
                   std::mt19937_64* random);
// The same for a client session with six calls open; how many of them ended before the connection did.
uint64_t dial_bytes(plugin::Transport* transport, std::string bytes, std::mt19937_64* random);

}  // namespace quorate::test
