// A disk that is full, fails, or returns other bits than were written.
#include <random>

#include "conformance/storage_harness.h"
#include "support/fault_files.h"

namespace quorate::test {
namespace {

using plugin::Code;
using plugin::Ref;
using plugin::Status;

class StorageFault : public testing::TestWithParam<std::string> {
 protected:
  StorageFault() { files_->make_dirs("/data"); }

  // Writes batches from `from`, with a sync every fourth, until one is refused; the first refusal.
  Status write_until_refused(Subject* subject, uint64_t from, uint64_t batches) {
    for (last_ = from - 1; last_ < from + batches;) {
      Status s = subject->write(make_batch(kSeed, last_ + 1, subject->delete_range(), 4), last_ + 1);
      if (!s.ok()) return s;
      ++last_;
      if (last_ % 4 != 0) continue;
      s = subject->store()->sync(last_);
      if (!s.ok()) return s;
      synced_ = last_;
    }
    return Status();
  }

  // What holds on every poisoned handle: writes answer the first error, reads and new views are whole.
  void check_poisoned(Subject* subject, Code code, plugin::ReadView* older, uint64_t older_batches) {
    const bool ranges = subject->delete_range();
    EXPECT_EQ(subject->write(make_batch(kSeed, last_ + 1, ranges, 4), last_ + 1).code(), code);
    if (subject->store()->durable_mark() < last_) {
      EXPECT_EQ(subject->store()->sync(last_).code(), code);
    }
    EXPECT_EQ(subject->events().errors(), 1u);
    Model old;
    ASSERT_TRUE(read_all(older, &old).ok());
    EXPECT_TRUE(old == model_after(kSeed, older_batches, ranges, 4));
    Model now;
    Ref<plugin::ReadView> view = subject->view();
    Status s = read_all(view.get(), &now);
    ASSERT_TRUE(s.ok()) << s.text();
    EXPECT_TRUE(now == model_after(kSeed, last_, ranges, 4)) << now.applied() << " of " << last_;
  }

