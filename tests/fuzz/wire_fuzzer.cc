// libFuzzer's entry: any bytes as any message, in protobuf and in JSON. The first byte chooses the message.
// What is accepted must survive its own encoding: decoded and encoded again it is the same bytes.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "api/messages.h"
#include "api/methods.h"
#include "base/assert.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/text.h"

namespace {

using namespace quorate;

class Message {
 public:
  explicit Message(const wire::MessageTable& table)
      : table_(table), bytes_(table.size / sizeof(uint64_t) + 1) {}
  void* get() { return bytes_.data(); }
  std::string encoded() {
    wire::Writer w;
    wire::encode(table_, get(), w);
    return std::string(w.view());
  }

 private:
  const wire::MessageTable& table_;
  std::vector<uint64_t> bytes_;
};

void check_round_trip(const wire::MessageTable& table, Message& m) {
  std::string once = m.encoded();
  wire::Arena arena;
  Message again(table);
  // Strings that came from JSON or the wire are valid, and so is what was encoded from them.
  QUORATE_ASSERT(wire::merge(table, again.get(), once, arena) == wire::DecodeError::kNone,
                 "own bytes are refused");
  QUORATE_ASSERT(again.encoded() == once, "a second encoding differs");
  wire::to_text(table, m.get());
}

void fuzz(const wire::MessageTable& table, std::string_view input) {
  wire::Arena arena(size_t{16} << 20);
  Message m(table), j(table);
  if (wire::merge(table, m.get(), input, arena) == wire::DecodeError::kNone) {
    check_round_trip(table, m);
    std::string json;
    wire::to_json(table, m.get(), &json);
    Message back(table);
    wire::JsonResult r = wire::from_json(table, back.get(), json, arena);
    QUORATE_ASSERT(r.ok && r.consumed == json.size(), "own JSON is refused");
    QUORATE_ASSERT(back.encoded() == m.encoded(), "JSON loses something");
  }
  if (wire::from_json(table, j.get(), input, arena).ok) check_round_trip(table, j);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const api::Method& method = api::methods()[data[0] % api::kMethodCount];
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  fuzz(data[0] < 128 ? *method.request : *method.response, input);
  return 0;
}
