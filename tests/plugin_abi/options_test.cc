// What plugins answer to options that their table does not have.
#include "quorate/plugin/options.h"

#include <gtest/gtest.h>

namespace quorate::plugin {
namespace {

std::string answer(const OptionTable& table, const std::string& key, const std::string& value = "1") {
  const Option option{{key.data(), key.size()}, {value.data(), value.size()}};
  return table.apply(View<Option>(&option, 1)).text();
}

TEST(Options, AnUnknownNameIsAnsweredWithTheNearestOrAll) {
  uint64_t size = 0;
  bool verify = false;
  OptionTable table;
  table.size("write_buffer", &size, 0, 9).boolean("verify", &verify);
  EXPECT_EQ(answer(table, "write-bufer"), "unknown option 'write-bufer'; did you mean 'write_buffer'?");
  EXPECT_EQ(answer(table, "verfy"), "unknown option 'verfy'; did you mean 'verify'?");
  EXPECT_EQ(answer(table, "memory"), "unknown option 'memory'; known: write_buffer, verify");
  EXPECT_EQ(answer(table, ""), "unknown option ''; known: write_buffer, verify");
  EXPECT_EQ(answer(OptionTable(), "memory"), "unknown option 'memory'; there are none");
  EXPECT_EQ(answer(table, "write_buffer", "7"), "");
  EXPECT_EQ(size, 7u);
}

}  // namespace
}  // namespace quorate::plugin
