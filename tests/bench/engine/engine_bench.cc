// What a storage plugin costs: CPU per put of revision-ordered records, point reads, scans, memory and disk.
//
//   engine_bench storage-rocksdb DIRECTORY [records] [key=value ...]
//
// Each batch holds 100 records (17-byte ascending key, 290-byte value, half of it compressible) in keyspace 0
// and one small overwritten record in keyspace 1; a sync follows every 32 MiB.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "quorate/plugin/storage.h"
#include "runtime/posix_files.h"
#include "runtime/system.h"
#include "support/plugin_host.h"

namespace {

using namespace quorate;
using plugin::ByteView;
using plugin::Ref;

constexpr uint64_t kBatch = 100;
constexpr uint64_t kValue = 290;

struct Times {
  double cpu = 0;
  double wall = 0;
};

Times now() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  std::chrono::duration<double> wall = std::chrono::steady_clock::now().time_since_epoch();
  return {seconds(usage.ru_utime) + seconds(usage.ru_stime), wall.count()};
}

uint64_t resident() {
  std::ifstream f("/proc/self/statm");
  uint64_t total = 0;
  uint64_t pages = 0;
  f >> total >> pages;
  return pages * 4096;
}

void check(const plugin::Status& s, const char* doing) {
  if (s.ok()) return;
  std::fprintf(stderr, "%s: %s: %s\n", doing, plugin::code_name(s.code()), s.text());
  std::exit(1);
}

std::string key_of(uint64_t revision) {
  std::string key(17, 0);
  for (int i = 0; i < 8; ++i) key[i] = static_cast<char>(revision >> (56 - 8 * i));
  key[8] = '_';
  return key;
}

struct Events final : plugin::StorageEvents {
  void on_durable(plugin::Mark) noexcept override {}
  void on_background_error(const plugin::Status& s) noexcept override {
    std::fprintf(stderr, "%s\n", s.text());
  }
  void on_pressure(uint32_t) noexcept override {}
};

struct Count final : plugin::ReadSink {
  uint32_t entry(uint64_t, uint32_t found, ByteView, ByteView value) noexcept override {
    entries += found;
    bytes += value.size;
    return 1;
  }
  uint64_t entries = 0;
  uint64_t bytes = 0;
};

void report(const char* what, const Times& from, double operations, const char* unit) {
  Times to = now();
  std::printf("%-28s %8.2f us CPU per %s, %8.2f us wall\n", what, (to.cpu - from.cpu) * 1e6 / operations,
              unit, (to.wall - from.wall) * 1e6 / operations);
}

void fill(plugin::Store* store, uint64_t records) {
  std::mt19937_64 random(1);
  std::string noise(1 << 20, 0);
  for (char& c : noise) c = static_cast<char>(random());
  uint64_t unsynced = 0;
  std::vector<std::string> keys(kBatch);
  std::string value(kValue, 'v');
  std::vector<std::string> values(kBatch, value);
  std::vector<plugin::WriteOp> ops;
  for (uint64_t from = 1; from <= records; from += kBatch) {
    ops.clear();
    for (uint64_t i = 0; i < kBatch; ++i) {
      keys[i] = key_of(from + i);
      std::memcpy(values[i].data(), noise.data() + (from + i) * 7919 % (noise.size() - kValue), kValue / 2);
      ops.push_back(
          {plugin::WriteKind::kPut, 0, {keys[i].data(), keys[i].size()}, {values[i].data(), kValue}});
    }
    ops.push_back({plugin::WriteKind::kPut, 1, {"applied", 7}, {keys[0].data(), keys[0].size()}});
    check(store->write({ops.data(), ops.size()}, from + kBatch), "write");
    unsynced += kBatch * (kValue + 17);
    if (unsynced < (32 << 20)) continue;
    check(store->sync(from + kBatch), "sync");
    unsynced = 0;
  }
  check(store->sync(records / kBatch * kBatch + 1), "sync");
}

