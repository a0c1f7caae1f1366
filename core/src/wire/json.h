// Messages to JSON and back, by the conventions of etcd's HTTP gateway (grpc-gateway with proto names):
// 64-bit integers are strings, bytes base64, enums names, defaults left out. Input may use lowerCamel names,
// numbers or strings, either base64 alphabet, enum names or numbers; unknown fields and unknown enum names
// are ignored.
#pragma once

#include <string>
#include <string_view>

#include "wire/arena.h"
#include "wire/table.h"

namespace quorate::wire {

// Appends one object, without spaces or newline.
void to_json(const MessageTable& table, const void* message, std::string* out);

struct JsonResult {
  bool ok = false;
  bool incomplete = false;  // the text ends inside the value (or holds none): on a stream, more may come
  size_t consumed = 0;      // bytes of the value and the white space before it; what follows is the caller's
  std::string error;        // for the client: what is wrong, which field, at which byte
};

// Reads one JSON object from the start of `text`. Strings may be views into `text`; the rest is in `arena`.
// REQUIRES: *message is zero. Messages nest to kMaxDepth, as in protobuf.
JsonResult from_json(const MessageTable& table, void* message, std::string_view text, Arena& arena);

template <typename M>
std::string to_json(const M& message) {
  std::string out;
  to_json(M::kTable, &message, &out);
  return out;
}
template <typename M>
[[nodiscard]] JsonResult from_json(M* message, std::string_view text, Arena& arena) {
  *message = M();
  return from_json(M::kTable, message, text, arena);
}

// Appends `s` in quotes, escaped as JSON; bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string_view s, std::string* out);

}  // namespace quorate::wire
