#include "e2e/player.h"

#include <algorithm>

#include "base/crc32c.h"
#include "e2e/transcript.h"

namespace quorate::test {

Player::Player(const Server& server, uint64_t seed, const Frame& frame)
    : frame_(frame),
      history_(seed),
      caller_(server.connect()),
      normaliser_(server, identity_of(caller_.channel()), frame) {
  for (int64_t id : {7, 8}) {
    etcdserverpb::LeaseGrantRequest grant;
    grant.set_id(id);
    grant.set_ttl(60000);
    started_ = started_ && caller_.call("LeaseGrant", grant).status.ok();
  }
}

std::string Player::step() {
  Step s = history_.next(revision_, compacted_);
  request_ = s.method + " " + s.request->ShortDebugString();
  if (s.method == "Compact")
    asked_to_compact_ = static_cast<etcdserverpb::CompactionRequest&>(*s.request).revision();
  if (frame_.base != 0 && s.method == "HashKV") return "";
  frame_.into(s.request.get());
  auto answer = caller_.call(s.method, *s.request);
  if (!answer.status.ok()) return normaliser_.status(answer.status);
  follow(s, *answer.message);
  return normaliser_.text(*answer.message);
}

void Player::follow(const Step& s, const google::protobuf::Message& message) {
  const auto* field = message.GetDescriptor()->FindFieldByName("header");
  const auto& header =
      static_cast<const etcdserverpb::ResponseHeader&>(message.GetReflection()->GetMessage(message, field));
  revision_ = std::max(revision_, header.revision() - frame_.base);
  if (s.method == "Compact") compacted_ = asked_to_compact_;
}

std::string recorded_history() { return testdata("recorded-3.7.1-random.txt"); }

std::string checksum(const std::string& answer) {
  char text[16];
  snprintf(text, sizeof text, "%08x", crc32c(answer.data(), answer.size()));
  return text;
}

std::string play_recorded(Player& player) {
  const std::vector<std::string> expected = split_lines(read_text(recorded_history()));
  if (expected.size() != kRecordedSteps + 1u) return "the recording is missing or of another length";
  for (size_t i = 0; i < kRecordedSteps; ++i) {
    const std::string answer = player.step();
    if (player.frame().base != 0 && answer.empty()) continue;
    if (checksum(answer) == expected[i + 1]) continue;
    return "seed " + std::to_string(kRecordedSeed) + ", step " + std::to_string(i) + "\n" + player.request() +
           "\n" + answer + "\netcd 3.7.1 answered otherwise (set QUORATE_ETCD_NEW to see how)";
  }
  return "";
}

}  // namespace quorate::test
