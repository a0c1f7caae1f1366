// Every engine against a std::map: random batches, reads through views of several ages, syncs, compactions,
// reopening.
#include <algorithm>
#include <random>

#include "conformance/storage_harness.h"
#include "support/fault_files.h"

namespace quorate::test {
namespace {

using plugin::ByteView;
using plugin::Code;
using plugin::Ref;
using plugin::Status;
using plugin::WriteKind;

class StorageModel : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(, StorageModel, testing::ValuesIn(kStoragePlugins), suite_name);

// A few hundred keys, the awkward ones among them: empty, zero bytes, 0xff, prefixes of each other.
std::string random_key(std::mt19937_64& random) {
  constexpr char kLetters[] = {'\0', 'a', '\x7f', '\xff'};
  std::string key(random() % 5, 0);
  for (char& c : key) c = kLetters[random() % 4];
  return key;
}

class RandomRun {
 public:
  RandomRun(const std::string& name, uint64_t seed)
      : random_(seed), files_(make_files()), subject_(name, files_, "/data") {}

  void go(uint64_t operations) {
    ASSERT_TRUE(subject_.open().ok());
    while (operations_ < operations && !testing::Test::HasFailure()) step();
    views_.clear();
    if (testing::Test::HasFailure()) return;
    reopen();
    check_everything();
  }

 private:
  struct Old {
    Ref<plugin::ReadView> view;
    Model model;
  };

  static Ref<plugin::Files> make_files() {
    auto files = plugin::make<FaultFiles>();
    files->make_dirs("/data");
    return files;
  }

  void step() {
    uint64_t dice = random_() % 1000;
    if (dice < 400) return write();
    if (dice < 980) return read();
    if (dice < 990) return look();
    if (dice < 994) return (void)expect_ok(subject_.store()->sync(mark_));
    if (dice < 996) return compact();
    if (dice < 997) return reopen();
    if (!views_.empty()) views_.erase(views_.begin() + static_cast<long>(random_() % views_.size()));
  }

  void write() {
    Batch batch;
    for (uint64_t n = random_() % 20; n > 0; --n) {
      uint64_t dice = random_() % 100;
      Change c{WriteKind::kPut, static_cast<uint32_t>(random_() % kKeyspaces), random_key(random_), ""};
      if (dice < 70) {
        c.value = std::string(random_() % 200, static_cast<char>(random_()));
      } else if (dice < 98 || !subject_.delete_range()) {
        c.kind = WriteKind::kDelete;
      } else {
        c.kind = WriteKind::kDeleteRange;
        c.value = random_key(random_);
      }
      batch.push_back(c);
    }
    operations_ += batch.size();
    expect_ok(subject_.write(batch, ++mark_));
    model_.apply(batch);
  }

  void look() {
    if (views_.size() >= 6) views_.erase(views_.begin());
    views_.push_back({subject_.view(), model_});
    ASSERT_TRUE(views_.back().view);
    EXPECT_LE(views_.back().view->mark(), mark_);
  }

  void compact() {
    std::string begin = random_key(random_);
    std::string end = random_key(random_);
    expect_ok(
        subject_.store()->compact(static_cast<uint32_t>(random_() % kKeyspaces), bytes(begin), bytes(end)));
  }

  void reopen() {
    expect_ok(subject_.store()->sync(mark_));
    expect_ok(subject_.close());
    for (Old& old : views_) {
      Answers none;
      EXPECT_EQ(old.view->get(0, bytes("a"), &none).code(), Code::kViewExpired);
    }
    views_.clear();
    ASSERT_TRUE(subject_.open().ok());
    mark_ = 0;
    if (subject_.is_volatile()) model_ = Model();
  }

  void read() {
    if (views_.empty()) look();
    const Old& old = views_[random_() % views_.size()];
    const auto keyspace = static_cast<uint32_t>(random_() % kKeyspaces);
    switch (random_() % 3) {
      case 0:
        return get(old, keyspace);
      case 1:
        return multi_get(old, keyspace);
      default:
        return scan(old, keyspace);
    }
  }

