// One call's incoming messages: put together from DATA frames, kept while core has no credit for them, and
// the window that the peer has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "frame_reader.h"

namespace quorate::tcp {

class Inbox {
 public:
  enum class Outcome : uint32_t {
    kPartial = 0,   // the message goes on
    kMessage = 1,   // it is complete: take()
    kTooLarge = 2,  // announced() tells the length; what follows of it is counted and dropped
    kBroken = 3,    // the peer broke the protocol: *why
  };

  void open_window(uint64_t bytes, uint64_t messages) {
    window_bytes_ = static_cast<int64_t>(bytes);
    window_messages_ = static_cast<int64_t>(messages);
  }
  // One DATA frame. `wanted`: core has credit for the message, so that its bytes may be replaced at once.
  // With `drop` nothing is kept, only the order is watched.
  Outcome feed(const Frame& frame, bool wanted, bool drop, uint64_t max_message, std::string* why);
  // The message that feed() completed.
  plugin::Buffer take() { return std::move(message_); }
  uint32_t announced() const { return announced_; }
  bool inside() const { return left_ != 0; }

  // Keeps the message that feed() completed until there is credit.
  void hold();
  bool holds() const { return first_ < held_.size(); }
  plugin::Buffer take_held();
  // The message being received is wanted now, too.
  void want_partial() { give_back(std::exchange(unreturned_, 0), 0); }
  // A message has been handed to core.
  void delivered() { give_back(0, 1); }

  // What the peer may send again, once it is worth a frame; then it is in its window.
  bool owes_credit(uint64_t window_bytes, uint64_t window_messages) const {
    return return_bytes_ * 4 >= window_bytes || return_messages_ * 4 >= window_messages;
  }
  void pay(uint32_t* bytes, uint32_t* messages);

  uint64_t memory() const { return capacity_ + held_bytes_; }
  void drop_all();
  void reset();

 private:
  static constexpr uint64_t kHeldCost = 64;  // of a message that waits, next to its bytes
  struct Held {
    plugin::Buffer message;
    uint64_t unreturned;
  };
  bool begin(const Frame& frame, uint64_t* skip, std::string* why);
  void append(plugin::ByteView part);
  void give_back(uint64_t bytes, uint64_t messages) {
    return_bytes_ += bytes;
    return_messages_ += messages;
  }

  int64_t window_bytes_ = 0;  // what the peer may still send
  int64_t window_messages_ = 0;
  uint64_t return_bytes_ = 0;  // consumed and not yet told
  uint64_t return_messages_ = 0;
  uint64_t unreturned_ = 0;  // bytes of the message being received that came without credit
  uint32_t announced_ = 0;
  uint32_t left_ = 0;  // of the message being received
  bool dropping_ = false;
  plugin::Buffer message_;   // complete
  plugin::Buffer partial_;   // of more frames than one
  uint8_t* fill_ = nullptr;  // partial_'s bytes
  uint64_t filled_ = 0;
  uint64_t capacity_ = 0;
  std::vector<Held> held_;
  size_t first_ = 0;  // those before it are gone
  uint64_t held_bytes_ = 0;
};

}  // namespace quorate::tcp
