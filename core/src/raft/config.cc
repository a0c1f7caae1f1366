#include "raft/config.h"

#include "base/assert.h"

namespace quorate::raft {
namespace {

void append_set(std::string& out, const MemberSet& set) {
  out += '(';
  const char* separator = "";
  for (MemberId id : set) {
    out += separator;
    out += std::to_string(id.value);
    separator = " ";
  }
  out += ')';
}

void remove_member(Config& c, MemberId id) {
  c.voters.erase(id);
  c.learners.erase(id);
  c.learners_next.erase(id);
}

void make_voter(Config& c, MemberId id) {
  c.learners.erase(id);
  c.learners_next.erase(id);
  c.voters.insert(id);
}

void make_learner(Config& c, MemberId id) {
  remove_member(c, id);
  // An outgoing voter still counts in one majority: it may not be a learner at the same time, so it waits.
  if (c.voters_outgoing.contains(id))
    c.learners_next.insert(id);
  else
    c.learners.insert(id);
}

const char* apply_items(Config& c, const std::vector<ChangeItem>& items) {
  for (const ChangeItem& item : items) {
    if (!item.member) continue;
    switch (item.kind) {
      case ChangeItem::Kind::kAddVoter:
        make_voter(c, item.member);
        break;
      case ChangeItem::Kind::kAddLearner:
        make_learner(c, item.member);
        break;
      case ChangeItem::Kind::kRemove:
        remove_member(c, item.member);
        break;
      case ChangeItem::Kind::kUpdate:
        break;
    }
  }
  return c.voters.empty() ? "removed all voters" : nullptr;
}

size_t difference(const MemberSet& a, const MemberSet& b) {
  size_t n = 0;
  for (MemberId id : a) n += !b.contains(id);
  for (MemberId id : b) n += !a.contains(id);
  return n;
}

ConfigResult finish(Config c) {
  if (const char* error = check(c)) return {error, {}};
  return {nullptr, std::move(c)};
}

// The items of a change in kAuto that move more than one voter need the joint way.
bool needs_joint(const Config& before, const ConfChange& change) {
  if (change.transition != ConfChange::Transition::kAuto) return true;
  Config after = before;
  return apply_items(after, change.items) == nullptr && difference(before.voters, after.voters) > 1;
}

constexpr uint8_t kVersion = 1;
constexpr uint64_t kHeadSize = 4;  // version, transition, number of items (little-endian)
constexpr uint64_t kItemSize = 9;  // kind, member (little-endian)

}  // namespace

MemberSet Config::members() const {
  MemberSet all = voters;
  for (MemberId id : voters_outgoing) all.insert(id);
  for (MemberId id : learners) all.insert(id);
  return all;
}

std::string to_string(const Config& c) {
  std::string out = "voters=";
  append_set(out, c.voters);
  if (c.joint()) {
    out += "&&";
    append_set(out, c.voters_outgoing);
  }
  if (!c.learners.empty()) {
    out += " learners=";
    append_set(out, c.learners);
  }
  if (!c.learners_next.empty()) {
    out += " learners_next=";
    append_set(out, c.learners_next);
  }
  if (c.auto_leave) out += " autoleave";
  return out;
}

const char* check(const Config& c) {
  for (MemberId id : c.learners_next)
    if (!c.voters_outgoing.contains(id)) return "a staged learner is not an outgoing voter";
  for (MemberId id : c.learners)
    if (c.is_voter(id)) return "a learner is a voter";
  for (MemberId id : c.learners_next)
    if (c.voters.contains(id)) return "a staged learner is an incoming voter";
  if (!c.joint() && !c.learners_next.empty()) return "staged learners outside a joint config";
  if (!c.joint() && c.auto_leave) return "autoleave outside a joint config";
  if (c.is_member(MemberId(0))) return "member 0";
  return nullptr;
}

ConfigResult change_simple(const Config& before, const std::vector<ChangeItem>& items) {
  if (before.joint()) return {"can't apply simple config change in joint config", {}};
  Config after = before;
  if (const char* error = apply_items(after, items)) return {error, {}};
  if (difference(before.voters, after.voters) > 1)
    return {"more than one voter changed without entering joint config", {}};
  return finish(std::move(after));
}

ConfigResult enter_joint(const Config& before, const std::vector<ChangeItem>& items, bool auto_leave) {
  if (before.joint()) return {"config is already joint", {}};
  if (before.voters.empty()) return {"can't make a zero-voter config joint", {}};
  Config after = before;
  after.voters_outgoing = before.voters;
  if (const char* error = apply_items(after, items)) return {error, {}};
  after.auto_leave = auto_leave;
  return finish(std::move(after));
}

ConfigResult leave_joint(const Config& before) {
  if (!before.joint()) return {"can't leave a non-joint config", {}};
  Config after = before;
  for (MemberId id : before.learners_next) after.learners.insert(id);
  after.learners_next.clear();
  after.voters_outgoing.clear();
  after.auto_leave = false;
  return finish(std::move(after));
}

ConfigResult apply_change(const Config& before, const ConfChange& change) {
  if (change.leaves_joint()) return leave_joint(before);
  if (needs_joint(before, change))
    return enter_joint(before, change.items, change.transition != ConfChange::Transition::kJointExplicit);
  return change_simple(before, change.items);
}

plugin::Buffer encode_conf_change(const ConfChange& change) {
  QUORATE_ASSERT(change.items.size() <= kMaxChangeItems, "a change is checked before it is encoded");
  uint8_t* out = nullptr;
  const uint64_t items = change.items.size();
  plugin::Buffer bytes =
      plugin::Buffer::allocate(kHeadSize + items * kItemSize + change.context.size(), &out);
  *out++ = kVersion;
  *out++ = static_cast<uint8_t>(change.transition);
  *out++ = static_cast<uint8_t>(items);
  *out++ = static_cast<uint8_t>(items >> 8);
  for (const ChangeItem& item : change.items) {
    *out++ = static_cast<uint8_t>(item.kind);
    for (int shift = 0; shift < 64; shift += 8) *out++ = static_cast<uint8_t>(item.member.value >> shift);
  }
  if (!change.context.empty()) std::memcpy(out, change.context.data(), change.context.size());
  return bytes;
}

std::optional<ConfChange> decode_conf_change(const plugin::Buffer& bytes) {
  const uint8_t* in = bytes.data();
  if (bytes.size() < kHeadSize || in[0] != kVersion) return std::nullopt;
  if (in[1] > static_cast<uint8_t>(ConfChange::Transition::kJointExplicit)) return std::nullopt;
  const uint32_t items = in[2] | static_cast<uint32_t>(in[3]) << 8;
  if (items > kMaxChangeItems || bytes.size() - kHeadSize < items * kItemSize) return std::nullopt;
  ConfChange change;
  change.transition = static_cast<ConfChange::Transition>(in[1]);
  change.items.reserve(items);
  for (uint32_t i = 0; i < items; ++i) {
    const uint8_t* item = in + kHeadSize + i * kItemSize;
    if (item[0] > static_cast<uint8_t>(ChangeItem::Kind::kUpdate)) return std::nullopt;
    uint64_t id = 0;
    for (int b = 7; b >= 0; --b) id = id << 8 | item[1 + b];
    change.items.push_back({static_cast<ChangeItem::Kind>(item[0]), MemberId(id)});
  }
  const uint64_t head = kHeadSize + items * kItemSize;
  if (bytes.size() > head) change.context = bytes.slice(head, bytes.size() - head);
  return change;
}

}  // namespace quorate::raft
