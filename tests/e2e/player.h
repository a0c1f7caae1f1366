// Plays a random history, and knows the checksums of what etcd 3.7.1 answered to one.
#pragma once

#include <string>

#include "e2e/api_client.h"
#include "e2e/history.h"

namespace quorate::test {

class Player {
 public:
  // Of a server that was just started, or of what the frame says of its store.
  Player(const Server& server, uint64_t seed, const Frame& frame = {});
  bool started() const { return started_; }
  const std::string& request() const { return request_; }
  const Frame& frame() const { return frame_; }
  // Does the next request; its answer as text. In a store that has keys of others no hash is asked for: the
  // answer is empty.
  std::string step();

 private:
  void follow(const Step& s, const google::protobuf::Message& message);

  Frame frame_;
  History history_;
  UnaryCaller caller_;
  Normaliser normaliser_;
  std::string request_;
  int64_t revision_ = 1, compacted_ = 0, asked_to_compact_ = 0;
  bool started_ = true;
};

constexpr uint64_t kRecordedSeed = 371;
constexpr int kRecordedSteps = 4000;  // three in five are transactions
std::string recorded_history();
std::string checksum(const std::string& answer);
// Plays the recorded history to its end; the first answer that is not as recorded, or empty.
std::string play_recorded(Player& player);

}  // namespace quorate::test
