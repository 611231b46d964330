// vttablet/query/disk_refusal.h - what a tablet whose disk is almost full lets through, so that
// mysqld never comes to wait for room in the middle of a commit. Pure. Threads: any.
//
// Told as 1021, ER_DISK_FULL: 1114, ER_RECORD_FILE_FULL, names a table and also is what a temporary
// table says that has grown beyond its limit, so that applications take it for their own mistake.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "record/record.h"
#include "sql/dialect.h"

namespace paceline::vttablet {

enum class DiskRefusal : uint8_t {
  kNothing,
  kGrowth,       // INSERT, UPDATE, CREATE ... and what hides what it does: CALL, EXECUTE
  kAllButDrops,  // DELETE too; DROP, TRUNCATE, RENAME and dropping partitions stay
};

// kResourceExhausted, 1021, where one of the statements in `text` is refused. COMMIT and ROLLBACK
// never are.
Status RefuseOnDisk(DiskRefusal refusal, std::string_view text, const sql::Dialect& dialect,
                    const record::TabletAlias& alias);

}  // namespace paceline::vttablet
