#include "mysql/wire/result_scanner.h"

#include <algorithm>

#include "mysql/wire/codec.h"
#include "mysql/wire/command.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"

namespace paceline::mysql::wire {
namespace {

constexpr size_t kPrepareOkBytes = 12;
// No terminator of a sane server is near this; a larger one is not collected but the end of the
// connection.
constexpr uint32_t kMaxTerminatorBytes = 4 << 20;
// MySQL allows 4096 columns in a table; a join may have more, but not this many.
constexpr uint64_t kMaxColumns = 1 << 20;

bool IsErr(uint8_t first) { return first == 0xff; }
bool IsEnd(uint8_t first, uint32_t length) { return first == 0xfe && length < kMaxPacketBody; }

}  // namespace

ResponseKind ResponseKindOf(uint8_t command_byte) {
  switch (static_cast<Command>(command_byte)) {
    case Command::kQuery:
    case Command::kStmtExecute:
    case Command::kStmtBulkExecute:
    case Command::kProcessInfo:
      return ResponseKind::kQuery;
    case Command::kStmtPrepare:
      return ResponseKind::kPrepare;
    case Command::kStmtFetch:
      return ResponseKind::kFetch;
    case Command::kFieldList:
      return ResponseKind::kFieldList;
    case Command::kStatistics:
      return ResponseKind::kStatistics;
    default:
      return ResponseKind::kSimple;
  }
}

void ResultScanner::Start(ResponseKind kind, uint8_t first_sequence, bool metadata_flag) {
  kind_ = kind;
  metadata_flag_ = metadata_flag;
  rows_are_meta_ = kind == ResponseKind::kFieldList;
  state_ = kind == ResponseKind::kFetch || rows_are_meta_ ? State::kRows : State::kFirst;
  continued_ = false;
  results_follow_ = false;
  next_sequence_ = first_sequence;
  in_packet_ = 0;
  definitions_left_ = 0;
  column_count_ = 0;
  row_count_ = 0;
  held_.clear();
  prepare_ = {};
}

void ResultScanner::ResumeAfterInfile(uint8_t first_sequence) {
  Start(ResponseKind::kSimple, first_sequence, metadata_flag_);
  // What follows the load is read as another statement's answer, which may have more results behind
  // it.
  kind_ = ResponseKind::kQuery;
}

ScanStep ResultScanner::Break(ScanStep step) {
  Broken(&step);
  return step;
}

bool ResultScanner::Broken(ScanStep* step) {
  state_ = State::kBroken;
  step->event = ScanEvent::kBroken;
  return false;
}

// The first packet of a result that is neither OK nor ERR. Sets *held when more of its bytes are
// needed.
bool ResultScanner::BeginResult(const uint8_t* packet, size_t available, uint32_t length,
                                bool* held) {
  std::string_view body(reinterpret_cast<const char*>(packet), std::min<size_t>(available, length));
  if (kind_ == ResponseKind::kPrepare) {
    if (length < kPrepareOkBytes || length > ResultScanner::kMaxHeldBytes - kPacketHeaderBytes) {
      return false;
    }
    if (body.size() < length) return *held = true;
    Reader reader(body);
    if (reader.U8() != 0x00) return false;
    prepare_.statement_id = reader.U32();
    prepare_.column_count = reader.U16();
    prepare_.parameter_count = reader.U16();
    reader.Skip(1);
    prepare_.warnings = reader.U16();
    definitions_left_ = prepare_.column_count + prepare_.parameter_count;
    if (metadata_flag_ && !reader.empty() && reader.U8() == 0) definitions_left_ = 0;
    column_count_ = prepare_.column_count;
    terminator_.Clear();
    terminator_.warnings = prepare_.warnings;
    state_ = State::kMeta;
    return true;
  }
  // The column count: at most nine bytes, and one that says whether definitions follow.
  if (length == 0 || length > 10) return false;
  if (body.size() < length) return *held = true;
  Reader reader(body);
  column_count_ = reader.Lenenc();
  bool definitions = true;
  if (metadata_flag_ && !reader.empty()) definitions = reader.U8() != 0;
  if (!reader.ok() || !reader.empty() || column_count_ == 0 || column_count_ > kMaxColumns) {
    return false;
  }
  definitions_left_ = definitions ? column_count_ : 0;
  state_ = definitions ? State::kMeta : State::kRows;
  return true;
}

bool ResultScanner::OnTerminator() {
  uint8_t sequence = static_cast<uint8_t>(next_sequence_ - 1);
  if (!ParseTerminator(held_, kClientSessionTrack, &terminator_)) return false;
  terminator_.sequence = sequence;
  terminator_.row_count = row_count_;
  held_.clear();
  results_follow_ = kind_ == ResponseKind::kQuery && terminator_.more_results();
  state_ = results_follow_ ? State::kFirst : State::kDone;
  return true;
}

// The part of the current packet's body that is there. True when all of it is.
bool ResultScanner::TakeBody(Cursor* in, ScanStep* step) {
  size_t take = std::min<size_t>(in_packet_, in->left());
  if (state_ == State::kTerminator || state_ == State::kInfile) {
    held_.append(reinterpret_cast<const char*>(in->here()), take);
  } else {
    (CountsAsRow() ? step->row_bytes : step->meta_bytes) += take;
  }
  in->at += take;
  in_packet_ -= take;
  return in_packet_ == 0;
}

// Between two packets: true when the one before completed something the caller must hear of.
bool ResultScanner::Settle(ScanStep* step) {
  switch (state_) {
    case State::kTerminator:
      if (!OnTerminator()) {
        *step = Break(*step);
      } else {
        step->event = results_follow_ ? ScanEvent::kResultEnd : ScanEvent::kDone;
      }
      return true;
    case State::kInfile:
      state_ = State::kDone;
      step->event = ScanEvent::kLocalInfile;
      return true;
    case State::kMeta:
      if (definitions_left_ > 0 || continued_) return false;
      if (kind_ != ResponseKind::kPrepare) {
        state_ = State::kRows;
        return false;
      }
      break;
    case State::kRows:
      if (kind_ != ResponseKind::kStatistics || continued_) return false;
      break;
    case State::kFirst:
      return false;
    case State::kDone:
    case State::kBroken:
      break;
  }
  state_ = State::kDone;
  step->event = ScanEvent::kDone;
  return true;
}

// What a first packet opens when it neither ends the response nor reports an error.
ResultScanner::Opening ResultScanner::Open(const Cursor& in, uint32_t length, uint8_t first) {
  switch (kind_) {
    case ResponseKind::kSimple:
      return Opening::kBroken;
    case ResponseKind::kStatistics:
      terminator_.Clear();
      state_ = State::kRows;
      row_count_ = 1;
      return Opening::kPlain;
    case ResponseKind::kQuery:
      if (first == 0xfb) {
        if (length > kMaxTerminatorBytes) return Opening::kBroken;
        state_ = State::kInfile;
        held_.clear();
        return Opening::kInfile;
      }
      break;
    default:
      break;
  }
  bool held = false;
  if (!BeginResult(in.here() + kPacketHeaderBytes, in.left() - kPacketHeaderBytes, length, &held)) {
    return Opening::kBroken;
  }
  return held ? Opening::kHeld : Opening::kPlain;
}

bool ResultScanner::Ends(uint32_t length, uint8_t first) const {
  if (IsErr(first)) return true;
  if (state_ == State::kRows) return IsEnd(first, length);
  if (state_ != State::kFirst) return false;
  if (kind_ == ResponseKind::kPrepare || kind_ == ResponseKind::kStatistics) return false;
  return first == 0x00 || IsEnd(first, length);
}

// A packet's header; false when the caller must stop (more bytes needed, or broken).
bool ResultScanner::TakeHeader(Cursor* in, ScanStep* step) {
  if (in->left() < kPacketHeaderBytes) return false;
  const PacketHeader header = ReadPacketHeader(in->here());
  if (header.sequence != next_sequence_) return Broken(step);
  size_t kept = 0;  // bytes of the body that are taken here and now, and not counted
  bool count_header = true;
  if (!continued_) {
    if (header.length == 0) return Broken(step);
    if (in->left() == kPacketHeaderBytes) return false;
    const uint8_t first = in->here()[kPacketHeaderBytes];
    if (Ends(header.length, first)) {
      if (header.length > kMaxTerminatorBytes) return Broken(step);
      state_ = State::kTerminator;
      held_.clear();
      count_header = false;
    } else if (state_ == State::kFirst) {
      Opening opening = Open(*in, header.length, first);
      if (opening == Opening::kBroken) return Broken(step);
      if (opening == Opening::kHeld) return false;
      if (opening == Opening::kInfile) {
        kept = 1;
        count_header = false;
      } else if (kind_ != ResponseKind::kStatistics) {  // column count or PREPARE OK: wholly there
        step->meta_bytes += kPacketHeaderBytes + header.length;
        kept = header.length;
        count_header = false;
      }
    } else if (state_ == State::kMeta) {
      --definitions_left_;
    } else {
      ++row_count_;
    }
  }
  ++next_sequence_;
  continued_ = header.length == kMaxPacketBody;
  in->at += kPacketHeaderBytes + kept;
  in_packet_ = header.length - kept;
  if (count_header) (CountsAsRow() ? step->row_bytes : step->meta_bytes) += kPacketHeaderBytes;
  return true;
}

ScanStep ResultScanner::Scan(std::span<const uint8_t> input) {
  ScanStep step;
  if (state_ == State::kBroken) return Break(step);
  if (results_follow_) {
    results_follow_ = false;
    column_count_ = row_count_ = 0;
  }
  Cursor in{input.data(), input.size(), 0};
  do {
    if (in_packet_ > 0 && !TakeBody(&in, &step)) break;
    if (Settle(&step)) break;
  } while (TakeHeader(&in, &step));
  step.consumed = in.at;
  return step;
}

}  // namespace paceline::mysql::wire
