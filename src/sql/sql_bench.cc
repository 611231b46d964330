#include <benchmark/benchmark.h>

#include "sql/normalize.h"
#include "sql/outline.h"

namespace paceline::sql {
namespace {

constexpr std::string_view kTexts[] = {
    "SELECT c FROM sbtest3 WHERE id=25230",
    "UPDATE sbtest1 SET k=k+1 WHERE id=5012",
    "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 4990 AND 5089 ORDER BY c",
    "INSERT INTO sbtest1 (id, k, c, pad) VALUES (5005, 5011, "
    "'68487932199-96439406143-93774651418-41631865787-96406072701', '22195207048-70116052123')",
};

void BM_Analyze(benchmark::State& state) {
  const std::string_view text = kTexts[state.range(0)];
  const Dialect dialect;
  Outline outline;
  for (auto _ : state) {
    Analyze(text, dialect, outline);
    benchmark::DoNotOptimize(outline);
  }
}
BENCHMARK(BM_Analyze)->DenseRange(0, 3);

void BM_Lex(benchmark::State& state) {
  const std::string_view text = kTexts[state.range(0)];
  const Dialect dialect;
  for (auto _ : state) {
    Lexer lexer(text, dialect);
    while (lexer.Next().kind != TokenKind::kEnd) {
    }
  }
}
BENCHMARK(BM_Lex)->DenseRange(0, 3);

void BM_Fingerprint(benchmark::State& state) {
  const std::string_view text = kTexts[state.range(0)];
  const Dialect dialect;
  for (auto _ : state) benchmark::DoNotOptimize(FingerprintOf(text, dialect).hash);
}
BENCHMARK(BM_Fingerprint)->DenseRange(0, 3);

}  // namespace
}  // namespace paceline::sql
