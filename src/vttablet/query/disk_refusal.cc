#include "vttablet/query/disk_refusal.h"

#include "base/strings.h"
#include "sql/outline.h"

namespace paceline::vttablet {
namespace {

using sql::Kind;
using sql::Verb;

constexpr uint16_t kDiskFull = 1021;  // ER_DISK_FULL

enum class Effect : uint8_t { kNone, kShrinks, kDeletes, kGrows };

bool EndsPartitions(std::string_view statement, const sql::Dialect& dialect) {
  sql::Lexer lexer(statement, dialect);
  bool ends = false;
  for (sql::Token token = lexer.Next(); token.kind != sql::TokenKind::kEnd; token = lexer.Next()) {
    if (ends && token.Is(sql::Keyword::kPartition)) return true;
    ends = token.Is(sql::Keyword::kDrop) || token.Is(sql::Keyword::kTruncate);
  }
  return false;
}

Effect EffectOfVerb(Verb verb) {
  return verb == Verb::kDrop || verb == Verb::kTruncate || verb == Verb::kRename ? Effect::kShrinks
                                                                                 : Effect::kGrows;
}

Effect EffectOf(std::string_view text, const sql::Dialect& dialect, const sql::Outline& outline) {
  const std::string_view statement = outline.statement.In(text);
  Kind kind = outline.kind;
  // MariaDB's ANALYZE runs what it explains.
  if (kind == Kind::kExplain && !StartsWithIgnoreCase(statement, "analyze")) return Effect::kNone;
  if (kind == Kind::kSetFor || kind == Kind::kExplain) kind = outline.inner;
  switch (kind) {
    case Kind::kInsert:
    case Kind::kReplace:
    case Kind::kUpdate:
    case Kind::kLoad:
    case Kind::kImport:
    case Kind::kCall:
    case Kind::kExecute:
    case Kind::kCompound:
    case Kind::kUnknown:
      return Effect::kGrows;
    case Kind::kDelete:
      return Effect::kDeletes;
    case Kind::kDdl:
      if (outline.verb == Verb::kAlter && EndsPartitions(statement, dialect))
        return Effect::kShrinks;
      return EffectOfVerb(outline.verb);
    case Kind::kDatabaseDdl:
      return EffectOfVerb(outline.verb);
    case Kind::kTableCare:
      return StartsWithIgnoreCase(statement, "optimize") ||
                     StartsWithIgnoreCase(statement, "repair")
                 ? Effect::kGrows
                 : Effect::kNone;
    default:
      return outline.Has(sql::kIntoFile) ? Effect::kGrows : Effect::kNone;
  }
}

}  // namespace

Status RefuseOnDisk(DiskRefusal refusal, std::string_view text, const sql::Dialect& dialect,
                    const record::TabletAlias& alias) {
  if (refusal == DiskRefusal::kNothing) return {};
  thread_local sql::Outline outline;
  for (const sql::Span& span : sql::SplitStatements(text, dialect)) {
    const std::string_view statement = span.In(text);
    sql::Analyze(statement, dialect, outline);
    const Effect effect = EffectOf(statement, dialect, outline);
    if (effect == Effect::kNone || effect == Effect::kShrinks) continue;
    const bool deletes = effect == Effect::kDeletes;
    if (deletes && refusal == DiskRefusal::kGrowth) continue;
    return Fail(Error::FromMysql(
        kDiskFull, "HY000",
        fmt::format(
            "Disk full: the disk of {} is almost full, so it refuses writes until there is "
            "room; {} and reads go on",
            alias.ToString(),
            refusal == DiskRefusal::kGrowth ? "DELETE, TRUNCATE, DROP" : "TRUNCATE, DROP")));
  }
  return {};
}

}  // namespace paceline::vttablet
