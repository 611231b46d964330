#include <benchmark/benchmark.h>

#include "gtid/set.h"

namespace paceline::gtid {
namespace {

// `sources` servers with `gaps` holes each.
Set Sample(int sources, int gaps) {
  Set set;
  for (int s = 0; s < sources; ++s) {
    Source source;
    source.id[0] = static_cast<uint8_t>(s);
    for (int g = 0; g <= gaps; ++g) {
      uint64_t first = static_cast<uint64_t>(g) * 100'000 + 1;
      set.Add(source, {first, first + 90'000});
    }
  }
  return set;
}

void BM_Parse(benchmark::State& state) {
  std::string text =
      Sample(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))).ToString();
  for (auto _ : state) benchmark::DoNotOptimize(Set::Parse(Flavor::kMysql, text));
}
void BM_Contains(benchmark::State& state) {
  Set a = Sample(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))), b = a;
  for (auto _ : state) benchmark::DoNotOptimize(a.Contains(b));
}
void BM_Union(benchmark::State& state) {
  Set a = Sample(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))), b = a;
  for (auto _ : state) benchmark::DoNotOptimize(a.Union(b));
}
BENCHMARK(BM_Parse)->Args({1, 0})->Args({5, 2})->Args({50, 100});
BENCHMARK(BM_Contains)->Args({1, 0})->Args({5, 2})->Args({50, 100});
BENCHMARK(BM_Union)->Args({1, 0})->Args({5, 2})->Args({50, 100});

}  // namespace
}  // namespace paceline::gtid
