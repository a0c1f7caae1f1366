// How members' Raft messages travel: a frame holds what one turn of the loop sends to one member on one lane.
//
//   u32 crc32c of everything behind it | u8 version (1) | field 1, repeated: a message (docs/formats.md)
//
// The bytes behind the version are fields in protobuf's wire format, so that a later version may add some.
// TCP's checksum lets one broken segment in some millions through; a frame that fails its own is dropped with
// its connection, and Raft sends again.
//
// Everything read here is untrusted: counts and sizes are checked before anything is allocated for them, and
// what decodes may still be nonsense that only RaftCore::step can judge.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quorate/plugin/base.h"
#include "raft/message.h"
#include "wire/writer.h"

namespace quorate::peer {

inline constexpr uint8_t kFrameVersion = 1;
// Members that one message may name in all; far above any cluster, far below what would hurt.
inline constexpr uint64_t kMaxMembersNamed = 4096;
// Of one frame: a few bytes on the wire become some hundred in memory, so their number is bounded, too.
inline constexpr uint64_t kMaxMessages = 1024;
inline constexpr uint64_t kMaxEntries = 128 << 10;
// Where a frame is full; with one more message of RaftCore's size it still keeps all limits.
inline constexpr uint64_t kFullFrameBytes = 1 << 20;

// Collects messages into frames [serial]. Entries' data above kShareBytes is referred to, not copied.
class FrameWriter {
 public:
  static constexpr uint64_t kShareBytes = 1024;

  void add(const raft::Message& message);
  bool empty() const { return size_ == 0; }
  uint64_t size() const { return size_; }  // bytes of the messages so far
  // Whether the next message belongs into the next frame.
  bool full() const {
    return size_ >= kFullFrameBytes || messages_ >= kMaxMessages || entries_ >= kMaxEntries / 2;
  }
  // The frame, in pieces; leaves the writer empty. REQUIRES: not empty.
  std::vector<plugin::Buffer> take();

 private:
  void add_entries(const std::vector<raft::Entry>& entries);

  wire::Writer writer_;
  std::vector<plugin::Buffer> pieces_;  // before what writer_ holds
  uint64_t size_ = 0;
  uint64_t messages_ = 0;
  uint64_t entries_ = 0;
};

// The messages of a frame, in order; entries share the frame's bytes. False: *error says what is wrong, and
// nothing of the frame may be used.
bool read_frame(const plugin::Buffer& frame, std::vector<raft::Message>* out, const char** error);

}  // namespace quorate::peer
