#include "e2e/raw_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

namespace quorate::test {

RawClient::RawClient(uint16_t port, int receive_buffer)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd_);
    throw std::runtime_error("nobody listens on port " + std::to_string(port));
  }
}

RawClient::~RawClient() { close(fd_); }

std::string RawClient::preface() {
  return std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string("\0\0\0\4\0\0\0\0\0", 9);
}

bool RawClient::send(std::string_view bytes, bool reads) {
  while (!bytes.empty()) {
    pollfd ready{fd_, static_cast<short>(reads ? POLLOUT | POLLIN : POLLOUT), 0};
    if (poll(&ready, 1, 1000) <= 0) return false;
    if (reads && (ready.revents & POLLIN) != 0 && !drop_input()) return false;
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawClient::has_input(Millis limit) {
  pollfd readable{fd_, POLLIN, 0};
  return poll(&readable, 1, static_cast<int>(limit.count())) > 0;
}

bool RawClient::drop_input() {
  char dropped[16384];
  while (true) {
    const ssize_t got = recv(fd_, dropped, sizeof dropped, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    if (got < 0) return true;
  }
}

void RawClient::half_close() { shutdown(fd_, SHUT_WR); }

bool RawClient::closed_within(Millis limit) {
  return wait_until(limit, [this] { return !drop_input(); });
}

}  // namespace quorate::test
