// rpc/query_messages.h - what both ends of queryservice share: records as messages, and health.
#pragma once

#include "port/query_service.h"
#include "record/record.h"

namespace query {
class StreamHealthResponse;
class Target;
}  // namespace query
namespace topodata {
class TabletAlias;
}

namespace paceline::rpc {

void ToProto(const record::Target& target, query::Target* out);
record::Target FromProto(const query::Target& target);
void ToProto(const record::TabletAlias& alias, topodata::TabletAlias* out);
record::TabletAlias FromProto(const topodata::TabletAlias& alias);
void ToProto(const port::TabletHealth& health, query::StreamHealthResponse* out);
port::TabletHealth FromProto(const query::StreamHealthResponse& health);

}  // namespace paceline::rpc
