#include "vtgate/version_probe.h"

#include "base/log.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"

namespace paceline::vtgate {
namespace {

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
      self.gate_.server_version = (prefixed ? "5.5.5-" : "") + *version;
      co_return;
    }
    bool open = co_await io::Sleep(self.running_, Deadline::In(200ms));
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
