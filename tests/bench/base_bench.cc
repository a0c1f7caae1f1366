// What the vocabulary types cost, beside what they replace.
#include <benchmark/benchmark.h>

#include <array>
#include <functional>

#include "quorate/base/function.h"
#include "quorate/plugin/base.h"

namespace quorate {
namespace {

// A callable with the captures of a typical completion: two pointers and a number.
struct Completion {
  int* sum;
  const int* add;
  uint64_t token;
  int operator()(int x) const { return *sum += x + *add; }
};

template <typename Function>
void make_and_call(benchmark::State& state) {
  int sum = 0;
  int add = 1;
  for (auto _ : state) {
    Function f = Completion{&sum, &add, 7};
    benchmark::DoNotOptimize(f(1));
  }
}
BENCHMARK(make_and_call<UniqueFunction<int(int)>>);
BENCHMARK(make_and_call<std::function<int(int)>>);

void copy_buffer(benchmark::State& state) {
  std::array<uint8_t, 256> bytes{};
  plugin::Buffer buffer = plugin::Buffer::copy_of(plugin::ByteView(bytes.data(), bytes.size()));
  for (auto _ : state) {
    plugin::Buffer shared = buffer;
    benchmark::DoNotOptimize(shared);
  }
}
BENCHMARK(copy_buffer);

}  // namespace
}  // namespace quorate
