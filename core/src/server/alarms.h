// The active alarms: replicated state, member by member. etcd-surface §1.7.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "api/messages.h"

namespace quorate::server {

class Alarms {
 public:
  struct Alarm {
    uint64_t member = 0;
    api::AlarmType type = api::AlarmType::kNone;
    friend auto operator<=>(const Alarm&, const Alarm&) = default;
  };
  // Whether the set changed.
  bool activate(const Alarm& alarm) { return set_.insert(alarm).second; }
  bool deactivate(const Alarm& alarm) { return set_.erase(alarm) != 0; }
  // kNone: all.
  std::vector<Alarm> get(api::AlarmType type) const {
    std::vector<Alarm> found;
    for (const Alarm& alarm : set_) {
      if (type == api::AlarmType::kNone || alarm.type == type) found.push_back(alarm);
    }
    return found;
  }
  bool active(api::AlarmType type) const { return !get(type).empty(); }
  bool has(const Alarm& alarm) const { return set_.contains(alarm); }

 private:
  std::set<Alarm> set_;
};

}  // namespace quorate::server
