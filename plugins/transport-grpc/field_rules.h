// Which header fields make a request malformed (RFC 9113 8.2, 8.3), as grpc-go's server reads those rules.
//
// nghttp2's own check of HTTP messages is off on the server's side: it refuses an `:authority` that is no
// authority, and etcdctl 3.4 sends the endpoint there as it was given ("http://127.0.0.1:2379") when it asks
// one member: endpoint status, endpoint hashkv, defrag.
#pragma once

#include <cstdint>
#include <string_view>

namespace quorate::grpc {

class FieldRules {
 public:
  // Before the first field of every header block.
  void begin() { seen_ = 0; }
  // The next field. False: the request is malformed. `trailers`: the block is not the stream's first.
  bool accept(std::string_view name, std::string_view value, bool trailers);

 private:
  uint32_t seen_ = 0;  // pseudo headers, and whether a regular field came
};

}  // namespace quorate::grpc
