// scripts/test-report has the last word on whether ./dev test passed: it must never turn a failure into
// silence.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace quorate::tidy {
namespace {

struct Answer {
  int code = -1;
  std::string text;
  std::string last_line;
};

class Report : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "quorate-report-" + "XXXX" + "XX";
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
  }

  // CTest's view of one folder: its status, and the message of a failure.
  void ctest(const std::string& folder, const std::string& status, const std::string& failure = "") {
    cases_ += "<testcase name=\"" + folder + "\" time=\"0.5\" status=\"" + status + "\">";
    if (!failure.empty()) cases_ += "<failure message=\"" + failure + "\"/>";
    cases_ += "</testcase>";
  }

  void gtest(const std::string& folder, const std::string& cases) {
    write("test_" + folder + ".xml", "<testsuites><testsuite>" + cases + "</testsuite></testsuites>");
  }

  static std::string gtest_case(const std::string& name, const std::string& inside = "",
                                const std::string& status = "run") {
    return "<testcase classname=\"S\" name=\"" + name + "\" status=\"" + status + "\">" + inside +
           "</testcase>";
  }

  Answer run() {
    if (!cases_.empty()) write("ctest.xml", "<testsuite>" + cases_ + "</testsuite>");
    std::string command =
        "python3 '" QUORATE_SOURCE_DIR "/scripts/test-report' '" + directory_ + "' </dev/null";
    Answer answer;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return answer;
    char line[512];
    while (fgets(line, sizeof line, pipe) != nullptr) answer.text += answer.last_line = line;
    answer.code = WEXITSTATUS(pclose(pipe));
    return answer;
  }

  std::string directory_;
  std::string cases_;
};

TEST_F(Report, CountsPassedAndSkippedWithTheirReasons) {
  ctest("a", "run");
  ctest("b", "run");
  gtest("a", gtest_case("One") + gtest_case("Two", "<skipped message=\"x.cc:7&#x0A;needs root&#x0A;\"/>"));
  gtest("b",
        gtest_case("One") + gtest_case("Filtered", "", "notrun") + gtest_case("DISABLED_X", "", "notrun"));
  Answer answer = run();
  EXPECT_EQ(answer.last_line, "2 passed, 0 failed, 2 skipped\n");
  EXPECT_NE(answer.text.find("a: S.Two: needs root"), std::string::npos) << answer.text;
  EXPECT_EQ(answer.code, 0);
}

TEST_F(Report, NamesWhatFailed) {
  ctest("a", "fail", "Failed");
  gtest("a", gtest_case("One") + gtest_case("Two", "<failure message=\"x.cc:7&#x0A;1 is not 2\"/>"));
  Answer answer = run();
  EXPECT_EQ(answer.last_line, "1 passed, 1 failed, 0 skipped\n");
  EXPECT_NE(answer.text.find("a: S.Two: 1 is not 2"), std::string::npos) << answer.text;
  EXPECT_EQ(answer.code, 1);
}

TEST_F(Report, ABinaryThatDiedIsAFailure) {
  ctest("crashed", "fail", "SEGFAULT");
  ctest("leaked", "fail", "Failed");
  ctest("cut", "fail", "Timeout");
  gtest("leaked", gtest_case("One"));
  write("test_cut.xml", "<testsuites><testsuite>");
  Answer answer = run();
  EXPECT_EQ(answer.last_line, "1 passed, 3 failed, 0 skipped\n");
  EXPECT_NE(answer.text.find("crashed: the binary died before its end (SEGFAULT)"), std::string::npos);
  EXPECT_NE(answer.text.find("leaked: the binary failed although no test did"), std::string::npos);
  EXPECT_EQ(answer.code, 1);
}

TEST_F(Report, NoResultsAreNoSuccess) {
  EXPECT_EQ(run().code, 1);
  ctest("a", "run");
  gtest("a", "");
  Answer answer = run();
  EXPECT_EQ(answer.last_line, "0 passed, 0 failed, 0 skipped\n");
  EXPECT_EQ(answer.code, 1);
}

}  // namespace
}  // namespace quorate::tidy
