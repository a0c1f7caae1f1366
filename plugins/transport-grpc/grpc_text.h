// The small notations of gRPC over HTTP/2: timeouts, percent-encoded messages, base64 of "-bin" metadata,
// status codes of HTTP and HTTP/2 as gRPC codes. Pure functions. Source: the gRPC document PROTOCOL-HTTP2,
// and what grpc-go answers where the document leaves room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::grpc {

enum GrpcCode : uint32_t {
  kGrpcOk = 0,
  kGrpcCancelled = 1,
  kGrpcUnknown = 2,
  kGrpcInvalidArgument = 3,
  kGrpcDeadlineExceeded = 4,
  kGrpcPermissionDenied = 7,
  kGrpcResourceExhausted = 8,
  kGrpcUnimplemented = 12,
  kGrpcInternal = 13,
  kGrpcUnavailable = 14,
  kGrpcUnauthenticated = 16,
};

// "100m" to nanoseconds, saturating. False: malformed, *error says why in grpc-go's words.
bool parse_timeout(std::string_view text, uint64_t* ns, std::string* error);
// The shortest exact-or-rounded-up form of at most eight digits. `into` holds 10 bytes; returns how many were
// used.
uint32_t format_timeout(uint64_t ns, char* into);

// Bytes outside ' '..'~' and '%' become %XX; bytes that are no UTF-8 become U+FFFD.
void percent_encode(std::string_view text, std::string* into);
std::string percent_decode(std::string_view text);

// Without padding.
void base64_encode(std::string_view bytes, std::string* into);
// With padding or without; strict otherwise. Writes at most size*3/4 bytes; -1: malformed, else how many.
int64_t base64_decode(std::string_view text, uint8_t* into);

// Go's %q of a string, for error texts that must read as grpc-go's.
std::string quoted(std::string_view text);

GrpcCode code_of_http2_error(uint32_t error);
GrpcCode code_of_http_status(uint32_t status);
const char* http2_error_name(uint32_t error);

inline bool is_binary_header(std::string_view name) {
  return name.size() >= 4 && name.compare(name.size() - 4, 4, "-bin") == 0;
}
// Names that belong to the protocol and never travel as metadata.
bool is_reserved_header(std::string_view name);

}  // namespace quorate::grpc
