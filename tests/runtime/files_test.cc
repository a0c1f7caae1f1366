// What PosixFiles and FaultFiles must do alike, and what each does alone.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "runtime/posix_files.h"
#include "runtime/system.h"
#include "support/fault_files.h"

namespace quorate {
namespace {

using namespace plugin;
using test::FaultFiles;
using test::FileFault;
using test::FileOp;
using test::PendingItem;
using test::PowerCut;

ByteView bytes(const std::string& s) { return {s.data(), s.size()}; }

class Names final : public NameSink {
 public:
  void name(ByteView n) noexcept override { all.emplace_back(n.chars(), n.size); }
  std::vector<std::string> sorted() {
    std::sort(all.begin(), all.end());
    return all;
  }
  std::vector<std::string> all;
};

std::string content(File* file) {
  std::string s(1 << 20, '?');
  uint64_t got = 0;
  EXPECT_TRUE(file->read_at(0, s.data(), s.size(), &got).ok());
  s.resize(got);
  return s;
}

Ref<File> opened(Files* files, const std::string& path, uint32_t flags = kOpenWrite | kOpenCreate) {
  Ref<File> f;
  Status s = files->open(path.c_str(), flags, f.out());
  EXPECT_TRUE(s.ok()) << s.text();
  return f;
}

class AnyFiles : public testing::TestWithParam<bool> {
 protected:
  AnyFiles() {
    if (GetParam()) {
      char name[] = "/tmp/quorate_files_XXXXXX";
      dir_ = ::mkdtemp(name);
      files_ = make<PosixFiles>(&clock_);
    } else {
      dir_ = "/data";
      auto fault = make<FaultFiles>();
      fault->make_dirs(dir_);
      files_ = fault;
    }
  }
  ~AnyFiles() override {
    if (GetParam()) std::filesystem::remove_all(dir_);
  }
  std::string path(const std::string& name) { return dir_ + "/" + name; }

