// The bytes of the protocol, as docs/formats.md has them: the hello, frame headers, and what payloads are
// made of.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "quorate/plugin/crc32c.h"
#include "quorate/plugin/transport.h"

namespace quorate::tcp {

inline constexpr std::string_view kMagic{"quorTCP\n", 8};
inline constexpr uint32_t kVersion = 1;
inline constexpr uint64_t kHelloSize = 32;
inline constexpr uint64_t kHeaderSize = 16;
inline constexpr uint64_t kLeastFrame = 16u << 10;  // every peer takes payloads of this size
inline constexpr uint64_t kMostFrame = 1u << 20;
inline constexpr uint64_t kMostWindow = 0x7fffffff;
inline constexpr uint64_t kMaxText = 4096;  // bytes of a status text that are sent

enum class Type : uint8_t {
  kOpen = 1,
  kHeaders = 2,
  kData = 3,
  kHalfClose = 4,
  kFinish = 5,
  kReset = 6,
  kCredit = 7,
  kPing = 8,
  kPong = 9,
  kGoaway = 10,
};
const char* type_name(uint8_t type);

inline constexpr uint8_t kMore = 1;  // DATA: the message goes on in the call's next DATA
inline constexpr uint8_t kLast = 2;  // DATA of a client: it sends no more on this call

// gRPC's status codes, which core speaks.
enum GrpcCode : uint32_t {
  kGrpcCancelled = 1,
  kGrpcUnknown = 2,
  kGrpcInvalidArgument = 3,
  kGrpcResourceExhausted = 8,
  kGrpcInternal = 13,
  kGrpcUnavailable = 14,
};

// ---- Integers --------------------

template <typename T>
T load(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);  // little-endian: crc32c.h asserts it
  return v;
}
template <typename T>
void store(uint8_t* p, T v) {
  std::memcpy(p, &v, sizeof v);
}

inline std::string_view text(plugin::ByteView v) {
  return v.empty() ? std::string_view() : std::string_view(v.chars(), v.size);
}
inline plugin::ByteView bytes(std::string_view s) { return {s.data(), s.size()}; }

// ---- The hello --------------------

struct Hello {
  uint32_t max_frame = 0;
  uint32_t window_bytes = 0;     // that may be sent on a call before credit comes
  uint32_t window_messages = 0;  // and messages begun
  uint32_t max_calls = 0;        // open at a time; a client's is 0
};
void encode_hello(const Hello& hello, uint8_t* into);
// `in`: kHelloSize bytes. False: *why says what is wrong.
bool decode_hello(const uint8_t* in, bool from_server, Hello* hello, std::string* why);

// ---- Frames --------------------

struct FrameHeader {
  uint32_t crc = 0;  // of the header behind it and the payload, begun with the frame's number
  uint32_t length = 0;
  uint32_t call = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
  uint16_t check = 0;  // of the header alone, so that its length is never believed before
};

// The sum over length, call, type and flags; the payload's bytes are added to it. `number`: of the frame in
// its direction, so that one that is lost, doubled or swapped is noticed.
inline uint32_t header_sum(const uint8_t* header, uint32_t number) {
  return plugin::crc32c(header + 4, 10, number);
}
inline uint16_t header_check(uint32_t sum) { return static_cast<uint16_t>(sum ^ sum >> 16); }

FrameHeader decode_header(const uint8_t* in);
// All but crc and check, which depend on the payload and the number.
void encode_header(Type type, uint8_t flags, uint32_t call, uint32_t length, uint8_t* into);

// ---- Payloads --------------------

// Reads fields one after the other; after the first that does not fit, everything is empty and ok() false.
class Cursor {
 public:
  explicit Cursor(plugin::ByteView in) : p_(in.data), left_(in.size) {}
  template <typename T>
  T number() {
    if (!has(sizeof(T))) return 0;
    T v = load<T>(p_);
    skip(sizeof(T));
    return v;
  }
  std::string_view text16() { return take(number<uint16_t>()); }
  std::string_view text32() { return take(number<uint32_t>()); }
  uint64_t left() const { return left_; }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && left_ == 0; }

 private:
  bool has(uint64_t n) {
    ok_ = ok_ && left_ >= n;
    return ok_;
  }
  void skip(uint64_t n) {
    p_ += n;
    left_ -= n;
  }
  std::string_view take(uint64_t n) {
    if (!has(n)) return {};
    std::string_view s(reinterpret_cast<const char*>(p_), n);
    skip(n);
    return s;
  }
  const uint8_t* p_;
  uint64_t left_;
  bool ok_ = true;
};

// Appends fields.
class Builder {
 public:
  template <typename T>
  void number(T v) {
    const char* p = reinterpret_cast<const char*>(&v);
    out_.append(p, sizeof v);
  }
  void text16(std::string_view s) {
    number(static_cast<uint16_t>(s.size()));
    out_.append(s);
  }
  void text32(std::string_view s) {
    number(static_cast<uint32_t>(s.size()));
    out_.append(s);
  }
  std::string& out() { return out_; }
  std::string_view view() const { return out_; }
  void clear() { out_.clear(); }

 private:
  std::string out_;
};

inline constexpr uint64_t kHeaderCost = 32;  // of each, on top of its bytes, as RFC 9113 6.5.2 counts

// Lower-case letters, digits, '-', '_', '.'; and what may be its value: anything for "-bin", else printable
// ASCII.
bool valid_name(std::string_view name);
bool valid_value(std::string_view name, std::string_view value);
bool printable(std::string_view s);

// A list of headers as it travels: {count u16, {name text16, value text32}...}. What is not valid is left
// out; an open_call() looks before, and says so.
void append_headers(plugin::View<plugin::Header> headers, Builder* into);
// Views into `in`. False: *why. *cost: its bytes as a limit counts them.
bool read_headers(Cursor* in, std::vector<plugin::Header>* out, uint64_t* cost, std::string* why);

}  // namespace quorate::tcp
