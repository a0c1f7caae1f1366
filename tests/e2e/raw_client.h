// A TCP client that sends whatever a test wants and makes nothing of what it is told.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "support/process.h"

namespace quorate::test {

class RawClient {
 public:
  // `receive_buffer`: the kernel's, in bytes; small for a client that does not read. 0: the system's choice.
  explicit RawClient(uint16_t port, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  // The beginning of every HTTP/2 connection: the preface and empty settings.
  static std::string preface();
  // As much as the other side takes within a second or before it hangs up. False: not all of it. `reads`:
  // what comes meanwhile is read and dropped.
  bool send(std::string_view bytes, bool reads = false);
  // Waits until there is something to read.
  bool has_input(Millis limit);
  // Reads and drops what is there. False: the other side has hung up.
  bool drop_input();
  // Says that nothing more comes. The other side has worked through everything once it has hung up, too.
  void half_close();
  // Reads, and drops, until the other side hangs up. False: it did not.
  bool closed_within(Millis limit);

 private:
  int fd_ = -1;
};

}  // namespace quorate::test
