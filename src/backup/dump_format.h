// backup/dump_format.h - a dump as a stream of bytes: statements, one record each, in the order in
// which a server takes them. Pure. Threads: values.
//
//   record: kind u8, bytes of the rest u32 little endian; then texts, each with its size u32 before
//           it: schema, name, SQL, and of all kinds but kRows sql_mode, client's charset,
//           connection's collation, time zone (empty: whatever)
//
// The first is kHeader, whose SQL is a JSON object; the last, kEnd, says how many rows there were:
// what ends without it was cut short. Rows of different records may be inserted side by side and in
// any order; every other record waits for all before it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::backup {

struct DumpRecord {
  enum class Kind : uint8_t {
    kHeader = 1,
    kDatabase = 2,
    kTable = 3,
    kRows = 4,  // an INSERT
    kRoutine = 5,
    kView = 6,  // may need one that comes after it
    kTrigger = 7,
    kEvent = 8,
    kAccount = 9,  // of the server, not of a schema: only for the flavor it came from
    kSequence = 10,
    kEnd = 11,
  };
  Kind kind = Kind::kHeader;
  std::string schema, name;  // of the object, for messages; the statement runs in the schema
  std::string sql;
  std::string sql_mode, charset, collation, time_zone;
  friend bool operator==(const DumpRecord&, const DumpRecord&) = default;
};
std::string_view DumpKindName(DumpRecord::Kind kind);  // "table"

struct DumpHeader {
  std::string server_version;  // as the server wrote it
  std::string position;        // Vitess's encoding: of all that is in it
};
DumpRecord ToRecord(const DumpHeader& header);
// Errors: kDataLoss: no header, or of a later version.
Result<DumpHeader> ParseHeader(const DumpRecord& record);
DumpRecord EndRecord(uint64_t rows);
// Errors: kDataLoss.
Result<uint64_t> ParseEnd(const DumpRecord& record);

std::string Encode(const DumpRecord& record);

// Records from bytes cut anywhere.
class DumpParser {
 public:
  void Feed(std::string_view bytes) { buffer_ += bytes; }
  // The next whole one; nothing where more bytes are needed. Errors: kDataLoss.
  Result<std::optional<DumpRecord>> Next();
  // Bytes that are no whole record yet.
  size_t left() const { return buffer_.size() - at_; }

 private:
  std::string buffer_;
  size_t at_ = 0;
};

// A definition of one flavor in the other's words, as far as they differ in names of collations and
// the like; what has no counterpart is left, for the server to refuse.
std::string InWordsOf(bool to_mariadb, std::string sql);

}  // namespace paceline::backup
