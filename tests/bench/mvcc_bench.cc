// What the store costs per operation, over an engine that costs nothing: 1M keys of 8 bytes, values of 256.
#include <benchmark/benchmark.h>

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "mvcc/store_impl.h"
#include "support/manual_executor.h"

namespace quorate::mvcc {
namespace {

using plugin::ByteView;
using plugin::Status;

constexpr uint64_t kKeys = 1'000'000;
constexpr size_t kValueSize = 256;

std::string text(ByteView v) { return {v.chars(), v.size}; }

// Records arrive in ascending order: appending is all that this engine does.
struct AppendedRecords {
  std::deque<std::pair<std::string, std::string>> records;
  std::map<std::string, std::string> meta;
};

class AppendView final : public plugin::Counted<plugin::ReadView> {
 public:
  explicit AppendView(AppendedRecords* data) : data_(data) {}
  plugin::Mark mark() noexcept override { return 0; }
  Status get(uint32_t, ByteView key, plugin::ReadSink* sink) noexcept override {
    auto at = data_->meta.find(text(key));
    if (at == data_->meta.end()) return Status(plugin::Code::kNotFound);
    sink->entry(0, 1, key, {at->second.data(), at->second.size()});
    return {};
  }
  Status multi_get(uint32_t, plugin::View<ByteView>, plugin::ReadSink*) noexcept override {
    return Status(plugin::Code::kUnsupported);
  }
  Status scan(const plugin::ScanOptions& options, plugin::ReadSink* sink) noexcept override {
    if (options.keyspace != kRecordsKeyspace) return {};
    uint64_t i = 0;
    for (const auto& [key, value] : data_->records)
      if (sink->entry(i++, 1, {key.data(), key.size()}, {value.data(), value.size()}) == 0) break;
    return {};
  }

 private:
  AppendedRecords* data_;
};

class AppendStore final : public plugin::Counted<plugin::Store> {
 public:
  explicit AppendStore(AppendedRecords* data) : data_(data) {}
  Status write(plugin::View<plugin::WriteOp> batch, plugin::Mark) noexcept override {
    if (!data_->records.empty() && data_->records.size() >= kKeys) return {};
    for (const plugin::WriteOp& op : batch) {
      if (op.keyspace == kMetaKeyspace)
        data_->meta[text(op.key)] = text(op.value);
      else if (op.kind == plugin::WriteKind::kPut)
        data_->records.emplace_back(text(op.key), text(op.value));
    }
    return {};
  }
  Status sync(plugin::Mark) noexcept override { return {}; }
  plugin::Mark durable_mark() noexcept override { return 0; }
  Status new_read_view(plugin::ReadView** out) noexcept override {
    *out = plugin::make<AppendView>(data_).detach();
    return {};
  }
  Status compact(uint32_t, ByteView, ByteView) noexcept override { return {}; }
  uint64_t approximate_size() noexcept override { return 0; }
  void statistics(plugin::StatisticsSink*) noexcept override {}
  Status close() noexcept override { return {}; }

 private:
  AppendedRecords* data_;
};

class AppendEngine final : public plugin::Counted<plugin::Engine> {
 public:
  Status open(const plugin::OpenInfo&, plugin::StorageEvents*, plugin::Store** out) noexcept override {
    *out = plugin::make<AppendStore>(&data).detach();
    return {};
  }
  AppendedRecords data;
};

std::string key_of_number(uint64_t n) {
  uint64_t mixed = n * 0x9e3779b97f4a7c15;  // random order, no duplicates
  return {reinterpret_cast<const char*>(&mixed), 8};
}

// A store with all keys; made once.
struct Filled {
  Filled() {
    open();
    for (uint64_t i = 0; i < kKeys; ++i) put(i);
    executor.advance(10'000'000'000);
  }
  void open() {
    StoreOptions options;
    options.cache_bytes = 1u << 30;
    Runtime runtime;
    runtime.executor = &executor;
    std::unique_ptr<Store> out;
    Recovered recovered;
    Status status = Store::open(runtime, engine.get(), "/", {}, options, {}, &out, &recovered);
    if (!status.ok()) std::abort();
    store.reset(static_cast<StoreImpl*>(out.release()));
    index = recovered.applied.value;
  }
  void put(uint64_t n) {
    store->apply(Index(++index), Term(1),
                 [&](Apply& apply) { apply.put(key_of_number(n % kKeys), value, 0); });
    if (index % 1000 == 0) executor.advance(1'000'000);
  }
  test::ManualExecutor executor;
  plugin::Ref<AppendEngine> engine = plugin::make<AppendEngine>();
  std::unique_ptr<StoreImpl> store;
  uint64_t index = 0;
  std::string value = std::string(kValueSize, 'v');
};

Filled& filled() {
  static auto* f = new Filled;
  return *f;
}

void recover_a_million(benchmark::State& state) {
  Filled& f = filled();
  for (auto _ : state) {
    f.store.reset();
    f.open();
  }
  state.counters["index_bytes_per_key"] = static_cast<double>(f.store->index_bytes()) / kKeys;
}
BENCHMARK(recover_a_million)->Iterations(3)->Unit(benchmark::kMillisecond);

void get_hot(benchmark::State& state) {
  Filled& f = filled();
  uint64_t n = 0;
  for (auto _ : state) {
    std::string key = key_of_number(n++ * 7919 % kKeys);
    RangeQuery query{api::Interval::point(key)};
    f.store->range(query, [](const RangeResult& result) { benchmark::DoNotOptimize(result.records.data()); });
  }
}
BENCHMARK(get_hot);

void range_of_100(benchmark::State& state) {
  Filled& f = filled();
  uint64_t n = 0;
  for (auto _ : state) {
    std::string key = key_of_number(n++ * 7919 % kKeys);
    RangeQuery query{api::Interval::from(key)};
    query.limit = 100;
    f.store->range(query, [](const RangeResult& result) { benchmark::DoNotOptimize(result.records.data()); });
  }
}
BENCHMARK(range_of_100);

void count_at(benchmark::State& state, int64_t back) {
  Filled& f = filled();
  while (f.store->revision() < static_cast<int64_t>(kKeys) + 1 + back) f.put(f.index * 7919);
  for (auto _ : state) {
    RangeQuery query{api::Interval::all()};
    query.limit = 100;
    query.revision = f.store->revision() - back;
    f.store->range(query, [](const RangeResult& result) { benchmark::DoNotOptimize(result.count); });
    f.executor.run_until_idle();
  }
}
BENCHMARK_CAPTURE(count_at, now, 0);
BENCHMARK_CAPTURE(count_at, updates_ago_100k, 100'000);

// An update of a random key: apply, batch, cache and event, with the writer's share.
void put(benchmark::State& state) {
  Filled& f = filled();
  uint64_t n = 1;
  for (auto _ : state) f.put(n++ * 7919);
}
BENCHMARK(put);

}  // namespace
}  // namespace quorate::mvcc
