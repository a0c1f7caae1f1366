// What both sides of a connection share: hello, frames in and out, turns, flow control by core's credit,
// floods, keep-alive, flushing.
//
// Core is called from data(), timer(), closed() and from run_deferred() and tell_finished() of a flush, never
// from within a method that core called: a message that request() sets free, an end that cancel() brings and
// on_writable wait in deferred_.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "call.h"
#include "frame_reader.h"
#include "options.h"

namespace quorate::tcp {

class SessionCore {
 public:
  // ---- plugin::Session, by the classes of each side --------------------
  plugin::Status data(plugin::ByteView bytes);
  plugin::Status flush();
  plugin::Status timer(uint64_t now_ns);
  plugin::Status eof();
  void closed(const plugin::Status& why);
  uint64_t open_calls() const { return call_count_; }

  // ---- For calls --------------------
  void write(Call* call, plugin::View<plugin::Buffer> message, uint32_t size);
  void add_credit(Call* call, uint64_t messages);
  void ready(Call* call);  // it has something to send
  // Cancels a call of ours; on_end follows with its local end, never within the caller.
  void give_up(Call* call);
  bool too_large(uint64_t size, std::string* why) const;
  const plugin::TransportLimits& limits() const { return limits_; }

 protected:
  SessionCore(plugin::Connection* connection, const Options& options, bool server);
  ~SessionCore();
  SessionCore(const SessionCore&) = delete;
  SessionCore& operator=(const SessionCore&) = delete;
  void start();

  // ---- What the sides differ in --------------------
  virtual plugin::Status receive(const Frame& frame) = 0;  // OPEN, HEADERS, FINISH, GOAWAY
  virtual void peer_ready() {}
  virtual void refuse_message(Call* call, uint32_t code, std::string_view text) = 0;
  virtual void before_data(Call* call) {}  // a message is about to be told
  virtual void drained(Call* call) {}      // core has taken the last message that was held
  virtual void detached(Call* call) {}     // the session has let go of it
  virtual bool recycle(Call* call) { return false; }
  virtual bool take_turn(Call* call) = 0;      // puts its block out; false: it has to wait for a slot
  virtual void end_of_output(Call* call) = 0;  // all its messages are sent: HALF_CLOSE or FINISH
  virtual void drain_step() {}                 // the answer to the ping of a drain, or its time limit

  void link(Call* call);
  void detach(Call* call);
  void end(Call* call, const plugin::End& end);
  void end(Call* call, plugin::EndCause cause, uint32_t code, std::string_view text);
  void tell_half_close(Call* call);
  void account(Call* call);
  void settle();
  void reset_call(uint32_t id, uint32_t code, std::string_view why);              // queues a RESET
  void control(Type type, uint32_t call, std::string_view payload);               // queues a frame
  void frame(Type type, uint8_t flags, uint32_t call, std::string_view payload);  // puts it out; in a flush
  void goaway(std::string_view why);                                              // and close
  void say_goaway(uint32_t last, uint32_t code, std::string_view why);
  void want_flush();
  void reschedule();
  bool noise(uint64_t cost);  // false: the peer is cut off
  bool closing() const { return closing_ || close_called_; }
  plugin::Status broken(const Frame& frame, std::string_view why) const;
  plugin::Status failed(plugin::Code code, std::string_view why) const;

  plugin::Ref<plugin::Connection> connection_;
  const Options options_;
  const plugin::TransportLimits limits_;
  const bool server_;
  Hello peer_;  // once peer_ready_
  bool peer_ready_ = false;
  bool open_ = true;  // closed() was not called
  CallTable table_;
  CallList<&Call::all> calls_;
  CallList<&Call::turn> turns_;
  std::vector<Call*> finished_;  // their FINISH is in the bytes of this flush
  uint64_t call_count_ = 0;
  uint32_t last_id_ = 0;  // of the latest OPEN
  plugin::TokenBucket resets_;
  bool draining_ = false;     // drain() was called
  bool drain_final_ = false;  // no new call can arrive
  uint64_t drain_deadline_ = 0;
  uint64_t now_ = 0;           // at the latest entry
  bool close_wanted_ = false;  // once everything is sent

 private:
  struct Control {
    Type type;
    uint32_t call;
    std::string payload;
  };
  plugin::Status read_hello(plugin::ByteView* bytes);
  plugin::Status receive_any(const Frame& frame);
  plugin::Status receive_data(const Frame& frame);
  plugin::Status receive_credit(const Frame& frame);
  plugin::Status receive_reset(const Frame& frame);
  plugin::Status half_closed(Call* call, const Frame& frame);
  plugin::Status find(const Frame& frame, Call** out);
  void ping_received(const Frame& frame);
  void deliver(Call* call, plugin::Buffer message);
  bool owes_credit(const Call* call) const;
  void put_credit(Call* call);
  void pump(Call* call);
  void defer(Call* call);
  void run_deferred();
  void tell_finished();
  void shed(Call* call);

  void pull();
  void put_hello();
  void give_turn(Call* call);
  uint32_t put_message(Call* call);
  bool can_send(const Call* call) const;
  void note_sent(Call* call);
  uint64_t begin_frame(Type type, uint8_t flags, uint32_t call, uint64_t length, uint32_t* crc);
  void finish_frame(uint64_t at, uint32_t crc);
  void close_if_done();
  uint64_t keepalive_at() const;
  plugin::Status keepalive(uint64_t now_ns);
  void arm_first(uint64_t at_ns);

  plugin::TokenBucket noise_;
  FrameReader reader_;
  uint8_t hello_[kHelloSize] = {};
  uint64_t hello_size_ = 0;
  std::vector<Control> control_;
  std::vector<Call*> deferred_;
  std::vector<Call*> running_;
  Call* last_grown_ = nullptr;  // what to shed when the budget is exceeded
  uint32_t sent_frames_ = 0;
  uint64_t held_ = 0;  // by all calls, and how much of that is charged
  uint64_t held_by_reader_ = 0;
  uint64_t charged_ = 0;

  bool hello_sent_ = false;
  bool flush_wanted_ = false;
  bool closing_ = false;  // our GOAWAY is the last thing we say
  bool close_called_ = false;

  uint64_t armed_ = 0;
  uint64_t handshake_deadline_ = 0;
  uint64_t linger_deadline_ = 0;
  uint64_t last_read_ = 0;
  uint64_t ping_deadline_ = 0;  // of the answer to our keep-alive ping
  uint64_t last_ping_received_ = 0;
  bool ping_seen_ = false;
  bool forgive_pings_ = false;  // we sent messages or ends since the last ping
  uint32_t ping_strikes_ = 0;
};

inline constexpr std::string_view kDrainPing{"qdrain\0\1", 8};
inline constexpr std::string_view kAlivePing{"qalive\0\1", 8};

template <typename Interface>
using SessionOf = plugin::SessionOf<Interface, SessionCore>;

}  // namespace quorate::tcp
