// The same scripts against our server, etcd 3.7.1 and etcd 3.4, and against the recorded answers of 3.7.1, so
// that a machine without it checks ours all the same. What may differ is in testdata/differences.txt, and
// nothing else.
//
//   QUORATE_RECORD=1   writes the recordings anew, from QUORATE_ETCD_NEW and etcdctl 3.4
#include <fnmatch.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "e2e/ctl_script.h"
#include "e2e/grpc_script.h"

namespace quorate::test {
namespace {

bool is_ctl(const std::string& file) { return file.ends_with(".ctl"); }

std::vector<std::string> all_scripts() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(testdata(""))) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".grpc") || is_ctl(name)) files.push_back(name);
  }
  std::sort(files.begin(), files.end());
  return files;
}

// ---- Transcripts
// -----------------------------------------------------------------------------------------------------

// Run once for all tests of this process, or once more for each further attempt.
const Transcript& transcript_of(const ServerKind& kind, const std::string& file, int attempt = 0) {
  static std::map<std::tuple<std::string, std::string, int>, Transcript> done;
  auto [at, fresh] = done.try_emplace({kind.label, file, attempt});
  if (!fresh) return at->second;
  const Script script = load_script(file);
  Server server(kind, {script.flags, ""});
  if (!server.start()) {
    ADD_FAILURE() << kind.label << " does not start:\n" << server.log();
    return at->second;
  }
  at->second = is_ctl(file) ? run_ctl_script(script, server) : run_grpc_script(script, server);
  EXPECT_TRUE(server.process().running()) << kind.label << " ended:\n" << server.log();
  return at->second;
}

std::string recording_of(const std::string& file) {
  return testdata(is_ctl(file) ? "recorded-3.7.1-etcdctl-3.4.txt" : "recorded-3.7.1.txt");
}

const Transcript& recorded(const std::string& file) {
  static std::map<std::string, Recording> loaded;
  auto [at, fresh] = loaded.try_emplace(recording_of(file));
  if (fresh) at->second = load_recording(at->first);
  return at->second[file];
}

// Another etcdctl prints other things: then only servers can be compared with each other.
bool recording_fits(const std::string& file) { return !is_ctl(file) || etcdctl_is_34(); }
bool missing_tool(const std::string& file) { return is_ctl(file) && etcdctl().empty(); }

// ---- Differences
// -----------------------------------------------------------------------------------------------------

struct Explained {
  std::string of;       // whose answer differs from 3.7.1's: etcd-3.4 or quorate; with a ? if not always
  std::string pattern;  // of `script> request`
  std::string why;
};

const std::vector<Explained>& explained() {
  static const std::vector<Explained> list = [] {
    std::vector<Explained> out;
    for (const std::string& line : split_lines(read_text(testdata("differences.txt")))) {
      if (line.empty() || line[0] == '#') continue;
      const size_t first = line.find(" | "), second = line.rfind(" | ");
      if (first == second)
        throw std::runtime_error("differences.txt: not `server | request | reason`: " + line);
      out.push_back(
          {line.substr(0, first), line.substr(first + 3, second - first - 3), line.substr(second + 3)});
    }
    return out;
  }();
  return list;
}

bool explains(const Explained& e, const std::string& of, const Difference& d) {
  return (e.of == of || e.of == of + "?") &&
         fnmatch(e.pattern.c_str(), (d.script + "> " + d.request).c_str(), 0) == 0;
}

std::vector<Difference> unexplained(const std::string& of, std::vector<Difference> differences) {
  std::erase_if(differences, [&](const Difference& d) {
    return std::any_of(explained().begin(), explained().end(),
                       [&](const Explained& e) { return explains(e, of, d); });
  });
  return differences;
}

// A real etcd may try again: 3.4 now and then leaves a watch of the past without its events. Ours may not.
void expect_alike(const std::string& file, const Transcript& expected, const ServerKind& kind) {
  std::vector<Difference> differences;
  for (int attempt = 0; attempt < (kind.ours ? 1 : 3); ++attempt) {
    differences = unexplained(kind.label, compare(file, expected, transcript_of(kind, file, attempt)));
    if (differences.empty()) return;
  }
  EXPECT_TRUE(differences.empty()) << describe(differences, "etcd 3.7.1", kind.label);
}

