// What the contract says besides reading and writing: options, locks, misuse, closing, threads.
#include <thread>

#include "conformance/storage_harness.h"
#include "support/fault_files.h"

namespace quorate::test {
namespace {

using plugin::Code;
using plugin::Ref;
using plugin::Status;
using plugin::WriteKind;

class StorageContract : public testing::TestWithParam<std::string> {
 protected:
  StorageContract() { files_->make_dirs("/data"); }
  Ref<FaultFiles> files_ = plugin::make<FaultFiles>();
};
INSTANTIATE_TEST_SUITE_P(, StorageContract, testing::ValuesIn(kStoragePlugins), suite_name);

TEST_P(StorageContract, CreateTouchesNoDisk) {
  Subject subject(GetParam(), files_, "/data");
  EXPECT_EQ(files_->counters().total, 0u);
  EXPECT_EQ(subject.engine(), subject.engine()->query(plugin::Engine::kId));
  EXPECT_EQ(subject.engine()->query("quorate.nothing/1"), nullptr);
}

TEST_P(StorageContract, AllFilesGoThroughTheHost) {
  Subject subject(GetParam(), files_, "/data");
  ASSERT_TRUE(subject.open().ok());
  ASSERT_TRUE(subject.write(make_batch(1, 1, false), 1).ok());
  ASSERT_TRUE(subject.store()->sync(1).ok());
  EXPECT_EQ(files_->counters().of(FileOp::kSync) == 0, subject.is_volatile());
}

TEST_P(StorageContract, OptionsAreChecked) {
  const auto& descriptor = load_plugin(plugin_path(QUORATE_BINARY_DIR, GetParam()));
  EXPECT_TRUE(descriptor.check_options({}).ok());
  OptionList unknown({{"no_such_option", "1"}});
  Status s = descriptor.check_options(unknown.view());
  EXPECT_EQ(s.code(), Code::kInvalid);
  EXPECT_NE(std::string(s.text()).find("no_such_option"), std::string::npos) << s.text();
  if ((descriptor.capabilities & plugin::kCapVolatile) != 0) return;

  OptionList good(
      {{"memtable", "4MiB"}, {"block_cache", "0"}, {"compression", "\"snappy\""}, {"open_files", "100"}});
  EXPECT_TRUE(descriptor.check_options(good.view()).ok());
  OptionList misspelt({{"memtabel", "4MiB"}});
  EXPECT_NE(std::string(descriptor.check_options(misspelt.view()).text()).find("'memtable'"),
            std::string::npos);
  for (const char* value :
       {"", "4TiB", "1", "-1", "99999999999999999999999", "4 MiB", "x", "17179869184GiB"}) {
    OptionList wrong({{"memtable", value}});
    s = descriptor.check_options(wrong.view());
    EXPECT_EQ(s.code(), Code::kInvalid) << value;
    EXPECT_NE(std::string(s.text()).find("memtable"), std::string::npos) << s.text();
  }
  OptionList word({{"compression", "best"}});
  EXPECT_EQ(descriptor.check_options(word.view()).code(), Code::kInvalid);
}

TEST_P(StorageContract, OneOwnerAtATime) {
  Subject first(GetParam(), files_, "/data");
  Subject second(GetParam(), files_, "/data");
  ASSERT_TRUE(first.open().ok());
  if (first.is_volatile()) GTEST_SKIP() << "a volatile engine has no directory to own";
  EXPECT_EQ(second.open().code(), Code::kBusy);
  ASSERT_TRUE(first.close().ok());
  Status s = second.open();
  EXPECT_TRUE(s.ok()) << s.text();
}

TEST_P(StorageContract, Misuse) {
  Subject subject(GetParam(), files_, "/data");
  EXPECT_EQ(subject.open(0).code(), Code::kInvalid);
  ASSERT_TRUE(subject.open().ok());
  ASSERT_TRUE(subject.write({{WriteKind::kPut, 0, "k", "v"}}, 5).ok());
  EXPECT_EQ(subject.write({{WriteKind::kPut, 0, "k", "w"}}, 4).code(), Code::kInvalid);
  EXPECT_EQ(subject.write({{WriteKind::kPut, 1, "l", "w"}, {WriteKind::kPut, 9, "k", "w"}}, 6).code(),
            Code::kInvalid);
  EXPECT_EQ(
      subject.write({{WriteKind::kPut, 1, "l", "w"}, {static_cast<WriteKind>(77), 0, "k", "w"}}, 6).code(),
      Code::kUnsupported);
  if (!subject.delete_range()) {
    EXPECT_EQ(subject.write({{WriteKind::kDeleteRange, 0, "a", "z"}}, 6).code(), Code::kUnsupported);
  }
  // A refused batch left nothing behind and the handle is good.
  Ref<plugin::ReadView> view = subject.view();
  Answers answers;
  EXPECT_TRUE(view->get(0, bytes("k"), &answers).ok());
  EXPECT_EQ(answers.entries[0].value, "v");
  EXPECT_EQ(view->get(1, bytes("l"), &answers).code(), Code::kNotFound);
  EXPECT_EQ(view->get(9, bytes("k"), &answers).code(), Code::kInvalid);
  EXPECT_EQ(view->multi_get(9, {}, &answers).code(), Code::kInvalid);
  plugin::ScanOptions scan;
  scan.keyspace = 9;
  EXPECT_EQ(view->scan(scan, &answers).code(), Code::kInvalid);
  EXPECT_TRUE(subject.write({{WriteKind::kPut, 0, "k", "w"}}, 6).ok());
  EXPECT_TRUE(subject.write({}, 7).ok());
  EXPECT_TRUE(subject.store()->sync(1000).ok());  // all there is
  EXPECT_TRUE(subject.store()->sync(7).ok());
  EXPECT_GE(subject.store()->durable_mark(), subject.is_volatile() ? 0u : 7u);
  EXPECT_GE(subject.events().durable(), subject.is_volatile() ? 0u : 7u);
}

TEST_P(StorageContract, AfterClose) {
  Subject subject(GetParam(), files_, "/data");
  ASSERT_TRUE(subject.open().ok());
  ASSERT_TRUE(subject.write({{WriteKind::kPut, 0, "k", "v"}}, 1).ok());
  Ref<plugin::ReadView> view = subject.view();
  Ref<plugin::Store> store = Ref<plugin::Store>::share(subject.store());
  ASSERT_TRUE(subject.close().ok());
  Answers answers;
  std::string key = "k";
  plugin::ByteView keys[] = {bytes(key)};
  EXPECT_EQ(view->get(0, bytes(key), &answers).code(), Code::kViewExpired);
  EXPECT_EQ(view->multi_get(0, {keys, 1}, &answers).code(), Code::kViewExpired);
  EXPECT_EQ(view->scan({}, &answers).code(), Code::kViewExpired);
  EXPECT_EQ(view->mark(), 1u);
  EXPECT_TRUE(answers.entries.empty());
  EXPECT_EQ(store->write({}, 2).code(), Code::kInvalid);
  EXPECT_EQ(store->sync(1).code(), Code::kInvalid);
  EXPECT_EQ(store->compact(0, {}, {}).code(), Code::kInvalid);
  plugin::ReadView* out = nullptr;
  EXPECT_EQ(store->new_read_view(&out).code(), Code::kInvalid);
  EXPECT_TRUE(store->close().ok());
}

TEST_P(StorageContract, ReadOnly) {
  Subject subject(GetParam(), files_, "/data");
  ASSERT_TRUE(subject.open().ok());
  ASSERT_TRUE(subject.write({{WriteKind::kPut, 0, "k", "v"}}, 1).ok());
  ASSERT_TRUE(subject.store()->sync(1).ok());
  ASSERT_TRUE(subject.close().ok());
  Status s = subject.open(kKeyspaces, true);
  if (s.code() == Code::kUnsupported) GTEST_SKIP() << s.text();
  ASSERT_TRUE(s.ok()) << s.text();
  EXPECT_EQ(subject.write({{WriteKind::kPut, 0, "k", "w"}}, 2).code(), Code::kInvalid);
  Answers answers;
  EXPECT_EQ(subject.view()->get(0, bytes("k"), &answers).code(),
            subject.is_volatile() ? Code::kNotFound : Code::kOk);
}

TEST_P(StorageContract, Statistics) {
  struct Sink final : plugin::StatisticsSink {
    void statistic(plugin::ByteView name, plugin::ByteView) noexcept override {
      names.emplace_back(name.chars(), name.size);
    }
    std::vector<std::string> names;
  } sink;
  Subject subject(GetParam(), files_, "/data");
  ASSERT_TRUE(subject.open().ok());
  for (uint64_t i = 1; i <= 50; ++i) ASSERT_TRUE(subject.write(make_batch(1, i, false), i).ok());
  ASSERT_TRUE(subject.store()->sync(50).ok());
  subject.store()->statistics(&sink);
  ASSERT_FALSE(sink.names.empty());
  for (const std::string& name : sink.names) EXPECT_EQ(name.find(GetParam().substr(8) + "."), 0u) << name;
  EXPECT_EQ(subject.store()->approximate_size() == 0, subject.is_volatile());
}

// ---- Threads
// ---------------------------------------------------------------------------------------------------

// Each batch sets ten keys to its number, so that a view which is no point in time shows two numbers.
Batch round_of(uint64_t i) {
  Batch batch;
  for (int k = 0; k < 10; ++k) {
    batch.push_back(
        {WriteKind::kPut, static_cast<uint32_t>(k % 3), "k" + std::to_string(k), std::to_string(i)});
  }
  batch.push_back({WriteKind::kPut, 0, "pad" + std::to_string(i % 500), std::string(500, 'p')});
  return batch;
}

void look_once(Subject* subject, const std::atomic<uint64_t>& written) {
  const uint64_t before = written.load();
  Ref<plugin::ReadView> view = subject->view();
  ASSERT_TRUE(view);
  ASSERT_GE(view->mark(), before);
  uint64_t seen = 0;
  for (uint32_t keyspace = 0; keyspace < kKeyspaces; ++keyspace) {
    Answers answers;
    plugin::ScanOptions options;
    options.keyspace = keyspace;
    std::string begin = "k";
    std::string end = "l";
    options.begin = bytes(begin);
    options.end = bytes(end);
    Status s = view->scan(options, &answers);
    ASSERT_TRUE(s.ok()) << s.text();
    for (const auto& e : answers.entries) {
      const uint64_t n = std::stoull(e.value);
      if (seen == 0) seen = n;
      ASSERT_EQ(n, seen) << "a view that is no point in time";
    }
  }
  ASSERT_GE(seen, view->mark());
}

TEST_P(StorageContract, ViewsBesideWritesAndSyncs) {
  Subject subject(GetParam(), files_, "/data");
  ASSERT_TRUE(subject.open().ok());
  const uint64_t rounds = soak() ? 20'000 : 2'000;
  ASSERT_TRUE(subject.write(round_of(1), 1).ok());
  std::atomic<uint64_t> written{1};
  std::thread writer([&] {
    for (uint64_t i = 2; i <= rounds && !HasFailure(); ++i) {
      ASSERT_TRUE(subject.write(round_of(i), i).ok());
      written.store(i);
    }
    written.store(rounds);
  });
  std::thread syncer([&] {
    while (written.load() < rounds && !HasFailure()) {
      const uint64_t mark = written.load();
      Status s = subject.store()->sync(mark);
      ASSERT_TRUE(s.ok()) << s.text();
      if (!subject.is_volatile()) {
        ASSERT_GE(subject.store()->durable_mark(), mark);
      }
    }
  });
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (written.load() < rounds && !HasFailure()) look_once(&subject, written);
    });
  }
  writer.join();
  syncer.join();
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(subject.events().errors(), 0u);
}

TEST_P(StorageContract, CloseUnderRunningViews) {
  for (int round = 0; round < (soak() ? 200 : 10) && !HasFailure(); ++round) {
    Subject subject(GetParam(), files_, "/data");
    ASSERT_TRUE(subject.open().ok());
    for (uint64_t i = 1; i <= 100; ++i) ASSERT_TRUE(subject.write(round_of(i), i).ok());
    std::vector<std::thread> readers;
    std::atomic<int> running{0};
    for (int i = 0; i < 3; ++i) {
      readers.emplace_back([&, view = subject.view()]() mutable {
        running.fetch_add(1);
        for (;;) {
          Answers answers;
          Status s = view->scan({}, &answers);
          if (s.code() == Code::kViewExpired) break;
          ASSERT_TRUE(s.ok()) << s.text();
          ASSERT_GE(answers.entries.size(), 4u);
        }
        view.reset();
      });
    }
    while (running.load() < 3) std::this_thread::yield();
    EXPECT_TRUE(subject.close().ok());
    for (std::thread& reader : readers) reader.join();
  }
}

}  // namespace
}  // namespace quorate::test
