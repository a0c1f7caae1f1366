// What a majority, or two majorities at once, have decided. Pure arithmetic over what each voter is known to
// hold.
//
// `Acked` is callable as acked(MemberId) -> std::optional<uint64_t>: a log index or a read sequence; nothing
// if the voter has not reported. `Votes` is callable as votes(MemberId) -> std::optional<bool>.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/config.h"

namespace quorate::raft {

// The answer of an empty majority: it holds nothing back, so that half-empty joint quorums act like the other
// half.
inline constexpr uint64_t kUnlimited = UINT64_MAX;

enum class VoteResult : uint8_t { kPending, kLost, kWon };

// The highest value that a majority of `voters` has reached.
template <typename Acked>
uint64_t majority_reached(const MemberSet& voters, Acked&& acked) {
  if (voters.empty()) return kUnlimited;
  std::array<uint64_t, 16> few;
  std::vector<uint64_t> many;
  const size_t n = voters.size();
  uint64_t* values = few.data();
  if (n > few.size()) {
    many.resize(n);
    values = many.data();
  }
  size_t i = 0;
  for (MemberId id : voters) values[i++] = acked(id).value_or(0);
  const size_t position = n - (n / 2 + 1);  // as many as a majority stand at or above it
  std::nth_element(values, values + position, values + n);
  return values[position];
}

template <typename Acked>
uint64_t joint_reached(const MemberSet& incoming, const MemberSet& outgoing, Acked&& acked) {
  return std::min(majority_reached(incoming, acked), majority_reached(outgoing, acked));
}

template <typename Votes>
VoteResult majority_vote(const MemberSet& voters, Votes&& votes) {
  if (voters.empty()) return VoteResult::kWon;
  size_t yes = 0;
  size_t missing = 0;
  for (MemberId id : voters) {
    std::optional<bool> vote = votes(id);
    yes += vote.value_or(false);
    missing += !vote.has_value();
  }
  const size_t needed = voters.size() / 2 + 1;
  if (yes >= needed) return VoteResult::kWon;
  return yes + missing >= needed ? VoteResult::kPending : VoteResult::kLost;
}

template <typename Votes>
VoteResult joint_vote(const MemberSet& incoming, const MemberSet& outgoing, Votes&& votes) {
  const VoteResult a = majority_vote(incoming, votes);
  const VoteResult b = majority_vote(outgoing, votes);
  if (a == b) return a;
  return a == VoteResult::kLost || b == VoteResult::kLost ? VoteResult::kLost : VoteResult::kPending;
}

// A picture for people: one line per voter, with a bar as long as the number of voters that are behind it.
std::string describe_reached(const MemberSet& voters, const std::map<MemberId, uint64_t>& acked);

}  // namespace quorate::raft
