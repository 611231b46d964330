"""Failover goes on while all of etcd is away, on the tablets' terms; afterwards the records are right again."""

import os
import pathlib
import shutil
import signal
import sys

import pytest
from etcd_cluster import wait_whole
from local_cluster import LocalCluster, kill, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from ledger import Ledger  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("etcd") or not shutil.which("etcdctl"), reason="no etcd or etcdctl in PATH")


def leader(cluster):
    """The uid of the tablet that the gate finds serving as primary."""
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW VITESS_TABLETS")
        found = [int(row[5].split("-")[1]) for row in cursor.fetchall() if row[3] == "PRIMARY" and row[4] == "SERVING"]
    return found[0] if len(found) == 1 else None


def has_copied(cluster, orc):
    """That vtorc has written down the shard and all of its tablets."""
    words = (cluster.data_dir / f"{orc}.topo").read_text().split()
    text = b" ".join(bytes.fromhex(word) for word in words if len(word) % 2 == 0 and set(word) <= set("0123456789abcdef"))
    names = [f"global/keyspaces/{cluster.keyspace}/shards/0/Shard"]
    names += [f"{cluster.cell}/tablets/{cluster.cell}-{uid:010d}/Tablet" for uid in cluster.uids()]
    return all(name.encode() in text for name in names)


@pytest.mark.parametrize("vtorc_too", [False, True], ids=["vtorc_lives", "vtorc_starts_anew"])
def test_primary_killed_while_etcd_is_away(vtorc_too):
    with LocalCluster("mysql", topo="etcd", vtorc=True) as cluster:
        wait_whole(cluster, 30)
        with Ledger(cluster, writers=3) as ledger:
            wait_until(lambda: len(ledger.acknowledged) > 50, 20, "the load to be under way")
            old = leader(cluster)
            orcs = [name for name in cluster.pids() if name.startswith("vtorc")]
            wait_until(lambda: all(has_copied(cluster, orc) for orc in orcs), 20, "each vtorc to have a copy of the topology")
            frozen = cluster.freeze_etcd()
            try:
                if vtorc_too:
                    for orc in orcs:
                        pid = cluster.pid(orc)
                        kill(pid)
                        wait_until(lambda: cluster.pid(orc) != pid, 20, "another vtorc")  # noqa: B023
                for process in (f"mysqlctld-{old}", f"vttablet-{old}"):
                    kill(cluster.pid(process))
                kill(cluster.mysqld_pid(old))
                before = len(ledger.acknowledged)
                wait_until(lambda: leader(cluster) not in (None, old), 40, "another primary without etcd")
                wait_until(lambda: len(ledger.acknowledged) > before + 50, 20, "writes on the new primary")
                new = leader(cluster)
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
            wait_whole(cluster, 60)
            wait_until(lambda: cluster.primary() == new, 30, "the shard's record to name the new primary")
            wait_until(lambda: len(cluster.vtctldclient("GetTablets").splitlines()) == 3, 30, "all tablets")
        print(ledger.summary())
        with cluster.connect() as connection:
            ledger.verify(connection, "after a failover without etcd")
