// libFuzzer's entries around the one target that this program is linked with. With QUORATE_FUZZ_SEEDS set to
// a directory it writes the target's seeds there and ends.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "fuzz/target.h"

using quorate::fuzz::Target;
using quorate::fuzz::targets;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* directory = std::getenv("QUORATE_FUZZ_SEEDS");
  if (directory == nullptr) return 0;
  int number = 0;
  bool written = true;
  for (const std::string& seed : targets().at(0)->seeds()) {
    std::ofstream file(std::string(directory) + "/seed-" + std::to_string(number++), std::ios::binary);
    file << seed;
    written = written && file.flush().good();
  }
  std::exit(written ? 0 : 1);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  targets().at(0)->run({reinterpret_cast<const char*>(data), size});
  if (testing::Test::HasFailure()) std::abort();  // libFuzzer keeps the input
  return 0;
}
