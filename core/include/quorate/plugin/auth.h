// Auth plugins. So far channel/1, which secures a connection's bytes; identity, passwords, tokens and
// authorisation join with the plugins that need them.
#pragma once

#include "quorate/plugin/transport.h"

namespace quorate::plugin {

enum class Side : uint32_t { kServer = 1, kClient = 2 };

// Where a filter puts what it made. Lives for the call.
class FilterSink {
 public:
  virtual void to_wire(View<Buffer> bytes) noexcept = 0;  // for the socket
  virtual void plaintext(ByteView bytes) noexcept = 0;    // for the transport
  // The handshake is over: the negotiated ALPN and the peer's verified name (both may be empty).
  virtual void secured(ByteView alpn, ByteView principal) noexcept = 0;

 protected:
  ~FilterSink() = default;
};

// One connection's security, sans-I/O. [loop]. A Status that is not ok aborts the connection: an error is
// never an answer "plaintext".
class Filter : public Object {
 public:
  virtual Status from_wire(ByteView bytes, FilterSink* sink) noexcept = 0;
  virtual Status to_wire(View<Buffer> plaintext, FilterSink* sink) noexcept = 0;
  // A job given to the host's Offload (signing, say) is done: go on.
  virtual Status resume(FilterSink* sink) noexcept = 0;
  virtual Status close(FilterSink* sink) noexcept = 0;

 protected:
  ~Filter() = default;
};

class Channel : public Object {
 public:
  static constexpr const char* kId = "quorate.auth.channel/draft";
  // *out stays null when the channel is, by explicit configuration, plaintext.
  virtual Status secure(const ConnectionInfo& info, Side side, ByteView server_name, ByteView alpn,
                        Filter** out) noexcept = 0;

 protected:
  ~Channel() = default;
};

}  // namespace quorate::plugin
