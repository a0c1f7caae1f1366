// What every test binary takes beside GoogleTest's flags:
//   --rounds=N, --rounds N   QUORATE_ROUNDS for this run: of the kill -9 loop and of random histories
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

namespace {

void take_rounds(int* argc, char** argv) {
  int kept = 1;
  for (int i = 1; i < *argc; ++i) {
    if (std::strncmp(argv[i], "--rounds=", 9) == 0) {
      setenv("QUORATE_ROUNDS", argv[i] + 9, 1);
    } else if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < *argc) {
      setenv("QUORATE_ROUNDS", argv[++i], 1);
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  argv[kept] = nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  take_rounds(&argc, argv);
  return RUN_ALL_TESTS();
}
