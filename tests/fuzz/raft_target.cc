// Any bytes as what a member's peers say, and as the bytes of a membership change.
#include <gtest/gtest.h>

#include "fuzz/target.h"
#include "raft/liar.h"

namespace quorate::fuzz {
namespace {

void check_conf_change(std::string_view bytes) {
  auto change = raft::decode_conf_change(plugin::Buffer::copy_of({bytes.data(), bytes.size()}));
  if (!change) return;
  plugin::Buffer again = raft::encode_conf_change(*change);
  EXPECT_EQ(raft::testing::text(again), bytes);
  raft::Config config;
  config.voters = {MemberId(1), MemberId(2), MemberId(3)};
  raft::ConfigResult result = raft::apply_change(config, *change);
  if (result.error == nullptr) {
    EXPECT_EQ(raft::check(result.config), nullptr);
  }
}

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    std::mt19937_64 random(seed);
    std::string bytes;
    for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(random());
    out.push_back(std::move(bytes));
  }
  raft::ConfChange change;
  change.transition = raft::ConfChange::Transition::kJointExplicit;
  change.items = {{raft::ChangeItem::Kind::kAddVoter, MemberId(4)},
                  {raft::ChangeItem::Kind::kRemove, MemberId(1)}};
  change.context = raft::testing::bytes("context");
  out.push_back(std::string(1, 0) + raft::testing::text(raft::encode_conf_change(change)));
  return out;
}

void run(std::string_view input) {
  Choices choices(input);
  uint8_t seed = choices.byte();
  if (seed == 0) return check_conf_change(choices.rest());
  // Each byte fills the number, so that any remainder of it is a choice.
  raft::testing::Liar liar([&] { return uint64_t{choices.byte()} * 0x0101010101010101; });
  raft::testing::lie_to_a_member(&liar, seed, [&] { return choices.empty() || testing::Test::HasFailure(); });
}

const Target kTarget{"raft", seeds, run, 2'000};
const Registered kRegistered(&kTarget);

}  // namespace
}  // namespace quorate::fuzz
