// Any text as any message, in JSON.
#include "fuzz/message_buffer.h"
#include "fuzz/target.h"

namespace quorate::fuzz {
namespace {

void run(std::string_view input) {
  Choices choices(input);
  const wire::MessageTable& table = table_of(choices.byte());
  std::string_view text = choices.rest();
  wire::Arena arena(kDecodeArenaBytes);
  MessageBuffer message(table), back(table);
  wire::JsonResult r = wire::from_json(table, message.get(), text, arena);
  EXPECT_EQ(r.ok, r.error.empty());
  EXPECT_LE(r.consumed, text.size());
  if (!r.ok) return;
  message.check_round_trip();
  std::string json = message.json();
  r = wire::from_json(table, back.get(), json, arena);
  EXPECT_TRUE(r.ok && r.consumed == json.size()) << "own JSON is refused: " << r.error << "\n" << json;
  EXPECT_EQ(back.encoded(), message.encoded()) << json;
}

const Target kTarget{"json", json_seeds, run, 20'000};
const Registered kRegistered(&kTarget);

}  // namespace
}  // namespace quorate::fuzz
