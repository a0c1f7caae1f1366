// HTTP/2 as bytes to send: what a well-behaved client would never say can be said, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quorate::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
inline constexpr uint8_t kEndStream = 1;
inline constexpr uint8_t kAck = 1;
inline constexpr uint8_t kEndHeaders = 4;
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload = {});
std::string u32(uint32_t n);
// Literals without indexing; no Huffman.
std::string hpack(const Fields& fields);
// A gRPC message with its prefix.
std::string message(std::string_view bytes, uint8_t flag = 0);
// The fields of an ordinary request, with what is given added, replaced, or (empty value) left out.
Fields request(const Fields& changes = {});
std::string headers(uint32_t stream, const Fields& fields, uint8_t flags = kEndHeaders);

}  // namespace quorate::test
