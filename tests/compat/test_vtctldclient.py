"""Vitess's own vtctldclient drives our vtctld: it takes the run-book's steps, and where both clients print, the texts agree.

The program is $PACELINE_VTCTLDCLIENT, or built by tools/vitess; without the former these tests are long ones.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from local_cluster import BIN, FLAVORS, REPO, LocalCluster, run, wait_until

GIVEN = os.environ.get("PACELINE_VTCTLDCLIENT")
pytestmark = [] if GIVEN else [pytest.mark.long]


@pytest.fixture(scope="module")
def program():
    if GIVEN:
        return pathlib.Path(GIVEN)
    if not shutil.which("go"):
        pytest.skip("no PACELINE_VTCTLDCLIENT, and no Go to build one")
    run([REPO / "tools/vitess", "vtctldclient"], seconds=3600)
    return pathlib.Path(os.environ.get("PACELINE_PEERS", REPO / ".cache")) / "vitess/bin/vtctldclient"


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request, program):
    with LocalCluster(request.param, tablets=3) as cluster:
        failed = request.session.testsfailed
        cluster.theirs = lambda *arguments, seconds=90: ask(program, cluster, arguments, seconds)
        cluster.ours = lambda *arguments, seconds=90: ask(BIN / "vtctldclient", cluster, arguments, seconds)
        yield cluster
        cluster.failed = request.session.testsfailed > failed


def ask(program, cluster, arguments, seconds):
    """(exit code, standard output, standard error) of a client."""
    done = subprocess.run([str(program), "--server", f"localhost:{cluster.port(15999)}", *map(str, arguments)], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds)
    return done.returncode, done.stdout, done.stderr


def theirs(cluster, *arguments):
    """What Vitess's client prints; its command must succeed."""
    code, out, error = cluster.theirs(*arguments)
    assert code == 0, f"{arguments}: exit code {code}\n{out}{error}"
    return out


def alias(uid):
    return f"zone1-{uid:010d}"


# Commands that change nothing; {ks}, {shard} and {tablet} are filled in.
SAME = """
GetCellInfoNames
GetCellInfo zone1
GetKeyspaces
GetKeyspace {ks}
FindAllShardsInKeyspace {ks}
GetShard {shard}
GetShardReplication {shard}
GetShardReplication {shard} zone1
GetSrvKeyspaceNames
GetSrvKeyspaces {ks}
GetSrvVSchema zone1
GetSrvVSchemas
GetVSchema {ks}
GetTablets
GetTablets --format json
GetTablets --keyspace {ks} --shard 0 --tablet-type replica
GetTablets --tablet-alias {tablet}
GetTablets --cell zone1
GetTablet {tablet}
GetTabletVersion {tablet}
GetSchema {tablet}
GetSchema --table-names-only {tablet}
GetSchema --tables greetings {tablet}
GetSchema --exclude-tables greetings {tablet}
GetPermissions {tablet}
GetRoutingRules
GetShardRoutingRules
GetKeyspaceRoutingRules
GetMirrorRules
GetTopologyPath /
GetTopologyPath /global/keyspaces
GetTopologyPath /global/keyspaces/{ks}/Keyspace
GetTopologyPath --data-as-json /global/keyspaces/{ks}/Keyspace
GetTopologyPath /zone1/tablets/{tablet}/Tablet
GenerateShardRanges 4
Validate
Validate --ping-tablets
ValidateKeyspace {ks}
ValidateShard {shard}
ValidateVersionKeyspace {ks}
ValidateVersionShard {shard}
ValidatePermissionsKeyspace {ks}
ValidatePermissionsShard {shard}
PingTablet {tablet}
RefreshState {tablet}
RefreshStateByShard {shard}
RefreshStateByShard --cells zone1 {shard}
RunHealthCheck {tablet}
ReloadSchema {tablet}
ReloadSchemaShard {shard}
ReloadSchemaKeyspace {ks}
RebuildKeyspaceGraph {ks}
RebuildVSchemaGraph
SleepTablet {tablet} 10ms
ExecuteFetchAsDBA {tablet} SELECT@1@AS@a,@'x'@AS@b
ExecuteFetchAsApp {tablet} SELECT@1@AS@a
ExecuteMultiFetchAsDBA {tablet} SELECT@1;@SELECT@2
ChangeTabletType --dry-run {tablet} rdonly
"""

# Both clients refuse; ours says in its one line what vtctld told theirs.
REFUSED = """
GetKeyspace absent
GetShard {ks}/1
GetVSchema absent
GetTablet zone1-999
GetTopologyPath /absent
CreateKeyspace {ks}
CreateShard {shard}
CreateShard {ks}/bogus-
DeleteKeyspace {ks}
DeleteCellInfo zone1
DeleteTablets {primary}
ChangeTabletType {primary} replica
ChangeTabletType {tablet} primary
SetKeyspaceDurabilityPolicy --durability-policy absent {ks}
ApplySchema --sql SELEC {ks}
ExecuteFetchAsDBA {tablet} SELEC
ExecuteHook {tablet} absent
PlannedReparentShard {shard} --new-primary zone1-999
"""

