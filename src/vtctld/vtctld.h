// vtctld/vtctld.h - the administration of a cluster: every method of vtctlservice.Vtctld that
// Paceline offers, and the legacy commands on top of them. Names, fields and meanings are Vitess's.
// Threads: one loop, the topology's. Lifetime: calls must have ended before it is destroyed (the
// gRPC server's Shutdown). Errors: kNotFound, kAlreadyExists, kInvalidArgument and so on, naming
// the record and what to do next; those of tablets carry the tablet's alias.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backup/storage.h"
#include "drive/connect.h"
#include "port/vtctld.h"
#include "reparent/view.h"
#include "topo/server.h"
#include "vtctld/import.h"
#include "vtctld/rebuild.h"
#include "vtctld/resize.h"
#include "vtctld/volumes.h"

namespace tabletmanagerdata {
class SchemaDefinition;
}

namespace paceline::vtctld {

using drive::Connect;

class Vtctld final : public port::Vtctld {
 public:
  Vtctld(topo::Server& topo, Connect connect, backup::StorageOptions backups = {})
      : topo_(topo), connect_(std::move(connect)), backups_(std::move(backups)) {}

#define PACELINE_METHOD(Method)                                        \
  io::Task<Status> Method(const ::vtctldata::Method##Request& request, \
                          ::vtctldata::Method##Response& response, Deadline deadline) override;
  PACELINE_VTCTLD_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
#define PACELINE_METHOD(Method)                                                                    \
  io::Task<Status> Method(const ::vtctldata::Method##Request& request, port::BackupEvents& events, \
                          Deadline deadline) override;
  PACELINE_VTCTLD_BACKUP_STREAMS(PACELINE_METHOD)
#undef PACELINE_METHOD

  // Words as typed; "--legacy-names" before the command makes tablet types say "master".
  io::Task<Status> ExecuteVtctlCommand(std::vector<std::string> args, port::CommandOutput& output,
                                       Deadline deadline) override;

  struct ReparentAsked {
    record::KeyspaceShard shard;
    reparent::Request request;
    Duration wait_replicas{0};  // zero: 30 s
    bool wait_for_all = false;  // refuse when a tablet cannot be reached
  };
  struct Reparented {
    record::TabletAlias primary;
    std::vector<std::string> events;
  };
  // What all reparent commands come to; `told` gets each step as it is taken.
  io::Task<Result<Reparented>> Reparent(ReparentAsked asked, std::function<void(std::string)> told,
                                        Deadline deadline);

  // Asks every tablet (those recorded and those at `addresses`) what it carries, tells how the
  // topology differs, and with `write` writes that (rebuild.h).
  io::Task<Status> RebuildTopology(std::vector<std::string> addresses, bool write,
                                   std::function<void(std::string)> told, Deadline deadline);

  // Lines for people, or one JSON text: how far a shard's archive reaches and who writes it; with
  // `ddl` the changes of its schema.
  io::Task<Status> DescribeArchive(record::KeyspaceShard shard, bool ddl, bool json,
                                   std::function<void(std::string)> told, Deadline deadline);

  // A replica restores a backup beside its data and checks it; the verdict is kept with the backup.
  // `name`: empty for the newest. Errors: kDataLoss: it is bad, and why.
  io::Task<Status> VerifyBackup(record::KeyspaceShard shard, std::string name, bool allow_primary,
                                port::BackupEvents& events, Deadline deadline);
  struct ResizeAsked {
    record::KeyspaceShard shard;
    record::TabletAlias only;  // empty: all tablets of the shard
    uint64_t bytes = 0;
    bool dry_run = false;
    Duration wait = std::chrono::minutes(10);  // for one volume
  };
  // Grows volumes one after the other, replicas first, each until its tablet sees the new size.
  // What was done stays done where it fails; safe to repeat.
  io::Task<Status> ResizeStorage(ResizeAsked asked, std::function<void(std::string)> told,
                                 Deadline deadline);
  // A plain MySQL or MariaDB becomes a shard while it runs (import.h).
  io::Task<Status> Import(std::string verb, ImportAsked asked,
                          std::function<void(std::string)> told, Deadline deadline) {
    return RunImport(topo_, connect_, std::move(verb), std::move(asked), std::move(told), deadline);
  }
  // Who grows them; outlives this. Null: nobody does.
  void UseVolumes(Volumes* volumes) { volumes_ = volumes; }

  // Writes a record from JSON, by its topology path, for repair.
  io::Task<Status> WriteTopologyPath(std::string path, std::string json, Deadline deadline);

  topo::Server& topo() { return topo_; }

 private:
  // A tablet's record and the way to it.
  struct Reached {
    record::Tablet tablet;
    std::shared_ptr<port::TabletManager> manager;
  };
  io::Task<Result<Reached>> Reach(record::TabletAlias alias, Deadline deadline);
  io::Task<Result<std::vector<Carrier>>> AskCarriers(std::vector<std::string> addresses,
                                                     std::function<void(std::string)> told,
                                                     Deadline deadline);
  // The shard's primary. Errors: kFailedPrecondition when the shard has none.
  io::Task<Result<Reached>> ReachPrimary(record::KeyspaceShard shard, Deadline deadline);
  // All tablets of a shard; a cell that does not answer is an error.
  io::Task<Result<std::vector<Reached>>> ReachShard(record::KeyspaceShard shard, Deadline deadline);

  // backups.cc: the replica with the least lag; the primary only where that is allowed.
  io::Task<Result<Reached>> SpareTablet(record::KeyspaceShard shard, bool allow_primary,
                                        std::string what, Deadline deadline);
  // resize_storage.cc
  struct Volume {
    Reached tablet;
    ResizeSight sight;
    std::string folder;
  };
  io::Task<Result<std::vector<Volume>>> SeeVolumes(ResizeAsked asked, Deadline deadline);
  io::Task<Status> GrowVolume(Volume volume, ResizeAsked asked,
                              std::function<void(std::string)> told, Deadline deadline);
  // schema.cc: one statement on one primary.
  io::Task<Result<uint64_t>> RunDdl(Reached primary, std::string sql, Deadline deadline);
  io::Task<Status> ReloadShard(record::KeyspaceShard shard, std::string wait_position,
                               bool include_primary, std::vector<std::string>* events,
                               Deadline deadline);
  // copy_schema.cc: what of a tablet's schema is to be copied.
  io::Task<Result<tabletmanagerdata::SchemaDefinition>> SchemaToCopy(
      Reached tablet, const ::vtctldata::CopySchemaShardRequest& request, Deadline deadline);
  // validate.cc
  io::Task<Result<std::vector<std::string>>> CheckShard(record::KeyspaceShard shard, bool ping,
                                                        Deadline deadline);
  io::Task<Result<std::vector<std::string>>> CheckKeyspace(std::string keyspace, bool ping,
                                                           Deadline deadline);
  io::Task<Result<std::string>> SchemaText(Reached tablet, std::vector<std::string> exclude,
                                           bool views, Deadline deadline);
  io::Task<Result<std::string>> VersionText(Reached tablet, Deadline deadline);
  io::Task<Result<std::string>> PermissionsText(Reached tablet, Deadline deadline);
  using Sample = io::Task<Result<std::string>> (Vtctld::*)(Reached, Deadline);
  io::Task<Result<std::vector<std::string>>> Compare(record::KeyspaceShard shard, std::string what,
                                                     Sample sample, std::string* reference,
                                                     Deadline deadline);
  // shards.cc
  io::Task<Status> DeleteOneShard(record::KeyspaceShard shard, bool recursive, bool even_if_serving,
                                  bool force, Deadline deadline);
  io::Task<Status> RemoveCellOfShard(record::KeyspaceShard shard, std::string cell, bool force,
                                     bool recursive, Deadline deadline);
  io::Task<Status> DeleteOneTablet(record::TabletAlias alias, bool allow_primary,
                                   Deadline deadline);
  // rules.cc
  io::Task<Result<std::string>> ReadGlobal(std::string path, Deadline deadline);
  io::Task<Status> WriteGlobal(std::string path, std::string bytes, Deadline deadline);
  io::Task<Status> MaybeRebuild(bool skip, std::vector<std::string> cells, Deadline deadline);

  topo::Server& topo_;
  Connect connect_;
  backup::StorageOptions backups_;
  Volumes* volumes_ = nullptr;
};

}  // namespace paceline::vtctld
