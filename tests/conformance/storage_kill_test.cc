// SIGKILL of a process that writes and syncs on a real directory.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "conformance/storage_harness.h"
#include "runtime/posix_files.h"
#include "runtime/system.h"

namespace quorate::test {
namespace {

using plugin::Ref;
using plugin::Status;

constexpr uint64_t kSeed = 4711;

Ref<plugin::Files> real_files() {
  static Ref<SystemClock> clock = plugin::make<SystemClock>();
  return plugin::make<PosixFiles>(clock.get());
}

// The process that is killed: this binary again, told by its environment. It reports each ok sync as 8 bytes.
TEST(StorageKillChild, DISABLED_Run) {
  const char* name = std::getenv("QUORATE_KILL_PLUGIN");
  if (name == nullptr) GTEST_SKIP() << "only as the child of StorageKill";
  const int pipe = std::atoi(std::getenv("QUORATE_KILL_PIPE"));
  uint64_t i = std::strtoull(std::getenv("QUORATE_KILL_FROM"), nullptr, 10);
  Subject subject(name, real_files(), std::getenv("QUORATE_KILL_DIRECTORY"), {{"memtable", "1MiB"}});
  ASSERT_TRUE(subject.open().ok());
  std::atomic<uint64_t> written{i};
  std::thread syncer([&] {  // sync() beside write()
    for (;;) {
      const uint64_t mark = written.load();
      if (!subject.store()->sync(mark).ok()) std::_Exit(1);
      if (write(pipe, &mark, sizeof mark) != sizeof mark) std::_Exit(2);
    }
  });
  for (;;) {
    ++i;
    if (!subject.write(make_batch(kSeed, i, subject.delete_range(), 4), i).ok()) std::_Exit(3);
    written.store(i);
  }
}

class StorageKill : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "quorate-kill-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // Starts the child, kills it after `syncs` reports (or a little later); the last mark it reported.
  uint64_t run_and_kill(uint64_t from, int syncs) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const std::vector<std::string> environment = {
        "QUORATE_KILL_PLUGIN=" + GetParam(), "QUORATE_KILL_PIPE=" + std::to_string(ends[1]),
        "QUORATE_KILL_FROM=" + std::to_string(from), "QUORATE_KILL_DIRECTORY=" + directory_};
    std::vector<char*> envp;
    for (const std::string& e : environment) envp.push_back(const_cast<char*>(e.c_str()));
    envp.push_back(nullptr);
    const char* arguments[] = {"test_conformance", "--gtest_filter=StorageKillChild.DISABLED_Run",
                               "--gtest_also_run_disabled_tests", nullptr};
    const pid_t child = fork();
    if (child == 0) {
      (void)!freopen("/dev/null", "w", stdout);
      execve("/proc/self/exe", const_cast<char**>(arguments), envp.data());
      _exit(127);
    }
    close(ends[1]);
    uint64_t acknowledged = from;
    for (uint64_t mark = 0; syncs > 0 && read(ends[0], &mark, sizeof mark) == sizeof mark; --syncs)
      acknowledged = mark;
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
    for (uint64_t mark = 0; read(ends[0], &mark, sizeof mark) == sizeof mark;) acknowledged = mark;
    close(ends[0]);
    return acknowledged;
  }

  std::string directory_;
};
INSTANTIATE_TEST_SUITE_P(, StorageKill, testing::Values("storage-rocksdb", "storage-leveldb"), suite_name);

TEST_P(StorageKill, SyncedBatchesAreThere) {
  std::mt19937_64 random(3);
  uint64_t n = 0;
  for (int round = 0; round < (soak() ? 100 : 6) && !HasFailure(); ++round) {
    if (round % 5 == 0) {  // a model of many batches is slow to make
      std::filesystem::remove_all(directory_);
      std::filesystem::create_directory(directory_);
      n = 0;
    }
    const uint64_t acknowledged = run_and_kill(n, static_cast<int>(1 + random() % 10));
    Subject subject(GetParam(), real_files(), directory_);
    Status s = subject.open();
    ASSERT_TRUE(s.ok()) << s.text();
    n = check_prefix(&subject, kSeed, acknowledged, UINT64_MAX, 4);
  }
}

}  // namespace
}  // namespace quorate::test
