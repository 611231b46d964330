// vttablet/manager/convert.h - between our plain structs and the contract's messages. Threads: pure
// functions.
#pragma once

#include <string>

#include "gtid/set.h"
#include "mysql/client/query_result.h"
#include "mysqld/status.h"
#include "record/record.h"

namespace query {
class QueryResult;
}
namespace replicationdata {
class Status;
}
namespace topodata {
class Tablet;
}

namespace paceline::vttablet {

// Vitess's form of a position: MySQL's whole set, MariaDB's one GTID a domain.
std::string EncodePosition(const gtid::Set& set);
void ToProto(const mysql::QueryResult& result, uint64_t most_rows, ::query::QueryResult* out);
void ToProto(const mysqld::ReplicationStatus& status, ::replicationdata::Status* out);
void ToProto(const record::Tablet& tablet, ::topodata::Tablet* out);

}  // namespace paceline::vttablet
