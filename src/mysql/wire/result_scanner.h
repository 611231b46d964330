// mysql/wire/result_scanner.h - finds the parts of a server's response without decoding it.
// Fed with the bytes as they arrive, it reads packet headers and first bytes only and says how many
// of the bytes are metadata (column count and definitions), how many are rows, and hands out the
// final OK, EOF or ERR parsed.
//
//   scanner.Start(ResponseKind::kQuery);
//   for (;;) {
//     ScanStep step = scanner.Scan(buffer);             // never reads outside, never allocates for
//     rows Forward(buffer.first(step.meta_bytes + step.row_bytes)); buffer =
//     buffer.subspan(step.consumed); if (step.event == ScanEvent::kResultEnd)
//     {...scanner.terminator(); Scan() goes on with the next result...} if (step.event ==
//     ScanEvent::kDone) break;        // terminator() is the last one if (step.event ==
//     ScanEvent::kNeedInput) read more behind what is left of `buffer`;
//   }
//
// The consumed bytes are, in this order: metadata, rows, then bytes of the terminator, which are
// NOT to be forwarded: whoever talks to the client writes it anew. Up to kMaxHeldBytes at the end
// may stay unconsumed; they must be offered again at the front of the next call. REQUIRES: the
// server connection has DEPRECATE_EOF and neither compression nor PROGRESS. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "mysql/wire/terminator.h"

namespace paceline::mysql::wire {

// What shape of answer the command just sent will get.
enum class ResponseKind : uint8_t {
  kQuery,      // COM_QUERY, COM_STMT_EXECUTE, COM_PROCESS_INFO: OK, ERR, LOCAL INFILE or results
  kPrepare,    // COM_STMT_PREPARE
  kFetch,      // COM_STMT_FETCH: rows, then the end
  kFieldList,  // COM_FIELD_LIST: definitions, then the end
  kSimple,     // COM_PING, INIT_DB, SET_OPTION, RESET_CONNECTION, STMT_RESET...: one OK, EOF or ERR
  kStatistics,  // COM_STATISTICS: one packet of text, counted as row bytes
};

// The shape for a command byte (wire/command.h). COM_QUIT, STMT_CLOSE and STMT_SEND_LONG_DATA have
// no answer.
ResponseKind ResponseKindOf(uint8_t command_byte);

enum class ScanEvent : uint8_t {
  kNeedInput,    // all that could be used has been
  kResultEnd,    // a result ended, another of the same command follows
  kDone,         // the response is complete; terminator() tells how it ended
  kLocalInfile,  // the server wants the file infile_name(); answer it, then call
                 // ResumeAfterInfile()
  kBroken,       // not the MySQL protocol (sequence or length wrong): close the connection
};

struct ScanStep {
  size_t consumed =
      0;  // meta_bytes + row_bytes + bytes of the terminator (or of the infile request)
  size_t meta_bytes =
      0;  // at the front: column count, definitions; for kPrepare also the PREPARE OK packet
  size_t row_bytes = 0;  // behind them
  ScanEvent event = ScanEvent::kNeedInput;
};

// The first packet of an answer to COM_STMT_PREPARE.
struct PrepareOk {
  uint32_t statement_id = 0;
  uint16_t column_count = 0;
  uint16_t parameter_count = 0;
  uint16_t warnings = 0;
};

class ResultScanner {
 public:
  static constexpr size_t kMaxHeldBytes = 64;

  // Prepares for the response to a command. `first_sequence` is 1 unless the command took several
  // packets. `metadata_flag`: the connection negotiated OPTIONAL_RESULTSET_METADATA or MariaDB's
  // CACHE_METADATA.
  void Start(ResponseKind kind, uint8_t first_sequence = 1, bool metadata_flag = false);

  // Uses up a front part of `input`, at most to the end of one result.
  ScanStep Scan(std::span<const uint8_t> input);
  ScanStep Scan(const void* data, size_t size) {
    return Scan(std::span(static_cast<const uint8_t*>(data), size));
  }

  // After kResultEnd, kDone: how the result ended. A good PREPARE ends with a kOk that carries its
  // warnings.
  const Terminator& terminator() const { return terminator_; }
  Terminator& terminator() { return terminator_; }
  // Of the current result (after kResultEnd: of the one that ended).
  uint64_t column_count() const { return column_count_; }
  uint64_t row_count() const { return row_count_; }
  // Valid once a PREPARE has passed its first packet.
  const PrepareOk& prepare_ok() const { return prepare_; }
  const std::string& infile_name() const { return held_; }
  // The sequence byte the server's next packet must have; also that of the first packet of an
  // infile's content.
  uint8_t next_sequence() const { return next_sequence_; }
  void ResumeAfterInfile(uint8_t first_sequence);

 private:
  enum class State : uint8_t { kFirst, kMeta, kRows, kTerminator, kInfile, kDone, kBroken };

  enum class Opening : uint8_t { kPlain, kInfile, kHeld, kBroken };
  struct Cursor {
    const uint8_t* data;
    size_t size;
    size_t at;
    const uint8_t* here() const { return data + at; }
    size_t left() const { return size - at; }
  };

  bool TakeBody(Cursor* in, ScanStep* step);
  bool TakeHeader(Cursor* in, ScanStep* step);
  bool Settle(ScanStep* step);
  bool Ends(uint32_t length, uint8_t first) const;
  Opening Open(const Cursor& in, uint32_t length, uint8_t first);
  bool BeginResult(const uint8_t* body, size_t available, uint32_t length, bool* held);
  bool OnTerminator();
  bool Broken(ScanStep* step);
  ScanStep Break(ScanStep step);
  bool CountsAsRow() const { return state_ == State::kRows && !rows_are_meta_; }

  ResponseKind kind_ = ResponseKind::kSimple;
  State state_ = State::kDone;
  bool metadata_flag_ = false;
  bool rows_are_meta_ = false;   // COM_FIELD_LIST
  bool continued_ = false;       // the last packet had 0xffffff bytes: the next one belongs to it
  bool results_follow_ = false;  // the next Scan() starts another result
  uint8_t next_sequence_ = 1;
  uint32_t in_packet_ = 0;  // bytes of the current packet's body not seen yet
  uint64_t definitions_left_ = 0;
  uint64_t column_count_ = 0;
  uint64_t row_count_ = 0;
  std::string held_;  // what came of the terminator, or the infile's name
  PrepareOk prepare_;
  Terminator terminator_;
};

}  // namespace paceline::mysql::wire
