// mysql/binlog/event.h - the events of binary and relay logs of both flavors, as bytes to values;
// pure. Numbers and layouts are those of format 4, seen in logs of mysqld 9.7 and MariaDB 10.11.
// Nothing reads outside its input; what does not fit is kDataLoss. Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "gtid/set.h"

namespace paceline::mysql::binlog {

enum EventType : uint8_t {
  kQuery = 2,
  kStop = 3,
  kRotate = 4,
  kIntvar = 5,
  kRand = 13,
  kUserVar = 14,
  kFormat = 15,
  kXid = 16,
  kTableMap = 19,
  kWriteRowsV1 = 23,
  kDeleteRowsV1 = 25,
  kHeartbeat = 27,
  kIgnorable = 28,
  kRowsQuery = 29,
  kWriteRows = 30,
  kDeleteRows = 32,
  kGtid = 33,
  kAnonymousGtid = 34,
  kPreviousGtids = 35,
  kXaPrepare = 38,
  kPartialUpdateRows = 39,
  kTransactionPayload = 40,
  kHeartbeatV2 = 41,
  kTaggedGtid = 42,
  kMariaAnnotateRows = 160,
  kMariaCheckpoint = 161,
  kMariaGtid = 162,
  kMariaGtidList = 163,
  kMariaStartEncryption = 164,
  kMariaQueryCompressed = 165,
  kMariaWriteRowsCompressedV1 = 166,
  kMariaDeleteRowsCompressed = 171,
};
// Also MariaDB's compressed ones, and MySQL's partial update.
bool IsRows(uint8_t type);

inline constexpr size_t kHeaderSize = 19;
inline constexpr size_t kChecksumSize = 4;
inline constexpr std::string_view kMagic{"\xfe\x62\x69\x6e", 4};
inline constexpr std::string_view kEncryptedMagic{"\xfd\x62\x69\x6e", 4};
inline constexpr uint16_t kFlagInUse = 1;  // in a Format event: the log was not closed
// MariaDB: written while the session's skip_replication was on.
inline constexpr uint16_t kFlagSkipReplication = 0x8000;

struct Header {
  uint32_t unix_s = 0;
  uint8_t type = 0;
  uint32_t server_id = 0;
  uint32_t size = 0;      // of the whole event with this header and the checksum
  uint32_t position = 0;  // where the event ends, in the log where it was written first
  uint16_t flags = 0;
};
// REQUIRES: kHeaderSize bytes.
Header ParseHeader(std::string_view bytes);

// Of the whole event, as it stands there. A Format event counts as if its in-use flag were off.
uint32_t ChecksumOf(std::string_view event_without_checksum);

struct Format {
  std::string server;           // "9.7.4-2", "10.11.19-MariaDB-0+deb12u1-log"
  uint32_t created_unix_s = 0;  // not 0: the first log since the server was started
  bool checksums = false;       // of the events that follow
};
// `body`: between header and checksum. The last five bytes of a Format event are always algorithm
// and checksum. Errors: kUnimplemented for another format than 4.
Result<Format> ParseFormat(std::string_view body);

struct GtidEvent {
  gtid::Gtid gtid;            // sequence 0: anonymous
  bool standalone = false;    // MariaDB: one event, no BEGIN
  bool ddl = false;           // MariaDB says so
  bool xa = false;            // MariaDB: XA PREPARE, or the end of a prepared one
  bool transactional = true;  // MariaDB says so
};
// Types kGtid, kAnonymousGtid, kTaggedGtid, kMariaGtid.
Result<GtidEvent> ParseGtid(const Header& header, std::string_view body);

// What the logs before this one hold. Types kPreviousGtids, kMariaGtidList.
Result<gtid::Set> ParsePrevious(uint8_t type, std::string_view body);

struct Query {
  uint32_t thread_id = 0;  // of the session, or its pseudo_thread_id
  std::string_view database, text;
};
Result<Query> ParseQuery(std::string_view body);

// The text of kRowsQuery and kMariaAnnotateRows.
std::string_view StatementText(uint8_t type, std::string_view body);

// The events inside a kTransactionPayload, without checksums, one behind the other.
// Errors: kUnimplemented (unknown compression), kResourceExhausted (over kPayloadMax), kDataLoss.
inline constexpr uint64_t kPayloadMax = uint64_t{1} << 30;
Result<std::string> UnpackPayload(std::string_view body);
// `event`: header and body. Errors: those of `each`, kDataLoss.
Status ForEachInner(std::string_view events,
                    const std::function<Status(const Header&, std::string_view event)>& each);

}  // namespace paceline::mysql::binlog