// ---- Tests
// -----------------------------------------------------------------------------------------------------------

class Scripts : public testing::TestWithParam<std::string> {};

TEST_P(Scripts, OursAnswersAsEtcd371) {
  if (missing_tool(GetParam())) GTEST_SKIP() << "no etcdctl on PATH (QUORATE_ETCDCTL)";
  if (recording_fits(GetParam())) return expect_alike(GetParam(), recorded(GetParam()), quorate());
  if (etcd_371().binary.empty())
    GTEST_SKIP() << "no recording for this etcdctl, and no QUORATE_ETCD_NEW to ask";
  expect_alike(GetParam(), transcript_of(etcd_371(), GetParam()), quorate());
}

TEST_P(Scripts, Etcd371AnswersAsRecorded) {
  if (etcd_371().binary.empty()) GTEST_SKIP() << "no etcd 3.7.1: set QUORATE_ETCD_NEW to check the recording";
  if (missing_tool(GetParam()) || !recording_fits(GetParam()))
    GTEST_SKIP() << "no etcdctl 3.4 (QUORATE_ETCDCTL)";
  expect_alike(GetParam(), recorded(GetParam()), etcd_371());
}

TEST_P(Scripts, Etcd34DiffersAsExplained) {
  if (etcd_34().binary.empty()) GTEST_SKIP() << "no etcd 3.4 on PATH (QUORATE_ETCD)";
  if (missing_tool(GetParam()) || !recording_fits(GetParam()))
    GTEST_SKIP() << "no etcdctl 3.4 (QUORATE_ETCDCTL)";
  if (const Script script = load_script(GetParam()); !script.not_34.empty()) {
    std::printf("not run: %s\n", script.not_34.c_str());
    return;
  }
  expect_alike(GetParam(), recorded(GetParam()), etcd_34());
}

INSTANTIATE_TEST_SUITE_P(All, Scripts, testing::ValuesIn(all_scripts()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// An explanation of something that no longer is would hide the next difference.
TEST(Differences, AreStillThere) {
  if (etcd_34().binary.empty() || etcdctl().empty() || !etcdctl_is_34())
    GTEST_SKIP() << "needs etcd and etcdctl 3.4 on PATH (QUORATE_ETCD, QUORATE_ETCDCTL)";
  for (const Explained& e : explained()) {
    if (e.of.ends_with('?')) continue;  // not always
    const ServerKind& kind = e.of == "etcd-3.4" ? etcd_34() : quorate();
    bool seen = false;
    for (const std::string& file : all_scripts()) {
      if (!kind.ours && !load_script(file).not_34.empty()) continue;
      for (const Difference& d : compare(file, recorded(file), transcript_of(kind, file)))
        seen |= explains(e, e.of, d);
    }
    EXPECT_TRUE(seen) << "no difference matches: " << e.of << " | " << e.pattern << " | " << e.why;
  }
}

TEST(Recording, IsWrittenWhenAsked) {
  if (env_or("QUORATE_RECORD", "").empty()) GTEST_SKIP() << "writes only with QUORATE_RECORD=1";
  ASSERT_FALSE(etcd_371().binary.empty()) << "set QUORATE_ETCD_NEW";
  ASSERT_TRUE(etcdctl_is_34()) << "set QUORATE_ETCDCTL to an etcdctl 3.4";
  std::map<std::string, Recording> files;
  for (const std::string& file : all_scripts())
    files[recording_of(file)][file] = transcript_of(etcd_371(), file);
  for (const auto& [path, recording] : files)
    save_recording(path, recording,
                   "What etcd 3.7.1 answers to the scripts of this folder. Written by QUORATE_RECORD=1.");
}

}  // namespace
}  // namespace quorate::test
