// The table of commands. Names, arguments and groups are Vitess's; old names of the run-book's time
// are aliases.
#include "vtctld/command/command.h"

namespace paceline::vtctld {
namespace {

constexpr std::string_view kShard = "<keyspace/shard>";
constexpr std::string_view kAlias = "<alias>";
constexpr std::string_view kKeyspace = "<keyspace>";

std::vector<Command> MakeTable() {
  using namespace command;
  std::vector<Command> t;
  auto add = [&t](std::string_view name, CommandFn run, std::string_view group,
                  std::string_view usage, std::string_view summary,
                  std::vector<std::string_view> aliases = {}, Shown shown = Shown::kYes) {
    t.push_back({name, run, group, usage, summary, std::move(aliases), shown});
  };
  auto old = [&add](std::string_view name, CommandFn run, std::string_view usage,
                    std::string_view summary) {
    add(name, run, "Names of older clients", usage, summary, {}, Shown::kLegacy);
  };
  std::string_view g = "Cells";
  add("AddCellInfo", AddCellInfo, g, "--root <root> [--server-address <address>] <cell>",
      "Makes a cell known.");
  add("UpdateCellInfo", UpdateCellInfo, g, "[--root <root>] [--server-address <address>] <cell>",
      "Changes where a cell's topology is; makes the cell known if need be.");
  add("DeleteCellInfo", DeleteCellInfo, g, "[--force] <cell>",
      "Forgets a cell that serves nothing.");
  add("GetCellInfo", GetCellInfo, g, "<cell>", "Shows where a cell's topology is.");
  add("GetCellInfoNames", GetCellInfoNames, g, "", "Lists the cells.");
  add("AddCellsAlias", AddCellsAlias, g, "--cells <cell,...> <name>",
      "Names a group of cells that may serve each other.");
  add("UpdateCellsAlias", UpdateCellsAlias, g, "--cells <cell,...> <name>",
      "Changes the cells of a group.");
  add("DeleteCellsAlias", DeleteCellsAlias, g, "<name>", "Forgets a group of cells.");
  add("GetCellsAliases", GetCellsAliases, g, "", "Shows all groups of cells.");
  g = "Keyspaces";
  add("CreateKeyspace", CreateKeyspace, g, "[--durability-policy <policy>] [--force] <keyspace>",
      "Creates a keyspace.");
  add("DeleteKeyspace", DeleteKeyspace, g,
      "[--recursive] [--remove-backups] [--dry-run] [--force] <keyspace>",
      "Deletes a keyspace's records.");
  add("GetKeyspace", GetKeyspace, g, kKeyspace, "Shows a keyspace's record.");
  add("GetKeyspaces", GetKeyspaces, g, "", "Shows all keyspaces.");
  add("FindAllShardsInKeyspace", FindAllShardsInKeyspace, g, kKeyspace,
      "Shows all shards of a keyspace.");
  add("SetKeyspaceDurabilityPolicy", SetKeyspaceDurabilityPolicy, g,
      "--durability-policy <policy> <keyspace>",
      "Says who must acknowledge a commit: none, semi_sync or cross_cell.");
  add("RemoveKeyspaceCell", RemoveKeyspaceCell, g, "[--recursive] [--force] <keyspace> <cell>",
      "Takes a keyspace out of a cell.");
  add("ValidateKeyspace", ValidateKeyspace, g, "[--ping-tablets] <keyspace>",
      "Checks a keyspace's records against each other.");
  add("ValidateSchemaKeyspace", ValidateSchemaKeyspace, g,
      "[--include-views] [--include-vschema] <keyspace>",
      "Checks that all tablets of a keyspace have the same schema.");
  add("ValidateVersionKeyspace", ValidateVersionKeyspace, g, kKeyspace,
      "Checks that all tablets run the same server version.");
  add("ValidatePermissionsKeyspace", ValidatePermissionsKeyspace, g, kKeyspace,
      "Checks that all tablets have the same users and rights.");
  g = "Shards";
  add("CreateShard", CreateShard, g, "[--include-parent] [--force] <keyspace/shard>",
      "Creates a shard's record.");
  add("DeleteShards", DeleteShards, g, "[--recursive] [--even-if-serving] <keyspace/shard> ...",
      "Deletes shards' records.");
  add("GetShard", GetShard, g, kShard, "Shows a shard's record.");
  add("ShardReplicationPositions", ShardReplicationPositions, g, kShard,
      "Shows how far each tablet of a shard is: a line for each, with its position and lag in "
      "seconds.");
  add("GetShardReplication", GetShardReplication, g, "<keyspace/shard> [<cell> ...]",
      "Shows which tablets of a shard each cell knows.");
  add("ShardReplicationFix", ShardReplicationFix, g, "<cell> <keyspace/shard>",
      "Takes one entry without a tablet out of the replication graph.");
  add("ShardReplicationAdd", ShardReplicationAdd, g, "<keyspace/shard> <alias>",
      "Adds a tablet to the replication graph.");
  add("ShardReplicationRemove", ShardReplicationRemove, g, "<keyspace/shard> <alias>",
      "Takes a tablet out of the replication graph.");
  add("RemoveShardCell", RemoveShardCell, g, "[--recursive] [--force] <keyspace/shard> <cell>",
      "Takes a shard out of a cell.");
  add("SetShardIsPrimaryServing", SetShardIsPrimaryServing, g, "<keyspace/shard> <true/false>",
      "Says whether a shard's primary serves.");
  add("SetShardTabletControl", SetShardTabletControl, g,
      "[--cells ...] [--denied-tables ...] [--remove] <keyspace/shard> <tablet-type>",
      "Refuses tables on one type of tablets.");
  add("SourceShardAdd", SourceShardAdd, g,
      "[--key-range <range>] [--tables ...] <keyspace/shard> <uid> <source keyspace/shard>",
      "Adds a source of filtered replication to a shard's record.");
  add("SourceShardDelete", SourceShardDelete, g, "<keyspace/shard> <uid>",
      "Takes such a source away.");
  add("GenerateShardRanges", GenerateShardRanges, g, "<number of shards>",
      "Shows the names of so many equal shards.");
  add("ValidateShard", ValidateShard, g, "[--ping-tablets] <keyspace/shard>",
      "Checks a shard's records against each other.");
  add("ValidateSchemaShard", ValidateSchemaShard, g, kShard,
      "Checks that all tablets of a shard have the same schema.");
  add("ValidateVersionShard", ValidateVersionShard, g, kShard,
      "Checks that all tablets of a shard run the same server version.");
  add("ValidatePermissionsShard", ValidatePermissionsShard, g, kShard,
      "Checks that all tablets of a shard have the same users and rights.");
  g = "Primaries";
  add("PlannedReparentShard", PlannedReparentShard, g,
      "[--new-primary <alias>] [--avoid-primary <alias>] <keyspace/shard>",
      "Makes another tablet the primary while the old one works, or elects a shard's first one.");
  add("EmergencyReparentShard", EmergencyReparentShard, g,
      "[--new-primary <alias>] [--force] <keyspace/shard>",
      "Makes another tablet the primary because the old one is gone.");
  add("ReparentTablet", ReparentTablet, g, kAlias,
      "Lets a tablet replicate from its shard's primary.");
  add("TabletExternallyReparented", TabletExternallyReparented, g, kAlias,
      "Tells that a tablet was made the primary by somebody else.");
  add("InitShardPrimary", InitShardPrimary, g, "[--force] <keyspace/shard> <alias>",
      "Elects a shard's first primary; PlannedReparentShard does so too.", {"InitShardMaster"});
  g = "Tablets";
  add("GetTablets", GetTablets, g,
      "[--cell <cell>] [--keyspace <keyspace> [--shard <shard>]] [--tablet-type <type>] "
      "[--tablet-alias <alias>]",
      "Lists tablets, a line for each.");
  add("GetTablet", GetTablet, g, kAlias, "Shows a tablet's record.");
  add("GetFullStatus", GetFullStatus, g, kAlias,
      "Shows all that a tablet's server says of itself.");
  add("ResizeStorage", ResizeStorage, g,
      "[--dry-run] [--wait <duration>] {<keyspace/shard> | <alias>} <size>",
      "Grows the volumes of a shard's tablets, one after the other, or of one: to 40Gi.");
  add("GetTabletVersion", GetVersion, g, kAlias, "Shows the version a tablet runs.",
      {"GetVersion"});
  add("GetPermissions", GetPermissions, g, kAlias, "Shows a tablet's users and rights.");
  add("ChangeTabletType", ChangeTabletType, g, "[--dry-run] <alias> <type>",
      "Changes a tablet's type: replica, rdonly, spare, drained.", {"ChangeSlaveType"});
  add("ChangeTabletTags", ChangeTabletTags, g, "[--replace] <alias> <name=value> ...",
      "Sets tags of a tablet.");
  add("DeleteTablets", DeleteTablets, g, "[--allow-primary] <alias> ...",
      "Deletes tablets' records.");
  add("SetWritable", SetWritable, g, "<alias> <true/false>",
      "Sets a tablet's server writable or read-only.");
  add("StartReplication", StartReplication, g, kAlias, "Starts a tablet's replication.",
      {"StartSlave"});
  add("StopReplication", StopReplication, g, kAlias, "Stops a tablet's replication.",
      {"StopSlave"});
  add("PingTablet", PingTablet, g, kAlias, "Asks whether a tablet answers.", {"Ping"});
  add("RefreshState", RefreshState, g, kAlias, "Lets a tablet read its record again.");
  add("RefreshStateByShard", RefreshStateByShard, g, "[--cells ...] <keyspace/shard>",
      "Lets all tablets of a shard read their records again.");
  add("RunHealthCheck", RunHealthCheck, g, kAlias, "Lets a tablet check its health now.");
  add("SleepTablet", SleepTablet, g, "<alias> <duration>",
      "Lets a tablet do nothing for a while; for tests.", {"Sleep"});
  add("ExecuteHook", ExecuteHook, g, "<alias> <hook> [<param=value> ...]",
      "Runs a hook on a tablet's host.");
  add("ExecuteFetchAsDBA", ExecuteFetchAsDBA, g,
      "[--max-rows <n>] [--disable-binlogs] [--reload-schema] <alias> <query>",
      "Runs a query on a tablet's server as its administrator.");
  add("ExecuteFetchAsApp", ExecuteFetchAsApp, g, "[--max-rows <n>] <alias> <query>",
      "Runs a query on a tablet's server as the application.");
  add("ExecuteMultiFetchAsDBA", ExecuteMultiFetchAsDBA, g, "[--max-rows <n>] <alias> <queries>",
      "Runs several queries as administrator.");
  g = "Backups";
  add("Backup", Backup, g, "[--allow-primary] [--backup-engine <engine>] <alias>",
      "Backs up a tablet while it serves.");
  add("BackupShard", BackupShard, g, "[--allow-primary] <keyspace/shard>",
      "Backs up the most suitable replica of a shard.");
  add("GetBackups", GetBackups, g, "[--limit <n>] <keyspace/shard>",
      "Lists the complete backups of a shard, oldest first.", {"ListBackups"});
  add("RemoveBackup", RemoveBackup, g, "<keyspace/shard> <name>", "Removes a backup.");
  add("RestoreFromBackup", RestoreFromBackup, g,
      "[--backup-timestamp <YYYY-mm-DD.HHMMSS>] [--restore-to-pos <position>] "
      "[--restore-to-timestamp <time>] [--dry-run] <alias>",
      "Replaces a replica's data by a backup; it catches up from there, or stays at a point in "
      "time.");
  add("VerifyBackup", VerifyBackup, g, "[--allow-primary] <keyspace/shard> [<backup>]",
      "Restores a backup beside a replica's data, checks every table and counts rows.");
  add("GetArchive", GetArchive, g, "[--ddl] <keyspace/shard>",
      "Shows the archive of a shard's binary logs: how far it reaches, or the changes of the "
      "schema "
      "in it.");
  g = "Import";
  add("Import", Import, g,
      "{create | show | switch | back | complete | cancel} [--source-host <host> --source-user "
      "<user> --source-password-file <file>] <keyspace/shard>",
      "Makes a plain MySQL or MariaDB a shard while it runs: copies it, follows it, switches over "
      "and back.");
  g = "Schema";
  add("ApplySchema", ApplySchema, g, "{--sql <definitions> | --sql-file <file>} <keyspace>",
      "Applies definitions to every shard of a keyspace.");
  add("GetSchema", GetSchema, g, "[--tables ...] [--table-names-only] <alias>",
      "Shows a tablet's schema.");
  add("CopySchemaShard", CopySchemaShard, g,
      "[--tables ...] {<keyspace/shard> | <alias>} <destination keyspace/shard>",
      "Gives a shard the tables that another shard or a tablet has, without rows.");
  add("ReloadSchema", ReloadSchema, g, kAlias, "Lets a tablet read its schema again.");
  add("ReloadSchemaShard", ReloadSchemaShard, g, "[--include-primary] <keyspace/shard>",
      "Lets all tablets of a shard read their schema again.");
  add("ReloadSchemaKeyspace", ReloadSchemaKeyspace, g, "[--include-primary] <keyspace>",
      "Lets all tablets of a keyspace read their schema again.");
  add("GetVSchema", GetVSchema, g, kKeyspace, "Shows a keyspace's VSchema.");
  add("ApplyVSchema", ApplyVSchema, g, "{--vschema <json> | --vschema-file <file>} <keyspace>",
      "Replaces a keyspace's VSchema.");
  add("ValidateVSchema", ValidateVSchema, g, kKeyspace,
      "Checks that every table is in the VSchema.");
  g = "Routing and serving";
  add("GetRoutingRules", GetRoutingRules, g, "", "Shows the rules that send tables elsewhere.");
  add("ApplyRoutingRules", ApplyRoutingRules, g, "{--rules <json> | --rules-file <file>}",
      "Replaces those rules.");
  add("GetShardRoutingRules", GetShardRoutingRules, g, "",
      "Shows the rules that send shards elsewhere.");
  add("ApplyShardRoutingRules", ApplyShardRoutingRules, g, "{--rules <json> | --rules-file <file>}",
      "Replaces those rules.");
  add("GetKeyspaceRoutingRules", GetKeyspaceRoutingRules, g, "",
      "Shows the rules that send keyspaces elsewhere.");
  add("ApplyKeyspaceRoutingRules", ApplyKeyspaceRoutingRules, g,
      "{--rules <json> | --rules-file <file>}", "Replaces those rules.");
  add("GetMirrorRules", GetMirrorRules, g, "",
      "Shows the rules that copy reads to other keyspaces.");
  add("RebuildKeyspaceGraph", RebuildKeyspaceGraph, g, "[--cells ...] <keyspace> ...",
      "Builds the cells' SrvKeyspace anew.");
  add("RebuildVSchemaGraph", RebuildVSchemaGraph, g, "[--cells ...]",
      "Builds the cells' SrvVSchema anew.");
  add("RebuildTopology", RebuildTopology, g, "[--yes] [--tablets <host:port>,...]",
      "Shows how the topology differs from what the tablets carry; --yes writes that.");
  add("GetSrvKeyspaceNames", GetSrvKeyspaceNames, g, "[<cell> ...]",
      "Lists the keyspaces that each cell serves.");
  add("GetSrvKeyspaces", GetSrvKeyspaces, g, "<keyspace> [<cell> ...]",
      "Shows how each cell serves a keyspace.");
  add("GetSrvVSchema", GetSrvVSchema, g, "<cell>", "Shows the VSchema that a cell's gates read.");
  add("GetSrvVSchemas", GetSrvVSchemas, g, "[<cell> ...]", "Shows that of every cell.");
  add("DeleteSrvVSchema", DeleteSrvVSchema, g, "<cell>", "Deletes that of a cell.");
  g = "Topology";
  add("SetMaintenance", SetMaintenance, g, "[--why=<text>] {on | off} [<keyspace>[/<shard>]]",
      "vtorc only diagnoses there and heals nothing, until off; no name: the whole cluster.");
  add("GetMaintenance", GetMaintenance, g, "", "Lists what is in maintenance, and why.");
  add("GetTopologyPath", GetTopologyPath, g, "[--data-as-json] <path>",
      "Shows what the topology holds at a path.");
  add("WriteTopologyPath", WriteTopologyPath, g, "[--cell <cell>] <path> <file>",
      "Writes a record from a file of JSON, for repair.");
  add("Validate", Validate, g, "[--ping-tablets]", "Checks all records against each other.");
  add("LegacyVtctlCommand", LegacyVtctlCommand, g, "-- <command> [...]",
      "Runs a command of vtctlclient.");

  old("ListAllTablets", ListAllTablets, "[<cell>,...]", "Lists tablets; now GetTablets.");
  old("ListShardTablets", ListShardTablets, kShard,
      "Lists the tablets of a shard; now GetTablets.");
  old("ListTablets", ListTablets, "<alias> ...", "Lists these tablets; now GetTablets.");
  old("SetReadWrite", SetReadWrite, kAlias,
      "Sets a tablet's server writable; now SetWritable <alias> true.");
  old("SetReadOnly", SetReadOnly, kAlias,
      "Sets a tablet's server read-only; now SetWritable <alias> false.");
  old("DeleteTablet", DeleteTablet, "[-allow_primary] <alias> ...",
      "Deletes tablets' records; now DeleteTablets.");
  old("DeleteShard", DeleteShard, "[-recursive] [-even_if_serving] <keyspace/shard>",
      "Deletes a shard's record; now DeleteShards.");
  old("TopoCat", TopoCat, "[-cell <cell>] [-long] <path> ...",
      "Shows what the topology holds; now GetTopologyPath.");
  old("TopoCp", TopoCp, "...",
      "Copied between files and the topology; now GetTopologyPath and WriteTopologyPath.");
  old("GetSrvKeyspace", GetSrvKeyspace, "<cell> <keyspace>",
      "Shows how a cell serves a keyspace; now GetSrvKeyspaces.");

  auto later = [&add](std::string_view name, CommandFn run,
                      std::vector<std::string_view> aliases = {}) {
    add(name, run, "Of a later version", "", "Belongs to a later version of Paceline.",
        std::move(aliases), Shown::kLater);
  };
  for (std::string_view name :
       {"OnlineDDL", "MoveTables", "Reshard", "Migrate", "Materialize", "LookupVindex", "Workflow",
        "VDiff", "GetWorkflows", "Mount", "CheckThrottler", "GetThrottlerStatus",
        "UpdateThrottlerConfig", "DistributedTransaction", "CreateLookupVindex",
        "ExternalizeVindex", "VReplicationExec", "WaitForFilteredReplication"}) {
    later(name, Later);
  }
  for (std::string_view name :
       {"InitTablet", "UpdateTabletAddrs", "UpdateSrvKeyspacePartition", "Panic"}) {
    add(name, Gone, "Gone", "", "No longer a command.", {}, Shown::kGone);
  }
  return t;
}

}  // namespace

std::span<const Command> AllCommands() {
  static const std::vector<Command> table = MakeTable();
  return table;
}

}  // namespace paceline::vtctld
