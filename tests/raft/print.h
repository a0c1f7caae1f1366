// Messages and outputs as one line of text each.
#pragma once

#include <string>

#include "raft/cluster.h"

namespace quorate::raft::testing {

std::string print(const Entry&);
std::string print(const Flying&);
std::string print(const Ready&, MemberId self);

}  // namespace quorate::raft::testing
