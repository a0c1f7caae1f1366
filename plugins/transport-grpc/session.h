// What both sides of a connection share: nghttp2, flow control by core's credit, floods, keep-alive,
// flushing.
//
// Calls into core are made from nghttp2's callbacks: core may submit there, and nothing it can call here
// enters nghttp2_session_mem_recv or mem_send, which nghttp2 forbids. What would call back into a method of
// core's own (a message that request() sets free, on_writable) waits in deferred_ for the flush.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "call.h"
#include "options.h"
#include "quorate/plugin/transport.h"
#include "quorate/plugin/transport_support.h"

namespace quorate::grpc {

// The fields of one outgoing header block; nghttp2 copies what is not marked as static.
class HeaderList {
 public:
  void clear();
  // Both live for ever.
  void add_static(std::string_view name, std::string_view value);
  // Copied by nghttp2 when the list is submitted.
  void add(std::string_view name, std::string_view value);
  // Copied at once.
  void add_owned(std::string_view name, std::string value);
  // Metadata of core's: "-bin" is encoded, reserved names are left out.
  void add_metadata(plugin::View<plugin::Header> metadata);
  const nghttp2_nv* data() const { return fields_.data(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<nghttp2_nv> fields_;
  std::vector<std::string> owned_;
};

class SessionCore {
 public:
  // ---- plugin::Session, by the classes of each side --------------------
  plugin::Status data(plugin::ByteView bytes);
  plugin::Status flush();
  plugin::Status timer(uint64_t now_ns);
  plugin::Status eof();
  void closed(const plugin::Status& why);
  uint64_t open_calls() const { return call_count_; }

  // The call's queue has got more: counts it, and sends it with the next flush.
  void written(Call* call);
  void add_credit(Call* call, uint64_t messages);
  void resume(Call* call);  // the body has more, or its end
  void reset_stream(Call* call, uint32_t error);
  // Cancels a call of ours; on_end follows with its local end, never within the caller.
  void give_up(Call* call);
  void want_flush();
  nghttp2_session* http2() { return http2_; }
  HeaderList& scratch_headers() {
    header_list_.clear();
    return header_list_;
  }
  const nghttp2_data_provider* body_of(Call* call);
  const plugin::TransportLimits& limits() const { return limits_; }
  plugin::Connection* connection() { return connection_.get(); }

 protected:
  SessionCore(plugin::Connection* connection, const Options& options, bool server);
  ~SessionCore();
  SessionCore(const SessionCore&) = delete;
  SessionCore& operator=(const SessionCore&) = delete;
  plugin::Status start();

  // ---- What the sides differ in --------------------
  virtual Call* begin_call(int32_t stream_id) = 0;  // a peer's new stream; null: it may open none
  virtual void field(Call* call, std::string_view name, std::string_view value) = 0;
  virtual void headers_complete(Call* call, bool end_stream) = 0;
  virtual void peer_ready() {}  // its first SETTINGS
  virtual void peer_goaway() {}
  virtual void refuse_message(Call* call, uint32_t code, std::string_view text) = 0;
  virtual void stream_over(Call* call, uint32_t error, bool peer_reset) = 0;
  virtual void drained(Call* call) {}  // the last held message was delivered after the stream had closed
  virtual bool recycle(Call* call) { return false; }
  virtual void drain_step() {}  // the answer to the ping of a drain, or its time limit

  void link(Call* call);
  void detach(Call* call);
  void end(Call* call, const plugin::End& end);
  void end(Call* call, plugin::EndCause cause, uint32_t code, std::string_view text);
  void tell_half_close(Call* call);
  void account(Call* call);
  void settle();
  void goaway(uint32_t error, std::string_view why);  // and close
  void reschedule();
  bool closing() const { return closing_ || close_called_; }
  bool pings_idle_peer() const { return server_ || call_count_ != 0; }

  plugin::Ref<plugin::Connection> connection_;
  const Options options_;
  const plugin::TransportLimits limits_;
  const bool server_;
  nghttp2_session* http2_ = nullptr;
  Call* calls_ = nullptr;
  uint64_t call_count_ = 0;
  bool draining_ = false;     // drain() was called
  bool drain_final_ = false;  // no new call can arrive
  uint64_t drain_deadline_ = 0;
  uint64_t now_ = 0;  // at the latest entry

 private:
  friend struct Callbacks;
  static nghttp2_session_callbacks* callbacks();

  int frame_begins(const nghttp2_frame_hd& frame);
  int headers_begin(const nghttp2_frame& frame);
  int header(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  int malformed(Call* call, const nghttp2_frame& frame);
  int frame_received(const nghttp2_frame& frame);
  int body(int32_t stream_id, const uint8_t* data, uint64_t size);
  int stream_closed(int32_t stream_id, uint32_t error);
  int frame_sent(const nghttp2_frame& frame);
  int frame_not_sent(const nghttp2_frame& frame, int error);
  ssize_t read_body(Call* call, uint64_t room, uint32_t* flags);
  int send_body(Call* call, const uint8_t* frame_header, uint64_t size);

  Call* call_of(int32_t stream_id);
  void receive(Call* call, const uint8_t* data, uint64_t size);
  bool take_message(Call* call, const uint8_t** data, uint64_t* size);
  void pump(Call* call);
  bool admit(Call* call);
  void leave_room(Call* call);
  void reject(Call* call, MessageReader::Outcome outcome);
  void defer(Call* call);
  void run_deferred();
  void ping_received(const nghttp2_ping& ping);
  void shed(Call* call);
  void give_back();
  Call* largest_call() const;
  void charge_output(Call* call);
  void noise(uint64_t cost);
  void count_skipped();
  void watch_headers();
  plugin::Status pull();
  plugin::Status failed(const char* doing, int error);
  void close_if_done();
  uint64_t keepalive_at() const;
  plugin::Status keepalive(uint64_t now_ns);
  void arm_first(uint64_t at_ns);

  plugin::TokenBucket resets_;
  plugin::TokenBucket noise_;
  HeaderList header_list_;
  Call* current_ = nullptr;          // of the frame being read
  Call* last_grown_ = nullptr;       // what to shed when the budget is exceeded
  bool current_reset_ = false;       // the peer's RST_STREAM is being handled
  uint64_t admitted_ = 0;            // bytes of large messages that are being let in
  std::deque<Call*> wait_for_room_;  // calls with a large message that is not, the longest waiting first
  std::vector<Call*> deferred_;
  std::vector<Call*> running_;
  plugin::Output* output_ = nullptr;  // during pull()
  uint64_t pull_room_ = 0;
  uint64_t held_ = 0;  // by all calls, and how much of that is charged
  uint64_t charged_ = 0;
  uint64_t fed_ = 0;  // bytes, and those of frames that nghttp2 told us of
  uint64_t known_ = 0;

  bool flush_wanted_ = false;
  bool closing_ = false;  // our GOAWAY is the last thing we say
  bool goaway_sent_ = false;
  bool close_called_ = false;
  bool settings_seen_ = false;
  bool header_frame_ = false;  // the latest frame is part of a header block
  bool more_headers_ = false;  // and not its last

  uint64_t armed_ = 0;
  uint64_t handshake_deadline_ = 0;
  uint64_t header_deadline_ = 0;
  uint64_t linger_deadline_ = 0;
  uint64_t last_read_ = 0;
  uint64_t ping_deadline_ = 0;  // of the answer to our keep-alive ping
  uint64_t last_ping_received_ = 0;
  bool ping_seen_ = false;
  bool forgive_pings_ = false;  // we sent headers or data since the last ping
  uint32_t ping_strikes_ = 0;
};

inline constexpr uint8_t kDrainPing[8] = {'q', 'd', 'r', 'a', 'i', 'n', 0, 1};
inline constexpr uint8_t kAlivePing[8] = {'q', 'a', 'l', 'i', 'v', 'e', 0, 1};

template <typename Interface>
using SessionOf = plugin::SessionOf<Interface, SessionCore>;

}  // namespace quorate::grpc
