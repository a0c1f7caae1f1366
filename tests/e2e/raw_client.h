// A TCP client that sends whatever a test wants and reads nothing of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "support/process.h"

namespace quorate::test {

class RawClient {
 public:
  explicit RawClient(uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  // The beginning of every HTTP/2 connection: the preface and empty settings.
  static std::string preface();
  // As much as the other side takes within a second or before it hangs up.
  void send(std::string_view bytes);
  // Reads, and drops, until the other side hangs up. False: it did not.
  bool closed_within(Millis limit);

 private:
  int fd_ = -1;
};

}  // namespace quorate::test
