// Who may talk to whom.
#include "peer/hello.h"

#include <gtest/gtest.h>

#include <random>

namespace quorate::peer {
namespace {

Hello hello() {
  return {.cluster = ClusterId(0xc),
          .from = MemberId(2),
          .to = MemberId(1),
          .lane = plugin::Lane::kAppend,
          .node_id = "0123456789abcdef",
          .version = "3.7.1",
          .term = Term(5),
          .last_index = Index(99)};
}

std::string refusal(const Hello& h, bool removed = false) {
  uint32_t version = 0;
  auto error = judge(h, ClusterId(0xc), MemberId(1), removed, &version);
  if (!error) {
    EXPECT_EQ(version, kNewestVersion);
  }
  return error ? error->text : "";
}

TEST(Hello, BothSurviveTheirEncoding) {
  Hello h;
  ASSERT_TRUE(decode(encode(hello()), &h));
  EXPECT_EQ(h, hello());
  const Welcome w{
      .version = 1, .node_id = "n", .software = "3.7.1", .known_term = Term(4), .known_index = Index(9)};
  Welcome read;
  ASSERT_TRUE(decode(encode(w), &read));
  EXPECT_EQ(read, w);
}

TEST(Hello, RefusalsNameBothSides) {
  EXPECT_EQ(refusal(hello()), "");
  Hello h = hello();
  h.cluster = ClusterId(0xd);
  EXPECT_EQ(refusal(h), "cluster ID mismatch: the caller's is d, this member's is c");
  h = hello();
  h.to = MemberId(3);
  EXPECT_EQ(refusal(h), "member 3 was called, and this is member 1");
  h = hello();
  h.from = MemberId(1);
  EXPECT_EQ(refusal(h), "the caller says that it is member 1, which it cannot be");
  h = hello();
  h.oldest = 7, h.newest = 9;
  EXPECT_EQ(refusal(h), "peer protocol versions 7 to 9 are not spoken here, but 1 to 1");
  EXPECT_EQ(refusal(hello(), true), kRemovedText);
  // A newer member still speaks our version.
  h = hello();
  h.newest = 9;
  EXPECT_EQ(refusal(h), "");
}

TEST(Hello, ArbitraryBytesDoNoHarm) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = encode(hello());
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    Hello h;
    Welcome w;
    if (decode(bytes, &h)) refusal(h, round % 2 == 0);
    (void)decode(bytes, &w);
  }
  Hello h;
  Hello long_text = hello();
  long_text.node_id.assign(257, 'x');
  EXPECT_FALSE(decode(encode(long_text), &h));
}

}  // namespace
}  // namespace quorate::peer
