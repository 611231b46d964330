// vtorc/diagnose.h - what is wrong with a shard, and what to do about it. Pure: no clock, no I/O;
// all it may know is the view and, for each tablet, since when it has been so. Names of analyses
// are Vitess's (table 1.7 of its reference). Threads: values and pure functions.
//
// A late answer is a symptom, not a death: a primary is given up only where the truth is local (its
// vttablet says that mysqld is dead), where the replicas' streams from it have broken or fallen
// silent too (an idle source sends heartbeats), or where its vttablet has been away for longer than
// a restart takes. Load is none of these: a mysqld that does not answer while its streams move is
// waited for.
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
  kMoveAway,      // reparent::Action::kPlanned away from `tablet`
  kPromoteAnew,   // reparent::Action::kPlanned to `tablet`, which leads already
  kRepoint,       // reparent::Action::kReparentTablet of `tablet`
  kMakeReadOnly,  // SetReadOnly on `tablet`
  kFixPrimary,    // UndoDemote in its own term: acknowledgements as they must be, writable
  kForgetSource,  // ResetReplicationParameters on the primary
};

struct Problem {
  std::string analysis;  // "DeadPrimary"
  record::TabletAlias tablet;
  std::string why;
  Remedy remedy = Remedy::kNone;
  std::set<record::TabletAlias> unfit = {};  // whom a reparent must not promote
};

// Since when things are as they are; kept from look to look.
struct Memory {
  std::map<record::TabletAlias, Time> answered;    // when it last did, for its mysqld too
  std::map<record::TabletAlias, Time> heard;       // when its vttablet last gave a sign of life
  std::map<record::TabletAlias, Time> dead_since;  // its vttablet says that mysqld is dead
  struct Mark {
    std::string text;
    Time since{};
  };
  std::map<record::TabletAlias, Mark> streams;  // the newest stream_mark
  // What a replica had at the last look and its primary had not: the primary may have it by now.
  std::map<record::TabletAlias, gtid::Set> ahead;
  std::map<std::string, Time> seen_since;  // "<analysis> <alias>"
  gtid::Set committed;                     // what the primary had at the last look
};

struct DiagnoseOptions {
  Duration dead_mysqld{0};  // after which a dead mysqld is failed over
  Duration broken_streams = std::chrono::milliseconds(200);  // silent, and replicas' streams broke
  Duration quiet_streams = std::chrono::milliseconds(1200);  // silent, and their streams are too
  Duration stream_beat = std::chrono::milliseconds(900);     // a live stream moves more often
  Duration silence = std::chrono::milliseconds(2500);        // silent, but its mysqld lives
  Duration replica_patience =
      std::chrono::milliseconds(1500);                   // a replica may be about to mend itself
  Duration election_patience = std::chrono::seconds(5);  // tablets of a new shard may yet come
  Duration full_disk = std::chrono::seconds(2);          // or low
  Duration stalled_disk = std::chrono::seconds(5);       // and nothing is committed meanwhile
  Duration lagging = std::chrono::seconds(10);           // a replica's lag that is worth a word
  // After which a primary without ackers is given up, where its replicas could be fenced, and a
  // replica that a person has stopped is started.
  Duration long_patience = std::chrono::seconds(10);
};

// Problems of the shard, the one to be acted upon first in front; `memory` takes up this look.
std::vector<Problem> Diagnose(const reparent::View& view, Time now, const DiagnoseOptions& options,
                              Memory& memory);
std::string_view RemedyName(Remedy remedy);
// Vitess's name for what heals it, as its metrics have it: "RecoverDeadPrimary".
std::string_view RecoveryType(const Problem& problem);

}  // namespace paceline::vtorc
