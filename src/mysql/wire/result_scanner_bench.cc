#include <benchmark/benchmark.h>

#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/result_scanner.h"

namespace paceline::mysql::wire {
namespace {

void ScanResponse(benchmark::State& state, int rows) {
  std::string bytes;
  uint8_t sequence = 1;
  AppendPacket(&bytes, "\x01", &sequence);
  AppendPacket(&bytes, std::string(45, 'd'), &sequence);
  for (int i = 0; i < rows; ++i) AppendPacket(&bytes, "x" + std::string(120, 'r'), &sequence);
  Terminator end;
  end.kind = Terminator::Kind::kEof;
  end.status_flags = kStatusAutocommit;
  AppendTerminator(&bytes, end, kBackendCapabilities, &sequence);
  ResultScanner scanner;
  for (auto _ : state) {
    scanner.Start(ResponseKind::kQuery);
    ScanStep step = scanner.Scan(bytes.data(), bytes.size());
    if (step.event != ScanEvent::kDone) state.SkipWithError("not done");
    benchmark::DoNotOptimize(step);
  }
}
void BM_PointSelect(benchmark::State& state) { ScanResponse(state, 1); }
void BM_ThousandRows(benchmark::State& state) { ScanResponse(state, 1000); }
BENCHMARK(BM_PointSelect);
BENCHMARK(BM_ThousandRows);

}  // namespace
}  // namespace paceline::mysql::wire
