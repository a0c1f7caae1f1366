// Messages to protobuf bytes and back, driven by their tables.
//
// The bytes are those that protobuf's own C++ and Go libraries write: fields by number, defaults left out,
// repeated enums packed, negative numbers in ten bytes. Unknown fields are skipped, and not kept.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/arena.h"
#include "wire/table.h"
#include "wire/writer.h"

namespace quorate::wire {

enum class DecodeError : uint8_t {
  kNone = 0,
  kMalformed,    // not protobuf, or cut short
  kInvalidUtf8,  // a proto3 string that is not UTF-8
  kTooDeep,      // more than kMaxDepth nested messages and groups
  kTooLarge,     // the arena's limit
};
// The error as the Go server words it: "string field contains invalid UTF-8".
std::string_view text_of(DecodeError error);

// ---- Any message, by table
// -----------------------------------------------------------------------------------

// Decodes into `message`, a struct of this table: on top of what it holds, as protobuf merges (scalars: the
// last wins, repeated fields append, sub-messages merge). After an error the message is valid but incomplete.
// Strings and bytes are views into `bytes`; everything else new is in `arena`.
DecodeError merge(const MessageTable& table, void* message, std::string_view bytes, Arena& arena);
size_t encoded_size(const MessageTable& table, const void* message);
void encode(const MessageTable& table, const void* message, Writer& out);

// ---- By type
// -------------------------------------------------------------------------------------------------

template <typename M>
[[nodiscard]] DecodeError decode(M* message, std::string_view bytes, Arena& arena) {
  *message = M();
  return merge(M::kTable, message, bytes, arena);
}
template <typename M>
size_t encoded_size(const M& message) {
  return encoded_size(M::kTable, &message);
}
// Appends.
template <typename M>
void encode(const M& message, Writer& out) {
  encode(M::kTable, &message, out);
}
// One allocation of the exact size.
template <typename M>
plugin::Buffer encode_to_buffer(const M& message) {
  Writer out;
  encode(M::kTable, &message, out);
  return out.take();
}
template <typename M>
std::string encode_to_string(const M& message) {
  Writer out;
  encode(M::kTable, &message, out);
  return std::string(out.view());
}

}  // namespace quorate::wire
