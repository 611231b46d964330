// rpc/error_codec.h - an Error as Vitess writes it on the wire: vtrpc's code, and a text in which
// MySQL's numbers stand as
// "(errno 1146) (sqlstate 42S02)", since nothing else survives a hop. Source of the form: Vitess's
// clients search texts for it. Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace vtrpc {
class RPCError;
}

namespace paceline::rpc {

// gRPC peers may refuse status texts above 8 KB; longer ones end in a note that says so.
inline constexpr size_t kErrorTextMax = 7 * 1024;

// The numbers are added where a receiver could not guess them from the code.
std::string WireText(const Error& error);
// Takes MySQL's numbers out of the text again; what follows them there (Vitess appends the caller
// and the statement) is dropped. Codes that vtrpc does not have become kUnknown.
Error ErrorFromWire(int code, std::string_view text);

void ToProto(const Error& error, vtrpc::RPCError* out);
// REQUIRES: error.code() is not OK.
Error FromProto(const vtrpc::RPCError& error);

}  // namespace paceline::rpc
