// The flag table, what texts mean, the command line and the environment.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "host/flags_parse.h"
#include "host_config/process.h"

namespace quorate::host {
namespace {

TEST(Values, Bools) {
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"}) EXPECT_EQ(parse_bool(yes), true) << yes;
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"}) EXPECT_EQ(parse_bool(no), false) << no;
  for (const char* neither : {"", "yes", "tRUE", "2", " true"})
    EXPECT_EQ(parse_bool(neither), std::nullopt) << neither;
}

TEST(Values, Numbers) {
  EXPECT_EQ(parse_unsigned("0"), 0u);
  EXPECT_EQ(parse_unsigned("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_unsigned("0x1f"), 31u);
  EXPECT_EQ(parse_unsigned("0b101"), 5u);
  EXPECT_EQ(parse_unsigned("0o17"), 15u);
  EXPECT_EQ(parse_unsigned("017"), 15u);
  for (const char* wrong : {"", "-1", "18446744073709551616", "1a", "0x", "08", "1 ", "+1"})
    EXPECT_EQ(parse_unsigned(wrong), std::nullopt) << wrong;
  EXPECT_EQ(parse_signed("-9223372036854775807"), -INT64_MAX);
  EXPECT_EQ(parse_signed("+5"), 5);
  for (const char* wrong : {"", "-", "9223372036854775808", "--1"})
    EXPECT_EQ(parse_signed(wrong), std::nullopt) << wrong;
}

TEST(Values, Durations) {
  struct {
    const char* text;
    int64_t ns;
  } const kCases[] = {{"0", 0},
                      {"300ms", 300'000'000},
                      {"1h30m", 5'400'000'000'000},
                      {"1.5h", 5'400'000'000'000},
                      {"-2s", -2'000'000'000},
                      {"10us", 10'000},
                      {"10\xc2\xb5s", 10'000},
                      {"7ns", 7},
                      {".5s", 500'000'000},
                      {"1m", 60'000'000'000},
                      {"2562047h", 2562047ll * 3'600'000'000'000}};
  for (const auto& c : kCases) EXPECT_EQ(parse_duration(c.text), c.ns) << c.text;
  for (const char* wrong :
       {"", "5", "s", "1h 2m", "1d", "-", ".s", "2562048h", "1..5s", "99999999999999999999s"})
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
}

TEST(Table, IsSound) {
  std::set<std::string> names;
  std::set<std::string> keys;
  for (const FlagRow& row : kFlags) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " is there twice";
    EXPECT_TRUE(yaml_key(row).empty() || keys.insert(yaml_key(row)).second) << yaml_key(row);
    EXPECT_EQ(*row.why == 0, row.verdict == Verdict::kHonoured) << row.name << ": why";
    EXPECT_EQ(*row.help == 0, row.type == FlagType::kIgnored) << row.name << ": help";
    FlagValues values;
    EXPECT_TRUE(values.set(flag_index(row.name), row.default_text, FlagSource::kFlag, row.name).ok())
        << row.name;
  }
  for (const RemovedFlag& removed : kRemovedFlags)
    EXPECT_EQ(flag_index(removed.name), kNoFlag) << removed.name;
}

// docs/flags.md is the table; `quorate --help` shows it, too.
TEST(Table, IsDocumented) {
  const char kFile[] = QUORATE_SOURCE_DIR "/docs/flags.md";
  if (std::getenv("QUORATE_WRITE_DOCS") != nullptr) {
    std::ofstream(kFile) << flags_document();
    GTEST_SKIP() << "wrote " << kFile;
  }
  EXPECT_EQ(test::read_file(kFile), flags_document()) << "generate it anew: QUORATE_WRITE_DOCS=1";
  std::string help = help_text();
  for (const FlagRow& row : kFlags) {
    bool is_shown = help.find("  --" + std::string(row.name) + " '") != std::string::npos;
    EXPECT_EQ(is_shown, row.type != FlagType::kIgnored) << row.name;
  }
}

struct LineCase {
  std::vector<std::string> arguments;
  const char* flag;  // its value afterwards...
  const char* value;
  int code = 0;  // ... or the error
  const char* message = "";
};

class CommandLines : public testing::TestWithParam<LineCase> {};

TEST_P(CommandLines, AreReadAsGoDoes) {
  CommandLine line;
  FlagError error = parse_command_line(GetParam().arguments, &line);
  EXPECT_EQ(error.exit_code, GetParam().code) << error.message;
  if (GetParam().code != 0) {
    EXPECT_EQ(error.message, GetParam().message);
    return;
  }
  EXPECT_EQ(line.values.text(GetParam().flag), GetParam().value);
}

INSTANTIATE_TEST_SUITE_P(
    All, CommandLines,
    testing::Values(
        LineCase{{"--name=a"}, "name", "a"}, LineCase{{"--name", "a"}, "name", "a"},
        LineCase{{"-name", "a"}, "name", "a"}, LineCase{{"-name=a"}, "name", "a"},
        LineCase{{"--name=a", "-name", "b"}, "name", "b"}, LineCase{{"--name="}, "name", ""},
        LineCase{{"--name", "--data-dir"}, "name", "--data-dir"}, LineCase{{"--name=a=b"}, "name", "a=b"},
        LineCase{{}, "name", "default"}, LineCase{{"--name=a", "--"}, "name", "a"},
        LineCase{{"--pre-vote"}, "pre-vote", "true"}, LineCase{{"--pre-vote=F"}, "pre-vote", "F"},
        LineCase{{"--config", "--name=a"}, "name", "a"}, LineCase{{"--v=3", "--vv"}, "name", "default"},
        LineCase{{"--pre-vote", "false"}, "", "", 1, "\"false\" is not a valid flag"},
        LineCase{{"x", "--name=a"}, "", "", 1, "\"x\" is not a valid flag"},
        LineCase{{"-"}, "", "", 1, "\"-\" is not a valid flag"},
        LineCase{{"--", "--name=a"}, "", "", 1, "\"--name=a\" is not a valid flag"},
        LineCase{{"--name"}, "", "", 2, "--name: needs a value"},
        LineCase{{"---name=a"}, "", "", 2, "bad flag syntax: ---name=a"},
        LineCase{{"--=a"}, "", "", 2, "bad flag syntax: --=a"},
        LineCase{{"--nmae=a"}, "", "", 2, "--nmae: there is no such flag; did you mean --name?"},
        LineCase{{"--xyzzyplugh"}, "", "", 2, "--xyzzyplugh: there is no such flag"},
        LineCase{{"--nam=a"}, "", "", 2, "--nam: there is no such flag; did you mean --name?"},
        LineCase{{"--debug"}, "", "", 2, "--debug: there is no such flag; use --log-level=debug"},
        LineCase{{"--enable-v2"},
                 "",
                 "",
                 2,
                 "--enable-v2: there is no such flag; the v2 API is served without a flag, or not at all"},
        LineCase{{"--experimental-corrupt-check-time=1s"},
                 "",
                 "",
                 2,
                 "--experimental-corrupt-check-time: there is no such flag; it is --corrupt-check-time since "
                 "etcd 3.6"},
        LineCase{{"--max-txn-ops=x"}, "", "", 2, "--max-txn-ops: \"x\" is not a number from 0 to 2^32-1"},
        LineCase{{"--max-txn-ops=4294967296"},
                 "",
                 "",
                 2,
                 "--max-txn-ops: \"4294967296\" is not a number from 0 to 2^32-1"},
        LineCase{{"--quota-backend-bytes=1.5"},
                 "",
                 "",
                 2,
                 "--quota-backend-bytes: \"1.5\" is not a number from -2^63+1 to 2^63-1"},
        LineCase{{"--pre-vote=maybe"}, "", "", 2, "--pre-vote: \"maybe\" is not true or false"},
        LineCase{{"--grpc-keepalive-timeout=5"},
                 "",
                 "",
                 2,
                 "--grpc-keepalive-timeout: \"5\" is not a duration such as 1h30m or 300ms"}));

TEST(CommandLine, HelpEndsIt) {
  for (const char* word : {"-h", "--help", "-help"}) {
    CommandLine line;
    EXPECT_TRUE(parse_command_line({"--name=a", word, "rest"}, &line).ok());
    EXPECT_TRUE(line.help) << word;
  }
}

TEST(CommandLine, LegacyFlagsWarn) {
  CommandLine line;
  ASSERT_TRUE(parse_command_line({"--snapshot", "--peer-election-timeout=3"}, &line).ok());
  ASSERT_EQ(line.notices.size(), 2u);
  EXPECT_EQ(line.notices[0].message, "flag is no longer supported - ignoring");
  EXPECT_EQ(line.notices[0].fields[0].second, "snapshot");
}

// Every flag, by every way in.
TEST(CommandLine, KnowsEveryFlag) {
  for (const FlagRow& row : kFlags) {
    CommandLine line;
    ASSERT_TRUE(parse_command_line({"--" + std::string(row.name) + "=" + row.default_text}, &line).ok())
        << row.name;
    EXPECT_EQ(line.values.get(row.name).source, FlagSource::kFlag) << row.name;
    if (row.type == FlagType::kIgnored || *row.default_text == 0 || env_name(row) == "ETCD_VERSION") continue;
    FlagValues values;
    std::vector<Notice> notices;
    ASSERT_TRUE(apply_environment({{env_name(row), row.default_text}}, &values, &notices).ok()) << row.name;
    EXPECT_EQ(values.get(row.name).where, env_name(row));
  }
}

TEST(EnvironmentVariables, SetWhatFlagsDidNot) {
  CommandLine line;
  ASSERT_TRUE(parse_command_line({"--name=a"}, &line).ok());
  std::vector<Notice> notices;
  FlagError error = apply_environment({{"ETCD_DATA_DIR", "/x"}, {"HOME", "/"}, {"ETCD_WAL_DIR", ""}},
                                      &line.values, &notices);
  ASSERT_TRUE(error.ok()) << error.message;
  EXPECT_EQ(line.values.text("data-dir"), "/x");
  EXPECT_FALSE(line.values.get("wal-dir").given());
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0].message, "recognized and used environment variable");
}

TEST(EnvironmentVariables, ClashWithTheirFlag) {
  for (const char* value : {"b", ""}) {  // an empty one, too
    CommandLine line;
    ASSERT_TRUE(parse_command_line({"--name=a"}, &line).ok());
    std::vector<Notice> notices;
    FlagError error = apply_environment({{"ETCD_NAME", value}}, &line.values, &notices);
    EXPECT_EQ(error.exit_code, 1);
    EXPECT_EQ(error.message,
              "conflicting environment variable is shadowed by corresponding command-line flag (either unset "
              "environment variable or disable flag))");
    ASSERT_EQ(error.fields.size(), 1u);
    EXPECT_EQ(error.fields[0].first, "environment-variable");
    EXPECT_EQ(error.fields[0].second, "ETCD_NAME");
  }
}

TEST(EnvironmentVariables, UnknownOnesWarn) {
  FlagValues values;
  std::vector<Notice> notices;
  ASSERT_TRUE(
      apply_environment({{"ETCD_NMAE", "x"}, {"ETCD_VERSION", "3"}, {"QUORATE_SOAK", "1"}}, &values, &notices)
          .ok());
  ASSERT_EQ(notices.size(), 2u);
  EXPECT_EQ(notices[0].message, "unrecognized environment variable");
  EXPECT_EQ(notices[0].fields[0].second, "ETCD_NMAE=x");
  EXPECT_EQ(notices[1].message, "cannot set special environment variable");
}

TEST(EnvironmentVariables, WrongOnesAreNamed) {
  FlagValues values;
  std::vector<Notice> notices;
  FlagError error = apply_environment({{"ETCD_MAX_TXN_OPS", "many"}}, &values, &notices);
  EXPECT_EQ(error.exit_code, 1);
  EXPECT_EQ(error.message, "ETCD_MAX_TXN_OPS: \"many\" is not a number from 0 to 2^32-1");
}

}  // namespace
}  // namespace quorate::host