  static constexpr uint64_t kSeed = 77;
  Ref<FaultFiles> files_ = plugin::make<FaultFiles>();
  uint64_t last_ = 0;    // the last batch that write() took
  uint64_t synced_ = 0;  // the last ok sync
};
INSTANTIATE_TEST_SUITE_P(, StorageFault, testing::Values("storage-rocksdb", "storage-leveldb"), suite_name);

TEST_P(StorageFault, NoSpace) {
  for (uint64_t room : {0, 5, 20, 60, 200}) {  // KiB: at every step of a flush
    SCOPED_TRACE("room " + std::to_string(room) + " KiB");
    files_ = plugin::make<FaultFiles>();
    files_->make_dirs("/data");
    Subject subject(GetParam(), files_, "/data", {{"memtable", "1MiB"}});
    ASSERT_TRUE(subject.open().ok());
    ASSERT_TRUE(write_until_refused(&subject, 1, 30).ok());
    Ref<plugin::ReadView> older = subject.view();
    const uint64_t older_batches = last_;
    files_->set_quota(files_->used() + room * 1024);
    Status s = write_until_refused(&subject, last_ + 1, 2000);
    ASSERT_EQ(s.code(), Code::kNoSpace) << s.text();
    check_poisoned(&subject, Code::kNoSpace, older.get(), older_batches);
    older.reset();
    (void)subject.close();
    // Full still: it may open or refuse, and loses nothing either way.
    s = subject.open();
    if (s.ok()) {
      check_prefix(&subject, kSeed, synced_, last_ + 1, 4);
      (void)subject.close();
    } else {
      EXPECT_EQ(s.code(), Code::kNoSpace) << s.text();
    }
    files_->set_quota(uint64_t{1} << 40);
    s = subject.open();
    ASSERT_TRUE(s.ok()) << s.text();
    last_ = check_prefix(&subject, kSeed, synced_, last_ + 1, 4);
    s = write_until_refused(&subject, last_ + 1, 20);
    EXPECT_TRUE(s.ok()) << s.text();
    check_prefix(&subject, kSeed, last_, last_, 4);
  }
}

TEST_P(StorageFault, TheDiskFails) {
  const bool rocks = GetParam() == "storage-rocksdb";
  const std::vector<FileFault> faults = {
      {FileOp::kWrite, rocks ? ".sst" : ".ldb"},
      {FileOp::kSync, rocks ? ".sst" : ".ldb"},
      {FileOp::kOpen, rocks ? ".sst" : ".ldb"},
      {FileOp::kWrite, "MANIFEST"},
      {FileOp::kSync, "MANIFEST"},
      {FileOp::kSyncDir, "/data"},
  };
  for (const FileFault& fault : faults) {
    SCOPED_TRACE(std::string(file_op_name(fault.op)) + " of " + fault.path_part);
    files_ = plugin::make<FaultFiles>();
    files_->make_dirs("/data");
    Subject subject(GetParam(), files_, "/data", {{"memtable", "1MiB"}});
    ASSERT_TRUE(subject.open().ok());
    ASSERT_TRUE(write_until_refused(&subject, 1, 30).ok());
    Ref<plugin::ReadView> older = subject.view();
    const uint64_t older_batches = last_;
    files_->fail(fault);  // once: a second try would be answered ok, with the data gone
    Status s = write_until_refused(&subject, last_ + 1, 2000);
    ASSERT_EQ(s.code(), Code::kIo) << s.text();
    check_poisoned(&subject, Code::kIo, older.get(), older_batches);
    older.reset();
    (void)subject.close();
    files_->power_cut(PowerCut::random(5));
    s = subject.open();
    ASSERT_TRUE(s.ok()) << s.text();
    last_ = check_prefix(&subject, kSeed, synced_, last_ + 1, 4);
    s = write_until_refused(&subject, last_ + 1, 20);
    EXPECT_TRUE(s.ok()) << s.text();
  }
}

// A memtable that is flushed because it is full, with nobody waiting for it.
TEST_P(StorageFault, ABackgroundFlushFails) {
  Subject subject(GetParam(), files_, "/data", {{"memtable", "1MiB"}});
  ASSERT_TRUE(subject.open().ok());
  files_->fail({FileOp::kSync, GetParam() == "storage-rocksdb" ? ".sst" : ".ldb", 1, true});
  Status s;
  for (uint64_t i = 1; i < 100'000 && s.ok(); ++i) {
    s = subject.write(make_batch(kSeed, i, false, 20), i);
  }
  EXPECT_EQ(s.code(), Code::kIo) << s.text();
  EXPECT_EQ(subject.events().errors(), 1u);
  EXPECT_EQ(subject.store()->durable_mark(), 0u);
}

// ---- Bit flips
// -------------------------------------------------------------------------------------------------

// Every read answers what was written or an error, or everything is an exact earlier prefix.
void check_damaged(Subject* subject, uint64_t seed, uint64_t batches) {
  const bool ranges = subject->delete_range();
  Status s = subject->open();
  if (!s.ok()) {
    EXPECT_TRUE(s.code() == Code::kCorruption || s.code() == Code::kIo || s.code() == Code::kInvalid ||
                s.code() == Code::kIncompatible || s.code() == Code::kUnsupported ||
                s.code() == Code::kNotFound)
        << plugin::code_name(s.code()) << ": " << s.text();
    return;
  }
  Ref<plugin::ReadView> view = subject->view();
  Answers applied;
  s = view->get(kMeta, bytes("applied"), &applied);
  uint64_t n = batches;
  if (s.ok()) n = std::stoull(applied.entries.at(0).value);
  if (s.code() == Code::kNotFound) n = 0;
  ASSERT_LE(n, batches);
  const Model model = model_after(seed, n, ranges);
  for (uint32_t keyspace = 0; keyspace < kKeyspaces; ++keyspace) {
    const Model::Map& map = model.keyspace(keyspace);
    for (const auto& [key, value] : map) {
      Answers answers;
      s = view->get(keyspace, bytes(key), &answers);
      ASSERT_NE(s.code(), Code::kNotFound) << "a record is silently gone; applied " << n;
      if (s.ok()) {
        ASSERT_EQ(answers.entries.at(0).value, value);
      }
      if (n < batches) {
        ASSERT_TRUE(s.ok()) << s.text();
      }
    }
    for (uint32_t reverse = 0; reverse < 2; ++reverse) {
      Answers answers;
      plugin::ScanOptions options;
      options.keyspace = keyspace;
      options.reverse = reverse;
      s = view->scan(options, &answers);
      if (s.ok()) {
        ASSERT_EQ(answers.entries.size(), map.size());
      }
      ASSERT_LE(answers.entries.size(), map.size());
      auto forward = map.begin();
      auto backward = map.rbegin();
      for (const auto& e : answers.entries) {
        ASSERT_EQ(e.key, reverse != 0 ? backward->first : forward->first) << "a gap";
        ASSERT_EQ(e.value, reverse != 0 ? backward->second : forward->second);
        reverse != 0 ? (void)++backward : (void)++forward;
      }
    }
  }
}

TEST_P(StorageFault, BitFlips) {
  constexpr uint64_t kBatches = 60;
  {
    Subject subject(GetParam(), files_, "/data", {{"block_size", "1KiB"}});
    ASSERT_TRUE(subject.open().ok());
    for (uint64_t i = 1; i <= kBatches; ++i) {
      ASSERT_TRUE(subject.write(make_batch(kSeed, i, subject.delete_range()), i).ok());
      if (i % 20 == 0) {
        ASSERT_TRUE(subject.store()->sync(i).ok());
      }
      if (i == 40) {
        ASSERT_TRUE(subject.store()->compact(kRecords, {}, {}).ok());
      }
    }
    ASSERT_TRUE(subject.close().ok());
  }
  files_->power_cut(PowerCut::keep_all());
  std::mt19937_64 random(9);
  uint64_t flips = 0;
  for (const std::string& name : files_->names("/data")) {
    const std::string path = "/data/" + name;
    const uint64_t size = files_->get(path).size();
    for (uint64_t n = std::min<uint64_t>(size, soak() ? 400 : 16); n > 0 && !HasFailure(); --n, ++flips) {
      // Half of them near the end, where tables and manifests keep what matters most.
      const uint64_t near = std::min<uint64_t>(size, 256);
      const uint64_t offset = n % 2 == 0 ? random() % size : size - 1 - random() % near;
      SCOPED_TRACE(path + " of " + std::to_string(size) + ", offset " + std::to_string(offset));
      Ref<FaultFiles> damaged = files_->clone();
      damaged->flip_bit(path, offset, static_cast<uint32_t>(random() % 8));
      Subject subject(GetParam(), damaged, "/data");
      check_damaged(&subject, kSeed, kBatches);
    }
  }
  EXPECT_GT(flips, 60u);
}

TEST_P(StorageFault, LostFiles) {
  {
    Subject subject(GetParam(), files_, "/data");
    ASSERT_TRUE(subject.open().ok());
    ASSERT_TRUE(write_until_refused(&subject, 1, 40).ok());
    ASSERT_TRUE(subject.close().ok());
  }
  for (const std::string& name : files_->names("/data")) {
    if (name.find("MANIFEST") == std::string::npos && name.find('.') == std::string::npos &&
        name != "CURRENT")
      continue;
    if (name.size() > 4 && name.substr(name.size() - 4) == ".log") continue;  // empty, by design
    SCOPED_TRACE(name);
    Ref<FaultFiles> damaged = files_->clone();
    ASSERT_TRUE(damaged->remove(("/data/" + name).c_str()).ok());
    Subject subject(GetParam(), damaged, "/data");
    EXPECT_FALSE(subject.open().ok()) << "opened without " << name;
    for (const std::string& left : damaged->names("/data"))
      EXPECT_TRUE(files_->exists("/data/" + left)) << left;
  }
}

}  // namespace
}  // namespace quorate::test
