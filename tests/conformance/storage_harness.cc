#include "conformance/storage_harness.h"

#include <cstdlib>

namespace quorate::test {

using plugin::ByteView;
using plugin::Mark;
using plugin::Ref;
using plugin::Status;
using plugin::WriteKind;

namespace {

std::string text(ByteView v) { return std::string(v.chars(), v.size); }

std::string record_key(uint64_t revision) {
  std::string key(17, 0);
  for (int i = 0; i < 8; ++i) key[i] = static_cast<char>(revision >> (56 - 8 * i));
  key[8] = '_';
  return key;
}

std::string random_bytes(std::mt19937_64& random, uint64_t size) {
  std::string s(size, 0);
  for (char& c : s) c = static_cast<char>(random());
  return s;
}

}  // namespace

bool soak() { return std::getenv("QUORATE_SOAK") != nullptr; }

std::vector<plugin::WriteOp> view_of(const Batch& batch) {
  std::vector<plugin::WriteOp> ops;
  for (const Change& c : batch) ops.push_back({c.kind, c.keyspace, bytes(c.key), bytes(c.value)});
  return ops;
}

Batch make_batch(uint64_t seed, uint64_t i, bool delete_range, uint64_t size_factor) {
  std::mt19937_64 random(seed * 1'000'003 + i);
  Batch batch;
  const uint64_t first = i * 16;
  for (uint64_t n = 1 + random() % 16; n > 0; --n) {
    uint64_t size = random() % 300 * size_factor;
    batch.push_back({WriteKind::kPut, kRecords, record_key(first + n), random_bytes(random, size)});
  }
  for (uint64_t n = random() % 6; n > 0; --n) {
    std::string key = std::to_string(random() % 400);
    if (random() % 4 == 0) {
      batch.push_back({WriteKind::kDelete, kRandom, key, ""});
    } else {
      batch.push_back(
          {WriteKind::kPut, kRandom, key, random_bytes(random, random() % 8 == 0 ? 5000 : random() % 50)});
    }
  }
  if (random() % 4 == 0) {  // compaction of old revisions
    uint64_t old = random() % first;
    for (uint64_t n = 0; n < 12; ++n)
      batch.push_back({WriteKind::kDelete, kRecords, record_key(old + n), ""});
  }
  if (delete_range && random() % 16 == 0) {
    std::string begin = std::to_string(random() % 400);
    batch.push_back({WriteKind::kDeleteRange, kRandom, begin, begin + "5"});
  }
  batch.push_back({WriteKind::kPut, kMeta, "applied", std::to_string(i)});
  return batch;
}

// ---- Model
// -----------------------------------------------------------------------------------------------------

void Model::apply(const Batch& batch) {
  for (const Change& c : batch) {
    Map& map = maps_[c.keyspace];
    switch (c.kind) {
      case WriteKind::kPut:
        map[c.key] = c.value;
        break;
      case WriteKind::kDelete:
        map.erase(c.key);
        break;
      case WriteKind::kDeleteRange:
        if (c.key < c.value) map.erase(map.lower_bound(c.key), map.lower_bound(c.value));
        break;
    }
  }
}

uint64_t Model::applied() const {
  auto it = maps_[kMeta].find("applied");
  return it == maps_[kMeta].end() ? 0 : std::strtoull(it->second.c_str(), nullptr, 10);
}

Model model_after(uint64_t seed, uint64_t batches, bool delete_range, uint64_t size_factor) {
  Model model;
  for (uint64_t i = 1; i <= batches; ++i) model.apply(make_batch(seed, i, delete_range, size_factor));
  return model;
}

// ---- Sinks
// -----------------------------------------------------------------------------------------------------

uint32_t Answers::entry(uint64_t position, uint32_t found, ByteView key, ByteView value) noexcept {
  entries.push_back({position, found != 0, text(key), text(value)});
  return entries.size() < limit ? 1 : 0;
}

void Events::on_durable(Mark mark) noexcept {
  Mark before = durable_.load();
  while (before < mark && !durable_.compare_exchange_weak(before, mark)) {
  }
}
void Events::on_background_error(const Status&) noexcept { errors_.fetch_add(1); }

// ---- Subject
// ---------------------------------------------------------------------------------------------------

Subject::Subject(const std::string& plugin_name, Ref<plugin::Files> files, std::string directory,
                 std::initializer_list<std::pair<std::string, std::string>> options)
    : descriptor_(load_plugin(plugin_path(QUORATE_BINARY_DIR, plugin_name))),
      host_(plugin::make<PluginHost>(files.get(), log_.get())),
      directory_(std::move(directory)) {
  OptionList list(options);
  Status s = descriptor_.create(host_.get(), list.view(), root_.out());
  EXPECT_TRUE(s.ok()) << s.text();
  if (root_) engine_ = static_cast<plugin::Engine*>(root_->query(plugin::Engine::kId));
}

Subject::~Subject() { (void)close(); }

Status Subject::open(uint32_t keyspaces, bool read_only) {
  events_ = std::make_unique<Events>();
  plugin::OpenInfo info;
  info.directory = directory_.c_str();
  info.keyspaces = keyspaces;
  info.read_only = read_only;
  return engine_->open(info, events_.get(), store_.out());
}

Status Subject::close() {
  if (!store_) return Status();
  Status s = store_->close();
  store_.reset();
  return s;
}

Status Subject::write(const Batch& batch, Mark mark) {
  std::vector<plugin::WriteOp> ops = view_of(batch);
  return store_->write({ops.data(), ops.size()}, mark);
}

Ref<plugin::ReadView> Subject::view() {
  Ref<plugin::ReadView> view;
  Status s = store_->new_read_view(view.out());
  EXPECT_TRUE(s.ok()) << s.text();
  return view;
}

Status read_all(plugin::ReadView* view, Model* out) {
  for (uint32_t keyspace = 0; keyspace < kKeyspaces; ++keyspace) {
    Answers answers;
    plugin::ScanOptions options;
    options.keyspace = keyspace;
    Status s = view->scan(options, &answers);
    for (const auto& e : answers.entries) out->put(keyspace, e.key, e.value);
    if (!s.ok()) return s;
  }
  return Status();
}

uint64_t check_prefix(Subject* subject, uint64_t seed, uint64_t least, uint64_t most, uint64_t size_factor) {
  Ref<plugin::ReadView> view = subject->view();
  Model found;
  if (!view) return 0;
  Status s = read_all(view.get(), &found);
  EXPECT_TRUE(s.ok()) << s.text();
  const uint64_t n = found.applied();
  EXPECT_GE(n, least) << "a synced batch was lost; seed " << seed;
  EXPECT_LE(n, most) << "seed " << seed;
  bool exact = n <= most && found == model_after(seed, n, subject->delete_range(), size_factor);
  EXPECT_TRUE(exact) << "not a prefix of the batches: applied " << n << ", seed " << seed;
  return n;
}

std::string suite_name(const testing::TestParamInfo<std::string>& info) {
  return info.param.substr(info.param.find('-') + 1);
}

}  // namespace quorate::test
