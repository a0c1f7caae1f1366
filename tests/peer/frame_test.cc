// Frames of Raft messages: every message survives, every damage is seen, no byte string does harm.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "peer/frame.h"
#include "support/raft_messages.h"

namespace quorate::peer {
namespace {

using raft::Message;
using test::RandomMessages;

plugin::Buffer join(const std::vector<plugin::Buffer>& pieces) {
  std::string all;
  for (const plugin::Buffer& p : pieces) all.append(p.chars(), p.size());
  return plugin::Buffer::copy_of({all.data(), all.size()});
}

plugin::Buffer frame_of(const std::vector<Message>& messages) {
  FrameWriter writer;
  for (const Message& m : messages) writer.add(m);
  return join(writer.take());
}

std::string text(const plugin::Buffer& b) { return {b.chars(), b.size()}; }

// A frame whose checksum is right whatever it says.
plugin::Buffer sealed(std::string body) {
  const uint32_t crc = crc32c(body.data(), body.size());
  std::string all;
  for (int i = 0; i < 4; ++i) all += static_cast<char>(crc >> (8 * i));
  all += body;
  return plugin::Buffer::copy_of({all.data(), all.size()});
}

TEST(Frame, EveryMessageSurvives) {
  RandomMessages random(test::seed());
  std::set<std::string> seen;
  for (int round = 0; round < 5000; ++round) {
    std::vector<Message> messages;
    for (uint64_t i = 1 + random.pick(5); i > 0; --i) messages.push_back(random.valid());
    for (const Message& m : messages) seen.insert(raft::message_name(m));
    const plugin::Buffer frame = frame_of(messages);
    std::vector<Message> read;
    const char* error = nullptr;
    ASSERT_TRUE(read_frame(frame, &read, &error)) << error;
    ASSERT_EQ(read.size(), messages.size());
    for (size_t i = 0; i < read.size(); ++i) ASSERT_TRUE(test::equal(read[i], messages[i])) << round;
    ASSERT_EQ(text(frame_of(read)), text(frame));
  }
  EXPECT_EQ(seen.size(), std::variant_size_v<Message>) << "a type never came up";
}

TEST(Frame, LargeDataIsSharedAndNotCopied) {
  const std::string big(FrameWriter::kShareBytes + 1, 'x');
  raft::AppendEntries m{Term(3), Index(7), Term(2), Index(7), {}};
  m.entries.push_back(
      {Term(3), Index(8), raft::EntryType::kNormal, plugin::Buffer::copy_of({big.data(), big.size()})});
  FrameWriter writer;
  writer.add(m);
  const uint8_t* data = m.entries[0].data.data();
  const auto pieces = writer.take();
  EXPECT_TRUE(std::any_of(pieces.begin(), pieces.end(), [&](const auto& p) { return p.data() == data; }));
  EXPECT_TRUE(writer.empty());

  const plugin::Buffer frame = join(pieces);
  std::vector<Message> read;
  const char* error = nullptr;
  ASSERT_TRUE(read_frame(frame, &read, &error));
  const auto& entry = std::get<raft::AppendEntries>(read[0]).entries[0];
  EXPECT_GE(entry.data.data(), frame.data());
  EXPECT_LT(entry.data.data(), frame.data() + frame.size());
}

TEST(Frame, EveryFlippedBitAndEveryCutIsSeen) {
  RandomMessages random(7);
  const plugin::Buffer frame = frame_of({random.valid(), random.valid(), random.valid()});
  std::vector<Message> read;
  const char* error = nullptr;
  for (uint64_t bit = 0; bit < frame.size() * 8; ++bit) {
    std::string bytes = text(frame);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(read_frame(plugin::Buffer::copy_of({bytes.data(), bytes.size()}), &read, &error)) << bit;
    ASSERT_TRUE(read.empty());
  }
  for (uint64_t size = 0; size < frame.size(); ++size) {
    ASSERT_FALSE(read_frame(frame.slice(0, size), &read, &error)) << size;
  }
}

// What a hostile peer can do: any bytes under a right checksum.
TEST(Frame, ArbitraryBytesDoNoHarm) {
  std::mt19937_64 random(test::seed());
  RandomMessages messages(test::seed());
  uint64_t accepted = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string body = text(frame_of({messages.any(), messages.any()})).substr(4);
    for (uint64_t i = random() % 4; i > 0 && !body.empty(); --i) {
      switch (random() % 3) {
        case 0:
          body[random() % body.size()] = static_cast<char>(random());
          break;
        case 1:
          body.erase(random() % body.size(), random() % 8);
          break;
        default:
          body.insert(random() % body.size(), 1, static_cast<char>(random()));
          break;
      }
    }
    std::vector<Message> read;
    const char* error = nullptr;
    if (read_frame(sealed(body), &read, &error))
      ++accepted;
    else
      ASSERT_NE(error, nullptr);
  }
  EXPECT_GT(accepted, 1000u) << "too few mutants reach the state machine to mean anything";
}

TEST(Frame, FewBytesDoNotBecomeManyObjects) {
  std::vector<Message> read;
  const char* error = nullptr;
  std::string body(1, 1);
  for (uint64_t i = 0; i <= kMaxMessages; ++i) body += std::string("\x0a\x02\x08\x0b", 4);  // TimeoutNow
  EXPECT_FALSE(read_frame(sealed(body), &read, &error));
  EXPECT_STREQ(error, "too many messages");
  EXPECT_TRUE(read_frame(sealed(body.substr(0, body.size() - 4)), &read, &error));

  // An AppendEntries of one entry too many.
  std::string entries("\x08\x05", 2);
  for (uint64_t i = 0; i <= kMaxEntries; ++i) entries += std::string("\x82\x01\x00", 3);
  wire::Writer writer;
  writer.append(std::string_view("\1", 1));
  writer.message_field(1, entries);
  EXPECT_FALSE(read_frame(sealed(std::string(writer.view())), &read, &error));
}

TEST(Frame, AnIndexBeyondTheLastIsMalformed) {
  raft::AppendEntries m{Term(3), Index(UINT64_MAX), Term(2), Index(7), {}};
  m.entries.push_back({Term(3), Index(0), raft::EntryType::kNormal, {}});
  std::vector<Message> read;
  const char* error = nullptr;
  EXPECT_FALSE(read_frame(frame_of({m}), &read, &error));
}

TEST(Frame, AnUnknownTypeOrVersionIsRefusedWithItsReason) {
  std::vector<Message> read;
  const char* error = nullptr;
  EXPECT_FALSE(read_frame(sealed(std::string("\x02", 1)), &read, &error));
  EXPECT_STREQ(error, "the frame's version is unknown");
  EXPECT_FALSE(read_frame(sealed(std::string("\x01\x0a\x02\x08\x63", 5)), &read, &error));
  EXPECT_STREQ(error, "a message is of an unknown type, or a field out of its range");
}

}  // namespace
}  // namespace quorate::peer
