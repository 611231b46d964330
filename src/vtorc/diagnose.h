// vtorc/diagnose.h - what is wrong with a shard, and what to do about it. Pure: no clock, no I/O;
// all it may know is the view and, for each tablet, since when it has been so. Names of analyses
// are Vitess's (table 1.7 of its reference). Threads: values and pure functions.
//
// A late answer is a symptom, not a death: a primary is given up only where the truth is local (its
// vttablet says that mysqld is dead), where the replicas' streams from it have broken too, or where
// nothing has been heard of it for longer than a restart takes. Load is none of these.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "reparent/view.h"

namespace paceline::vtorc {

enum class Remedy : uint8_t {
  kNone,          // told, nothing to be done by a program
  kWait,          // not yet certain
  kFailOver,      // reparent::Action::kEmergency
  kReparentAnew,  // reparent::Action::kPlanned: a reparent that was left unfinished
  kPromoteAnew,   // reparent::Action::kPlanned to `tablet`, which leads already
  kRepoint,       // reparent::Action::kReparentTablet of `tablet`
  kMakeReadOnly,  // SetReadOnly on `tablet`
  kMakeWritable,  // the primary is writable again: UndoDemote in its own term
};

struct Problem {
  std::string analysis;  // "DeadPrimary"
  record::TabletAlias tablet;
  std::string why;
  Remedy remedy = Remedy::kNone;
};

// Since when things are as they are; kept from look to look.
struct Memory {
  std::map<record::TabletAlias, Time> silent_since;  // did not answer
  std::map<record::TabletAlias, Time> dead_since;    // its vttablet says that mysqld is dead
  std::map<std::string, Time> seen_since;            // "<analysis> <alias>"
};

struct DiagnoseOptions {
  Duration dead_mysqld{0};  // after which a dead mysqld is failed over
  Duration broken_streams = std::chrono::milliseconds(200);  // silent, and replicas' streams broke
  Duration silence = std::chrono::milliseconds(2500);        // silent, whatever replicas say
  Duration replica_patience =
      std::chrono::milliseconds(1500);  // a replica may be about to mend itself
};

// Problems of the shard, the one to be acted upon first in front; `memory` takes up this look.
std::vector<Problem> Diagnose(const reparent::View& view, Time now, const DiagnoseOptions& options,
                              Memory& memory);
std::string_view RemedyName(Remedy remedy);

}  // namespace paceline::vtorc
