#include "call.h"

namespace quorate::grpc {

void Call::reset_call() {
  stream_id = 0;
  fields.clear();
  in.reset();
  out.clear();
  credit = 1;
  header_bytes = admitted = withheld = 0;
  waits_for_room = false;
  headers_done = remote_closed = half_close_told = discarding = false;
  started = finishing = deferred = above_mark = false;
  ended = in_deferred_list = wants_pump = wants_writable = wants_shed = false;
  accounted = 0;
  has_local_end = false;
  local_cause = plugin::EndCause::kFinished;
  local_code = 0;
  local_text.clear();
}

}  // namespace quorate::grpc
