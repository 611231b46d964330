// plan/target.h - target strings: where a session's statements go. Grammar (Vitess's): `keyspace`,
// `keyspace:shard`, `keyspace/shard`, `keyspace@type`, `keyspace:shard@type`, `@type`, and "" for
// no database. Values.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "record/record.h"

namespace paceline::plan {

struct SessionTarget {
  std::string keyspace;  // empty: none selected
  std::string shard;     // empty: by keyspace
  record::TabletType type = record::TabletType::kPrimary;

  bool has_database() const { return !keyspace.empty(); }
  // "ks:80-@replica"; the type only when it is not primary.
  std::string ToString() const;
  friend bool operator==(const SessionTarget&, const SessionTarget&) = default;
};

// `default_type` is taken where the text names none. Errors: kInvalidArgument, 1049 42000 where a
// client would see an unknown database, for an unknown type, key ranges and keyspace ids
// (`ks[80-]`), empty parts.
Result<SessionTarget> ParseTarget(std::string_view text,
                                  record::TabletType default_type = record::TabletType::kPrimary);

}  // namespace paceline::plan
