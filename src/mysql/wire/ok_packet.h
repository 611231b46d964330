// mysql/wire/ok_packet.h - OK, EOF and ERR packets, read and written in the dialect of either side.
// A dialect is the capabilities agreed with that client: DEPRECATE_EOF and SESSION_TRACK decide the
// layout. Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "mysql/wire/capabilities.h"
#include "mysql/wire/terminator.h"

namespace paceline::mysql::wire {

// `body` is a whole packet body that begins with 0x00, 0xfe or 0xff. False: malformed. *out is
// overwritten.
bool ParseTerminator(std::string_view body, Capabilities capabilities, Terminator* out);

// Writes `t` as a packet for a client with `capabilities`: kOk as OK, kEof as the end of rows (EOF,
// or OK with header 0xfe under DEPRECATE_EOF), kErr as ERR. Session state is written only for
// clients that track it.
void AppendTerminator(std::string* out, const Terminator& t, Capabilities capabilities,
                      uint8_t* sequence);
// The EOF between column definitions and rows that clients without DEPRECATE_EOF expect; nothing
// for others.
void AppendMetadataEof(std::string* out, uint16_t status_flags, uint16_t warnings,
                       Capabilities capabilities, uint8_t* sequence);

// The ERR a client gets for an error of ours or one that mysqld reported.
Terminator TerminatorOf(const Error& error);
// The error of a kErr terminator (Error::FromMysql). REQUIRES: t.is_error().
Error ErrorOf(const Terminator& t);

}  // namespace paceline::mysql::wire
