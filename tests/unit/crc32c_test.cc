#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace quorate {
namespace {

TEST(Crc32c, PublishedVectors) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  std::string zeros(32, '\0');
  EXPECT_EQ(crc32c(zeros.data(), zeros.size()), 0x8a9136aau);
  std::string ones(32, '\xff');
  EXPECT_EQ(crc32c(ones.data(), ones.size()), 0x62a8ab43u);
  EXPECT_EQ(crc32c_portable(ones.data(), ones.size()), 0x62a8ab43u);
}

TEST(Crc32c, TableAndInstructionAgreeAtEveryLengthAndSplit) {
  std::mt19937 random(7);
  std::string bytes(100, 0);
  for (char& c : bytes) c = static_cast<char>(random());
  for (size_t n = 0; n <= bytes.size(); ++n) {
    uint32_t whole = crc32c(bytes.data(), n);
    EXPECT_EQ(whole, crc32c_portable(bytes.data(), n)) << n;
    size_t half = n / 3;
    EXPECT_EQ(whole, crc32c(bytes.data() + half, n - half, crc32c(bytes.data(), half))) << n;
  }
}

// Long runs go three at a time.
TEST(Crc32c, TableAndInstructionAgreeOnLongRuns) {
  std::mt19937 random(8);
  std::string bytes(5000, 0);
  for (char& c : bytes) c = static_cast<char>(random());
  for (size_t n : {767, 768, 769, 775, 1535, 1536, 1537, 2304, 4096, 4999}) {
    for (uint32_t begin : {0u, 1u, 0xffffffffu}) {
      EXPECT_EQ(crc32c(bytes.data() + 1, n, begin), crc32c_portable(bytes.data() + 1, n, begin)) << n;
    }
  }
}

}  // namespace
}  // namespace quorate