void read(plugin::Store* store, uint64_t records) {
  Ref<plugin::ReadView> view;
  check(store->new_read_view(view.out()), "view");
  std::mt19937_64 random(2);
  Count count;
  Times t = now();
  constexpr uint64_t kGets = 10000;
  constexpr uint64_t kKeys = 16;
  std::string keys[kKeys];
  ByteView views[kKeys];
  for (uint64_t n = 0; n < kGets; ++n) {
    for (uint64_t i = 0; i < kKeys; ++i) {
      keys[i] = key_of(1 + random() % records);
      views[i] = {keys[i].data(), keys[i].size()};
    }
    check(view->multi_get(0, {views, kKeys}, &count), "multi_get");
  }
  report("random multi_get of 16", t, kGets, "call");
  if (count.entries != kGets * kKeys) std::printf("MISSING %lu\n", kGets * kKeys - count.entries);

  Count scanned;
  plugin::ScanOptions options;
  options.read_ahead = 2 << 20;
  options.fill_cache = 0;
  t = now();
  check(view->scan(options, &scanned), "scan");
  Times end = now();
  std::printf("scan of all                  %8.0f MB/s of CPU, %8.0f MB/s wall, %lu entries\n",
              static_cast<double>(scanned.bytes) / 1e6 / (end.cpu - t.cpu),
              static_cast<double>(scanned.bytes) / 1e6 / (end.wall - t.wall), scanned.entries);
}

struct Print final : plugin::StatisticsSink {
  void statistic(ByteView name, ByteView value) noexcept override {
    std::printf("  %.*s = %.*s\n", static_cast<int>(name.size), name.chars(), static_cast<int>(value.size),
                value.chars());
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: engine_bench PLUGIN DIRECTORY [records] [key=value ...]\n");
    return 2;
  }
  const std::string directory = argv[2];
  const uint64_t records = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1'000'000;
  std::vector<plugin::Option> options;
  for (int i = 4; i < argc; ++i) {
    const char* equals = std::strchr(argv[i], '=');
    if (equals == nullptr) return 2;
    options.push_back(
        {{argv[i], static_cast<uint64_t>(equals - argv[i])}, {equals + 1, std::strlen(equals + 1)}});
  }
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  auto clock = plugin::make<SystemClock>();
  auto files = plugin::make<PosixFiles>(clock.get());
  auto host = plugin::make<test::PluginHost>(files.get());
  Events events;
  Ref<plugin::Object> root;
  const auto& descriptor = test::load_plugin(test::plugin_path(QUORATE_BINARY_DIR, argv[1]));
  check(descriptor.create(host.get(), {options.data(), options.size()}, root.out()), "create");
  auto* engine = static_cast<plugin::Engine*>(root->query(plugin::Engine::kId));
  plugin::OpenInfo info;
  info.directory = directory.c_str();
  info.keyspaces = 2;
  const uint64_t before = resident();
  Ref<plugin::Store> store;
  check(engine->open(info, &events, store.out()), "open");
  Times t = now();
  fill(store.get(), records);
  report("put, batches of 100", t, static_cast<double>(records), "put");
  std::printf("resident after the puts      %8.1f MiB more\n",
              static_cast<double>(resident() - before) / (1 << 20));
  std::printf("size on disk                 %8.1f MiB, written %.1f MiB\n",
              static_cast<double>(store->approximate_size()) / (1 << 20),
              static_cast<double>(files->stats().bytes_written) / (1 << 20));
  read(store.get(), records);
  std::printf("resident after the reads     %8.1f MiB more\n",
              static_cast<double>(resident() - before) / (1 << 20));
  t = now();
  check(store->close(), "close");
  store.reset();
  check(engine->open(info, &events, store.out()), "open");
  report("close and open", t, 1, "time");
  read(store.get(), records);
  std::printf("resident when reopened       %8.1f MiB more\n",
              static_cast<double>(resident() - before) / (1 << 20));
  if (std::getenv("STATISTICS") != nullptr) {
    Print print;
    store->statistics(&print);
  }
  check(store->close(), "close");
  return 0;
}
