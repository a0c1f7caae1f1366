// Power cuts: whatever is lost, the contents are an exact prefix of the batches, not before the last ok sync.
#include <random>

#include "conformance/storage_harness.h"
#include "support/fault_files.h"

namespace quorate::test {
namespace {

using plugin::Ref;
using plugin::Status;

class StoragePower : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(, StoragePower, testing::ValuesIn(kStoragePlugins), suite_name);

// One machine through a number of cuts, each at a random operation of the disk, in the middle of whatever the
// engine does: opening, writing, a flush or compaction in the background, syncing.
void run_machine(const std::string& name, uint64_t seed, int cuts) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  auto files = plugin::make<FaultFiles>();
  files->make_dirs("/data");
  // Small, so that flushes and compactions happen by themselves, too.
  std::initializer_list<std::pair<std::string, std::string>> small = {{"memtable", "1MiB"},
                                                                      {"file_size", "1MiB"}};
  std::initializer_list<std::pair<std::string, std::string>> none = {};
  const bool memory = name == "storage-memory";
  const uint64_t size_factor = random() % 3 == 0 ? 20 : 1;
  uint64_t acknowledged = 0;
  uint64_t written = 0;
  for (int cut = 0; cut < cuts && !testing::Test::HasFailure(); ++cut) {
    files->fail_power_at(1 + random() % (random() % 2 == 0 ? 60 : 600));
    {
      Subject subject(name, files, "/data", memory ? none : small);
      if (subject.open().ok()) {
        for (const uint64_t last = written + 300; written < last && !files->power_failed(); ++written) {
          if (!subject.write(make_batch(seed, written + 1, subject.delete_range(), size_factor), written + 1)
                   .ok()) {
            ++written;  // it may or may not be there
            break;
          }
          if (random() % 8 == 0 && subject.store()->sync(written + 1).ok()) acknowledged = written + 1;
          if (random() % 64 == 0) (void)subject.store()->compact(kRandom, {}, {});
        }
        if (subject.is_volatile()) acknowledged = 0;
        (void)subject.close();
        acknowledged = std::max(acknowledged, subject.events().durable());
      }
    }
    files->power_cut(PowerCut::random(random(), random() % 2 == 0));
    Subject subject(name, files, "/data", memory ? none : small);
    Status s = subject.open();
    ASSERT_TRUE(s.ok()) << "it does not open after cut " << cut << ": " << s.text();
    uint64_t n = check_prefix(&subject, seed, subject.is_volatile() ? 0 : acknowledged, written, size_factor);
    acknowledged = n;
    written = n;
  }
}

TEST_P(StoragePower, APrefixSurvives) {
  const int machines = soak()                            ? 125
                       : GetParam() == "storage-leveldb" ? 12
                                                         : 5;  // RocksDB waits a second per failed flush
  for (int machine = 0; machine < machines && !HasFailure(); ++machine)
    run_machine(GetParam(), 1000 + machine, 8);
}

}  // namespace
}  // namespace quorate::test
