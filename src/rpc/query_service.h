// rpc/query_service.h - port::QueryService over Vitess's queryservice.Query, both ends. Where both
// ends are Paceline's the native data plane carries statements; this is for foreign gates and
// tablets, and for tools.
#pragma once

#include <memory>

#include "io/loop.h"
#include "port/query_service.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace paceline::rpc {

// `service` is called on `loop`. One StreamHealth of it feeds all subscribers and runs until it
// ends by itself: call service.Close() after the server's Shutdown and before destroying it. Ids of
// Vitess, of transactions and of reservations, are pinned_ids. Not offered: two-phase commit,
// messages, VStream.
void AddQueryService(Server& server, io::Loop& loop, port::QueryService& service);
// Longest answer of a call that is no stream.
inline constexpr size_t kUnaryResultBytesMax = 48u << 20;

// A tablet of Vitess or ours. Used on the channel's loop. Statements are texts: kPrepare and
// kExecute answer kUnimplemented, so a gate keeps to text with such a tablet. BEGIN, COMMIT and
// ROLLBACK are recognised and become their own calls. Results of plain SELECTs are streamed, since
// Vitess's tablets cut others at 10,000 rows.
port::QueryServicePtr NewQueryServiceClient(ChannelPtr channel);

}  // namespace paceline::rpc
