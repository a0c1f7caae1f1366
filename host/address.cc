#include "host/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

namespace quorate::host {
namespace {

using plugin::Code;
using plugin::Status;

Status resolve_unix(const std::string& path, SocketAddress* out) {
  auto* un = reinterpret_cast<sockaddr_un*>(&out->storage);
  if (path.empty()) return Status(Code::kInvalid, "unix: the path is empty");
  if (path.size() >= sizeof un->sun_path)
    return Status(Code::kInvalid, "unix:" + path + ": the path is longer than " +
                                      std::to_string(sizeof un->sun_path - 1) + " bytes");
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.data(), path.size());
  out->size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return {};
}

}  // namespace

std::string SocketAddress::path() const {
  auto* un = reinterpret_cast<const sockaddr_un*>(&storage);
  if (!is_unix() || size <= offsetof(sockaddr_un, sun_path)) return {};
  return std::string(un->sun_path, strnlen(un->sun_path, size - offsetof(sockaddr_un, sun_path)));
}

std::string SocketAddress::text() const {
  if (is_unix()) return "unix:" + path();
  char host[INET6_ADDRSTRLEN] = "?";
  if (family() == AF_INET) {
    auto* in = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    return std::string(host) + ":" + std::to_string(ntohs(in->sin_port));
  }
  if (family() != AF_INET6) return {};
  auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
  if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
    inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, host, sizeof host);
    return std::string(host) + ":" + std::to_string(ntohs(in6->sin6_port));
  }
  inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
  return "[" + std::string(host) + "]:" + std::to_string(ntohs(in6->sin6_port));
}

Status resolve(const std::string& address, bool to_listen, std::vector<SocketAddress>* out) {
  if (address.rfind("unix:", 0) == 0) {
    SocketAddress a;
    Status s = resolve_unix(address.substr(5), &a);
    if (s.ok()) out->push_back(a);
    return s;
  }
  size_t colon = address.rfind(':');
  if (colon == std::string::npos) return Status(Code::kInvalid, address + ": has no port");
  std::string host = address.substr(0, colon);
  std::string port = address.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos ||
      std::stoul(port) > 65535)
    return Status(Code::kInvalid, address + ": the port is not a number from 0 to 65535");
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return Status(Code::kInvalid, address + ": an IPv6 address belongs in brackets");
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0);
  addrinfo* list = nullptr;
  int error = getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &list);
  if (error != 0) return Status(Code::kNotFound, address + ": " + gai_strerror(error));
  for (addrinfo* i = list; i != nullptr; i = i->ai_next) {
    if (i->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress a;
    std::memcpy(&a.storage, i->ai_addr, i->ai_addrlen);
    a.size = i->ai_addrlen;
    // One IPv6 socket serves both; IPv4 alone is for machines without IPv6.
    if (to_listen && host.empty() && a.family() == AF_INET6)
      out->insert(out->begin(), a);
    else
      out->push_back(a);
  }
  freeaddrinfo(list);
  return out->empty() ? Status(Code::kNotFound, address + ": has no address") : Status();
}

}  // namespace quorate::host
