#include "backup/dump_format.h"

#include <string.h>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace paceline::backup {
namespace {

constexpr int kVersion = 1;
constexpr size_t kHeadBytes = 5;
// A row of a gigabyte, each of its bytes escaped.
constexpr uint32_t kRecordBytesMax = 0xf0000000u;

void AppendSize(std::string& out, size_t size) {
  const auto number = static_cast<uint32_t>(size);
  char bytes[4] = {static_cast<char>(number), static_cast<char>(number >> 8),
                   static_cast<char>(number >> 16), static_cast<char>(number >> 24)};
  out.append(bytes, sizeof bytes);
}

uint32_t SizeAt(std::string_view bytes) {
  const auto* b = reinterpret_cast<const uint8_t*>(bytes.data());
  return static_cast<uint32_t>(b[0]) | static_cast<uint32_t>(b[1]) << 8 |
         static_cast<uint32_t>(b[2]) << 16 | static_cast<uint32_t>(b[3]) << 24;
}

bool TakeText(std::string_view& from, std::string& text) {
  if (from.size() < 4) return false;
  const uint32_t size = SizeAt(from);
  from.remove_prefix(4);
  if (from.size() < size) return false;
  text.assign(from.substr(0, size));
  from.remove_prefix(size);
  return true;
}

std::unexpected<Error> Malformed(std::string_view what) {
  return Fail(Code::kDataLoss, "malformed {} in a dump", what);
}

}  // namespace

std::string_view DumpKindName(DumpRecord::Kind kind) {
  static constexpr std::string_view kNames[] = {"nothing", "header",  "database", "table",
                                                "rows of", "routine", "view",     "trigger",
                                                "event",   "account", "sequence", "end"};
  const auto number = static_cast<size_t>(kind);
  return number < std::size(kNames) ? kNames[number] : "nothing";
}

DumpRecord ToRecord(const DumpHeader& header) {
  DumpRecord record;
  record.sql = nlohmann::json{{"format", kVersion},
                              {"server_version", header.server_version},
                              {"position", header.position}}
                   .dump();
  return record;
}

Result<DumpHeader> ParseHeader(const DumpRecord& record) {
  nlohmann::json json = nlohmann::json::parse(record.sql, nullptr, false);
  if (record.kind != DumpRecord::Kind::kHeader || !json.is_object()) return Malformed("header");
  if (json.value("format", 0) != kVersion) {
    return Fail(Code::kDataLoss, "the dump is of format {}, this program reads {}",
                json.value("format", 0), kVersion);
  }
  return DumpHeader{json.value("server_version", ""), json.value("position", "")};
}

DumpRecord EndRecord(uint64_t rows) {
  DumpRecord record;
  record.kind = DumpRecord::Kind::kEnd;
  record.sql = std::to_string(rows);
  return record;
}

Result<uint64_t> ParseEnd(const DumpRecord& record) {
  std::optional<uint64_t> rows = ParseUint(record.sql);
  if (record.kind != DumpRecord::Kind::kEnd || !rows) return Malformed("end");
  return *rows;
}

std::string Encode(const DumpRecord& record) {
  std::string out;
  out.reserve(record.sql.size() + record.schema.size() + record.name.size() + 128);
  out.push_back(static_cast<char>(record.kind));
  AppendSize(out, 0);
  auto add = [&out](const std::string& text) {
    AppendSize(out, text.size());
    out += text;
  };
  add(record.schema);
  add(record.name);
  add(record.sql);
  if (record.kind != DumpRecord::Kind::kRows) {
    for (const auto* text :
         {&record.sql_mode, &record.charset, &record.collation, &record.time_zone})
      add(*text);
  }
  std::string size;
  AppendSize(size, out.size() - kHeadBytes);
  out.replace(1, size.size(), size);
  return out;
}

Result<std::optional<DumpRecord>> DumpParser::Next() {
  std::string_view rest = std::string_view(buffer_).substr(at_);
  const uint32_t size = rest.size() < kHeadBytes ? 0 : SizeAt(rest.substr(1));
  if (size > kRecordBytesMax) return Malformed("record");
  if (rest.size() < kHeadBytes || rest.size() - kHeadBytes < size) {
    buffer_.erase(0, at_);
    at_ = 0;
    return std::optional<DumpRecord>();
  }
  DumpRecord record;
  record.kind = static_cast<DumpRecord::Kind>(rest[0]);
  std::string_view body = rest.substr(kHeadBytes, size);
  bool whole =
      TakeText(body, record.schema) && TakeText(body, record.name) && TakeText(body, record.sql);
  if (whole && record.kind != DumpRecord::Kind::kRows) {
    whole = TakeText(body, record.sql_mode) && TakeText(body, record.charset) &&
            TakeText(body, record.collation) && TakeText(body, record.time_zone);
  }
  if (!whole || !body.empty() || DumpKindName(record.kind) == "nothing") return Malformed("record");
  at_ += kHeadBytes + size;
  return record;
}

std::string InWordsOf(bool to_mariadb, std::string sql) {
  if (to_mariadb) {
    sql = ReplaceAll(sql, "utf8mb4_0900_bin", "utf8mb4_bin");
    sql = ReplaceAll(sql, "utf8mb4_0900_", "utf8mb4_uca1400_");
    return ReplaceAll(sql, "DISABLE ON REPLICA", "DISABLE ON SLAVE");
  }
  return ReplaceAll(sql, "utf8mb4_uca1400_", "utf8mb4_0900_");
}

}  // namespace paceline::backup
