#include "fuzz/target.h"

namespace quorate::fuzz {

std::vector<const Target*>& targets() {
  static std::vector<const Target*> all;
  return all;
}

}  // namespace quorate::fuzz
