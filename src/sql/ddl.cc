// Heads of definitions: CREATE, ALTER, DROP, RENAME, TRUNCATE, and of accounts: GRANT, REVOKE,
// CREATE USER.
#include "sql/scanner.h"

namespace paceline::sql {

void Scanner::SkipDefiner() {
  // DEFINER = user@host | CURRENT_USER[()] | role
  if (!At(Keyword::kDefiner) || !next_.Is('=')) return;
  Advance();
  Advance();
  Advance();
  if (current_.kind == TokenKind::kUserVariable) {
    Advance();
  } else if (At('@')) {
    Advance();
    Advance();
  }
  if (At('(')) {
    Advance();
    Take(')');
  }
}

void Scanner::DdlHead(Verb verb) {
  out_.kind = Kind::kDdl;
  out_.verb = verb;
  Advance();
  if (At(Keyword::kOr) && next_.Is(Keyword::kReplace)) {
    Advance();
    Advance();
  }
  for (bool more = true; more && !AtEnd();) {
    SkipDefiner();
    switch (current_.keyword) {
      case Keyword::kTemporary:
        Set(kTemporaryTable);
        Advance();
        break;
      case Keyword::kAlgorithm:  // ALGORITHM = MERGE
        Advance();
        Advance();
        Advance();
        break;
      case Keyword::kSql:  // SQL SECURITY INVOKER
        Advance();
        Advance();
        Advance();
        break;
      case Keyword::kUnique:
      case Keyword::kFulltext:
      case Keyword::kSpatial:
      case Keyword::kOnline:
      case Keyword::kOffline:
      case Keyword::kIgnore:
      case Keyword::kAggregate:
      case Keyword::kUndo:
        Advance();
        break;
      default:
        more = false;
    }
  }
  DdlObject(verb);
}

void Scanner::DdlObject(Verb verb) {
  switch (current_.keyword) {
    case Keyword::kTable:
    case Keyword::kTables:
      out_.object = Object::kTable;
      TableDdl(verb);
      return;
    case Keyword::kView:
      out_.object = Object::kView;
      TableDdl(verb);
      return;
    case Keyword::kSequence:
      out_.object = Object::kSequence;
      TableDdl(verb);
      return;
    case Keyword::kIndex:
      IndexDdl(verb);
      return;
    case Keyword::kDatabase:
    case Keyword::kSchema:
      DatabaseDdl(verb);
      return;
    case Keyword::kProcedure:
      ProgramDdl(verb, Object::kProcedure);
      return;
    case Keyword::kFunction:
      ProgramDdl(verb, Object::kFunction);
      return;
    case Keyword::kPackage:
      ProgramDdl(verb, Object::kPackage);
      return;
    case Keyword::kTrigger:
      ProgramDdl(verb, Object::kTrigger);
      return;
    case Keyword::kEvent:
      ProgramDdl(verb, Object::kEvent);
      return;
    case Keyword::kUser:
      out_.object = Object::kUser;
      AccountHead();
      return;
    case Keyword::kRole:
      out_.object = Object::kRole;
      AccountHead();
      return;
    case Keyword::kVschema:
      out_.kind = Kind::kAlterVschema;
      SkipRest();
      return;
    case Keyword::kVitessMigration:
      out_.kind = Kind::kVitessMigration;
      SkipRest();
      return;
    case Keyword::kServer:
      out_.object = Object::kServer;
      break;
    case Keyword::kTablespace:
      out_.object = Object::kTablespace;
      break;
    case Keyword::kInstance:  // ALTER INSTANCE ROTATE ...
      out_.kind = Kind::kAdmin;
      break;
    default:
      out_.object = Object::kOther;
  }
  Advance();
  SkipIfExists();
  if (current_.IsName()) NameIs(current_);
  SkipRest();
}

void Scanner::TableDdl(Verb verb) {
  Advance();
  SkipIfExists();
  const Access access = verb == Verb::kCreate ? Access::kCreate
                        : verb == Verb::kDrop ? Access::kDrop
                                              : Access::kAlter;
  if (verb == Verb::kDrop) {
    StartTables(access);
    return;
  }
  if (!current_.IsName()) return;
  const Chain chain = TakeChain();
  out_.name = chain.part[chain.names >= 2 ? 1 : 0];
  AddTable(chain, access);
  if (out_.object == Object::kView) {
    while (!AtEnd() && !At(Keyword::kAs)) Advance();
    return;
  }
  // Names of other tables in the rest: LIKE t, RENAME TO t, EXCHANGE PARTITION p WITH TABLE t,
  // REFERENCES t (found by the scan), UNION = (t, t).
  while (!AtEnd()) {
    if ((At(Keyword::kLike) && next_.IsName()) ||
        (At(Keyword::kRename) &&
         (next_.Is(Keyword::kTo) || next_.Is(Keyword::kAs) || next_.Is('=') ||
          (next_.IsName() && !next_.Is(Keyword::kIndex) && !next_.Is(Keyword::kKey) &&
           !next_.Is(Keyword::kColumn))))) {
      const bool like = At(Keyword::kLike);
      Advance();
      if (!like && (At(Keyword::kTo) || At(Keyword::kAs) || At('='))) Advance();
      if (current_.IsName()) {
        const Chain other = TakeChain();
        AddTable(other, like ? Access::kRead : Access::kCreate);
      }
      continue;
    }
    if (At(Keyword::kUnion) && next_.Is('=')) {
      Advance();
      Advance();
      if (At('(')) {
        OpenParen();
        Advance();
        StartTables(Access::kRead);
      }
      continue;
    }
    if (At(Keyword::kSelect)) out_.inner = Kind::kSelect;
    ScanToken();
  }
}

void Scanner::IndexDdl(Verb verb) {
  out_.object = Object::kIndex;
  Advance();
  SkipIfExists();
  if (current_.IsName()) NameIs(current_);
  while (!AtEnd() && !At(Keyword::kOn)) Advance();
  if (!Take(Keyword::kOn) || !current_.IsName()) return;
  const Chain chain = TakeChain();
  AddTable(chain, verb == Verb::kNone ? Access::kRead : Access::kAlter);
}

void Scanner::ProgramDdl(Verb verb, Object object) {
  out_.object = object;
  if (verb == Verb::kCreate) {
    Set(kStoredProgram);
    whole_text_ = true;
  }
  Advance();
  if (object == Object::kPackage && At(Keyword::kBody)) Advance();
  SkipIfExists();
  if (!current_.IsName()) return;
  const Chain chain = TakeChain();
  if (chain.names >= 2) AddDatabase(chain.part[0], DatabaseRole::kQualifier);
  out_.name = chain.part[chain.names >= 2 ? 1 : 0];
  if (verb == Verb::kCreate && object == Object::kFunction && At(Keyword::kReturns)) {
    // CREATE FUNCTION f RETURNS INTEGER SONAME 'x.so': no body, and no harm in looking for one.
    return;
  }
  if (object == Object::kTrigger && verb == Verb::kCreate) {
    while (!AtEnd() && !At(Keyword::kOn)) Advance();
    if (Take(Keyword::kOn) && current_.IsName()) {
      const Chain table = TakeChain();
      AddTable(table, Access::kAlter);
    }
  } else if (object == Object::kEvent && verb == Verb::kAlter) {
    while (!AtEnd() && !At(Keyword::kDo)) {
      if (At(Keyword::kRename) && next_.Is(Keyword::kTo)) {
        Advance();
        Advance();
        if (!current_.IsName()) continue;
        const Chain other = TakeChain();
        if (other.names >= 2) AddDatabase(other.part[0], DatabaseRole::kQualifier);
        continue;
      }
      Advance();
    }
    whole_text_ = At(Keyword::kDo);
  }
}

void Scanner::DatabaseDdl(Verb verb) {
  out_.kind = Kind::kDatabaseDdl;
  out_.object = Object::kDatabase;
  out_.verb = verb;
  Advance();
  SkipIfExists();
  // ALTER DATABASE without a name means the default one.
  if (current_.IsName() &&
      !(verb == Verb::kAlter &&
        (At(Keyword::kCharacter) || At(Keyword::kCharset) || At(Keyword::kCollate) ||
         At(Keyword::kDefault) || At(Keyword::kRead)))) {
    NameIs(current_);
    AddDatabase(out_.name, DatabaseRole::kName);
  }
  SkipRest();
}

void Scanner::RenameHead() {
  out_.kind = Kind::kDdl;
  out_.verb = Verb::kRename;
  Advance();
  if (At(Keyword::kUser)) {
    out_.object = Object::kUser;
    AccountHead();
    return;
  }
  out_.object = Object::kTable;
  Advance();
  SkipIfExists();
  while (current_.IsName()) {
    const Chain from = TakeChain();
    AddTable(from, Access::kDrop);
    while (!AtEnd() && !At(Keyword::kTo)) Advance();  // MariaDB: WAIT n, NOWAIT
    if (!Take(Keyword::kTo) || !current_.IsName()) break;
    const Chain to = TakeChain();
    AddTable(to, Access::kCreate);
    if (!Take(',')) break;
  }
}

void Scanner::TruncateHead() {
  out_.kind = Kind::kDdl;
  out_.verb = Verb::kTruncate;
  out_.object = Object::kTable;
  Advance();
  Take(Keyword::kTable);
  if (!current_.IsName()) return;
  const Chain chain = TakeChain();
  out_.name = chain.part[chain.names >= 2 ? 1 : 0];
  AddTable(chain, Access::kDrop);
}

void Scanner::AccountHead() {
  out_.kind = Kind::kAccount;
  SkipRest();
}

void Scanner::GrantHead() {
  out_.kind = Kind::kAccount;
  size_t depth = 0;
  for (Advance(); !AtEnd(); Advance()) {
    if (At('(')) ++depth;
    if (At(')') && depth > 0) --depth;
    if (depth > 0 || !At(Keyword::kOn)) continue;
    Advance();
    if (At(Keyword::kTable) || At(Keyword::kFunction) || At(Keyword::kProcedure) ||
        At(Keyword::kPackage)) {
      Advance();
      if (At(Keyword::kBody)) Advance();
    }
    if (current_.IsName() && next_.Is('.')) {
      const Chain chain = TakeChain();
      AddDatabase(chain.part[0], chain.star ? DatabaseRole::kPattern : DatabaseRole::kQualifier);
    }
    break;
  }
  SkipRest();
}

}  // namespace paceline::sql
