// rpc/session_message.h - the vtgate.Session that a client holds against the live session in the
// gate: what the client may change between two calls, and what it is shown after each. Threads: the
// session's loop.
#pragma once

#include <string>
#include <vector>

#include "vtgate.pb.h"
#include "vtgate/session.h"

namespace paceline::rpc {

// What the live session has now; everything else in *message (options, modes) stays the client's.
void ShowState(const vtgate::Session& live, ::vtgate::Session* message);

// Nothing of a transaction or reserved connection left, and no name: the next call makes a new one.
void ShowGone(::vtgate::Session* message);

// True when the client relies on a connection of some tablet.
bool OwnsConnection(const ::vtgate::Session& message);

// "SET a = ..., @b = ..." for what the message carries; empty when it carries nothing. Names that
// are no identifiers and values that cannot be SQL are left out.
std::string SetText(const ::vtgate::Session& message);

// The id by which the client knows its transaction, for errors.
std::string TransactionName(const ::vtgate::Session& message);

}  // namespace paceline::rpc
