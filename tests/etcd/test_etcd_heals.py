"""etcd heals by itself: members killed and robbed of their disks, one by one and all at once, while clients write."""

import os
import shutil
import signal
import subprocess
import sys
import pathlib

import pytest
from etcd_cluster import MEMBERS, all_have_a_snapshot, identity, kill_and_lose, lose_disk, membership, revision, wait_whole
from local_cluster import LocalCluster, kill, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from ledger import Ledger  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("etcd") or not shutil.which("etcdctl"), reason="no etcd or etcdctl in PATH")


@pytest.fixture(scope="module")
def cluster(request):
    with LocalCluster("mysql", topo="etcd") as one:
        wait_whole(one, 30)
        yield one
        one.failed = request.session.testsfailed > 0


def records(cluster):
    """What the topology says of the keyspace, for people."""
    return {command[0]: cluster.vtctldclient(*command) for command in (
        ["GetKeyspaces"], ["GetShard", f"{cluster.keyspace}/0"], ["GetVSchema", cluster.keyspace], ["GetRoutingRules"],
        ["GetTablets"], ["GetCellInfoNames"])}


def etcdctl(cluster, *words):
    done = subprocess.run(["etcdctl", f"--endpoints=127.0.0.1:{cluster.port(15790)}", *words], env={**os.environ, "ETCDCTL_API": "3"},
                          capture_output=True, text=True, check=True)
    return done.stdout


def carried(cluster, name, text):
    """Every tablet's copy of the topology has a record of that name with that text."""
    def has(uid):
        lines = (cluster.data_dir / f"vt_{uid:010d}" / "paceline-state.json.topology").read_text().split("\n")[1:-2]
        pairs = [[bytes.fromhex(part) for part in line.split(" ")] for line in lines]
        return any(key.endswith(name.encode()) and text.encode() in value for key, value in pairs)
    return all(has(uid) for uid in cluster.uids())


def write_on(ledger, count=20):
    """More writes are acknowledged, and none has failed so far."""
    before = len(ledger.acknowledged)
    wait_until(lambda: len(ledger.acknowledged) > before + count, 20, "the load to go on")
    assert ledger.open == [], f"queries failed: {ledger.errors}"


def test_each_member_loses_its_disk_in_turn(cluster):
    before = records(cluster)
    with Ledger(cluster, writers=3) as ledger:
        write_on(ledger)
        for member in MEMBERS:
            old = identity(cluster, member)
            kill_and_lose(cluster, member)
            write_on(ledger)
            wait_whole(cluster, 60, but_not=[old])
            write_on(ledger)
    assert records(cluster) == before
    with cluster.connect() as connection:
        ledger.verify(connection, "after each member was replaced")


def test_a_deleted_disk_and_a_killed_wrapper(cluster):
    with Ledger(cluster, writers=2) as ledger:
        write_on(ledger)
        old = identity(cluster, 1)
        lose_disk(cluster, 1)  # under a running etcd
        wait_whole(cluster, 60, but_not=[old])
        kept = identity(cluster, 2)
        kill(cluster.pid("etcd-2"))
        wait_until(lambda: cluster.etcd_pid(2), 20, "the wrapper to start its etcd anew")
        wait_whole(cluster, 30)
        assert identity(cluster, 2) == kept, "a member with its data is not replaced"
        write_on(ledger)


def test_all_disks_lost_at_once(cluster):
    """A lost quorum comes back from the newest snapshot."""
    rules = '{"rules": [{"from_table": "hello", "to_tables": ["%s.greetings"]}]}' % cluster.keyspace
    cluster.vtctldclient("ApplyRoutingRules", "--rules", rules)
    before = records(cluster)
    written = revision(cluster)
    wait_until(lambda: all_have_a_snapshot(cluster, written), 90, f"snapshots of revision {written}")
    old = membership(cluster).values()
    with Ledger(cluster, writers=3) as ledger:
        write_on(ledger)
        pids = [cluster.etcd_pid(member) for member in MEMBERS]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for member in MEMBERS:
            lose_disk(cluster, member)
        write_on(ledger)
        wait_whole(cluster, 60, but_not=old)
        write_on(ledger)
        assert records(cluster) == before
        # The new etcd is one that works: a reparent is published in it.
        cluster.vtctldclient("PlannedReparentShard", f"{cluster.keyspace}/0", "--new-primary", f"{cluster.cell}-101")
        write_on(ledger)
        assert cluster.primary() == 101
    with cluster.connect() as connection:
        ledger.verify(connection, "after all of etcd was lost")


def test_all_disks_and_snapshots_lost(cluster):
    """With nothing left of etcd the tablets put back what they carry: records, VSchema, rules."""
    cluster.vtctldclient("ApplyVSchema", "--vschema", '{"tables": {"greetings": {}}}', cluster.keyspace)
    before = records(cluster)
    wait_until(lambda: carried(cluster, 'VSchema', 'greetings'), 20, "the tablets to have copied the VSchema")
    old = membership(cluster).values()
    with Ledger(cluster, writers=3) as ledger:
        write_on(ledger)
        pids = [cluster.etcd_pid(member) for member in MEMBERS]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for member in MEMBERS:
            lose_disk(cluster, member, also_snapshots=True)
        wait_whole(cluster, 60, but_not=old)
        wait_until(lambda: records(cluster) == before, 60, f"the records to be as before: {before}")
        write_on(ledger)
        wait_until(lambda: "says what 3 tablets carry" in cluster.vtctldclient("RebuildTopology"), 20, "the copies to be fresh")
    with cluster.connect() as connection:
        ledger.verify(connection, "after all of etcd was lost with its snapshots")


def test_rebuild_topology_shows_and_repairs(cluster):
    """A person's way back: the difference first, then what the tablets carry."""
    before = records(cluster)
    tablets = ",".join(f"127.0.0.1:{cluster.port(16000 + uid)}" for uid in cluster.uids())
    etcdctl(cluster, "del", "--prefix", f"/vitess/{cluster.cell}/tablets/{cluster.cell}-0000000102")
    shown = cluster.vtctldclient("RebuildTopology", "--tablets", tablets)
    assert f"add /{cluster.cell}/tablets/{cluster.cell}-0000000102/Tablet" in shown and "nothing was written" in shown, shown
    assert "0000000102" not in cluster.vtctldclient("GetTablets")
    written = cluster.vtctldclient("RebuildTopology", "--tablets", tablets, "--yes")
    assert "records written" in written, written
    wait_until(lambda: cluster.vtctldclient("GetTablets") == before["GetTablets"], 10, "the tablet's record")
    assert "says what 3 tablets carry" in cluster.vtctldclient("RebuildTopology")
    cluster.wait_serving()
