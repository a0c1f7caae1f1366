#include "wire/access.h"
#include "wire/codec.h"
#include "wire/primitive.h"

namespace quorate::wire {
namespace {

class Decoder {
 public:
  explicit Decoder(Arena& arena) : arena_(arena) {}

  DecodeError error() const { return error_; }

  // False after an error.
  bool message(const MessageTable& table, void* out, std::string_view bytes, int depth) {
    auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
    const uint8_t* end = p + bytes.size();
    while (p != end) {
      uint32_t tag = 0;
      p = read_tag(p, end, &tag);
      if (p == nullptr) return fail(DecodeError::kMalformed);
      const Field* f = table.find(tag >> 3);
      auto type = static_cast<WireType>(tag & 7);
      if (f != nullptr && type == WireType::kVarint && is_scalar(f->kind))
        p = scalar(table, *f, out, p, end);
      else if (f != nullptr && type == WireType::kBytes && (f->repeated || !is_scalar(f->kind)))
        p = delimited(table, *f, out, p, end, depth);
      else
        p = unknown(p, end, tag, depth);
      if (p == nullptr) return fail(DecodeError::kMalformed);
    }
    return true;
  }

 private:
  // The first reason stays.
  bool fail(DecodeError error) {
    if (error_ == DecodeError::kNone) error_ = error;
    return false;
  }
  const uint8_t* refuse(DecodeError error) {
    fail(error);
    return nullptr;
  }

  void* place(const MessageTable& table, const Field& f, void* out) {
    bool here = !f.repeated && f.kind != Kind::kMessage && f.is_plain();
    return here ? member(f, out) : place_for(table, f, out, arena_);
  }

  const uint8_t* scalar(const MessageTable& table, const Field& f, void* out, const uint8_t* p,
                        const uint8_t* end) {
    uint64_t v = 0;
    p = read_varint(p, end, &v);
    if (p == nullptr) return nullptr;
    void* at = place(table, f, out);
    if (at == nullptr) return refuse(DecodeError::kTooLarge);
    store_scalar(f.kind, at, v);
    return p;
  }

  const uint8_t* packed(const MessageTable& table, const Field& f, void* out, std::string_view bytes) {
    auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
    const uint8_t* end = p + bytes.size();
    while (p != end && p != nullptr) p = scalar(table, f, out, p, end);
    return p;
  }

  const uint8_t* delimited(const MessageTable& table, const Field& f, void* out, const uint8_t* p,
                           const uint8_t* end, int depth) {
    std::string_view bytes;
    p = read_bytes(p, end, &bytes);
    if (p == nullptr) return nullptr;
    if (is_scalar(f.kind)) return packed(table, f, out, bytes) == nullptr ? nullptr : p;
    if (f.kind == Kind::kMessage && depth == 0) return refuse(DecodeError::kTooDeep);
    if (f.kind == Kind::kString && !valid_utf8(bytes)) return refuse(DecodeError::kInvalidUtf8);
    void* at = place(table, f, out);
    if (at == nullptr) return refuse(DecodeError::kTooLarge);
    if (f.kind != Kind::kMessage)
      store(at, bytes);
    else if (!message(*f.message, at, bytes, depth - 1))
      return nullptr;
    return p;
  }

  const uint8_t* unknown(const uint8_t* p, const uint8_t* end, uint32_t tag, int depth) {
    bool too_deep = false;
    p = skip_value(p, end, tag, depth, &too_deep);
    return too_deep ? refuse(DecodeError::kTooDeep) : p;
  }

  Arena& arena_;
  DecodeError error_ = DecodeError::kNone;
};

}  // namespace

std::string_view text_of(DecodeError error) {
  switch (error) {
    case DecodeError::kNone:
      return "";
    case DecodeError::kMalformed:
      return "proto: cannot parse invalid wire-format data";
    case DecodeError::kInvalidUtf8:
      return "string field contains invalid UTF-8";
    case DecodeError::kTooDeep:
      return "proto: exceeded maximum recursion depth";
    case DecodeError::kTooLarge:
      return "proto: message needs too much memory";
  }
  return "";
}

DecodeError merge(const MessageTable& table, void* message, std::string_view bytes, Arena& arena) {
  Decoder decoder(arena);
  decoder.message(table, message, bytes, kMaxDepth);
  return decoder.error();
}

}  // namespace quorate::wire