  SystemClock clock_;
  std::string dir_;
  Ref<Files> files_;
};
INSTANTIATE_TEST_SUITE_P(, AnyFiles, testing::Bool(), [](auto& p) { return p.param ? "Posix" : "Fault"; });

TEST_P(AnyFiles, ReadsWhatWasWritten) {
  Ref<File> f = opened(files_.get(), path("a"));
  ASSERT_TRUE(f->append(bytes("hello ")).ok());
  ASSERT_TRUE(f->append(bytes("world")).ok());
  ASSERT_TRUE(f->write_at(0, bytes("H")).ok());
  EXPECT_EQ(content(f.get()), "Hello world");
  ASSERT_TRUE(f->sync().ok());
  ASSERT_TRUE(f->write_at(20, bytes("x")).ok());
  EXPECT_EQ(content(f.get()), std::string("Hello world") + std::string(9, '\0') + "x");
  ASSERT_TRUE(f->truncate(5).ok());
  ASSERT_TRUE(f->truncate(7).ok());
  EXPECT_EQ(content(f.get()), std::string("Hello\0\0", 7));
  ASSERT_TRUE(f->append(bytes("!")).ok());
  uint64_t size = 0;
  ASSERT_TRUE(f->size(&size).ok());
  EXPECT_EQ(size, 8u);
  char c = 0;
  uint64_t got = 9;
  ASSERT_TRUE(f->read_at(100, &c, 1, &got).ok());
  EXPECT_EQ(got, 0u);
}

TEST_P(AnyFiles, AllocateGrowsButDoesNotMoveAppend) {
  Ref<File> f = opened(files_.get(), path("a"));
  ASSERT_TRUE(f->append(bytes("ab")).ok());
  ASSERT_TRUE(f->allocate(10'000).ok());
  ASSERT_TRUE(f->append(bytes("cd")).ok());
  EXPECT_EQ(content(f.get()), "abcd" + std::string(9'996, '\0'));
  FileStat stat;
  ASSERT_TRUE(files_->stat(path("a").c_str(), &stat).ok());
  EXPECT_EQ(stat.size, 10'000u);
  EXPECT_GE(stat.allocated, 10'000u);
  EXPECT_EQ(stat.mode, 0600u);
}

TEST_P(AnyFiles, NamesThingsAndErrors) {
  File* none = nullptr;
  Status s = files_->open(path("absent").c_str(), kOpenRead, &none);
  EXPECT_EQ(s.code(), Code::kNotFound);
  EXPECT_NE(std::string(s.text()).find("absent"), std::string::npos) << s.text();
  opened(files_.get(), path("a"));
  EXPECT_EQ(files_->open(path("a").c_str(), kOpenWrite | kOpenCreate | kOpenExclusive, &none).code(),
            Code::kInvalid);
  ASSERT_TRUE(files_->make_dir(path("d").c_str()).ok());
  ASSERT_TRUE(files_->make_dir(path("d").c_str()).ok());
  EXPECT_EQ(files_->make_dir(path("a").c_str()).code(), Code::kInvalid);
  EXPECT_EQ(files_->open(path("d").c_str(), kOpenRead, &none).code(), Code::kInvalid);
  ASSERT_TRUE(files_->rename(path("a").c_str(), path("d/b").c_str()).ok());
  ASSERT_TRUE(files_->link(path("d/b").c_str(), path("c").c_str()).ok());
  EXPECT_EQ(files_->link(path("d/b").c_str(), path("c").c_str()).code(), Code::kInvalid);
  EXPECT_EQ(files_->remove(path("d").c_str()).code(), Code::kInvalid);
  Names names;
  ASSERT_TRUE(files_->list(dir_.c_str(), &names).ok());
  EXPECT_EQ(names.sorted(), (std::vector<std::string>{"c", "d"}));
  ASSERT_TRUE(files_->remove(path("d/b").c_str()).ok());
  ASSERT_TRUE(files_->remove(path("d").c_str()).ok());
  EXPECT_EQ(files_->remove(path("d").c_str()).code(), Code::kNotFound);
  EXPECT_TRUE(files_->sync_dir(dir_.c_str()).ok());
  uint64_t space = 0;
  EXPECT_TRUE(files_->free_space(dir_.c_str(), &space).ok());
  EXPECT_GT(space, 0u);
}

TEST_P(AnyFiles, ALockKeepsOthersOut) {
  Ref<File> first, second;
  ASSERT_TRUE(files_->lock(path("lock").c_str(), first.out()).ok());
  EXPECT_EQ(files_->lock(path("lock").c_str(), second.out()).code(), Code::kBusy);
  first.reset();
  EXPECT_TRUE(files_->lock(path("lock").c_str(), second.out()).ok());
}

class PosixOnly : public testing::Test {
 protected:
  PosixOnly() : dir_(::mkdtemp(name_)), files_(make<PosixFiles>(&clock_)) {}
  ~PosixOnly() override { std::filesystem::remove_all(dir_); }
  char name_[32] = "/tmp/quorate_posix_XXXXXX";
  std::string dir_;
  SystemClock clock_;
  Ref<PosixFiles> files_;
};

TEST_F(PosixOnly, RefusesToWriteThroughASymbolicLink) {
  opened(files_.get(), dir_ + "/real");
  std::filesystem::create_symlink(dir_ + "/real", dir_ + "/link");
  File* f = nullptr;
  EXPECT_FALSE(files_->open((dir_ + "/link").c_str(), kOpenWrite, &f).ok());
  EXPECT_FALSE(files_->lock((dir_ + "/link").c_str(), &f).ok());
  EXPECT_TRUE(opened(files_.get(), dir_ + "/link", kOpenRead));
}

TEST_F(PosixOnly, AFailedSyncIsFinal) {
  // The one descriptor on every Linux that writes but cannot sync: a device without fsync answers EINVAL.
  Ref<File> f;
  ASSERT_TRUE(files_->open("/dev/null", kOpenWrite, f.out()).ok());
  ASSERT_TRUE(f->write_at(0, bytes("x")).ok());
  Status s = f->sync();
  EXPECT_EQ(s.code(), Code::kIo);
  EXPECT_NE(std::string(s.text()).find("/dev/null"), std::string::npos);
  EXPECT_EQ(f->sync().code(), Code::kIo);
  EXPECT_EQ(f->write_at(0, bytes("x")).code(), Code::kIo);
  char c;
  uint64_t got;
  EXPECT_EQ(f->read_at(0, &c, 1, &got).code(), Code::kIo);
  EXPECT_EQ(files_->stats().failed_syncs, 1u) << "the second one never reached the kernel";
}

TEST_F(PosixOnly, ADirectWishIsNeverAnError) {
  Ref<File> f = opened(files_.get(), dir_ + "/a", kOpenWrite | kOpenCreate | kOpenDirect);
  ASSERT_TRUE(f->append(bytes("seven b")).ok());
  EXPECT_EQ(content(f.get()), "seven b");
}

TEST_F(PosixOnly, AWriteCutShortIsAnErrorWithPathAndErrno) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{}, tight{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  tight = before;
  tight.rlim_cur = 4096;
  Ref<File> f = opened(files_.get(), dir_ + "/a");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  Status s = f->append(bytes(std::string(10'000, 'x')));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(s.ok());
  EXPECT_NE(std::string(s.text()).find(dir_ + "/a"), std::string::npos);
  EXPECT_NE(std::string(s.text()).find("errno 27"), std::string::npos) << s.text();
}

TEST_F(PosixOnly, CountsBytesAndSyncs) {
  Ref<File> f = opened(files_.get(), dir_ + "/a");
  ASSERT_TRUE(f->append(bytes(std::string(1000, 'x'))).ok());
  ASSERT_TRUE(f->sync().ok());
  ASSERT_TRUE(files_->sync_dir(dir_.c_str()).ok());
  content(f.get());
  FileStats s = files_->stats();
  EXPECT_EQ(s.bytes_written, 1000u);
  EXPECT_EQ(s.bytes_read, 1000u);
  EXPECT_EQ(s.syncs, 1u);
  EXPECT_EQ(s.directory_syncs, 1u);
  EXPECT_GT(s.recent_max_sync_ns, 0u);
  EXPECT_GE(s.recent_max_sync_ns, s.last_sync_ns);
}

TEST(System, ClockAndRandom) {
  SystemClock clock;
  uint64_t a = clock.monotonic_ns();
  EXPECT_LE(a, clock.monotonic_ns());
  EXPECT_GT(clock.unix_ns(), 1'600'000'000'000'000'000u);
  SystemRandom random;
  uint64_t x[4] = {};
  random.fill(x, sizeof x);
  EXPECT_NE(x[0], x[1]);
}

TEST(RecentMaxTest, ForgetsAfterItsSeconds) {
  constexpr uint64_t kSecond = 1'000'000'000;
  RecentMax m;
  m.add(100 * kSecond, 7);
  m.add(101 * kSecond, 3);
  EXPECT_EQ(m.max(105 * kSecond), 7u);
  EXPECT_EQ(m.max(110 * kSecond), 3u);
  EXPECT_EQ(m.max(111 * kSecond), 0u);
}

// ---- FaultFiles
// ------------------------------------------------------------------------------------------------

class Fault : public testing::Test {
 protected:
  Fault() : files_(make<FaultFiles>()) { files_->make_dirs("/d"); }
  Ref<File> durable(const std::string& path, const std::string& text) {
    files_->put(path, bytes(text));
    return opened(files_.get(), path, kOpenWrite);
  }
  Ref<FaultFiles> files_;
};

TEST_F(Fault, UnsyncedThingsMayGo) {
  Ref<File> f = opened(files_.get(), "/d/a");
  ASSERT_TRUE(f->append(bytes(std::string(1024, 'x'))).ok());
  EXPECT_EQ(files_->pending().size(), 4u);  // the size, two sectors, the name
  auto copy = files_->clone();
  copy->power_cut(PowerCut::keep_none());
  EXPECT_FALSE(copy->exists("/d/a"));
  copy = files_->clone();
  copy->power_cut(PowerCut::keep_all());
  EXPECT_EQ(copy->get("/d/a"), std::string(1024, 'x'));
  copy = files_->clone();
  copy->power_cut(PowerCut::mask(0b1101));  // not the first sector
  EXPECT_EQ(copy->get("/d/a"), std::string(512, '\0') + std::string(512, 'x'));
  copy = files_->clone();
  copy->power_cut(PowerCut::mask(0b1110));  // not the size
  EXPECT_EQ(copy->get("/d/a"), "");
  EXPECT_TRUE(copy->exists("/d/a"));

  ASSERT_TRUE(f->sync().ok());
  copy = files_->clone();
  copy->power_cut(PowerCut::keep_none());
  EXPECT_FALSE(copy->exists("/d/a")) << "the directory was not synced";
  ASSERT_TRUE(files_->sync_dir("/d").ok());
  EXPECT_TRUE(files_->pending().empty());
  files_->power_cut(PowerCut::keep_none());
  EXPECT_EQ(files_->get("/d/a"), std::string(1024, 'x'));
  EXPECT_EQ(f->append(bytes("y")).code(), Code::kIo) << "a handle from before the cut";
}

TEST_F(Fault, EverySubsetOfSectorsIsReachable) {
  Ref<File> f = durable("/d/a", std::string(6 * 512, 'o'));
  ASSERT_TRUE(f->write_at(0, bytes(std::string(6 * 512, 'n'))).ok());
  ASSERT_EQ(files_->pending().size(), 6u);
  for (uint64_t mask = 0; mask < 64; ++mask) {
    auto copy = files_->clone();
    copy->power_cut(PowerCut::mask(mask));
    std::string expected;
    for (uint64_t i = 0; i < 6; ++i) expected += std::string(512, (mask >> i) & 1 ? 'n' : 'o');
    EXPECT_EQ(copy->get("/d/a"), expected) << mask;
  }
}

TEST_F(Fault, TornSectorsKeepTheirFirstBytes) {
  Ref<File> f = durable("/d/a", std::string(512, 'o'));
  ASSERT_TRUE(f->write_at(0, bytes(std::string(512, 'n'))).ok());
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    auto copy = files_->clone();
    copy->power_cut(PowerCut::random(seed, true));
    std::string now = copy->get("/d/a");
    auto turn = now.find('o');
    EXPECT_EQ(now.find('n', std::min(turn, now.size())), std::string::npos) << "new bytes only in front";
    seen.insert(now);
  }
  EXPECT_TRUE(seen.count(std::string(512, 'o')));
  EXPECT_TRUE(seen.count(std::string(512, 'n')));
  EXPECT_GT(seen.size(), 10u);
}

TEST_F(Fault, ATruncationIsOneThing) {
  Ref<File> f = durable("/d/a", std::string(3000, 'o'));
  ASSERT_TRUE(f->truncate(1000).ok());
  ASSERT_EQ(files_->pending().size(), 1u);
  auto copy = files_->clone();
  copy->power_cut(PowerCut::keep_none());
  EXPECT_EQ(copy->get("/d/a"), std::string(3000, 'o'));
  files_->power_cut(PowerCut::keep_all());
  EXPECT_EQ(files_->get("/d/a"), std::string(1000, 'o'));
}

TEST_F(Fault, ARenameIsOneThing) {
  durable("/d/old", "old");
  durable("/d/new", "new");
  ASSERT_TRUE(files_->rename("/d/new", "/d/old").ok());
  auto copy = files_->clone();
  copy->power_cut(PowerCut::keep_none());
  EXPECT_EQ(copy->get("/d/old"), "old");
  EXPECT_EQ(copy->get("/d/new"), "new");
  files_->power_cut(PowerCut::keep_all());
  EXPECT_EQ(files_->get("/d/old"), "new");
  EXPECT_FALSE(files_->exists("/d/new"));
}

TEST_F(Fault, FaultsHitTheNthMatchingOperation) {
  Ref<File> a = durable("/d/a", "");
  Ref<File> b = durable("/d/b", "");
  files_->fail({FileOp::kWrite, "/d/b", 2, false, Code::kIo});
  EXPECT_TRUE(b->append(bytes("1")).ok());
  EXPECT_TRUE(a->append(bytes("1")).ok());
  EXPECT_EQ(b->append(bytes("2")).code(), Code::kIo);
  EXPECT_TRUE(b->append(bytes("3")).ok());
  ASSERT_TRUE(b->sync().ok());
  EXPECT_TRUE(b->write_at(0, bytes("lost")).ok());
  files_->fail({FileOp::kSync, "/d/b", 1, false, Code::kIo});
  EXPECT_EQ(b->sync().code(), Code::kIo);
  EXPECT_EQ(b->sync().code(), Code::kIo);
  EXPECT_EQ(files_->get("/d/b").substr(0, 1), "1") << "dropped";
}

TEST_F(Fault, TheQuotaHolds) {
  files_->set_quota(3 * 4096);
  Ref<File> f = durable("/d/a", "");
  EXPECT_EQ(f->append(bytes(std::string(5 * 4096, 'x'))).code(), Code::kNoSpace);
  EXPECT_EQ(files_->used(), 3 * 4096u);
  ASSERT_TRUE(f->truncate(0).ok());
  EXPECT_EQ(files_->used(), 0u);
  EXPECT_EQ(f->allocate(4 * 4096).code(), Code::kNoSpace);
  ASSERT_TRUE(files_->remove("/d/a").ok());
  ASSERT_TRUE(files_->sync_dir("/d").ok());
  f.reset();
  EXPECT_EQ(files_->used(), 0u);
}

TEST_F(Fault, PowerFailsDuringTheNthChange) {
  Ref<File> f = durable("/d/a", "");
  files_->fail_power_at(2);
  EXPECT_TRUE(f->append(bytes("x")).ok());
  EXPECT_EQ(f->sync().code(), Code::kIo);
  EXPECT_TRUE(files_->power_failed());
  EXPECT_EQ(files_->sync_dir("/d").code(), Code::kIo);
  files_->power_cut(PowerCut::keep_none());
  EXPECT_EQ(files_->get("/d/a"), "");
}

TEST_F(Fault, ACutFreesLocks) {
  Ref<File> old, now;
  ASSERT_TRUE(files_->lock("/d/lock", old.out()).ok());
  files_->power_cut(PowerCut::random(1));
  ASSERT_TRUE(files_->lock("/d/lock", now.out()).ok());
  old.reset();
  Ref<File> third;
  EXPECT_EQ(files_->lock("/d/lock", third.out()).code(), Code::kBusy)
      << "the old handle owns nothing any more";
}

TEST_F(Fault, FlippedBitsStay) {
  durable("/d/a", std::string("A"));
  files_->flip_bit("/d/a", 0, 1);
  EXPECT_EQ(files_->get("/d/a"), "C");
  files_->power_cut(PowerCut::keep_none());
  EXPECT_EQ(files_->get("/d/a"), "C");
}

TEST_F(Fault, OneHundredMegabytesAreQuick) {
  SystemClock clock;
  uint64_t began = clock.monotonic_ns();
  Ref<File> f = opened(files_.get(), "/d/a");
  std::string block(1 << 20, 'x');
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(f->append(bytes(block)).ok());
    ASSERT_TRUE(f->sync().ok());
  }
  EXPECT_LT(clock.monotonic_ns() - began, 20'000'000'000u);
}

}  // namespace
}  // namespace quorate
