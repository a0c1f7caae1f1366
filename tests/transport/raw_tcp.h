// The framed protocol by hand, after docs/formats.md and apart from the plugin's own code: for what a
// well-behaved peer would never send.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "transport/peers.h"

namespace quorate::test::tcp {

enum FrameType : uint8_t {
  kOpen = 1,
  kHeaders = 2,
  kData = 3,
  kHalfClose = 4,
  kFinish = 5,
  kReset = 6,
  kCredit = 7,
  kPing = 8,
  kPong = 9,
  kGoaway = 10,
};
inline constexpr uint8_t kMore = 1;
inline constexpr uint8_t kLast = 2;
inline constexpr size_t kHello = 32;
inline constexpr size_t kHead = 16;

std::string u16(uint16_t n);
std::string u32(uint32_t n);
std::string u64(uint64_t n);
std::string text16(std::string_view s);
std::string text32(std::string_view s);
std::string fields(const Metadata& headers);

struct HelloFields {
  std::string magic = "quorTCP\n";
  uint32_t version = 1;
  uint32_t max_frame = 65536;
  uint32_t window_bytes = 65536;
  uint32_t window_messages = 256;
  uint32_t max_calls = 1000;
};
std::string hello(const HelloFields& fields = {});
// Frame `number` of its direction.
std::string frame(uint32_t number, uint8_t type, uint8_t flags, uint32_t call, std::string_view payload = {});
std::string open_payload(std::string_view method = "/p.S/M", const Metadata& metadata = {},
                         uint64_t remaining_ns = 0);
std::string finish_payload(uint32_t code, std::string_view text = {}, const Metadata& trailers = {});

struct Frame {
  uint8_t type;
  uint8_t flags;
  uint32_t call;
  std::string payload;
  uint32_t number(size_t offset = 0) const;  // 32 bits of the payload
};

// Bytes that begin with a hello, with every sum of the frames behind it made right, as far as they can be
// told apart; lengths beyond the end are cut.
std::string repaired(std::string bytes);
// The same frames with some doubled, dropped, moved or changed in a field or a byte, and all sums right.
std::string shuffled(std::string_view bytes, std::mt19937_64* random);

// A session of the plugin, server's or client's side, with raw bytes on the other.
class Raw {
 public:
  explicit Raw(bool server, plugin::TransportLimits limits = {},
               std::vector<std::pair<std::string, std::string>> options = {}, bool shake_hands = true);
  ~Raw();
  // Feeds bytes and ends the turn; false: the connection is closed or failed.
  bool send(std::string_view bytes, uint64_t piece = UINT64_MAX);
  // The next frame of ours.
  std::string next(uint8_t type, uint8_t flags, uint32_t call, std::string_view payload = {}) {
    return frame(number_++, type, flags, call, payload);
  }
  bool put(uint8_t type, uint8_t flags, uint32_t call, std::string_view payload = {}) {
    return send(next(type, flags, call, payload));
  }
  void collect();  // ends the turn and reads what was sent, checking its sums
  const Frame* find(uint8_t type, uint32_t call = UINT32_MAX) const;
  // A client's: opens a call and sends it.
  void open();
  const std::string& failure() const { return connection->failure(); }

  Handler handler;
  plugin::Ref<FakeConnection> connection;
  std::vector<Frame> frames;
  std::string said_hello;
  plugin::ClientSession* client = nullptr;
  plugin::Ref<Recorder> reader;
  plugin::Ref<plugin::ClientWriter> writer;
  plugin::Status status;

 private:
  plugin::Ref<plugin::Transport> transport_;
  std::string pending_;
  uint32_t number_ = 0;    // of our next frame
  uint32_t expected_ = 0;  // of its next frame
};

}  // namespace quorate::test::tcp
