// native/message.h - the payloads of the frames: pure encoders and decoders. Encoders append a
// whole frame. Decoders answer false for malformed input and never read outside it. Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "mysql/wire/terminator.h"
#include "native/frame.h"
#include "port/query_service.h"

namespace paceline::native {

// First frame of either side. The client speaks first; the server answers or sends ERROR.
struct Hello {
  uint32_t version = kProtocolVersion;
  record::TabletAlias tablet;  // server: who it is. Client: whom it expects, or empty
  std::string program;         // "vtgate 0.1.0", for logs
  std::string unix_path;  // server: where it listens for clients of the same host; may be empty
  uint64_t instance =
      0;  // server: random per process, so that a path is known to lead to the same one
};
void AppendHello(std::string* out, const Hello& hello);
bool DecodeHello(std::string_view payload, Hello* out);

// SETTINGS: text of settings that later QUERY frames name by id.
void AppendSettings(std::string* out, const port::Settings& settings, bool reset);
bool DecodeSettings(std::string_view payload, port::Settings* out);

// QUERY: all of a request. The statement and its parameters may be long; what exceeds kMaxDataBytes
// goes on in QUERY_PART frames, and the decoder gets the payloads joined. The attempt's number
// stands in the header, where older tablets do not look.
void EncodeQuery(std::string* out, const port::QueryRequest& request, Duration time_left);
struct DecodedQuery {
  uint64_t settings_id = 0;
  Duration time_left{0};
  std::string_view target,
      caller;  // still encoded: a server compares them with the last ones it has seen
  uint64_t pinned_id = 0;
  bool reserve = false, found_rows = false;
  port::StatementKind kind = port::StatementKind::kText;
  std::string_view begin, parameters, text;  // into the payload
};
bool DecodeQuery(std::string_view payload, DecodedQuery* out);
bool DecodeTarget(std::string_view bytes, record::Target* out);
bool DecodeCaller(std::string_view bytes, port::Caller* out);

// END: how a result ended, and with kFlagLast which connection is pinned and what the statement
// warned of.
void AppendEnd(std::string* out, uint32_t request, const mysql::wire::Terminator& end);
// The last one in two steps: the terminator when it comes, the rest when the call returns.
void EncodeTerminator(std::string* out, const mysql::wire::Terminator& end);
void AppendLastEnd(std::string* out, uint32_t request, std::string_view encoded_terminator,
                   const port::QueryEnd& call);
bool DecodeEnd(const FrameHeader& header, std::string_view payload, mysql::wire::Terminator* end,
               port::QueryEnd* call);

// PREPARED: closes a kPrepare; the definitions came before it as DATA, the parameters' first.
struct Prepared {
  uint64_t pinned_id = 0;
  uint16_t parameter_count = 0, column_count = 0, warnings = 0;
  uint32_t parameter_bytes = 0;
};
void AppendPrepared(std::string* out, uint32_t request, const Prepared& prepared);
bool DecodePrepared(std::string_view payload, Prepared* out);

// ERROR: the call failed. VTnnnnn ids come back as part of the message.
void AppendError(std::string* out, uint32_t request, const Error& error);
bool DecodeError(std::string_view payload, Error* out);

// CREDIT: bytes; RELEASE: target and pinned id, time left.
void AppendCredit(std::string* out, uint32_t request, uint64_t bytes);
bool DecodeCredit(std::string_view payload, uint64_t* bytes);
void AppendRelease(std::string* out, uint32_t request, const record::Target& target,
                   uint64_t pinned_id, Duration time_left);
bool DecodeRelease(std::string_view payload, record::Target* target, uint64_t* pinned_id,
                   Duration* time_left);

void AppendHealth(std::string* out, uint32_t request, const port::TabletHealth& health);
bool DecodeHealth(std::string_view payload, port::TabletHealth* out);

// RESOLVE: target, time left, questions; answered by RESOLVED with as many outcomes, or ERROR.
void AppendResolve(std::string* out, uint32_t request, const record::Target& target,
                   const std::vector<port::AttemptQuestion>& questions, Duration time_left);
bool DecodeResolve(std::string_view payload, record::Target* target,
                   std::vector<port::AttemptQuestion>* questions, Duration* time_left);
void AppendResolved(std::string* out, uint32_t request,
                    const std::vector<port::AttemptOutcome>& outcomes);
bool DecodeResolved(std::string_view payload, std::vector<port::AttemptOutcome>* outcomes);

// CANCEL, DONE, PING, PONG, WATCH_HEALTH: no payload. GOAWAY: why, as text.
void AppendEmpty(std::string* out, FrameType type, uint32_t request);

}  // namespace paceline::native
