#include <vector>

#include "wire/access.h"
#include "wire/codec.h"
#include "wire/primitive.h"

namespace quorate::wire {
namespace {

// The sizes of sub-messages in the order they are met, so that the second walk, which writes each size before
// the message, need not measure again: without it a deep message would be measured once per level.
class Sizes {
 public:
  size_t add() {
    if (count_ >= kInline) more_.push_back(0);
    return count_++;
  }
  size_t& at(size_t i) { return i < kInline ? inline_[i] : more_[i - kInline]; }
  size_t next() { return at(read_++); }

 private:
  static constexpr size_t kInline = 32;
  size_t inline_[kInline];
  std::vector<size_t> more_;
  size_t count_ = 0;
  size_t read_ = 0;
};

size_t tag_bytes(const Field& f) { return f.number < 16 ? 1 : tag_size(f.number); }

size_t measure(const MessageTable& table, const void* message, Sizes& sizes);

// A length and that many bytes; the length is noted for the second walk.
size_t measure_message(const MessageTable& table, const void* message, Sizes& sizes) {
  size_t slot = sizes.add();
  size_t n = message == nullptr ? 0 : measure(table, message, sizes);
  sizes.at(slot) = n;
  return varint_size(n) + n;
}

size_t measure_repeated(const Field& f, const void* message, Sizes& sizes) {
  Elements e = elements(f, message);
  if (e.size == 0) return 0;
  size_t step = element_size(f);
  size_t total = 0;
  for (size_t i = 0; i < e.size; i++) {
    const char* at = e.data + i * step;
    if (is_scalar(f.kind)) {
      total += varint_size(load_scalar(f.kind, at));
    } else if (f.kind == Kind::kMessage) {
      total += tag_bytes(f) + measure_message(*f.message, at, sizes);
    } else {
      size_t n = load<std::string_view>(at).size();
      total += tag_bytes(f) + varint_size(n) + n;
    }
  }
  if (!is_scalar(f.kind)) return total;
  sizes.at(sizes.add()) = total;
  return tag_bytes(f) + varint_size(total) + total;
}

size_t measure(const MessageTable& table, const void* message, Sizes& sizes) {
  size_t total = 0;
  for (const Field& f : table) {
    if (f.repeated) {
      total += measure_repeated(f, message, sizes);
      continue;
    }
    const char* at = member(f, message);
    if (is_scalar(f.kind)) {
      uint64_t v = load_scalar(f.kind, at);
      if (f.is_plain() ? v != 0 : is_set(f, message)) total += tag_bytes(f) + varint_size(v);
    } else if (f.kind != Kind::kMessage) {
      size_t n = load<std::string_view>(at).size();
      if (f.is_plain() ? n != 0 : is_set(f, message)) total += tag_bytes(f) + varint_size(n) + n;
    } else {
      auto* sub = load<const void*>(at);
      if (f.is_plain() ? sub != nullptr : is_set(f, message))
        total += tag_bytes(f) + measure_message(*f.message, sub, sizes);
    }
  }
  return total;
}

uint8_t* write_tag(uint8_t* p, const Field& f, WireType type) {
  return write_varint(p, make_tag(f.number, type));
}

uint8_t* write_bytes(uint8_t* p, const Field& f, std::string_view bytes) {
  p = write_varint(write_tag(p, f, WireType::kBytes), bytes.size());
  if (!bytes.empty()) std::memcpy(p, bytes.data(), bytes.size());
  return p + bytes.size();
}

uint8_t* write(const MessageTable& table, const void* message, uint8_t* p, Sizes& sizes);

uint8_t* write_message(uint8_t* p, const Field& f, const void* message, Sizes& sizes) {
  p = write_varint(write_tag(p, f, WireType::kBytes), sizes.next());
  return message == nullptr ? p : write(*f.message, message, p, sizes);
}

uint8_t* write_repeated(const Field& f, const void* message, uint8_t* p, Sizes& sizes) {
  Elements e = elements(f, message);
  if (e.size == 0) return p;
  size_t step = element_size(f);
  if (is_scalar(f.kind)) p = write_varint(write_tag(p, f, WireType::kBytes), sizes.next());
  for (size_t i = 0; i < e.size; i++) {
    const char* at = e.data + i * step;
    if (is_scalar(f.kind))
      p = write_varint(p, load_scalar(f.kind, at));
    else if (f.kind == Kind::kMessage)
      p = write_message(p, f, at, sizes);
    else
      p = write_bytes(p, f, load<std::string_view>(at));
  }
  return p;
}

uint8_t* write(const MessageTable& table, const void* message, uint8_t* p, Sizes& sizes) {
  for (const Field& f : table) {
    if (f.repeated) {
      p = write_repeated(f, message, p, sizes);
      continue;
    }
    const char* at = member(f, message);
    if (is_scalar(f.kind)) {
      uint64_t v = load_scalar(f.kind, at);
      if (f.is_plain() ? v != 0 : is_set(f, message)) p = write_varint(write_tag(p, f, WireType::kVarint), v);
    } else if (f.kind != Kind::kMessage) {
      auto bytes = load<std::string_view>(at);
      if (f.is_plain() ? !bytes.empty() : is_set(f, message)) p = write_bytes(p, f, bytes);
    } else {
      auto* sub = load<const void*>(at);
      if (f.is_plain() ? sub != nullptr : is_set(f, message)) p = write_message(p, f, sub, sizes);
    }
  }
  return p;
}

}  // namespace

size_t encoded_size(const MessageTable& table, const void* message) {
  Sizes sizes;
  return measure(table, message, sizes);
}

void encode(const MessageTable& table, const void* message, Writer& out) {
  Sizes sizes;
  size_t n = measure(table, message, sizes);
  out.advance_to(write(table, message, out.reserve(n), sizes));
}

}  // namespace quorate::wire
