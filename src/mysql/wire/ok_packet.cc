#include "mysql/wire/ok_packet.h"

#include <algorithm>

#include "base/check.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/session_state.h"

namespace paceline::mysql::wire {
namespace {

// Both layouts of the end of rows begin with 0xfe; the old one has exactly five bytes.
constexpr size_t kEofBodyBytes = 5;
// Longer texts are cut: a client reads ERR and OK into one packet and shows a line.
constexpr size_t kMaxMessageBytes = 64 * 1024;

bool ParseErr(Reader reader, Terminator* out) {
  out->kind = Terminator::Kind::kErr;
  out->error_number = reader.U16();
  if (reader.Peek() == '#' && reader.remaining() >= 6) {
    reader.Skip(1);
    out->sqlstate = reader.Bytes(5);
  } else {
    out->sqlstate = "HY000";
  }
  out->message = reader.TakeRest();
  return reader.ok();
}

bool ParseOk(Reader reader, Capabilities capabilities, Terminator* out) {
  out->affected_rows = reader.Lenenc();
  out->last_insert_id = reader.Lenenc();
  out->status_flags = reader.U16();
  out->warnings = reader.U16();
  if (!reader.ok()) return false;
  // With its length, whatever MySQL's page on the packet says: so both servers send it.
  if (!reader.empty()) out->info = reader.LenencBytes();
  if (!(capabilities & kClientSessionTrack)) return reader.ok();
  if (out->status_flags & kStatusSessionStateChanged && !reader.empty()) {
    out->session_state = reader.LenencBytes();
    if (out->session_state.find(static_cast<char>(SessionStateType::kGtids)) != std::string::npos) {
      out->gtid = SessionStateValue(out->session_state, SessionStateType::kGtids);
    }
  }
  return reader.ok();
}

void AppendOkBody(std::string* out, const Terminator& t, uint8_t header,
                  Capabilities capabilities) {
  bool track = capabilities & kClientSessionTrack;
  bool changed = track && !t.session_state.empty();
  uint16_t status = t.status_flags & ~kStatusSessionStateChanged;
  if (changed) status |= kStatusSessionStateChanged;
  PutU8(out, header);
  PutLenenc(out, t.affected_rows);
  PutLenenc(out, t.last_insert_id);
  PutU16(out, status);
  PutU16(out, t.warnings);
  std::string_view info = std::string_view(t.info).substr(0, kMaxMessageBytes);
  if (changed || !info.empty()) PutLenencBytes(out, info);
  if (changed) PutLenencBytes(out, t.session_state);
}

void AppendEofBody(std::string* out, uint16_t status_flags, uint16_t warnings) {
  PutU8(out, 0xfe);
  PutU16(out, warnings);
  PutU16(out, status_flags & ~kStatusSessionStateChanged);
}

}  // namespace

void Terminator::Clear() {
  kind = Kind::kOk;
  sequence = 0;
  status_flags = warnings = 0;
  affected_rows = last_insert_id = row_count = 0;
  info.clear();
  session_state.clear();
  gtid.clear();
  error_number = 0;
  sqlstate.clear();
  message.clear();
}

bool ParseTerminator(std::string_view body, Capabilities capabilities, Terminator* out) {
  out->Clear();
  Reader reader(body);
  uint8_t header = reader.U8();
  if (header == 0xff) return ParseErr(reader, out);
  if (header == 0xfe && body.size() == kEofBodyBytes) {
    out->kind = Terminator::Kind::kEof;
    out->warnings = reader.U16();
    out->status_flags = reader.U16();
    return true;
  }
  if (!reader.ok() || (header != 0x00 && header != 0xfe)) return false;
  out->kind = header == 0xfe ? Terminator::Kind::kEof : Terminator::Kind::kOk;
  return ParseOk(reader, capabilities, out);
}

void AppendTerminator(std::string* out, const Terminator& t, Capabilities capabilities,
                      uint8_t* sequence) {
  size_t at = BeginPacket(out);
  switch (t.kind) {
    case Terminator::Kind::kOk:
      AppendOkBody(out, t, 0x00, capabilities);
      break;
    case Terminator::Kind::kEof:
      if (capabilities & kClientDeprecateEof) {
        AppendOkBody(out, t, 0xfe, capabilities);
      } else {
        AppendEofBody(out, t.status_flags, t.warnings);
      }
      break;
    case Terminator::Kind::kErr:
      PutU8(out, 0xff);
      PutU16(out, t.error_number);
      PutU8(out, '#');
      out->append(t.sqlstate.size() == 5 ? t.sqlstate : "HY000");
      out->append(t.message, 0, kMaxMessageBytes);
      break;
  }
  EndPacket(out, at, sequence);
}

void AppendMetadataEof(std::string* out, uint16_t status_flags, uint16_t warnings,
                       Capabilities capabilities, uint8_t* sequence) {
  if (capabilities & kClientDeprecateEof) return;
  size_t at = BeginPacket(out);
  AppendEofBody(out, status_flags, warnings);
  EndPacket(out, at, sequence);
}

Terminator TerminatorOf(const Error& error) {
  Terminator t;
  t.kind = Terminator::Kind::kErr;
  t.error_number = error.mysql_errno();
  t.sqlstate = error.sqlstate();
  t.message = error.ToString();
  return t;
}

Error ErrorOf(const Terminator& t) {
  CHECK(t.is_error());
  return Error::FromMysql(t.error_number, t.sqlstate, t.message);
}

}  // namespace paceline::mysql::wire
