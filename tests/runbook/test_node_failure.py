"""The run-book's "Node failure" and "Testing" with vtorc at work and the greeter writing all the while: a primary and a replica are
deleted, with and without their data, and come back; a reparent by hand; the manual commands. The greeter sees no error, its
ledger is complete, and nothing is mended by hand."""

import os
import shutil
import subprocess
import threading

import pytest
from local_cluster import BIN, FLAVORS, REPO, LocalCluster, kill, wait_until

CELL = "asiaeast1c"


class Greeter(threading.Thread):
    """Runs of the greeter's load, one behind the other; each checks its ledger and fails on any error."""

    def __init__(self, cluster, via):
        super().__init__(name=f"greeter-{via}", daemon=True)
        self.cluster, self.via = cluster, via
        self.stop = threading.Event()
        self.outputs, self.failure = [], None

    def run(self):
        try:
            while not self.stop.is_set():
                self.outputs.append(self.cluster.greet(8, f"--via={self.via}").strip())
        except Exception as error:  # noqa: BLE001: shown at the end
            self.failure = error

    def end(self):
        self.stop.set()
        self.join(timeout=180)
        assert self.failure is None, self.failure
        assert self.outputs, "the greeter never came to its end"


def kvtctl(cluster, *arguments):
    done = subprocess.run(["./kvtctl.sh", *arguments], cwd=REPO / "deploy/runbook", stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          env={**os.environ, "PACELINE_BIN": str(BIN), "VTCTLD_SERVER": f"localhost:{cluster.port(15999)}"})
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr or done.stdout}"
    return done.stdout


def alias(uid):
    return f"{CELL}-{uid:010d}"


def well(cluster):
    """The primary, when all tablets are listed, all but one replicate, and all have the same transactions."""
    primary = cluster.primary()
    lines = kvtctl(cluster, "ShardReplicationPositions", f"{cluster.keyspace}/0").splitlines()
    types = {line.split(" ")[0]: line.split(" ")[3] for line in lines}
    expected = {alias(uid): "master" if uid == primary else "replica" for uid in cluster.uids()}
    return primary if types == expected and all("error" not in line.lower() for line in lines) else None


def replicates_anew(cluster, uid):
    """A greeting that is made now arrives there."""
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO greetings (name) VALUES ('to be replicated')")
        number = cursor.lastrowid

    def has():
        with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
            return cursor.execute("SELECT 1 FROM greetings WHERE id = %s", (number,))
    wait_until(has, 120, f"greeting {number} on {alias(uid)}")


def all_well(cluster, but=None):
    """Healed by itself; `but`: who must not lead."""
    primary = wait_until(lambda: well(cluster), 180, "one master and replicas that follow it")
    assert primary != but
    for uid in cluster.uids():
        replicates_anew(cluster, uid)
    return primary


def delete_pod(cluster, uid, with_data):
    """As kubelet and the petset do: processes are gone, and started again, with the volume or with an empty one."""
    folder = cluster.data_dir / f"vt_{uid:010d}"
    everything = cluster.everything()
    if with_data:
        folder.rename(cluster.data_dir / "gone")
    for kind in ("mysqlctld", "vttablet", "mysqld"):
        kill(everything[f"{kind}-{uid}"])
    shutil.rmtree(cluster.data_dir / "gone", ignore_errors=True)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_node_failure_and_testing(flavor):
    with LocalCluster(flavor, cell=CELL, vtorc=True) as cluster:
        greeters = [Greeter(cluster, via) for via in ("jdbc", "vitess")]
        for greeter in greeters:
            greeter.start()
        try:
            primary = all_well(cluster)
            delete_pod(cluster, primary, with_data=False)
            wait_until(lambda: cluster.primary() != primary, 60, "another master")
            primary = all_well(cluster, but=primary)

            target = next(uid for uid in cluster.uids() if uid != primary)
            kvtctl(cluster, "EmergencyReparentShard", f"-keyspace_shard={cluster.keyspace}/0", f"-new_master={alias(target)}")
            primary = all_well(cluster, but=primary)
            assert primary == target

            replica = next(uid for uid in cluster.uids() if uid != primary)
            delete_pod(cluster, replica, with_data=False)
            assert all_well(cluster) == primary
            delete_pod(cluster, replica, with_data=True)
            assert all_well(cluster) == primary

            kvtctl(cluster, "SetReadWrite", alias(primary))
            for uid in cluster.uids():
                if uid != primary:
                    kvtctl(cluster, "ReparentTablet", alias(uid))
                    kvtctl(cluster, "StartSlave", alias(uid))
            assert all_well(cluster) == primary

            delete_pod(cluster, primary, with_data=True)
            wait_until(lambda: cluster.primary() != primary, 60, "another master")
            all_well(cluster, but=primary)
        except BaseException:
            cluster.failed = True
            raise
        finally:
            for greeter in greeters:
                greeter.stop.set()
        for greeter in greeters:
            greeter.end()
            print("\n".join(greeter.outputs))
