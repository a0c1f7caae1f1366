// One call as its session sees it; server_session.h and client_session.h add the Writer that core holds.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "field_rules.h"
#include "header_block.h"
#include "message_reader.h"
#include "quorate/plugin/transport.h"
#include "quorate/plugin/transport_support.h"
#include "send_queue.h"

namespace quorate::grpc {

class SessionCore;

// State shared by both sides. Lives as long as its stream or, when core has not yet asked for the last
// messages, longer; core's references keep only the memory.
struct Call {
  SessionCore* session =
      nullptr;            // null once the call has left its session: the Writer's methods do nothing then
  int32_t stream_id = 0;  // 0: the stream has closed already
  Call* next = nullptr;   // the session's list of calls
  Call* previous = nullptr;
  plugin::StreamReader* reader = nullptr;  // one reference; null after on_end

  // Incoming.
  HeaderBlock fields;
  FieldRules rules;  // of the block being read; the server's side
  MessageReader in;
  uint64_t credit = 1;
  uint64_t header_bytes = 0;  // of the block being read, as RFC 9113 6.5.2 counts
  uint64_t admitted = 0;      // bytes of the large message that is being let in
  uint64_t withheld = 0;      // received, but its window is not opened again
  bool waits_for_room = false;
  bool headers_done = false;   // the first block is complete
  bool remote_closed = false;  // END_STREAM came
  bool half_close_told = false;
  bool discarding = false;  // what still arrives is of no use

  // Outgoing.
  SendQueue out;
  bool started = false;     // HEADERS were submitted
  bool finishing = false;   // nothing follows what is queued
  bool deferred = false;    // nghttp2 waits for nghttp2_session_resume_data
  bool above_mark = false;  // on_writable is owed when the queue falls

  bool ended = false;  // on_end was called, or there was never a reader
  bool in_deferred_list = false;
  bool wants_pump = false;
  bool wants_writable = false;
  bool wants_shed = false;  // its answer went over the budget: dropped already, told by the flush
  uint64_t accounted = 0;   // bytes this call adds to the session's charge

  // How the call ends when we decide it, told when the stream has closed.
  bool has_local_end = false;
  plugin::EndCause local_cause = plugin::EndCause::kFinished;
  uint32_t local_code = 0;
  std::string local_text;

  // The body of the outgoing stream may end: adds the trailers on the server's side. True: END_STREAM follows
  // with them, not with the data.
  virtual bool submit_end_of_body() = 0;
  virtual void release_call() noexcept = 0;
  virtual bool only_reference() const noexcept = 0;

 protected:
  ~Call() = default;
  void reset_call();
};

template <typename Interface>
using SharedCall = plugin::SharedCall<Interface, Call>;

}  // namespace quorate::grpc
