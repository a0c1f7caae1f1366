// nghttp2's C callbacks as calls of SessionCore, with exceptions stopped at the C boundary.
#pragma once

#include "session.h"

namespace quorate::grpc {

struct Callbacks {
  static nghttp2_session_callbacks* make();
  static ssize_t read_body(nghttp2_session*, int32_t stream_id, uint8_t* buffer, size_t room, uint32_t* flags,
                           nghttp2_data_source* source, void* user);
};

}  // namespace quorate::grpc
