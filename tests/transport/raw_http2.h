// HTTP/2 by hand: frames as bytes out (support/http2_bytes.h), frames decoded in.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/http2_bytes.h"
#include "transport/peers.h"

namespace quorate::test {

struct Frame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;
  Fields fields;  // of HEADERS
  std::string get(std::string_view name) const;
  uint32_t number(size_t offset = 0) const;  // 32 bits of the payload
};

// A server session with raw bytes on the other side.
class RawServer {
 public:
  explicit RawServer(plugin::TransportLimits limits = {},
                     std::vector<std::pair<std::string, std::string>> options = {}, bool shake_hands = true);
  ~RawServer();
  // Feeds and ends the turn; what the server said is in frames().
  bool send(std::string_view bytes, uint64_t piece = UINT64_MAX);
  std::vector<Frame>& frames() { return frames_; }
  // The first frame of that type (and stream), or null.
  const Frame* find(uint8_t type, uint32_t stream = UINT32_MAX) const;
  // The last HEADERS of a stream: its trailers or its only answer.
  const Frame* answer(uint32_t stream) const;
  bool goaway(uint32_t code, std::string_view debug) const;
  void collect();

  Handler handler;
  plugin::Ref<FakeConnection> connection;

 private:
  plugin::Ref<plugin::Transport> transport_;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string pending_;
  std::vector<Frame> frames_;
};

// Splits bytes into frames, decoding HEADERS; takes whole frames off `bytes`.
void parse_frames(std::string* bytes, nghttp2_hd_inflater* inflater, std::vector<Frame>* out);

// Bytes that malloc has handed out, or 0 where that cannot be told (under a sanitizer).
uint64_t heap_bytes();

}  // namespace quorate::test
