// A cache smaller than the data: 64 times as many bytes of records as the cache may hold. Whatever is read is
// what was written, at every revision and after a restart, and the scripts that are compared with etcd pass
// beside it.
//
//   QUORATE_COLD_MIB   of records (default 64; `./dev soak` runs this with 4096 and so with a cache of 64
//   MiB)
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "e2e/cold_data.h"
#include "e2e/grpc_script.h"
#include "e2e/player.h"

namespace quorate::test {
namespace {
namespace api = etcdserverpb;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kCacheShare = 64;

uint64_t megabytes() { return std::stoull(env_or("QUORATE_COLD_MIB", "16")); }

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// User and system time of a process, in us.
double cpu_of(pid_t pid) {
  const std::string stat = read_text("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double status_mib(pid_t pid, const std::string& field) {
  for (const std::string& line : split_lines(read_text("/proc/" + std::to_string(pid) + "/status")))
    if (line.starts_with(field + ":")) return std::stod(line.substr(field.size() + 1)) / 1024;
  return 0;
}

// Makes the system forget the node's files, so that the next read of them comes from the disk.
void forget_files(const std::string& folder) {
  ::sync();
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

class ColdReads : public testing::TestWithParam<std::string> {
 protected:
  ColdReads()
      : data_(megabytes() * kMiB),
        server_(quorate(), {{"--quota-backend-bytes=" + std::to_string(megabytes() * kMiB * 4),
                             "--cache-bytes=" + std::to_string(megabytes() * kMiB / kCacheShare)},
                            GetParam()}) {}

  void SetUp() override {
    std::printf("%-34s %8s %8s %8s %8s %8s %8s\n", GetParam().c_str(), "ops/s", "p50 us", "p99 us", "CPU us",
                "RSS MiB", "peak MiB");
    ASSERT_TRUE(server_.start()) << server_.log();
    connect();
  }

  void connect() {
    channel_ = server_.connect();
    kv_ = api::KV::NewStub(channel_);
  }
  pid_t pid() { return server_.process().pid(); }

  // A row of the table.
  void report(const std::string& what, uint64_t count, double seconds, double cpu, double p50 = 0,
              double p99 = 0) {
    const double n = static_cast<double>(count);
    std::printf("%-34s %8.0f %8.0f %8.0f %8.1f %8.0f %8.0f\n", what.c_str(), n / seconds, p50, p99, cpu / n,
                status_mib(pid(), "VmRSS"), status_mib(pid(), "VmHWM"));
    std::fflush(stdout);
  }

  // What is read by one client, one request after the other.
  template <typename Read>
  void measure(const std::string& what, int count, const Read& read) {
    std::vector<double> took;
    const double cpu = cpu_of(pid());
    const auto began = Clock::now();
    for (int i = 0; i < count; ++i) {
      const auto at = Clock::now();
      const std::string error = read(i);
      took.push_back(seconds_since(at) * 1e6);
      ASSERT_EQ(error, "") << what << ", read " << i << "\n" << server_.log();
    }
    const double seconds = seconds_since(began);
    std::sort(took.begin(), took.end());
    report(what, took.size(), seconds, cpu_of(pid()) - cpu, took[took.size() / 2],
           took[took.size() * 99 / 100]);
  }
  // Work as a whole, counted in records. It answers how many, or complains.
  template <typename Work>
  void whole(const std::string& what, const Work& work) {
    const double cpu = cpu_of(pid());
    const auto began = Clock::now();
    std::string error;
    const uint64_t count = work(&error);
    ASSERT_EQ(error, "") << what << "\n" << server_.log();
    report(what, std::max<uint64_t>(count, 1), seconds_since(began), cpu_of(pid()) - cpu);
  }

  void read_all_ways(const std::string& when);
  void run_scripts(const std::string& when);
  std::string clear_script_keys(Frame* frame);
  void expect_little_memory(const std::string& when);
  void restart();

  ColdData data_;
  Server server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<api::KV::Stub> kv_;
  std::mt19937_64 random_{20};
};

void ColdReads::read_all_ways(const std::string& when) {
  const int reads = static_cast<int>(std::clamp<uint64_t>(megabytes() * 4, 1000, 10000));
  auto any = [&](int) { return data_.check_one(*kv_, random_() % data_.keys()); };
  measure("cold reads, " + when, reads, any);
  measure("warm reads, " + when, reads, [&](int) { return data_.check_one(*kv_, random_() % 200); });
  if (data_.compacted() == 0)
    measure("cold reads of the past, " + when, reads / 4,
            [&](int) { return data_.check_past(*kv_, random_()); });
  measure("puts that answer a cold record", reads / 4,
          [&](int) { return data_.put_again(*kv_, random_() % data_.keys()); });
  measure("compares with a cold value", reads / 4,
          [&](int) { return data_.compare(*kv_, random_() % data_.keys()); });
  forget_files(server_.data_dir());
  measure("cold reads from the disk", reads / 10, any);
  whole("cold reads, 32 clients", [&](std::string* error) {
    return data_.check_many(channel_, 32, static_cast<uint64_t>(reads) * 2, error);
  });
  whole("a paged scan over everything", [&](std::string* error) { return data_.scan(*kv_, error); });
  whole("a watch of the past", [&](std::string* error) { return data_.watch(channel_, error); });
}

// Removes what a script left behind, its keys and leases. The revision that is the next script's first lies
// above whatever was compacted.
std::string ColdReads::clear_script_keys(Frame* frame) {
  UnaryCaller caller(channel_);
  std::string error;
  auto call = [&](const std::string& method, const google::protobuf::Message& request) {
    auto answer = caller.call(method, request);
    if (!answer.status.ok()) error = method + ": " + answer.status.error_message();
    return std::move(answer.message);
  };
  const std::string first(1, '\1');
  api::PutRequest put;
  put.set_key(first);
  for (int i = 0; i < 2; ++i) call("Put", put);
  api::DeleteRangeRequest all;
  all.set_key(first);
  all.set_range_end(std::string(1, '\0'));
  auto deleted = call("DeleteRange", all);
  auto leases = call("LeaseLeases", api::LeaseLeasesRequest());
  for (const auto& lease : static_cast<api::LeaseLeasesResponse&>(*leases).leases()) {
    api::LeaseRevokeRequest revoke;
    revoke.set_id(lease.id());
    call("LeaseRevoke", revoke);
  }
  frame->base = static_cast<api::DeleteRangeResponse&>(*deleted).header().revision() - 1;
  return error;
}

void ColdReads::run_scripts(const std::string& when) {
  const Recording recorded = load_recording(testdata("recorded-3.7.1.txt"));
  Frame frame;
  for (const std::string file : {"kv.grpc", "txn.grpc", "lease.grpc", "watch.grpc"}) {
    ASSERT_EQ(clear_script_keys(&frame), "") << file;
    const Transcript got = run_grpc_script(load_script(file), server_, frame);
    const std::vector<Difference> differences = compare(file, recorded.at(file), got);
    EXPECT_TRUE(differences.empty()) << when << describe(differences, "etcd 3.7.1", "quorate");
  }
  ASSERT_EQ(clear_script_keys(&frame), "");
  Player player(server_, kRecordedSeed, frame);
  ASSERT_TRUE(player.started());
  EXPECT_EQ(play_recorded(player), "") << when;
  ASSERT_EQ(clear_script_keys(&frame), "");
  data_.compacted_by_others(frame.base + 1);
}

// The index is what may grow with the data, by what a key takes; not the records. A start sorts the keys,
// which takes as much again.
void ColdReads::expect_little_memory(const std::string& when) {
  constexpr double kOfVersion = 130, kToSort = 120, kAllElse = 200;
  const double versions = static_cast<double>(data_.versions()) / kMiB;
  const double bound = static_cast<double>(megabytes()) / kCacheShare + versions * kOfVersion + kAllElse;
  EXPECT_LT(status_mib(pid(), "VmRSS"), bound) << when;
  EXPECT_LT(status_mib(pid(), "VmHWM"), bound + versions * kToSort) << when;
}

void ColdReads::restart() {
  const auto began = Clock::now();
  ASSERT_TRUE(server_.start()) << server_.log();
  connect();
  ASSERT_EQ(data_.check_one(*kv_, 0), "") << server_.log();
  const double seconds = seconds_since(began);
  std::printf("%-34s %8.2f s\n", "restart to the first read", seconds);
  report("restart, records", data_.versions(), seconds, cpu_of(pid()));
}

TEST_P(ColdReads, AreWhatWasWritten) {
  whole("fill", [&](std::string* error) { return data_.fill(channel_, error); });
  if (HasFatalFailure()) return;
  expect_little_memory("after the fill");
  read_all_ways("after the fill");
  if (HasFatalFailure()) return;
  expect_little_memory("after the reads");

  server_.kill9();
  restart();
  if (HasFatalFailure()) return;
  read_all_ways("after SIGKILL");
  if (HasFatalFailure()) return;
  whole("compaction, old versions", [&](std::string* error) { return data_.compact(*kv_, error); });
  if (megabytes() > 1024) run_scripts("compacted");
  if (HasFatalFailure()) return;
  expect_little_memory("after the compaction");

  EXPECT_EQ(server_.stop(), 0) << server_.log();
  restart();
  if (HasFatalFailure()) return;
  read_all_ways("compacted");
  run_scripts("restarted");
  expect_little_memory("after the restart");
  EXPECT_EQ(server_.stop(), 0) << server_.log();
}

INSTANTIATE_TEST_SUITE_P(Engines, ColdReads, testing::Values("storage-rocksdb", "storage-leveldb"),
                         [](const auto& info) { return info.param.substr(sizeof "storage-" - 1); });

}  // namespace
}  // namespace quorate::test
