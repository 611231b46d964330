#include "vtgate/version_probe.h"

#include "base/log.h"
#include "io/loop.h"
#include "io/sleep.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"

namespace paceline::vtgate {
namespace {

constexpr std::string_view kCopied = "server_version";  // in the local copy

// The one value of a one-row answer.
class ValueSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t, std::string_view) override {}
  void OnRows(std::string_view bytes) override { bytes_ += bytes; }
  void OnEnd(const mysql::wire::Terminator& end, bool) override { failed_ = end.is_error(); }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  std::string Value() const {
    if (failed_ || bytes_.size() <= mysql::wire::kPacketHeaderBytes) return "";
    mysql::wire::Reader row(std::string_view(bytes_).substr(mysql::wire::kPacketHeaderBytes));
    return std::string(row.LenencBytes());
  }

 private:
  std::string bytes_;
  bool failed_ = true;
};

}  // namespace

void VersionProbe::Start() {
  std::optional<std::string> before;
  if (copy_ != nullptr) before = copy_->Get(kCopied, kCopied);
  if (before && !before->empty()) Tell(std::move(*before));
  io::Detach(Run(*this));
}

void VersionProbe::Tell(std::string version) { gate_.server_version = std::move(version); }

io::Task<bool> WaitForVersion(const GateContext& gate, Deadline deadline) {
  while (gate.server_version.empty() && !deadline.Passed(io::Loop::Current().Now()))
    co_await io::SleepUntil(Deadline::In(10ms));
  co_return !gate.server_version.empty();
}

io::Task<void> VersionProbe::Stop(Deadline deadline) {
  bool left = co_await running_.Close(deadline);
  if (!left) LOG_WARNING("asking for the server's version did not end in time");
}

io::Task<void> VersionProbe::Run(VersionProbe& self) {
  std::optional<io::Gate::Pass> pass = self.running_.Enter();
  while (pass && !self.running_.closed()) {
    Result<std::string> version = co_await self.Ask();
    if (version && !version->empty()) {
      // MariaDB's own greeting has this prefix up to 10.x; drivers of MySQL would otherwise take it
      // for a MySQL 10 and ask for collations that it lacks.
      bool prefixed = version->starts_with("10.") && version->find("MariaDB") != std::string::npos;
      std::string told = (prefixed ? "5.5.5-" : "") + *version;
      if (self.copy_ != nullptr) self.copy_->Put(kCopied, kCopied, told);  // saved with the rest
      self.Tell(std::move(told));
      co_return;
    }
    bool open = co_await io::Sleep(self.running_, Deadline::In(50ms));
    if (!open) co_return;
  }
}

io::Task<Result<std::string>> VersionProbe::Ask() {
  for (const TabletLine& line : gate_.gateway->Tablets()) {
    if (!line.serving) continue;
    Result<Chosen> chosen = gate_.gateway->Find(line.tablet.alias);
    if (!chosen) continue;
    port::QueryRequest request;
    request.target = {line.tablet.keyspace, line.tablet.shard, line.type, ""};
    request.text = "SELECT VERSION()";
    ValueSink sink;
    Result<port::QueryEnd> end = co_await chosen->service->Execute(request, sink, Deadline::In(2s));
    if (end) co_return sink.Value();
  }
  co_return Fail(Code::kUnavailable, "no tablet serves yet");
}

}  // namespace paceline::vtgate