# Where the texts differ, and why.
KNOWN = {
    "GetCellsAliases": "an empty map: {} is ours, null is theirs",
    "ValidateSchemaKeyspace {ks}": "empty lists of results: ours are shown, theirs null",
    "ValidateSchemaShard {shard}": "an empty list of results: [] is ours, null is theirs",
    "ExecuteFetchAsDBA --json {tablet} SELECT@1": "rows are query.Row's packed bytes in ours, lists of values in theirs",
    "ExecuteFetchAsDBA {tablet} SELECT@NULL": "a NULL is told from an empty text by ours, not by theirs",
    "ApplySchema --sql CREATE@TABLE@IF@NOT@EXISTS@greetings@(id@INT) {ks}": "theirs prints an empty line for no migrations",
}


def words(cluster, line):
    filled = line.format(ks=cluster.keyspace, shard=f"{cluster.keyspace}/0", primary=alias(cluster.primary()),
                         tablet=alias(next(uid for uid in cluster.uids() if uid != cluster.primary())))
    return [word.replace("@", " ") for word in filled.split()]


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def agree(ours, real):
    """Equal texts, or equal JSON: the order of keys is the printer's own."""
    try:
        return json.loads(ours) == json.loads(real)
    except ValueError:
        return ours == real


def test_the_same_texts(cluster):
    differ = []
    for line in lines(SAME):
        command = words(cluster, line)
        ours, real = cluster.ours(*command), cluster.theirs(*command)
        if (ours[0], real[0]) != (0, 0) or not agree(ours[1], real[1]):
            differ.append(f"$ {' '.join(command)}\n--- ours {ours[0]}\n{ours[1]}{ours[2]}\n--- theirs {real[0]}\n{real[1]}{real[2]}")
    assert not differ, "\n".join(differ)


def test_known_differences_still_are(cluster):
    """Each works with both; one that has come to agree belongs into SAME."""
    for line in KNOWN:
        command = words(cluster, line)
        ours, real = cluster.ours(*command), cluster.theirs(*command)
        assert ours[0] == 0 and real[0] == 0, (command, ours, real)
        assert not agree(ours[1], real[1]), f"the same now: {line}"


def test_refusals_reach_both(cluster):
    for line in lines(REFUSED):
        command = words(cluster, line)
        ours, real = cluster.ours(*command), cluster.theirs(*command)
        assert ours[0] != 0 and real[0] != 0, (command, ours, real)
        assert len(lines(ours[2])) == 1, ours
        said = re.sub(r"^Error: (\w+: )?", "", ours[2].strip())
        assert said in real[2], f"{command}: ours says {said!r}, theirs {real[2]!r}"


def test_cells_keyspaces_and_shards(cluster):
    theirs(cluster, "AddCellInfo", "--root", "/vitess/zone2", "--server-address", f"{cluster.data_dir}/topo/topology.sqlite", "zone2")
    assert theirs(cluster, "GetCellInfoNames").split() == ["zone1", "zone2"]
    theirs(cluster, "UpdateCellInfo", "--root", "/vitess/zone2b", "zone2")
    theirs(cluster, "AddCellsAlias", "--cells", "zone1,zone2", "both")
    assert json.loads(theirs(cluster, "GetCellsAliases"))["both"]["cells"] == ["zone1", "zone2"]
    theirs(cluster, "UpdateCellsAlias", "--cells", "zone1", "both")
    theirs(cluster, "DeleteCellsAlias", "both")
    theirs(cluster, "DeleteCellInfo", "zone2")

    theirs(cluster, "CreateKeyspace", "--durability-policy", "none", "other")
    theirs(cluster, "SetKeyspaceDurabilityPolicy", "--durability-policy", "cross_cell", "other")
    assert json.loads(theirs(cluster, "GetKeyspace", "other"))["keyspace"]["durability_policy"] == "cross_cell"
    theirs(cluster, "CreateShard", "other/-80")
    theirs(cluster, "CreateShard", "other/80-")
    assert set(json.loads(theirs(cluster, "FindAllShardsInKeyspace", "other"))["shards"]) == {"-80", "80-"}
    theirs(cluster, "SetShardIsPrimaryServing", "other/-80", "true")
    theirs(cluster, "SetShardTabletControl", "--denied-tables", "t", "--cells", "zone1", "other/-80", "replica")
    theirs(cluster, "SourceShardAdd", "--key-range", "-40", "other/-80", "1", f"{cluster.keyspace}/0")
    shard = json.loads(theirs(cluster, "GetShard", "other/-80"))["shard"]
    assert shard["tablet_controls"][0]["denied_tables"] == ["t"] and shard["source_shards"][0]["uid"] == 1
    theirs(cluster, "SourceShardDelete", "other/-80", "1")
    theirs(cluster, "ShardReplicationAdd", "other/-80", alias(100))
    theirs(cluster, "ShardReplicationRemove", "other/-80", alias(100))
    theirs(cluster, "ShardReplicationFix", "zone1", "other/-80")
    theirs(cluster, "RemoveShardCell", "other/-80", "zone1")
    theirs(cluster, "RemoveKeyspaceCell", "other", "zone1")
    theirs(cluster, "DeleteShards", "other/-80")
    theirs(cluster, "DeleteKeyspace", "--recursive", "other")
    assert [keyspace["name"] for keyspace in json.loads(theirs(cluster, "GetKeyspaces"))] == [cluster.keyspace]


