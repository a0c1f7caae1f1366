#include "raft/config.h"

#include <gtest/gtest.h>

#include <random>

namespace quorate::raft {
namespace {

using Kind = ChangeItem::Kind;

std::vector<ChangeItem> items(const std::string& text) {
  std::vector<ChangeItem> out;
  for (size_t i = 0; i < text.size(); i += 3) {
    const size_t kind = std::string("vlru").find(text[i]);
    out.push_back({static_cast<Kind>(kind), MemberId(static_cast<uint64_t>(text[i + 1] - '0'))});
  }
  return out;
}

std::string result(const ConfigResult& r) { return r.error != nullptr ? r.error : to_string(r.config); }

Config three() {
  Config c;
  c.voters = {MemberId(1), MemberId(2), MemberId(3)};
  return c;
}

TEST(Config, SimpleChanges) {
  EXPECT_EQ(result(change_simple({}, items("v1"))), "voters=(1)");
  EXPECT_EQ(result(change_simple(three(), items("v4"))), "voters=(1 2 3 4)");
  EXPECT_EQ(result(change_simple(three(), items("v1"))), "voters=(1 2 3)");
  EXPECT_EQ(result(change_simple(three(), items("r3"))), "voters=(1 2)");
  EXPECT_EQ(result(change_simple(three(), items("r9"))), "voters=(1 2 3)");
  EXPECT_EQ(result(change_simple(three(), items("l3"))), "voters=(1 2) learners=(3)");
  EXPECT_EQ(result(change_simple(three(), items("l4 l5"))), "voters=(1 2 3) learners=(4 5)");
  EXPECT_EQ(result(change_simple(three(), items("u2 r0 v0"))), "voters=(1 2 3)");
  EXPECT_EQ(result(change_simple(three(), items("r1 v4"))),
            "more than one voter changed without entering joint config");
  EXPECT_EQ(result(change_simple(change_simple({}, items("v1")).config, items("r1"))), "removed all voters");
}

TEST(Config, JointChanges) {
  const Config joint = enter_joint(three(), items("r2 v4 l3 l5"), true).config;
  EXPECT_EQ(to_string(joint), "voters=(1 4)&&(1 2 3) learners=(5) learners_next=(3) autoleave");
  EXPECT_EQ(result(leave_joint(joint)), "voters=(1 4) learners=(3 5)");
  EXPECT_EQ(result(enter_joint(joint, {}, false)), "config is already joint");
  EXPECT_EQ(result(change_simple(joint, items("v9"))), "can't apply simple config change in joint config");
  EXPECT_EQ(result(enter_joint({}, items("v1"), false)), "can't make a zero-voter config joint");
  EXPECT_EQ(result(leave_joint(three())), "can't leave a non-joint config");
}

TEST(Config, AutoChoosesTheSimpleWayWhereItIsSafe) {
  ConfChange change{ConfChange::Transition::kAuto, items("v4"), {}};
  EXPECT_EQ(result(apply_change(three(), change)), "voters=(1 2 3 4)");
  change.items = items("v4 r1");
  EXPECT_EQ(result(apply_change(three(), change)), "voters=(2 3 4)&&(1 2 3) autoleave");
  change.items = items("l3 l4");
  EXPECT_EQ(result(apply_change(three(), change)), "voters=(1 2) learners=(3 4)");
  change = {ConfChange::Transition::kJointExplicit, items("v4"), {}};
  EXPECT_EQ(result(apply_change(three(), change)), "voters=(1 2 3 4)&&(1 2 3)");
  EXPECT_EQ(result(apply_change(three(), ConfChange{})), "can't leave a non-joint config");
}

TEST(Config, NeighboursAlwaysOverlap) {
  // Whatever is asked for: a majority before and a majority after share a voter.
  std::mt19937_64 random(7);
  Config config = three();
  for (int round = 0; round < 20000; ++round) {
    ConfChange change;
    change.transition = static_cast<ConfChange::Transition>(random() % 3);
    for (uint64_t i = random() % 4; i > 0; --i)
      change.items.push_back({static_cast<Kind>(random() % 4), MemberId(random() % 7)});
    const ConfigResult next = apply_change(config, change);
    if (next.error != nullptr) continue;
    ASSERT_EQ(check(next.config), nullptr) << to_string(config) << " -> " << to_string(next.config);
    auto decides = [](const Config& c, uint32_t members) {
      auto majority = [&](const MemberSet& s) {
        size_t n = 0;
        for (MemberId id : s) n += members >> id.value & 1;
        return s.empty() || n > s.size() / 2;
      };
      return majority(c.voters) && majority(c.voters_outgoing);
    };
    for (uint32_t members = 0; members < 128; ++members)
      ASSERT_FALSE(decides(config, members) && decides(next.config, 127 & ~members))
          << to_string(config) << " -> " << to_string(next.config);
    config = next.config;
  }
}

TEST(Config, CodecRoundTrip) {
  ConfChange change{ConfChange::Transition::kJointImplicit, items("v1 l2 r3 u4"), {}};
  change.context = plugin::Buffer::copy_of({"http://a", 8});
  std::optional<ConfChange> back = decode_conf_change(encode_conf_change(change));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->transition, change.transition);
  ASSERT_EQ(back->items.size(), 4u);
  EXPECT_EQ(back->items[2].kind, Kind::kRemove);
  EXPECT_EQ(back->items[3].member, MemberId(4));
  EXPECT_EQ(std::string(back->context.chars(), back->context.size()), "http://a");
  EXPECT_TRUE(decode_conf_change(encode_conf_change(ConfChange{}))->leaves_joint());
}

TEST(Config, CodecRefusesWhatItDidNotWrite) {
  ConfChange change{ConfChange::Transition::kAuto, items("v1 l2 r3"), {}};
  const plugin::Buffer good = encode_conf_change(change);
  for (uint64_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(decode_conf_change(good.slice(0, size))) << "cut at " << size;
  std::mt19937_64 random(3);
  for (int round = 0; round < 20000; ++round) {
    uint8_t* fill = nullptr;
    plugin::Buffer bytes = plugin::Buffer::allocate(good.size(), &fill);
    std::memcpy(fill, good.data(), good.size());
    for (int i = 0; i < 3; ++i) fill[random() % good.size()] = static_cast<uint8_t>(random());
    if (std::optional<ConfChange> c = decode_conf_change(bytes)) {
      EXPECT_LE(c->items.size(), 3u);
    }
  }
}

}  // namespace
}  // namespace quorate::raft
