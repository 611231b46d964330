// SHOW: what it asks for, and which database and table it names.
#include "sql/scanner.h"

namespace paceline::sql {

void Scanner::ShowHead() {
  out_.kind = Kind::kShow;
  out_.show = Show::kOther;
  Advance();
  ShowWord();
  // What is left: LIKE 'x' or WHERE expr, after which Scan() goes on.
  while (!AtEnd() && !At(Keyword::kWhere)) {
    if (At(Keyword::kLike)) {
      Advance();
      out_.argument = SpanOf(current_);
      if (out_.show == Show::kDatabases && current_.kind == TokenKind::kString) {
        AddDatabase(out_.argument, DatabaseRole::kPattern);
      }
      continue;
    }
    Advance();
  }
}

// FROM db | IN db
void Scanner::ShowFromDatabase() {
  if (!At(Keyword::kFrom) && !At(Keyword::kIn)) return;
  Advance();
  if (!current_.IsName()) return;
  AddDatabase(SpanOf(current_), DatabaseRole::kName);
  Advance();
}

// FROM t [FROM db] | FROM db.t
void Scanner::ShowTableThenDatabase(Show show) {
  out_.show = show;
  Advance();
  if (!At(Keyword::kFrom) && !At(Keyword::kIn)) return;
  Advance();
  if (!current_.IsName()) return;
  const Chain chain = TakeChain();
  AddTable(chain, Access::kRead);
  const size_t before = out_.databases.size();
  ShowFromDatabase();
  if (out_.databases.size() > before) out_.tables.back().database = out_.databases.back().at;
}

void Scanner::ShowWord() {
  bool global = false;
  for (bool more = true; more;) {
    switch (current_.keyword) {
      case Keyword::kGlobal:
        if (next_.Is(Keyword::kGtidExecuted) || next_.Is(Keyword::kVgtidExecuted)) {
          Advance();
          out_.show = Show::kGtidExecuted;
          Advance();
          ShowFromDatabase();
          return;
        }
        global = true;
        Advance();
        break;
      case Keyword::kSession:
      case Keyword::kLocal:
      case Keyword::kFull:
      case Keyword::kExtended:
      case Keyword::kStorage:
      case Keyword::kAll:
        Advance();
        break;
      default:
        more = false;
    }
  }
  const auto plain = [this](Show show) { out_.show = show; };
  switch (current_.keyword) {
    case Keyword::kDatabases:
    case Keyword::kSchemas:
      plain(Show::kDatabases);
      break;
    case Keyword::kKeyspaces:
    case Keyword::kVitessKeyspaces:
      plain(Show::kKeyspaces);
      break;
    case Keyword::kVitessTablets:
      plain(Show::kVitessTablets);
      break;
    case Keyword::kVitessShards:
      plain(Show::kVitessShards);
      break;
    case Keyword::kVitessTarget:
      plain(Show::kVitessTarget);
      break;
    case Keyword::kVitessReplicationStatus:
      plain(Show::kVitessReplicationStatus);
      break;
    case Keyword::kVitessMigrations:
    case Keyword::kVitessMigration:
      plain(Show::kVitessMigrations);
      break;
    case Keyword::kVitessMetadata:
      plain(Show::kVitessMetadata);
      break;
    case Keyword::kVitessThrottledApps:
      plain(Show::kVitessThrottledApps);
      break;
    case Keyword::kVitessThrottler:
      plain(Show::kVitessThrottlerStatus);
      break;
    case Keyword::kVitessSessions:
      plain(Show::kVitessSessions);
      break;
    case Keyword::kUnresolved:
      plain(Show::kUnresolvedTransactions);
      break;
    case Keyword::kVschema:
      Advance();
      plain(At(Keyword::kTables)      ? Show::kVschemaTables
            : At(Keyword::kKeyspaces) ? Show::kVschemaKeyspaces
                                      : Show::kVschemaVindexes);
      if (At(Keyword::kVindexes) && (next_.Is(Keyword::kFrom) || next_.Is(Keyword::kOn))) {
        Advance();
        Advance();
        if (current_.IsName()) NameIs(current_);
      }
      break;
    case Keyword::kTables:
      plain(Show::kTables);
      Advance();
      ShowFromDatabase();
      return;
    case Keyword::kTable:
      if (!next_.Is(Keyword::kStatus)) break;
      plain(Show::kTableStatus);
      Advance();
      Advance();
      ShowFromDatabase();
      return;
    case Keyword::kOpen:
      plain(Show::kOpenTables);
      Advance();
      Advance();
      ShowFromDatabase();
      return;
    case Keyword::kTriggers:
      plain(Show::kTriggers);
      Advance();
      ShowFromDatabase();
      return;
    case Keyword::kEvents:
      plain(Show::kEvents);
      Advance();
      ShowFromDatabase();
      return;
    case Keyword::kColumns:
    case Keyword::kFields:
      ShowTableThenDatabase(Show::kColumns);
      return;
    case Keyword::kIndex:
    case Keyword::kIndexes:
    case Keyword::kKeys:
      ShowTableThenDatabase(Show::kIndex);
      return;
    case Keyword::kCreate: {
      plain(Show::kCreate);
      Advance();
      const bool database = At(Keyword::kDatabase) || At(Keyword::kSchema);
      const bool table = At(Keyword::kTable) || At(Keyword::kView) || At(Keyword::kSequence);
      const bool user = At(Keyword::kUser);
      Advance();
      if (At(Keyword::kBody)) Advance();
      SkipIfExists();
      if (user) {
        SkipRest();
      } else if (current_.IsName()) {
        const Chain chain = TakeChain();
        out_.name = chain.part[chain.names >= 2 ? 1 : 0];
        if (database) {
          plain(Show::kCreateDatabase);
          AddDatabase(out_.name, DatabaseRole::kName);
        } else if (table) {
          AddTable(chain, Access::kRead);
        } else if (chain.names >= 2) {
          AddDatabase(chain.part[0], DatabaseRole::kQualifier);
        }
      }
      return;
    }
    case Keyword::kProcedure:
    case Keyword::kFunction: {
      const bool procedure = At(Keyword::kProcedure);
      Advance();
      if (At(Keyword::kStatus)) {
        plain(procedure ? Show::kProcedureStatus : Show::kFunctionStatus);
      } else if (At(Keyword::kCode) && next_.IsName()) {
        Advance();
        const Chain chain = TakeChain();
        if (chain.names >= 2) AddDatabase(chain.part[0], DatabaseRole::kQualifier);
        return;
      }
      break;
    }
    case Keyword::kVariables:
      plain(global ? Show::kGlobalVariables : Show::kVariables);
      break;
    case Keyword::kStatus:
      plain(global ? Show::kGlobalStatus : Show::kStatus);
      break;
    case Keyword::kWarnings:
      plain(Show::kWarnings);
      break;
    case Keyword::kErrors:
      plain(Show::kErrors);
      break;
    case Keyword::kCount:  // SHOW COUNT(*) WARNINGS
      while (!AtEnd() && !At(Keyword::kWarnings) && !At(Keyword::kErrors)) Advance();
      plain(At(Keyword::kErrors) ? Show::kCountErrors : Show::kCountWarnings);
      break;
    case Keyword::kProcesslist:
      plain(Show::kProcesslist);
      break;
    case Keyword::kGrants:
      plain(Show::kGrants);
      SkipRest();
      return;
    case Keyword::kEngines:
      plain(Show::kEngines);
      break;
    case Keyword::kEngine:
      break;
    case Keyword::kCharacter:
    case Keyword::kCharset:
      plain(Show::kCharset);
      break;
    case Keyword::kCollation:
      plain(Show::kCollation);
      break;
    case Keyword::kPlugins:
      plain(Show::kPlugins);
      break;
    case Keyword::kPrivileges:
      plain(Show::kPrivileges);
      break;
    case Keyword::kProfile:
    case Keyword::kProfiles:
      plain(Show::kProfile);
      break;
    case Keyword::kBinary:
    case Keyword::kMaster:
    case Keyword::kBinlog:
    case Keyword::kRelaylog:
      plain(Show::kBinaryLogs);
      SkipRest();
      return;
    case Keyword::kReplica:
    case Keyword::kReplicas:
    case Keyword::kSlave:
      plain(Show::kReplicaStatus);
      SkipRest();
      return;
    default:
      // SHOW INDEX with a dialect's own words (SHOW PACKAGE STATUS, SHOW LOCALES ...): mysqld
      // knows.
      break;
  }
  if (!At(Keyword::kLike) && !At(Keyword::kWhere) && !AtEnd()) Advance();
}

}  // namespace paceline::sql