def test_schema_and_routing(cluster):
    ks = cluster.keyspace
    theirs(cluster, "ApplySchema", "--sql", "CREATE TABLE compat (id BIGINT PRIMARY KEY); ALTER TABLE compat ADD COLUMN x INT", ks)
    for uid in cluster.uids():
        table = json.loads(theirs(cluster, "GetSchema", "--tables", "compat", alias(uid)))["table_definitions"][0]
        assert table["columns"] == ["id", "x"], table
    theirs(cluster, "ValidateSchemaKeyspace", ks)
    theirs(cluster, "ApplyVSchema", "--vschema", '{"tables": {"compat": {}}}', ks)
    assert "compat" in json.loads(theirs(cluster, "GetVSchema", ks))["tables"]
    assert "compat" in json.loads(theirs(cluster, "GetSrvVSchema", "zone1"))["keyspaces"][ks]["tables"]
    for kind, rule in (("Routing", {"from_table": "moved", "to_tables": [f"{ks}.compat"]}),
                       ("ShardRouting", {"from_keyspace": "a", "to_keyspace": ks, "shard": "0"}),
                       ("KeyspaceRouting", {"from_keyspace": "a", "to_keyspace": ks})):
        theirs(cluster, f"Apply{kind}Rules", "--rules", json.dumps({"rules": [rule]}))
        assert json.loads(theirs(cluster, f"Get{kind}Rules"))["rules"] == [rule]
        theirs(cluster, f"Apply{kind}Rules", "--rules", '{"rules": []}')
        assert json.loads(theirs(cluster, f"Get{kind}Rules"))["rules"] == []
    theirs(cluster, "DeleteSrvVSchema", "zone1")
    theirs(cluster, "RebuildVSchemaGraph", "--cells", "zone1")
    wait_until(cluster.serves, 30, "vtgate to serve again")
    theirs(cluster, "CopySchemaShard", "--tables", "compat", alias(cluster.primary()), f"{ks}/0")
    theirs(cluster, "ApplySchema", "--sql", "DROP TABLE compat", ks)


def test_tablets(cluster):
    replica = alias(next(uid for uid in cluster.uids() if uid != cluster.primary()))
    theirs(cluster, "ChangeTabletType", replica, "rdonly")
    assert json.loads(theirs(cluster, "GetTablet", replica))["type"] == "RDONLY"
    theirs(cluster, "ChangeTabletType", replica, "replica")
    theirs(cluster, "ChangeTabletTags", replica, "disk=ssd")
    assert json.loads(theirs(cluster, "GetTablet", replica))["tags"] == {"disk": "ssd"}
    theirs(cluster, "ChangeTabletTags", replica, "disk=")
    assert json.loads(theirs(cluster, "GetTablet", replica))["tags"] == {}
    theirs(cluster, "StopReplication", replica)
    status = json.loads(theirs(cluster, "GetFullStatus", replica))
    assert status["replication_status"]["io_state"] == 1, status["replication_status"]  # stopped
    theirs(cluster, "StartReplication", replica)
    theirs(cluster, "ReparentTablet", replica)
    theirs(cluster, "SetWritable", replica, "false")


def test_reparents(cluster):
    shard = f"{cluster.keyspace}/0"
    theirs(cluster, "PlannedReparentShard", shard, "--new-primary", alias(101))
    assert cluster.primary() == 101
    cluster.wait_serving()
    theirs(cluster, "PlannedReparentShard", shard, "--avoid-primary", alias(101))
    assert cluster.primary() != 101
    theirs(cluster, "PlannedReparentShard", shard, "--new-primary", alias(100))
    cluster.wait_serving()
    cluster.kill_tablet(100)
    theirs(cluster, "EmergencyReparentShard", shard, "--new-primary", alias(102))
    assert cluster.primary() == 102
    cluster.wait_serving()
    wait_until(lambda: theirs(cluster, "ReparentTablet", alias(100)) is not None, 90, "the old primary to follow")
    theirs(cluster, "StartReplication", alias(100))

    def positions():
        listed = lines(theirs(cluster, "ShardReplicationPositions", shard))
        return len(listed) == 3 and len({line.split(" ")[8] for line in listed}) == 1
    wait_until(positions, 60, "equal positions of all three tablets")
    assert "no issues" in theirs(cluster, "Validate", "--ping-tablets")
    assert alias(102) in theirs(cluster, "LegacyVtctlCommand", "--", "ListAllTablets", "zone1")
