// Membership of the consensus group, and how it changes (Raft thesis 4, joint consensus 4.3).
//
// A change is *simple* when it moves at most one voter: majorities before and after then overlap. Anything
// larger goes through a *joint* configuration, in which a decision needs a majority of both the incoming and
// the outgoing voters. Everything here is a pure function of its arguments, so every member computes the same
// from the same log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"
#include "quorate/plugin/base.h"
#include "raft/member_set.h"

namespace quorate::raft {

struct Config {
  MemberSet voters;           // incoming majority
  MemberSet voters_outgoing;  // the other majority while joint, else empty
  MemberSet learners;         // receive the log, count for nothing
  MemberSet learners_next;    // outgoing voters that become learners when the joint configuration is left
  bool auto_leave = false;    // the leader proposes leaving as soon as the joint configuration is committed

  bool joint() const { return !voters_outgoing.empty(); }
  bool is_voter(MemberId id) const { return voters.contains(id) || voters_outgoing.contains(id); }
  bool is_member(MemberId id) const { return is_voter(id) || learners.contains(id); }
  MemberSet members() const;
  friend bool operator==(const Config&, const Config&) = default;
};

// "voters=(1 2 3)&&(1) learners=(4) learners_next=(1) autoleave"; ids in decimal.
std::string to_string(const Config&);

struct ChangeItem {
  enum class Kind : uint8_t { kAddVoter = 0, kAddLearner = 1, kRemove = 2, kUpdate = 3 };
  Kind kind = Kind::kUpdate;  // kUpdate changes nothing here; it carries news of a member through the log
  MemberId member;            // 0: ignored
};

struct ConfChange {
  enum class Transition : uint8_t {
    kAuto = 0,           // simple where possible, else joint and left automatically
    kJointImplicit = 1,  // joint, left automatically
    kJointExplicit = 2,  // joint, left by a change without items
  };
  Transition transition = Transition::kAuto;
  std::vector<ChangeItem> items;  // empty and kAuto: leave the joint configuration
  plugin::Buffer context;         // the server's: names, URLs; opaque here

  bool leaves_joint() const { return items.empty() && transition == Transition::kAuto; }
};

struct ConfigResult {
  const char* error = nullptr;  // null: config is the new one
  Config config;
};

// The three steps. Errors: "config is already joint", "can't leave a non-joint config", "removed all voters"
// and the like; the given configuration is never changed.
ConfigResult change_simple(const Config&, const std::vector<ChangeItem>&);
ConfigResult enter_joint(const Config&, const std::vector<ChangeItem>&, bool auto_leave);
ConfigResult leave_joint(const Config&);
// Whichever of the three `change` asks for.
ConfigResult apply_change(const Config&, const ConfChange& change);

// Whether the sets fit together as described at Config. Null, or what is wrong.
const char* check(const Config&);

// The bytes of a kConfChange entry: version, transition, number of items, items, context.
inline constexpr uint32_t kMaxChangeItems = 256;
plugin::Buffer encode_conf_change(const ConfChange&);
// Nothing if the bytes are not such; never reads beyond them. The context shares the bytes.
std::optional<ConfChange> decode_conf_change(const plugin::Buffer&);

}  // namespace quorate::raft
