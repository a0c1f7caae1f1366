// Every row of kRefusals, made to happen, with its exact text; a last test proves that none is missing.
#include <fcntl.h>
#include <sys/mman.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "abi_fixture.h"
#include "host/loader_file.h"

namespace quorate::host::test {
namespace {

using plugin::Code;
using plugin::Engine;
using plugin::Ref;
using plugin::Status;

constexpr uint32_t kForeign = 54321;  // a user and group that nobody has

// Rows that a test has met.
std::set<Refusal>& met() {
  static std::set<Refusal> all;
  return all;
}

class RefusalTest : public AbiTest {
 protected:
  void expect(const Status& status, Refusal refusal, const std::string& path,
              std::initializer_list<std::string_view> values = {}) {
    Status wanted = refuse(refusal, path, values);
    EXPECT_STREQ(status.text(), wanted.text());
    EXPECT_EQ(status.code(), wanted.code());
    met().insert(refusal);
  }
  static void put_text(std::string& bytes, size_t at, const std::string& text) {
    bytes.replace(at, text.size() + 1, text.c_str(), text.size() + 1);
  }
  static void put_u32(std::string& bytes, size_t at, uint32_t value) {
    std::memcpy(bytes.data() + at, &value, 4);
  }
  static constexpr size_t field(size_t offset) { return offset; }
};

#define AT(FIELD) (at + offsetof(plugin::Descriptor, FIELD))

TEST_F(RefusalTest, AbsentFolderOrFifo) {
  std::string path = folder + "/none.so";
  expect(load(request(path)), Refusal::kCannotOpen, path, {"No such file or directory"});
  expect(load(request(folder)), Refusal::kNotRegular, folder);
  path = folder + "/fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  expect(load(request(path)), Refusal::kNotRegular, path);  // and does not wait for a writer
  DescriptorInfo info;
  std::string sha256;
  expect(inspect_plugin(path, &info, &sha256), Refusal::kNotRegular, path);
  path = copy() + "/below.so";
  expect(load(request(path)), Refusal::kCannotOpen, path, {"Not a directory"});
  path = folder + "/loop";
  ASSERT_EQ(symlink("loop", path.c_str()), 0);
  expect(load(request(path)), Refusal::kCannotOpen, path, {"Too many levels of symbolic links"});
}

TEST_F(RefusalTest, AFileOrFolderThatOthersMayWrite) {
  std::string path = copy();
  ASSERT_TRUE(load(request(path)).ok());
  chmod(path.c_str(), 0646);
  expect(load(request(path)), Refusal::kWritable, path, {path, "everyone"});
  chmod(path.c_str(), 0644);
  for (const char* below : {"a", "a/b"}) fs::create_directory(folder + "/" + below);
  std::string deep = folder + "/a/b/plugin.so";
  fs::copy_file(path, deep);
  ASSERT_TRUE(load(request(deep)).ok());
  chmod((folder + "/a").c_str(), 0777);  // not the file's own folder: one further up
  expect(load(request(deep)), Refusal::kWritable, deep, {folder + "/a", "everyone"});
  chmod((folder + "/a").c_str(), 0755);
  if (geteuid() != 0) GTEST_SKIP() << "the rest gives files to other users, which needs root";
  chmod((folder + "/a").c_str(), 01777);
  EXPECT_TRUE(load(request(deep)).ok()) << "a sticky folder of root passes, as /tmp does";
  ASSERT_EQ(chown((folder + "/a").c_str(), 0, kForeign), 0);
  chmod((folder + "/a").c_str(), 0775);
  expect(load(request(deep)), Refusal::kWritable, deep, {folder + "/a", "group 54321"});
  chmod((folder + "/a").c_str(), 0755);
  EXPECT_TRUE(load(request(deep)).ok()) << "a foreign group that may only read";
}

TEST_F(RefusalTest, AForeignOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file to another user";
  std::string path = copy();
  ASSERT_EQ(chown(path.c_str(), kForeign, 0), 0);
  expect(load(request(path)), Refusal::kForeignOwner, path, {path, "54321", "0"});
  ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
  ASSERT_EQ(chown(folder.c_str(), kForeign, 0), 0);
  expect(load(request(path)), Refusal::kForeignOwner, path, {folder, "54321", "0"});
  // A sticky folder protects only when it is root's.
  chmod(folder.c_str(), 01777);
  expect(load(request(path)), Refusal::kForeignOwner, path, {folder, "54321", "0"});
  ASSERT_EQ(chown(folder.c_str(), 0, 0), 0);
}

TEST_F(RefusalTest, LinksAreFollowedStepByStepAndTheirFoldersChecked) {
  std::string path = copy();
  fs::create_directory(folder + "/open");
  fs::create_directory(folder + "/closed");
  std::string link = folder + "/closed/link.so";
  ASSERT_EQ(symlink(("../" + fs::path(path).filename().string()).c_str(), link.c_str()), 0);
  EXPECT_TRUE(load(request(link)).ok());
  std::string far = folder + "/closed/far.so";
  ASSERT_EQ(symlink(path.c_str(), far.c_str()), 0);
  EXPECT_TRUE(load(request(far)).ok());
  // Whoever may write to the folder of a link may turn it elsewhere.
  std::string weak = folder + "/open/link.so";
  ASSERT_EQ(symlink(path.c_str(), weak.c_str()), 0);
  chmod((folder + "/open").c_str(), 0777);
  expect(load(request(weak)), Refusal::kWritable, weak, {folder + "/open", "everyone"});
  // And a safe link may lead into such a folder.
  fs::copy_file(path, folder + "/open/plugin.so");
  std::string into = folder + "/closed/into.so";
  ASSERT_EQ(symlink((folder + "/open/plugin.so").c_str(), into.c_str()), 0);
  expect(load(request(into)), Refusal::kWritable, into, {folder + "/open", "everyone"});
}

TEST_F(RefusalTest, RelativePathsAreTakenFromTheWorkingFolder) {
  std::string path = copy();
  std::string here = fs::current_path().string();
  fs::current_path(folder);
  EXPECT_TRUE(load(request("./" + fs::path(path).filename().string())).ok());
  EXPECT_TRUE(load(request("x/../" + fs::path(path).filename().string())).code() == Code::kNotFound);
  fs::current_path(here);
}

TEST_F(RefusalTest, Sha256) {
  std::string path = copy();
  DescriptorInfo info;
  std::string sha256;
  ASSERT_TRUE(inspect_plugin(path, &info, &sha256).ok());
  PluginRequest r = request(path);
  r.sha256 = sha256;
  EXPECT_TRUE(load(r).ok());
  for (char& c : r.sha256) c = static_cast<char>(toupper(c));
  EXPECT_TRUE(load(r).ok());
  std::string other = changed([](std::string& bytes, size_t at) { bytes[AT(version)]++; });
  r.path = other;
  std::string other_sha256;
  ASSERT_TRUE(inspect_plugin(other, &info, &other_sha256).ok());
  expect(load(r), Refusal::kWrongSha256, other, {other_sha256, sha256});
  for (std::string bad : {sha256.substr(1), sha256 + "0", "g" + sha256.substr(1)}) {
    r.sha256 = bad;
    expect(load(r), Refusal::kBadPin, other);
  }
  // A file of holes: refused by its size long before it is read to its end.
  std::string large = folder + "/large.so";
  put(large, "x");
  ASSERT_EQ(truncate(large.c_str(), (512ll << 20) + 1), 0);
  r.path = large;
  r.sha256 = sha256;
  expect(load(r), Refusal::kTooLarge, large, {"536870913", "at most 536870912"});
}

TEST_F(RefusalTest, NotElf) {
  std::string path = folder + "/text.so";
  for (std::string bytes : {"", "ELF", "#!/bin/sh\nexit 0\n"}) {
    put(path, bytes);
    expect(load(request(path)), Refusal::kNotElf, path);
  }
  path = changed([](std::string& bytes, size_t) { bytes[4] = 1; });  // of a 32-bit machine
  expect(load(request(path)), Refusal::kNotElf, path);
  path = changed([](std::string& bytes, size_t) { bytes[5] = 2; });  // big-endian
  expect(load(request(path)), Refusal::kNotElf, path);
  path = changed([](std::string& bytes, size_t) { bytes[16] = 2; });  // an executable
  expect(load(request(path)), Refusal::kNotElf, path);
}

TEST_F(RefusalTest, TruncatedAnywhere) {
  std::string whole = contents_of(fixture("storage-fixture"));
  std::string path = folder + "/cut.so";
  for (size_t size : {size_t{5}, size_t{63}, size_t{64}, size_t{1000}, whole.size() / 2, whole.size() - 1}) {
    put(path, whole.substr(0, size));
    Status s = load(request(path));
    EXPECT_EQ(s.code(), Code::kCorruption) << size << ": " << s.text();
  }
  put(path, whole.substr(0, 5));
  expect(load(request(path)), Refusal::kTruncated, path, {"the ELF header"});
  put(path, whole.substr(0, whole.size() - 1));
  expect(load(request(path)), Refusal::kTruncated, path, {"the table of sections is not within the file"});
}

// Whatever bytes the headers have: an answer, and no read outside of the file (the address sanitizer
// watches).
TEST_F(RefusalTest, HostileHeaders) {
  uint64_t seed = 20261121;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::string whole = contents_of(fixture("storage-fixture"));
  uint64_t sections;
  std::memcpy(&sections, whole.data() + 40, 8);
  ASSERT_LT(sections, whole.size());
  OpenFile file(memfd_create("mutant", MFD_CLOEXEC));
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = whole;
    for (uint64_t n = 1 + random() % 4; n != 0; --n) {
      bool in_header = random() % 3 == 0;
      size_t begin = in_header ? 0 : sections, size = in_header ? 64 : whole.size() - sections;
      size_t at = begin + random() % size;
      if (random() % 2 == 0) {
        bytes[at] = static_cast<char>(random());
      } else {  // a whole number at its place, and a nasty one
        constexpr uint64_t kNasty[] = {0,          1,   UINT64_MAX, UINT64_MAX - 63, uint64_t{1} << 63,
                                       0xffffffff, 4096};
        uint64_t value = kNasty[random() % std::size(kNasty)];
        at = std::min(at & ~size_t{7}, bytes.size() - 8);
        std::memcpy(bytes.data() + at, &value, 8);
      }
    }
    ASSERT_EQ(pwrite(file.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    DescriptorInfo info;
    Status s = read_descriptor("mutant.so", file.get(), &info);
    if (s.ok()) {
      EXPECT_EQ(info.name, "fixture");
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

TEST_F(RefusalTest, ALibraryThatIsNoPlugin) {
  std::string path = fixture("storage-library");
  expect(load(request(path, "library")), Refusal::kNoDescriptor, path);
}

TEST_F(RefusalTest, Descriptors) {
  std::string path = changed([](std::string& bytes, size_t at) { bytes[AT(magic)] = 'q'; });
  expect(load(request(path)), Refusal::kBadMagic, path);
  path = changed([](std::string& bytes, size_t at) { put_u32(bytes, AT(abi_major), 2); });
  expect(load(request(path)), Refusal::kOtherAbiMajor, path, {"2", "1"});
  path = changed([](std::string& bytes, size_t at) { put_u32(bytes, AT(struct_size), 192); });
  expect(load(request(path)), Refusal::kBadDescriptor, path, {"it has 184 bytes and says 192, not 184"});
  path = changed([](std::string& bytes, size_t at) { put_u32(bytes, AT(abi_minor), 7); });
  expect(load(request(path)), Refusal::kNewerAbiMinor, path, {"1.7", "1.0"});
  path = changed([](std::string& bytes, size_t at) { put_u32(bytes, AT(kind), 2); });
  expect(load(request(path)), Refusal::kWrongKind, path, {"transport", "storage"});
  path = changed([](std::string& bytes, size_t at) { put_u32(bytes, AT(kind), 9); });
  expect(load(request(path)), Refusal::kBadDescriptor, path, {"its field kind"});
  path = changed([](std::string& bytes, size_t at) { put_text(bytes, AT(name), "other"); });
  expect(load(request(path)), Refusal::kWrongName, path, {"other", "fixture"});
  path = changed([](std::string& bytes, size_t at) { bytes.replace(AT(name), 64, 64, 'x'); });
  expect(load(request(path)), Refusal::kBadDescriptor, path, {"its field name"});
  path = changed([](std::string& bytes, size_t at) { put_text(bytes, AT(version), "1\n2"); });
  expect(load(request(path)), Refusal::kBadDescriptor, path, {"its field version"});
  const char* here = plugin::this_architecture();
  path = changed([](std::string& bytes, size_t at) { put_text(bytes, AT(architecture), "riscv64"); });
  expect(load(request(path)), Refusal::kOtherArchitecture, path, {"riscv64", here});
  path = changed([](std::string& bytes, size_t) { bytes[18] = static_cast<char>(243); });
  expect(load(request(path)), Refusal::kOtherArchitecture, path, {"ELF machine 243", here});
  bool sanitized = plugin::this_sanitizer()[0] != 0;
  path = changed(
      [&](std::string& bytes, size_t at) { put_text(bytes, AT(sanitizer), sanitized ? "" : "address"); });
  std::string this_one = std::string("sanitizer ") + plugin::this_sanitizer();
  expect(load(request(path)), Refusal::kOtherSanitizer, path,
         {sanitized ? "no sanitizer" : "sanitizer address", sanitized ? this_one : "no sanitizer"});
}

TEST_F(RefusalTest, Duplicate) {
  std::string first = copy(), second = copy();
  Loader loader(nullptr);
  Ref<Engine> a, b;
  ASSERT_TRUE(loader.make(request(first), &a).ok());
  expect(loader.make(request(second), &b), Refusal::kDuplicate, second, {"storage-fixture", first});
  EXPECT_FALSE(b);
}

TEST_F(RefusalTest, UnresolvedSymbolAndMissingSymbol) {
  std::string path = fixture("storage-unresolved");
  expect(load(request(path, "unresolved")), Refusal::kCannotLoad, path,
         {path + ": undefined symbol: _Z27fixture_nobody_defines_thisv"});

  path = changed([](std::string& bytes, size_t) {
    for (size_t i = bytes.find("quorate_plugin_v1"); i != std::string::npos;
         i = bytes.find("quorate_plugin_v1", i))
      bytes[i + 16] = '9';
  });
  expect(load(request(path)), Refusal::kNoSymbol, path);
}

TEST_F(RefusalTest, TheOptionThatIsRefusedIsFound) {
  constexpr size_t kNone = 99;
  const struct {
    std::vector<std::pair<std::string, std::string>> options;
    size_t wrong;
  } kCases[] = {
      {{{"modus", "x"}}, 0},
      {{{"mode", "fail"}, {"modus", "x"}, {"mode", ""}}, 1},
      {{{"mode", ""}, {"mode", ""}, {"modus", "x"}}, 2},
      {{{"first", ""}, {"second", ""}}, 0},
      {{{"mode", "alone"}, {"mode", ""}, {"mode", ""}}, 1},  // the one that completes the conflict
      {{{"mode", "alone"}}, kNone},                          // taken
  };
  PluginRequest r = request(copy());
  for (const auto& c : kCases) {
    r.options = c.options;
    Loader loader(nullptr);
    const LoadedPlugin* loaded = nullptr;
    size_t wrong = kNone;
    EXPECT_EQ(loader.load(r, &loaded, &wrong).ok(), c.wrong == kNone);
    EXPECT_EQ(wrong, c.wrong);
  }
  size_t wrong = kNone;  // another refusal is about no option
  const LoadedPlugin* loaded = nullptr;
  r.name = "other";
  EXPECT_FALSE(Loader(nullptr).load(r, &loaded, &wrong).ok());
  EXPECT_EQ(wrong, kNone);
}

TEST_F(RefusalTest, OptionsAndCreate) {
  PluginRequest r = request(copy());
  r.options = {{"modus", "x"}};
  expect(load(r), Refusal::kOptions, r.path, {"no option is called modus"});
  r.options = {{"mode", "fail"}};
  expect(load(r), Refusal::kCreateFailed, r.path, {"io: the fixture fails"});
  r.options = {{"mode", "throw"}};
  expect(load(r), Refusal::kCreateFailed, r.path, {"internal: the fixture throws"});
  r.options = {{"mode", "nothing"}};
  expect(load(r), Refusal::kNoObject, r.path);
  r.options = {{"mode", "no-interface"}};
  expect(load(r), Refusal::kNoInterface, r.path, {Engine::kId});
  std::string path = fixture("storage-throwing");
  expect(load(request(path, "throwing")), Refusal::kCreateThrew, path, {"out of its own frame"});
}

// ---- The file changes after it was checked
// ----------------------------------------------------------------------------

struct Swap {
  std::string path, evil;
};

TEST_F(RefusalTest, AFileReplacedAfterTheCheckIsNotWhatRuns) {
  std::string path = copy();
  std::string evil = changed([](std::string& bytes, size_t at) { put_text(bytes, AT(version), "evil"); });
  Swap swap{path, evil};
  Loader loader(nullptr);
  loader.before_dlopen_argument = &swap;
  loader.before_dlopen = [](void* p) {
    auto* s = static_cast<Swap*>(p);
    fs::rename(s->evil, s->path);
  };
  const LoadedPlugin* loaded = nullptr;
  Status status = loader.load(request(path), &loaded);
  ASSERT_TRUE(status.ok()) << status.text();
  EXPECT_STREQ(loaded->descriptor->version, "1.2.3");
}

TEST_F(RefusalTest, AFileOverwrittenAfterTheCheckIsNoticedOrDoesNotMatter) {
  for (bool pinned : {false, true}) {
    PluginRequest r = request(copy());
    DescriptorInfo info;
    if (pinned) {
      ASSERT_TRUE(inspect_plugin(r.path, &info, &r.sha256).ok());
    }
    Loader loader(nullptr);
    loader.before_dlopen_argument = &r.path;
    loader.before_dlopen = [](void* p) {
      auto& path = *static_cast<std::string*>(p);
      std::string bytes = contents_of(path);
      size_t at = bytes.find(std::string(plugin::kMagic, sizeof plugin::kMagic));
      int fd = open(path.c_str(), O_WRONLY);
      EXPECT_EQ(pwrite(fd, "evil", 5, static_cast<off_t>(AT(version))), 5);
      close(fd);
    };
    const LoadedPlugin* loaded = nullptr;
    Status status = loader.load(r, &loaded);
    if (pinned) {
      ASSERT_TRUE(status.ok()) << status.text();
      EXPECT_STREQ(loaded->descriptor->version, "1.2.3");
    } else {
      expect(status, Refusal::kChanged, r.path);
    }
  }
}

TEST_F(RefusalTest, ASealedCopyCannotBeChanged) {
  std::string path = copy();
  OpenFile file, sealed;
  std::string sha256;
  ASSERT_TRUE(open_safely(path, &file).ok());
  ASSERT_TRUE(copy_sealed(path, file, &sealed, &sha256).ok());
  EXPECT_EQ(pwrite(sealed.get(), "x", 1, 0), -1);
  EXPECT_EQ(ftruncate(sealed.get(), 0), -1);
  EXPECT_EQ(open(sealed.proc_path().c_str(), O_WRONLY | O_TRUNC), -1);
  EXPECT_EQ(contents_of(sealed.proc_path()), contents_of(path));
}

// Somebody swaps the file all the time: it is either refused or the good one, never something in between.
TEST_F(RefusalTest, ASwappingAttackerNeverWins) {
  std::string good = copy();
  std::string evil = changed([](std::string& bytes, size_t at) { put_text(bytes, AT(name), "evil"); });
  std::string path = folder + "/target.so";
  fs::copy_file(good, path);
  std::atomic<bool> stop{false};
  std::atomic<int> swaps{0};
  std::thread attacker([&] {
    for (int i = 0; !stop; ++i) {
      std::string temporary = folder + "/next.so";
      fs::remove(temporary);
      fs::create_hard_link(i % 2 == 0 ? evil : good, temporary);
      fs::rename(temporary, path);
      ++swaps;
    }
  });
  int loads = 0, refusals = 0;
  while ((loads < 20 || refusals < 20) && loads + refusals < 20'000) {
    Loader loader(nullptr);
    const LoadedPlugin* loaded = nullptr;
    Status status = loader.load(request(path), &loaded);
    if (status.ok()) {
      ++loads;
      ASSERT_STREQ(loaded->descriptor->name, "fixture");
    } else {
      ++refusals;
      ASSERT_STREQ(status.text(), text(Refusal::kWrongName, path, {"evil", "fixture"}).c_str());
    }
  }
  stop = true;
  attacker.join();
  EXPECT_GE(loads, 20);
  EXPECT_GE(refusals, 20);
  EXPECT_GT(swaps, 0);
}

// ---- The table
// ------------------------------------------------------------------------------------------------------

// Runs last (by its name, in a suite of its own): every row has been met.
TEST(ZRefusals, EveryRowHasATest) {
  if (::testing::UnitTest::GetInstance()->test_to_run_count() !=
      ::testing::UnitTest::GetInstance()->total_test_count())
    GTEST_SKIP() << "only some tests run";
  std::set<std::string> texts;
  for (const RefusalRow& row : kRefusals) {
    bool needs_root = row.refusal == Refusal::kForeignOwner && geteuid() != 0;
    EXPECT_TRUE(needs_root || met().count(row.refusal) != 0) << "no test meets: " << row.text;
    EXPECT_TRUE(texts.insert(row.text).second) << "two rows say: " << row.text;
  }
}

}  // namespace
}  // namespace quorate::host::test
