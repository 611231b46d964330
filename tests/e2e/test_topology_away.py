"""The topology is a cache of truth that the tablets carry: without it queries go on, and a gate starts from its copy."""

import os
import shutil
import signal
import time

import pytest
from ledger import Ledger
from local_cluster import BIN, LocalCluster, kill, run, wait_until

AWAY_SECONDS = 10


def serving(cluster):
    """uids of the tablets that the gate finds serving."""
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW VITESS_TABLETS")
        return {int(row[5].split("-")[1]) for row in cursor.fetchall() if row[4] == "SERVING"}


@pytest.mark.skipif(not shutil.which("etcd"), reason="no etcd in PATH")
@pytest.mark.parametrize("seconds", [AWAY_SECONDS, pytest.param(70, marks=pytest.mark.long)])
def test_all_etcd_members_stopped(seconds):
    with LocalCluster("mysql", topo="etcd", vtgate_threads=3) as cluster:
        with Ledger(cluster, writers=2) as ledger:
            wait_until(lambda: len(ledger.acknowledged) > 20, 20, "the load to be under way")
            assert (cluster.data_dir / "vtgate.topo").stat().st_size > 0, "the gate keeps a local copy"
            members = cluster.freeze_etcd()
            try:
                began = time.monotonic()
                while time.monotonic() - began < seconds:
                    before = len(ledger.acknowledged)
                    wait_until(lambda: len(ledger.acknowledged) > before + 20, 20, "writes while etcd is away")
                assert ledger.open == [], f"errors while etcd was away: {ledger.errors}"
                # A gate that starts now has its copy only.
                gate = cluster.pid("vtgate")
                kill(gate)
                wait_until(lambda: cluster.pid("vtgate") != gate and cluster.serves(), 30, "a gate started from its local copy")
                for _ in range(6):  # connections go to its threads in turn
                    assert cluster.serves()
                # So has a tablet: a replica's, then the primary's.
                for uid in (102, 100):
                    tablet = cluster.pid(f"vttablet-{uid}")
                    kill(tablet)
                    wait_until(lambda: cluster.pid(f"vttablet-{uid}") != tablet and cluster.serves(), 60,
                               f"writes after vttablet-{uid} started without the topology")
                    # The one that has been started anew is the only replica asked: it serves reads, and it follows.
                    wait_until(lambda: serving(cluster) == {100, 101, 102}, 30, f"tablet {uid} to serve again")
                with cluster.connect() as connection, connection.cursor() as cursor:
                    cursor.execute("SELECT @@global.read_only")
                    assert cursor.fetchone()[0] in (0, "OFF"), "the primary leads without the topology"
            finally:
                for pid in members:
                    os.kill(pid, signal.SIGCONT)
            wait_until(lambda: len(cluster.vtctldclient("GetTablets", check=False).splitlines()) == 3, 30, "vtctld to answer again")
            cluster.wait_serving(20)
        print(ledger.summary())
        with cluster.connect() as connection:
            ledger.verify(connection, "after the topology came back")
        wait_until(lambda: serving(cluster) == {100, 101, 102}, 30, "all tablets to serve")


def test_vtctldclient_without_a_vtctld():
    """--server=internal works on the topology and the tablets by itself; here while vtctld is stopped."""
    with LocalCluster("mariadb", tablets=2) as cluster:
        internal = [BIN / "vtctldclient", "--server=internal", "--topo-implementation=embedded", "--topo-global-root=/vitess/global",
                    f"--topo-global-server-address={cluster.data_dir / 'topo/topology.sqlite'}"]
        vtctld = cluster.pid("vtctld")
        os.kill(vtctld, signal.SIGSTOP)
        try:
            assert len(run([*internal, "GetTablets"]).splitlines()) == 2
            run([*internal, "PlannedReparentShard", f"{cluster.keyspace}/0", "--new-primary", f"{cluster.cell}-0000000101"])
        finally:
            os.kill(vtctld, signal.SIGCONT)
        assert cluster.primary() == 101
        cluster.wait_serving(20)
        refused = run([BIN / "vtctldclient", "--server=127.0.0.1:1", "--topo-global-root=/x", "GetTablets"], check=False)
        assert "--server=internal" in refused


def test_embedded_file_gone():
    """The file of the embedded topology is moved away for a while."""
    with LocalCluster("mariadb") as cluster:
        folder = cluster.data_dir / "topo"
        with Ledger(cluster, writers=2) as ledger:
            wait_until(lambda: len(ledger.acknowledged) > 20, 20, "the load to be under way")
            away = cluster.data_dir / "topo-away"
            folder.rename(away)
            try:
                began = time.monotonic()
                while time.monotonic() - began < AWAY_SECONDS / 2:
                    before = len(ledger.acknowledged)
                    wait_until(lambda: len(ledger.acknowledged) > before + 20, 20, "writes while the file is away")
                assert ledger.open == [], f"errors while the file was away: {ledger.errors}"
            finally:
                away.rename(folder)
        with cluster.connect() as connection:
            ledger.verify(connection, "after the topology came back")
        wait_until(lambda: len(cluster.vtctldclient("GetTablets").splitlines()) == 3, 30, "vtctld to answer")
