#include "native/message.h"

#include <algorithm>

#include "mysql/wire/codec.h"

namespace paceline::native {
namespace {

using mysql::wire::PutFixed;
using mysql::wire::PutLenenc;
using mysql::wire::PutLenencBytes;
using mysql::wire::PutU16;
using mysql::wire::PutU32;
using mysql::wire::PutU64;
using mysql::wire::PutU8;
using mysql::wire::Reader;

enum QueryBit : uint8_t { kBitReserve = 1, kBitFoundRows = 2 };
// Present texts of a terminator, so that the common empty ones cost one byte together.
enum TextBit : uint8_t { kHasInfo = 1, kHasState = 2, kHasGtid = 4 };
constexpr size_t kMaxStrings = 4096;  // groups, changed tables

// A frame whose payload is encoded in place.
class Frame {
 public:
  Frame(std::string* out, FrameType type, uint32_t request, uint8_t flags = 0)
      : out_(out), at_(out->size()) {
    AppendHeader(out, {.request = request, .type = type, .flags = flags});
  }
  ~Frame() { PatchLength(out_, at_); }

 private:
  std::string* out_;
  size_t at_;
};

void PutAlias(std::string* out, const record::TabletAlias& alias) {
  PutLenencBytes(out, alias.cell);
  PutU32(out, alias.uid);
}
void ReadAlias(Reader* in, record::TabletAlias* alias) {
  alias->cell = in->LenencBytes();
  alias->uid = in->U32();
}

void PutTarget(std::string* out, const record::Target& target) {
  PutU8(out, static_cast<uint8_t>(target.type));
  PutLenencBytes(out, target.keyspace);
  PutLenencBytes(out, target.shard);
  PutLenencBytes(out, target.cell);
}
void ReadTarget(Reader* in, record::Target* target) {
  target->type = static_cast<record::TabletType>(in->U8());
  target->keyspace = in->LenencBytes();
  target->shard = in->LenencBytes();
  target->cell = in->LenencBytes();
}
size_t TargetSize(const record::Target& target) {
  // Each text with the size of its length, for those below 251 bytes that names are.
  return 1 + mysql::wire::LenencSize(target.keyspace.size()) + target.keyspace.size() +
         mysql::wire::LenencSize(target.shard.size()) + target.shard.size() +
         mysql::wire::LenencSize(target.cell.size()) + target.cell.size();
}

void PutStrings(std::string* out, const std::vector<std::string>& strings) {
  PutLenenc(out, strings.size());
  for (const std::string& one : strings) PutLenencBytes(out, one);
}
void ReadStrings(Reader* in, std::vector<std::string>* strings) {
  uint64_t count = in->Lenenc();
  if (count > kMaxStrings) in->Fail();
  strings->clear();
  for (uint64_t i = 0; in->ok() && i < count; ++i) strings->emplace_back(in->LenencBytes());
}

void PutDuration(std::string* out, Duration time) {
  PutU64(out, static_cast<uint64_t>(std::max<int64_t>(time.count(), 0)));
}
Duration ReadDuration(Reader* in) {
  return Duration(static_cast<int64_t>(std::min<uint64_t>(in->U64(), INT64_MAX)));
}

// Decoders of fixed messages accept more bytes behind: a newer peer may add fields.
bool Good(const Reader& in) { return in.ok(); }

}  // namespace

void AppendHello(std::string* out, const Hello& hello) {
  Frame frame(out, FrameType::kHello, 0);
  PutU32(out, hello.version);
  PutAlias(out, hello.tablet);
  PutLenencBytes(out, hello.program);
  PutLenencBytes(out, hello.unix_path);
  PutU64(out, hello.instance);
}

bool DecodeHello(std::string_view payload, Hello* out) {
  Reader in(payload);
  out->version = in.U32();
  ReadAlias(&in, &out->tablet);
  out->program = in.LenencBytes();
  out->unix_path = in.LenencBytes();
  out->instance = in.U64();
  return Good(in);
}

void AppendSettings(std::string* out, const port::Settings& settings, bool reset) {
  Frame frame(out, FrameType::kSettings, 0, reset ? uint8_t{kFlagReset} : uint8_t{0});
  PutU64(out, settings.id);
  out->append(settings.apply);
}

bool DecodeSettings(std::string_view payload, port::Settings* out) {
  Reader in(payload);
  out->id = in.U64();
  out->apply = in.TakeRest();
  return Good(in);
}

void EncodeQuery(std::string* out, const port::QueryRequest& request, Duration time_left) {
  PutU8(out, static_cast<uint8_t>(request.kind));
  PutU8(out, static_cast<uint8_t>((request.reserve ? kBitReserve : 0) |
                                  (request.found_rows ? kBitFoundRows : 0)));
  PutDuration(out, time_left);
  PutU64(out, request.settings != nullptr ? request.settings->id : 0);
  PutU64(out, request.pinned_id);
  PutLenenc(out, TargetSize(request.target));
  PutTarget(out, request.target);
  const port::Caller& caller = request.caller;
  if (caller.principal.empty() && caller.user.empty() && caller.groups.empty()) {
    PutLenenc(out, 0);
  } else {
    std::string encoded;
    PutLenencBytes(&encoded, caller.principal);
    PutLenencBytes(&encoded, caller.user);
    PutStrings(&encoded, caller.groups);
    PutLenencBytes(out, encoded);
  }
  PutLenencBytes(out, request.begin);
  PutLenencBytes(out, request.parameters);
  out->append(request.text);
}

bool DecodeQuery(std::string_view payload, DecodedQuery* out) {
  Reader in(payload);
  uint8_t kind = in.U8();
  if (kind < static_cast<uint8_t>(port::StatementKind::kText) ||
      kind > static_cast<uint8_t>(port::StatementKind::kExecute)) {
    return false;
  }
  out->kind = static_cast<port::StatementKind>(kind);
  uint8_t bits = in.U8();
  out->reserve = (bits & kBitReserve) != 0;
  out->found_rows = (bits & kBitFoundRows) != 0;
  out->time_left = ReadDuration(&in);
  out->settings_id = in.U64();
  out->pinned_id = in.U64();
  out->target = in.LenencBytes();
  out->caller = in.LenencBytes();
  out->begin = in.LenencBytes();
  out->parameters = in.LenencBytes();
  out->text = in.TakeRest();
  return in.ok();
}

bool DecodeTarget(std::string_view bytes, record::Target* out) {
  Reader in(bytes);
  ReadTarget(&in, out);
  return Good(in);
}

bool DecodeCaller(std::string_view bytes, port::Caller* out) {
  *out = {};
  if (bytes.empty()) return true;
  Reader in(bytes);
  out->principal = in.LenencBytes();
  out->user = in.LenencBytes();
  ReadStrings(&in, &out->groups);
  return Good(in);
}

void EncodeTerminator(std::string* out, const mysql::wire::Terminator& end) {
  PutU8(out, static_cast<uint8_t>(end.kind));
  PutU8(out, end.sequence);
  PutU16(out, end.status_flags);
  PutU16(out, end.warnings);
  PutLenenc(out, end.affected_rows);
  PutLenenc(out, end.last_insert_id);
  PutLenenc(out, end.row_count);
  PutU8(out, static_cast<uint8_t>((end.info.empty() ? 0 : kHasInfo) |
                                  (end.session_state.empty() ? 0 : kHasState) |
                                  (end.gtid.empty() ? 0 : kHasGtid)));
  if (!end.info.empty()) PutLenencBytes(out, end.info);
  if (!end.session_state.empty()) PutLenencBytes(out, end.session_state);
  if (!end.gtid.empty()) PutLenencBytes(out, end.gtid);
  if (end.is_error()) {
    PutU16(out, end.error_number);
    PutLenencBytes(out, end.sqlstate);
    PutLenencBytes(out, end.message);
  }
}

void AppendEnd(std::string* out, uint32_t request, const mysql::wire::Terminator& end) {
  Frame frame(out, FrameType::kEnd, request);
  PutU64(out, 0);
  EncodeTerminator(out, end);
}

void AppendLastEnd(std::string* out, uint32_t request, std::string_view encoded_terminator,
                   const port::QueryEnd& call) {
  Frame frame(out, FrameType::kEnd, request, kFlagLast);
  PutU64(out, call.pinned_id);
  out->append(encoded_terminator);
  PutLenenc(out, call.warnings.size());
  for (const port::Warning& warning : call.warnings) {
    PutLenencBytes(out, warning.level);
    PutU16(out, warning.code);
    PutLenencBytes(out, warning.message);
  }
}

bool DecodeEnd(const FrameHeader& header, std::string_view payload, mysql::wire::Terminator* end,
               port::QueryEnd* call) {
  Reader in(payload);
  call->pinned_id = in.U64();
  call->warnings.clear();
  end->Clear();
  uint8_t kind = in.U8();
  if (kind > static_cast<uint8_t>(mysql::wire::Terminator::Kind::kErr)) return false;
  end->kind = static_cast<mysql::wire::Terminator::Kind>(kind);
  end->sequence = in.U8();
  end->status_flags = in.U16();
  end->warnings = in.U16();
  end->affected_rows = in.Lenenc();
  end->last_insert_id = in.Lenenc();
  end->row_count = in.Lenenc();
  uint8_t texts = in.U8();
  if (texts & kHasInfo) end->info = in.LenencBytes();
  if (texts & kHasState) end->session_state = in.LenencBytes();
  if (texts & kHasGtid) end->gtid = in.LenencBytes();
  if (end->is_error()) {
    end->error_number = in.U16();
    end->sqlstate = in.LenencBytes();
    end->message = in.LenencBytes();
  }
  if (!(header.flags & kFlagLast)) return Good(in);
  uint64_t warnings = in.Lenenc();
  if (warnings > kMaxStrings) return false;
  for (uint64_t i = 0; in.ok() && i < warnings; ++i) {
    port::Warning& warning = call->warnings.emplace_back();
    warning.level = in.LenencBytes();
    warning.code = in.U16();
    warning.message = in.LenencBytes();
  }
  return Good(in);
}

void AppendPrepared(std::string* out, uint32_t request, const Prepared& prepared) {
  Frame frame(out, FrameType::kPrepared, request, kFlagLast);
  PutU64(out, prepared.pinned_id);
  PutU16(out, prepared.parameter_count);
  PutU16(out, prepared.column_count);
  PutU16(out, prepared.warnings);
  PutU32(out, prepared.parameter_bytes);
}

bool DecodePrepared(std::string_view payload, Prepared* out) {
  Reader in(payload);
  out->pinned_id = in.U64();
  out->parameter_count = in.U16();
  out->column_count = in.U16();
  out->warnings = in.U16();
  out->parameter_bytes = in.U32();
  return Good(in);
}

void AppendError(std::string* out, uint32_t request, const Error& error) {
  Frame frame(out, FrameType::kError, request, kFlagLast);
  PutU8(out, static_cast<uint8_t>(error.code()));
  PutU8(out, error.from_mysql() ? 1 : 0);
  PutU16(out, error.mysql_errno());
  PutLenencBytes(out, error.sqlstate());
  PutLenencBytes(out, error.id().empty() ? error.message() : error.ToString());
}

bool DecodeError(std::string_view payload, Error* out) {
  Reader in(payload);
  uint8_t code = in.U8();
  bool from_mysql = in.U8() != 0;
  uint16_t number = in.U16();
  std::string_view sqlstate = in.LenencBytes();
  std::string message(in.LenencBytes());
  if (!in.ok() || code == 0 || code > static_cast<uint8_t>(Code::kReadOnly)) return false;
  *out = from_mysql ? Error::FromMysql(number, sqlstate, std::move(message))
                    : Error(static_cast<Code>(code), std::move(message));
  return true;
}

void AppendCredit(std::string* out, uint32_t request, uint64_t bytes) {
  Frame frame(out, FrameType::kCredit, request);
  PutU64(out, bytes);
}

bool DecodeCredit(std::string_view payload, uint64_t* bytes) {
  Reader in(payload);
  *bytes = in.U64();
  return Good(in);
}

void AppendRelease(std::string* out, uint32_t request, const record::Target& target,
                   uint64_t pinned_id, Duration time_left) {
  Frame frame(out, FrameType::kRelease, request);
  PutU64(out, pinned_id);
  PutDuration(out, time_left);
  PutTarget(out, target);
}

bool DecodeRelease(std::string_view payload, record::Target* target, uint64_t* pinned_id,
                   Duration* time_left) {
  Reader in(payload);
  *pinned_id = in.U64();
  *time_left = ReadDuration(&in);
  ReadTarget(&in, target);
  return Good(in);
}

void AppendHealth(std::string* out, uint32_t request, const port::TabletHealth& health) {
  Frame frame(out, FrameType::kHealth, request);
  PutAlias(out, health.alias);
  PutTarget(out, health.target);
  PutU8(out, health.serving ? 1 : 0);
  PutU64(out, static_cast<uint64_t>(health.primary_term_start.unix_ns));
  PutU64(out, health.term);
  PutU64(out, static_cast<uint64_t>(health.replication_lag.count()));
  PutLenencBytes(out, health.error);
  PutU64(out, static_cast<uint64_t>(health.qps * 1000));
  PutLenencBytes(out, health.position);
  PutStrings(out, health.changed_tables);
}

bool DecodeHealth(std::string_view payload, port::TabletHealth* out) {
  Reader in(payload);
  ReadAlias(&in, &out->alias);
  ReadTarget(&in, &out->target);
  out->serving = in.U8() != 0;
  out->primary_term_start.unix_ns = static_cast<int64_t>(in.U64());
  out->term = in.U64();
  out->replication_lag = Duration(static_cast<int64_t>(in.U64()));
  out->error = in.LenencBytes();
  out->qps = static_cast<double>(in.U64()) / 1000;
  out->position = in.LenencBytes();
  ReadStrings(&in, &out->changed_tables);
  return Good(in);
}

void AppendResolve(std::string* out, uint32_t request, const record::Target& target,
                   const std::vector<port::AttemptQuestion>& questions, Duration time_left) {
  Frame frame(out, FrameType::kResolve, request);
  PutDuration(out, time_left);
  PutTarget(out, target);
  PutLenenc(out, questions.size());
  for (const port::AttemptQuestion& question : questions) {
    PutU32(out, question.attempt);
    PutAlias(out, question.sent_to);
    PutLenencBytes(out, question.since);
    PutU8(out, question.procedure ? 1 : 0);
  }
}

bool DecodeResolve(std::string_view payload, record::Target* target,
                   std::vector<port::AttemptQuestion>* questions, Duration* time_left) {
  Reader in(payload);
  *time_left = ReadDuration(&in);
  ReadTarget(&in, target);
  uint64_t count = in.Lenenc();
  if (count > port::kQuestionsMax) return false;
  questions->clear();
  for (uint64_t i = 0; in.ok() && i < count; ++i) {
    port::AttemptQuestion& question = questions->emplace_back();
    question.attempt = in.U32();
    ReadAlias(&in, &question.sent_to);
    question.since = in.LenencBytes();
    question.procedure = in.U8() != 0;
  }
  return Good(in);
}

void AppendResolved(std::string* out, uint32_t request,
                    const std::vector<port::AttemptOutcome>& outcomes) {
  Frame frame(out, FrameType::kResolved, request, kFlagLast);
  PutLenenc(out, outcomes.size());
  for (const port::AttemptOutcome& outcome : outcomes) {
    PutU8(out, static_cast<uint8_t>(outcome.fate));
    PutLenencBytes(out, outcome.gtid);
    PutLenenc(out, outcome.statements);
    PutLenenc(out, outcome.changes.size());
    for (const port::AttemptOutcome::Change& change : outcome.changes) {
      PutLenencBytes(out, change.table);
      PutLenenc(out, change.inserted);
      PutLenenc(out, change.updated);
      PutLenenc(out, change.deleted);
      PutU8(out, change.first_insert_id ? 1 : 0);
      PutU64(out, change.first_insert_id.value_or(0));
      PutStrings(out, change.integer_keys);
    }
    PutLenencBytes(out, outcome.why);
  }
}

bool DecodeResolved(std::string_view payload, std::vector<port::AttemptOutcome>* outcomes) {
  Reader in(payload);
  uint64_t count = in.Lenenc();
  if (count > port::kQuestionsMax) return false;
  outcomes->clear();
  for (uint64_t i = 0; in.ok() && i < count; ++i) {
    port::AttemptOutcome& outcome = outcomes->emplace_back();
    uint8_t fate = in.U8();
    if (fate > static_cast<uint8_t>(port::AttemptOutcome::Fate::kCommitted)) return false;
    outcome.fate = static_cast<port::AttemptOutcome::Fate>(fate);
    outcome.gtid = in.LenencBytes();
    outcome.statements = in.Lenenc();
    uint64_t changes = in.Lenenc();
    if (changes > kMaxStrings) return false;
    for (uint64_t j = 0; in.ok() && j < changes; ++j) {
      port::AttemptOutcome::Change& change = outcome.changes.emplace_back();
      change.table = in.LenencBytes();
      change.inserted = in.Lenenc();
      change.updated = in.Lenenc();
      change.deleted = in.Lenenc();
      bool known = in.U8() != 0;
      uint64_t first = in.U64();
      if (known) change.first_insert_id = first;
      ReadStrings(&in, &change.integer_keys);
    }
    outcome.why = in.LenencBytes();
  }
  return Good(in);
}

void AppendEmpty(std::string* out, FrameType type, uint32_t request) {
  AppendHeader(out, {.request = request, .type = type});
}

}  // namespace paceline::native
