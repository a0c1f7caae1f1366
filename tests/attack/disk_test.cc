// A disk that is really full, under the log alone and under the engine alone, and damage in the log's tail.
// The disks are small file systems in memory, which only root can mount: skipped otherwise.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "attack/siege.h"

namespace quorate::test {
namespace {
namespace api = etcdserverpb;
namespace fs = std::filesystem;

// A file system of its own, unmounted at the end.
class SmallDisk {
 public:
  SmallDisk(const std::string& folder, uint64_t bytes) : folder_(folder) {
    fs::create_directories(folder);
    const std::string size = "mode=0700,size=" + std::to_string(bytes);
    mounted_ = mount("tmpfs", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, size.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  // Somebody else's file takes all but so many bytes.
  void fill(uint64_t leave) {
    const uint64_t space = fs::space(folder_).available;
    std::ofstream out(filler(), std::ios::binary);
    const std::string block(64 << 10, 'f');
    for (uint64_t n = space > leave ? (space - leave) / block.size() : 0; n > 0; --n) out << block;
  }
  void empty() { fs::remove(filler()); }

 private:
  std::string filler() const { return folder_ + "/somebody-elses"; }
  const std::string folder_;
  bool mounted_ = false;
};

struct Place {
  const char* name;
  const char* engine;
  bool log;  // what is on the small disk: the log, or the engine's data
  const char* full;
  const char* again;
};

class FullDisk : public testing::TestWithParam<Place> {};

grpc::Status put(UnaryCaller& caller, const std::string& key, const std::string& value, Millis limit) {
  api::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  return caller.call("Put", request, {}, limit).status;
}

std::string get(UnaryCaller& caller, const std::string& key) {
  api::RangeRequest request;
  request.set_key(key);
  auto answer = caller.call("Range", request);
  if (!answer.status.ok()) return "error: " + answer.status.error_message();
  const auto& range = static_cast<api::RangeResponse&>(*answer.message);
  return range.kvs_size() == 1 ? range.kvs(0).value() : "none";
}

TEST_P(FullDisk, IsAnAnswerAndNotAnEnd) {
  const Place& place = GetParam();
  if (geteuid() != 0) GTEST_SKIP() << "only root can mount a small disk";
  Server server(quorate(), ServerSetup{{}, place.engine});
  const std::string log_folder = server.folder() + "/log";
  const std::string on_disk = place.log ? log_folder : server.data_dir();
  SmallDisk disk(on_disk, 160 * kMiB);
  if (!disk.mounted()) GTEST_SKIP() << "no small disk: " << std::strerror(errno);
  server.setup().flags = {"--wal-dir", log_folder};
  ASSERT_TRUE(server.start()) << server.log();
  UnaryCaller caller(server.connect());
  const std::string value(64 << 10, 'v');
  std::map<std::string, std::string> acknowledged;
  auto write = [&](uint64_t n) {
    const std::string key = "k" + std::to_string(n % 40), v = value + std::to_string(n);
    const grpc::Status status = put(caller, key, v, Millis(1000));
    if (status.ok())
      acknowledged[key] = v;
    else
      acknowledged.erase(key);  // not acknowledged: either is right
    return status;
  };
  uint64_t n = 0;
  for (; n < 60; ++n) ASSERT_TRUE(write(n).ok());
  ASSERT_TRUE(put(caller, "before", "1", kCallLimit).ok());
  disk.fill(kMiB);
  uint64_t refused = 0, late = 0;
  for (; n < 4000 && refused < 20; ++n) {
    const grpc::Status status = write(n);
    if (status.ok()) continue;
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      ++late;  // it was under way when the disk became full
      continue;
    }
    ++refused;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  }
  ASSERT_GE(refused, 20u) << "the disk was never full";
  EXPECT_LT(late, 5u);
  EXPECT_NE(server.log().find(place.full), std::string::npos) << server.log();
  EXPECT_EQ(get(caller, "before"), "1") << "reads go on";
  for (const auto& [key, v] : acknowledged) ASSERT_EQ(get(caller, key), v) << "reads go on";
  ASSERT_TRUE(server.process().running());
  disk.empty();
  EXPECT_TRUE(wait_until(Millis(20000), [&] { return write(n++).ok(); }))
      << "writing resumes without a restart";
  EXPECT_TRUE(wait_until(Millis(10000), [&] { return server.log().find(place.again) != std::string::npos; }))
      << server.log();
  for (const uint64_t end = n + 40; n < end; ++n) ASSERT_TRUE(write(n).ok());
  for (const auto& [key, v] : acknowledged) ASSERT_EQ(get(caller, key), v);
  server.kill9();
  ASSERT_TRUE(server.start()) << server.log();
  UnaryCaller again(server.connect());
  EXPECT_EQ(get(again, "before"), "1");
  for (const auto& [key, v] : acknowledged) ASSERT_EQ(get(again, key), v) << "nothing acknowledged is lost";
  EXPECT_EQ(server.stop(), 0);
}

constexpr const char* kLogFull = "the disk of the write-ahead log is full";
constexpr const char* kLogAgain = "the disk of the write-ahead log has space again";
constexpr const char* kEngineFull = "the storage engine has no space";
constexpr const char* kEngineAgain = "the storage engine works again";
INSTANTIATE_TEST_SUITE_P(
    Places, FullDisk,
    testing::Values(Place{"log_rocksdb", "storage-rocksdb", true, kLogFull, kLogAgain},
                    Place{"engine_rocksdb", "storage-rocksdb", false, kEngineFull, kEngineAgain},
                    Place{"engine_leveldb", "storage-leveldb", false, kEngineFull, kEngineAgain}),
    [](const auto& info) { return std::string(info.param.name); });

// ---- Damage in the tail

fs::path newest_log(const Server& server) {
  fs::path found;
  for (const auto& entry : fs::recursive_directory_iterator(server.data_dir())) {
    if (entry.path().extension() == ".wal" && (found.empty() || entry.path().filename() > found.filename()))
      found = entry.path();
  }
  return found;
}

// The last batch may never have been synced, so damage there may be taken for a torn write. Then what is
// served is what was there before, and never anything else; otherwise file and offset are named.
TEST(DamagedTail, IsCutOffOrNamed) {
  Server server(quorate());
  ASSERT_TRUE(server.start()) << server.log();
  const std::string last(400, 'Z');
  {
    UnaryCaller caller(server.connect());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(put(caller, "k", "value" + std::to_string(i), kCallLimit).ok());
    ASSERT_TRUE(put(caller, "k", last, kCallLimit).ok());
  }
  server.kill9();
  const fs::path log = newest_log(server);
  const std::string bytes = read_text(log);
  const size_t at = bytes.find(last);
  ASSERT_NE(at, std::string::npos);
  // Everything as it is now, to begin each time with.
  const std::string copy = server.folder() + "/copy";
  fs::copy(server.data_dir(), copy, fs::copy_options::recursive);
  int cut = 0, named = 0;
  for (const long from_value : {-60L, -30L, -10L, 0L, 200L, 399L, 402L}) {
    fs::remove_all(server.data_dir());
    fs::copy(copy, server.data_dir(), fs::copy_options::recursive);
    fs::permissions(server.data_dir(), fs::perms::owner_all);
    std::string damaged = bytes;
    const size_t place = static_cast<size_t>(static_cast<long>(at) + from_value);
    damaged[place] = static_cast<char>(damaged[place] ^ 4);
    write_text(log, damaged);
    SCOPED_TRACE("byte " + std::to_string(place) + " of " + log.string());
    if (server.start()) {
      UnaryCaller caller(server.connect());
      const std::string now = get(caller, "k");
      EXPECT_TRUE(now == "value19" || now == last) << now;
      ++cut;
      server.kill9();
    } else {
      EXPECT_NE(server.log().find(log.filename().string() + " at offset"), std::string::npos) << server.log();
      ++named;
    }
  }
  std::printf("damage in the tail: %d times cut off, %d times named\n", cut, named);
}

}  // namespace
}  // namespace quorate::test
