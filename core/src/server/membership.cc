#include "server/membership.h"

#include "api/messages.h"
#include "wire/codec.h"

namespace quorate::server {
namespace {

wire::Repeated<std::string_view> views(wire::Arena& arena, const std::vector<std::string>& strings) {
  wire::Repeated<std::string_view> out;
  for (const std::string& s : strings) out.push_back(arena, s);
  return out;
}

}  // namespace

std::string encode_member(const MemberInfo& info) {
  wire::Arena arena;
  api::Member member{.ID = info.id, .name = info.name, .isLearner = info.is_learner};
  member.peerURLs = views(arena, info.peer_urls);
  member.clientURLs = views(arena, info.client_urls);
  return wire::encode_to_string(member);
}

bool decode_member(std::string_view bytes, MemberInfo* out) {
  wire::Arena arena;
  api::Member member;
  if (wire::decode(&member, bytes, arena) != wire::DecodeError::kNone) return false;
  out->id = member.ID;
  out->name = std::string(member.name);
  out->peer_urls.assign(member.peerURLs.begin(), member.peerURLs.end());
  out->client_urls.assign(member.clientURLs.begin(), member.clientURLs.end());
  out->is_learner = member.isLearner;
  return true;
}

}  // namespace quorate::server
