// topo/embedded/embedded_conn.h - the topology in one SQLite file (WAL, synchronous=FULL) that the
// processes of one machine share. Acknowledged means on disk. Another process that stops in the
// middle of a write makes writes fail with kUnavailable at their deadline; reads go on. Changes of
// other processes are seen within kPollEvery.
#pragma once

#include <string>

#include "io/loop.h"
#include "topo/conn.h"

namespace paceline::topo::embedded {

inline constexpr Duration kPollEvery = 25ms;

// Does not touch the file yet, which is created, with its folders, when it is first used. REQUIRES:
// `loop` outlives it.
ConnPtr Open(io::Loop& loop, std::string file, std::string root);

}  // namespace paceline::topo::embedded