  void get(const Old& old, uint32_t keyspace) {
    std::string key = random_key(random_);
    Answers answers;
    Status s = old.view->get(keyspace, bytes(key), &answers);
    const Model::Map& map = old.model.keyspace(keyspace);
    auto it = map.find(key);
    ++operations_;
    if (it == map.end()) {
      ASSERT_EQ(s.code(), Code::kNotFound) << s.text();
      ASSERT_TRUE(answers.entries.empty());
      return;
    }
    ASSERT_TRUE(s.ok()) << s.text();
    ASSERT_EQ(answers.entries.size(), 1u);
    ASSERT_EQ(answers.entries[0].value, it->second);
  }

  void multi_get(const Old& old, uint32_t keyspace) {
    std::vector<std::string> keys(random_() % 200);
    std::vector<ByteView> views;
    for (std::string& key : keys) {
      key = random_key(random_);
      views.push_back(bytes(key));
    }
    Answers answers;
    expect_ok(old.view->multi_get(keyspace, {views.data(), views.size()}, &answers));
    const Model::Map& map = old.model.keyspace(keyspace);
    ASSERT_EQ(answers.entries.size(), keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto& entry = answers.entries[i];
      auto it = map.find(keys[i]);
      ASSERT_EQ(entry.position, i);
      ASSERT_EQ(entry.key, keys[i]);
      ASSERT_EQ(entry.found, it != map.end());
      if (entry.found) {
        ASSERT_EQ(entry.value, it->second);
      }
    }
    operations_ += keys.size();
  }

  void scan(const Old& old, uint32_t keyspace) {
    std::string begin = random_() % 4 == 0 ? "" : random_key(random_);
    std::string end = random_() % 4 == 0 ? "" : random_key(random_);
    plugin::ScanOptions options;
    options.keyspace = keyspace;
    options.reverse = random_() % 2;
    options.begin = bytes(begin);
    options.end = bytes(end);
    options.read_ahead = random_() % 2 == 0 ? 0 : 1 << 20;
    options.fill_cache = random_() % 2;
    Answers answers;
    answers.limit = 1 + random_() % 100;
    expect_ok(old.view->scan(options, &answers));
    const Model::Map& map = old.model.keyspace(keyspace);
    auto low = map.lower_bound(begin);
    auto high = end.empty() ? map.end() : map.lower_bound(end);
    std::vector<std::pair<std::string, std::string>> wanted;
    if (end.empty() || begin < end) wanted.assign(low, high);
    if (options.reverse != 0) std::reverse(wanted.begin(), wanted.end());
    if (wanted.size() > answers.limit) wanted.resize(answers.limit);
    ASSERT_EQ(answers.entries.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(answers.entries[i].position, i);
      ASSERT_EQ(answers.entries[i].key, wanted[i].first);
      ASSERT_EQ(answers.entries[i].value, wanted[i].second);
    }
    operations_ += 1 + wanted.size();
  }

  void check_everything() {
    Model found;
    Ref<plugin::ReadView> view = subject_.view();
    expect_ok(read_all(view.get(), &found));
    EXPECT_TRUE(found == model_);
  }

  static void expect_ok(const Status& s) {
    ASSERT_TRUE(s.ok()) << plugin::code_name(s.code()) << ": " << s.text();
  }

  std::mt19937_64 random_;
  Ref<plugin::Files> files_;
  Subject subject_;
  Model model_;
  std::vector<Old> views_;
  plugin::Mark mark_ = 0;
  uint64_t operations_ = 0;
};

// A million operations on each engine; ten million in the soak.
TEST_P(StorageModel, RandomOperationsEqualAMap) {
  const uint64_t runs = soak() ? 100 : 10;
  for (uint64_t seed = 1; seed <= runs && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomRun(GetParam(), seed).go(100'000);
  }
}

}  // namespace
}  // namespace quorate::test
