#include "vttablet/manager/convert.h"

#include "query.pb.h"
#include "replicationdata.pb.h"
#include "topo/codec.h"
#include "topodata.pb.h"

namespace paceline::vttablet {

std::string EncodePosition(const gtid::Set& set) {
  if (set.Empty()) return "";
  if (set.flavor() == gtid::Flavor::kMysql) return set.ToEncoded();
  return "MariaDB/" + set.ToPosition();
}

void ToProto(const mysql::QueryResult& result, uint64_t most_rows, ::query::QueryResult* out) {
  value::TypedResult typed = result.ToTyped();
  for (const value::Field& field : typed.fields) {
    ::query::Field* to = out->add_fields();
    to->set_name(field.name);
    to->set_type(static_cast<::query::Type>(field.type));
    to->set_table(field.table);
    to->set_org_table(field.org_table);
    to->set_database(field.database);
    to->set_org_name(field.org_name);
    to->set_column_length(field.column_length);
    to->set_charset(field.charset);
    to->set_decimals(field.decimals);
    to->set_flags(field.flags);
    to->set_column_type(field.column_type);
  }
  for (const value::Row& row : typed.rows) {
    if (most_rows > 0 && static_cast<uint64_t>(out->rows_size()) >= most_rows) break;
    ::query::Row* to = out->add_rows();
    for (int64_t length : row.lengths) to->add_lengths(length);
    to->set_values(row.values);
  }
  out->set_rows_affected(result.end.affected_rows);
  out->set_insert_id(result.end.last_insert_id);
  out->set_info(result.end.info);
}

void ToProto(const mysqld::ReplicationStatus& status, ::replicationdata::Status* out) {
  auto state = [](mysqld::ThreadState thread) {
    return static_cast<int32_t>(thread) + 1;
  };  // stopped, connecting, running
  out->set_position(EncodePosition(status.executed));
  out->set_relay_log_position(EncodePosition(status.received));
  if (status.lag) {
    out->set_replication_lag_seconds(static_cast<uint32_t>(*status.lag / 1s));
  } else {
    out->set_replication_lag_unknown(true);
  }
  out->set_source_host(status.source_host);
  out->set_source_port(status.source_port);
  out->set_source_user(status.source_user);
  out->set_source_uuid(status.source_uuid);
  out->set_source_server_id(status.source_server_id);
  out->set_connect_retry(static_cast<int32_t>(status.connect_retry_s));
  out->set_io_state(state(status.io));
  out->set_last_io_error(status.io_error);
  out->set_sql_state(state(status.applier));
  out->set_last_sql_error(status.applier_error);
  out->set_auto_position(status.auto_position);
  out->set_using_gtid(status.auto_position);
  out->set_has_replication_filters(status.has_filters);
  out->set_ssl_allowed(status.ssl);
  out->set_sql_delay(status.delay_s);
}

void ToProto(const record::Tablet& tablet, ::topodata::Tablet* out) {
  out->ParseFromString(topo::Encode(tablet));
}

}  // namespace paceline::vttablet
