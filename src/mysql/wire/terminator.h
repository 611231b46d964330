// mysql/wire/terminator.h - how a response ended: the final OK, EOF or ERR packet of a result,
// parsed. It is what the END frame of the native data plane carries, and what a gate writes again
// in its client's dialect. Source of the layout: MySQL's protocol pages "OK_Packet", "EOF_Packet",
// "ERR_Packet". Threads: a value.
#pragma once

#include <cstdint>
#include <string>

namespace paceline::mysql::wire {

// Bits of Terminator::status_flags that routing and pooling look at.
enum StatusFlag : uint16_t {
  kStatusInTransaction = 0x0001,
  kStatusAutocommit = 0x0002,
  kStatusMoreResults = 0x0008,
  kStatusNoGoodIndexUsed = 0x0010,
  kStatusNoIndexUsed = 0x0020,
  kStatusCursorExists = 0x0040,
  kStatusLastRowSent = 0x0080,
  kStatusDatabaseDropped = 0x0100,
  kStatusNoBackslashEscapes = 0x0200,
  kStatusMetadataChanged = 0x0400,
  kStatusQueryWasSlow = 0x0800,
  kStatusOutParameters = 0x1000,
  kStatusInTransactionReadOnly = 0x2000,
  kStatusSessionStateChanged = 0x4000,
};

struct Terminator {
  enum class Kind : uint8_t { kOk, kEof, kErr };

  // kOk: a statement without rows (header 0x00). kEof: the end of rows (header 0xfe, whichever
  // layout).
  Kind kind = Kind::kOk;
  // Sequence byte the packet had; a gate that writes it anew counts its own.
  uint8_t sequence = 0;
  uint16_t status_flags = 0;
  uint16_t warnings = 0;
  uint64_t affected_rows = 0;
  uint64_t last_insert_id = 0;
  // Rows sent before a kEof, which FOUND_ROWS() answers; not part of the packet.
  uint64_t row_count = 0;
  // Human text such as "Rows matched: 1  Changed: 1  Warnings: 0"; mostly empty.
  std::string info;
  // The session-state-change entries as they came (without the outer length); empty when nothing
  // changed. wire/session_state.h reads and writes them.
  std::string session_state;
  // The GTID set of the entry "GTIDs", where the server was asked to track it
  // (session_track_gtids).
  std::string gtid;

  // kErr only. `sqlstate` has five characters.
  uint16_t error_number = 0;
  std::string sqlstate;
  std::string message;

  bool is_error() const { return kind == Kind::kErr; }
  // Another result of the same command follows.
  bool more_results() const { return kind != Kind::kErr && (status_flags & kStatusMoreResults); }
  bool in_transaction() const { return status_flags & kStatusInTransaction; }

  // Back to an empty OK; keeps the capacity of the texts.
  void Clear();
  friend bool operator==(const Terminator&, const Terminator&) = default;
};

}  // namespace paceline::mysql::wire
