// gtid/sid_block.h - the binary form of a MySQL set in PREVIOUS_GTIDS_LOG_EVENT and
// COM_BINLOG_DUMP_GTID. Little-endian 64-bit numbers: count of sources, then for each its 16 bytes,
// count of intervals, and for each interval first and last+1. With tags (8.3+): bytes 0 and 7 of
// the count are 1, bytes 1-6 hold the number, and each UUID is followed by the length of the tag
// times two in one byte and the tag. Seen in the logs of mysqld 9.7.
#pragma once

#include <string>
#include <string_view>

#include "gtid/set.h"

namespace paceline::gtid {

// The form without tags where the set has none, which every server since 5.6 reads.
// Errors: kInvalidArgument for a MariaDB set.
Result<std::string> ToSidBlock(const Set& set);
// Reads both forms; the block must fill `bytes`. Errors: kInvalidArgument naming the offset.
Result<Set> FromSidBlock(std::string_view bytes);

}  // namespace paceline::gtid
