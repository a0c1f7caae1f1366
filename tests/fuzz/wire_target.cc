// Any bytes as any message, in protobuf.
#include "fuzz/message_buffer.h"
#include "fuzz/target.h"

namespace quorate::fuzz {
namespace {

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  for (const std::string& seed : json_seeds()) {
    const wire::MessageTable& table = table_of(static_cast<uint8_t>(seed[0]));
    MessageBuffer message(table);
    wire::Arena arena;
    wire::from_json(table, message.get(), std::string_view(seed).substr(1), arena);
    out.push_back(seed.substr(0, 1) + message.encoded());
  }
  return out;
}

void run(std::string_view input) {
  Choices choices(input);
  const wire::MessageTable& table = table_of(choices.byte());
  wire::Arena arena(kDecodeArenaBytes);
  MessageBuffer message(table), back(table);
  if (wire::merge(table, message.get(), choices.rest(), arena) != wire::DecodeError::kNone) return;
  message.check_round_trip();
  std::string json = message.json();
  wire::JsonResult r = wire::from_json(table, back.get(), json, arena);
  EXPECT_TRUE(r.ok && r.consumed == json.size()) << "own JSON is refused: " << r.error << "\n" << json;
  EXPECT_EQ(back.encoded(), message.encoded()) << json;
}

const Target kTarget{"wire", seeds, run, 20'000};
const Registered kRegistered(&kTarget);

}  // namespace
}  // namespace quorate::fuzz
