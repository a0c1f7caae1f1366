// Any bytes on a connection of transport-grpc, as a client's (first byte even) or a server's. Bytes 1 to 4
// seed in which pieces they come and what the other side does meanwhile.
#include <random>

#include "fuzz/target.h"
#include "transport/conversation.h"

namespace quorate::fuzz {
namespace {

std::vector<std::string> seeds() {
  test::Recording recording = test::record_conversation(test::kGrpc);
  using namespace std::literals;
  return {"\0\1\0\0\0"s + recording.from_client, "\2\2\0\0\0"s + recording.from_client,
          "\1\3\0\0\0"s + recording.from_server};
}

void run(std::string_view input) {
  static const plugin::Ref<plugin::Transport> transport = test::load_transport(QUORATE_BINARY_DIR);
  Choices choices(input);
  uint8_t how = choices.byte();
  uint32_t seed = 0;
  for (int i = 0; i < 4; ++i) seed = seed << 8 | choices.byte();
  std::mt19937_64 random(seed);
  std::string bytes(choices.rest());
  if (how % 2 == 0)
    test::serve_bytes(transport.get(), std::move(bytes), how % 4 == 2, &random);
  else
    test::dial_bytes(transport.get(), std::move(bytes), &random);
}

// Few: tests/transport mutates the same conversation, and counts what comes of it.
const Target kTarget{"http2", seeds, run, 1'000};
const Registered kRegistered(&kTarget);

}  // namespace
}  // namespace quorate::fuzz
