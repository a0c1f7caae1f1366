// HashKV beside what a real etcd 3.7.1 answered (testdata/record_hash_kv.py).
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "mvcc/store_rig.h"

namespace quorate::test {
namespace {

std::string unhex(const std::string& text) {
  if (text == "-") return {};
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    out += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return out;
}

class HashKv : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    file_.open(std::string(QUORATE_SOURCE_DIR) + "/tests/mvcc/testdata/" + GetParam());
    ASSERT_TRUE(file_.is_open());
    ASSERT_TRUE(rig_.open().ok());
  }
  ModelEntry read_entry(size_t operations) {
    ModelEntry entry;
    for (std::string line; operations > 0 && std::getline(file_, line); --operations) {
      std::istringstream words(line);
      std::string kind, key, value;
      words >> kind >> key >> value;
      if (kind == "put") {
        int64_t lease = 0;
        words >> lease;
        entry.push_back({ModelOp::kPut, unhex(key), {}, unhex(value), lease});
      } else {
        entry.push_back({ModelOp::kRemove, unhex(key), unhex(value), {}, 0});
      }
    }
    return entry;
  }
  // `restarts`: before each question the store is closed and opened again.
  void replay(bool restarts);

  std::ifstream file_;
  StoreRig rig_;
};

void HashKv::replay(bool restarts) {
  size_t asked = 0;
  for (std::string line; std::getline(file_, line);) {
    SCOPED_TRACE(line);
    std::istringstream words(line);
    std::string kind;
    int64_t number = 0;
    words >> kind >> number;
    if (kind == "entry") rig_.apply(read_entry(static_cast<size_t>(number)));
    if (kind == "compact") rig_.compact(number);
    if (kind != "hash") continue;
    uint32_t hash = 0;
    int64_t compacted = 0;
    words >> hash >> compacted;
    if (restarts) {
      ASSERT_TRUE(rig_.store->close().ok());
      rig_.drop();
      rig_.restart();
    }
    mvcc::Store::Hash answer = rig_.hash_kv(number);
    ASSERT_EQ(answer.error, ReadError::kNone);
    ASSERT_EQ(answer.hash, hash);
    EXPECT_EQ(answer.compacted, compacted);
    EXPECT_EQ(answer.revision, number);
    ++asked;
  }
  EXPECT_GT(asked, 50u);
}

TEST_P(HashKv, EqualsEtcds) { replay(false); }
TEST_P(HashKv, EqualsEtcdsAfterRestarts) { replay(true); }

INSTANTIATE_TEST_SUITE_P(Recorded, HashKv,
                         testing::Values("hash_kv_3.7.1_1.txt", "hash_kv_3.7.1_2.txt",
                                         "hash_kv_3.7.1_3.txt"));

TEST(HashKvErrors, RevisionsOutOfRange) {
  StoreRig rig;
  ASSERT_TRUE(rig.open().ok());
  for (int i = 0; i < 5; ++i) rig.put("k", "v");
  rig.compact(4);
  EXPECT_EQ(rig.hash_kv(3).error, ReadError::kCompacted);
  EXPECT_EQ(rig.hash_kv(7).error, ReadError::kFuture);
  mvcc::Store::Hash current = rig.hash_kv(0);
  EXPECT_EQ(current.revision, 6);
  EXPECT_EQ(current.current_revision, 6);
  EXPECT_EQ(current.hash, rig.hash_kv(6).hash);
}

}  // namespace
}  // namespace quorate::test
