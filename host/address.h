// Where to listen and where to connect: numeric IPs, names, and unix sockets.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "quorate/plugin/base.h"

namespace quorate::host {

// "127.0.0.1:2379", "[::1]:2379", "localhost:2379", ":2379" (every address, IPv6 and IPv4), "unix:/path".
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  bool is_unix() const { return family() == AF_UNIX; }
  std::string path() const;  // of a unix socket; empty for one without a name
  std::string text() const;  // as above; numeric
};

// May ask the resolver for names, and so may block; numeric ones and unix paths do not.
// Errors: invalid, with a text that names what is wrong; not_found for a name that does not resolve.
plugin::Status resolve(const std::string& address, bool to_listen, std::vector<SocketAddress>* out);

}  // namespace quorate::host
