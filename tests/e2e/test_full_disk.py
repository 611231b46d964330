"""A disk that is full or stalled: told for what it is, and the primary's is left for one that takes writes, once."""

import json
import os
import subprocess
import time

import pytest
from ledger import Ledger
from local_cluster import FLAVORS, LocalCluster, wait_until


def checksums(cluster):
    found = set()
    for uid in cluster.uids():
        with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
            cursor.execute("CHECKSUM TABLE greetings")
            found.add(cursor.fetchone()[1])
    return found


def problems(cluster):
    """{(analysis, uid): remedy} as vtorc sees the shard."""
    shards = json.loads(cluster.page(16000, "/api/problems")[1])
    return {(problem["analysis"], int(problem["tablet"][-10:])): problem["remedy"]
            for shard in shards for problem in shard["problems"]}


def ready(cluster, uid):
    return cluster.page(15000 + uid, "/readyz")


def told_by_vtgate(cluster, uid):
    """What vtgate says of a replica."""
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW VITESS_REPLICATION_STATUS")
        return [str(row) for row in cursor.fetchall() if f"{uid:010d}" in str(row)][0]


def left_for_another(cluster, ledger, old, seconds):
    """The primary in place of `old`, once it takes writes."""
    wait_until(lambda: cluster.primary() != old, seconds, "another primary")
    new = cluster.primary()
    before = len(ledger.acknowledged)
    wait_until(lambda: len(ledger.acknowledged) > before + 50, 30, "writes on the new primary")
    return new


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount small disks")


# MySQL's mysqld looks once a minute whether there is room again.
@pytest.mark.parametrize("flavor", [pytest.param(flavor, marks=pytest.mark.long) if flavor == "mysql" else flavor for flavor in FLAVORS])
def test_a_full_disk_is_told_and_left(flavor):
    with LocalCluster(flavor, vtorc=True, disk_mb=1024) as cluster:
        old = cluster.primary()
        with Ledger(cluster, writers=3) as ledger:
            wait_until(lambda: len(ledger.acknowledged) > 20, 20, "the load to be under way")
            cluster.fill_disk(old)
            try:
                new = left_for_another(cluster, ledger, old, 40)
                assert any("PrimaryDiskFull" in cluster.page(port, "/api/recoveries")[1] for port in (16000, 16001))
                assert "is full: make room" in ready(cluster, old)[1]
            finally:
                cluster.free_disk(old)
            cluster.wait_follows(old, 120)
            wait_until(lambda: ready(cluster, old)[0] == 200, 20, "the old primary to be ready")
        print(f"{flavor}: {ledger.summary()}")
        with cluster.connect() as connection:
            ledger.verify(connection, "after a full disk")
        wait_until(lambda: len(checksums(cluster)) == 1, 30, "the same data everywhere")
        assert cluster.primary() == new

        cluster.fill_disk(old)  # a replica now
        wait_until(lambda: problems(cluster).get(("ReplicaDiskFull", old)) == "none", 20, "vtorc to name the replica")
        assert "is full: make room" in ready(cluster, old)[1]
        wait_until(lambda: "is full: make room" in told_by_vtgate(cluster, old), 20, "vtgate to name it")
        cluster.wait_serving(20)  # another one acknowledges
        assert cluster.primary() == new


@pytest.mark.long  # as long as MySQL's, for the same reason
@pytest.mark.parametrize("flavor", FLAVORS)
def test_nobody_is_moved_where_no_other_has_room(flavor):
    with LocalCluster(flavor, vtorc=True, disk_mb=1024) as cluster:
        primary = cluster.primary()
        with Ledger(cluster, writers=3) as ledger:
            wait_until(lambda: len(ledger.acknowledged) > 20, 20, "the load to be under way")
            for uid in cluster.uids():
                cluster.fill_disk(uid)
            wait_until(lambda: problems(cluster).get(("PrimaryDiskFull", primary)) == "none", 20, "vtorc to know of no better place")
            for uid in cluster.uids():
                cluster.free_disk(uid)
            for uid in cluster.uids():
                cluster.wait_follows(uid, 120)
        print(f"{flavor}: {ledger.summary()}")
        with cluster.connect() as connection:
            ledger.verify(connection, "after three full disks")
        wait_until(lambda: len(checksums(cluster)) == 1, 30, "the same data everywhere")


def loop_devices():
    done = subprocess.run(["losetup", "--find"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


@pytest.mark.long  # some 40 s, most of it patience
@pytest.mark.skipif(not loop_devices(), reason="no loop devices for disks that stall")
@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_stalled_disk_is_left_and_a_slow_one_is_not(flavor):
    with LocalCluster(flavor, vtorc=True, disk_mb=1024, stalling_disks=True) as cluster:
        old = cluster.primary()
        with Ledger(cluster, writers=3) as ledger:
            wait_until(lambda: len(ledger.acknowledged) > 20, 20, "the load to be under way")
            # The probe's write does not end, others do: opening a pipe waits for its reader.
            pipe = cluster.folder(old) / "paceline-state.json.probe.new"
            wait_until(lambda: make_pipe(pipe), 20, "the probe's file to be replaced")
            wait_until(lambda: ("PrimaryDiskStalled", old) in problems(cluster), 20, "vtorc to name the disk")
            before = len(ledger.acknowledged)
            end = time.monotonic() + 8  # longer than vtorc's patience
            wait_until(lambda: time.monotonic() > end and len(ledger.acknowledged) > before + 50, 30, "writes meanwhile")
            assert cluster.primary() == old
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            pipe.unlink()
            wait_until(lambda: ready(cluster, old)[0] == 200, 20, "the probe to go on")
            os.close(reader)

            cluster.freeze_disk(old)
            try:
                new = left_for_another(cluster, ledger, old, 60)
                assert "is stalled" in ready(cluster, old)[1]
            finally:
                cluster.thaw_disk(old)
            cluster.wait_follows(old, 60)
        print(f"{flavor}: {ledger.summary()}")
        with cluster.connect() as connection:
            ledger.verify(connection, "after a stalled disk")
        wait_until(lambda: len(checksums(cluster)) == 1, 30, "the same data everywhere")
        assert cluster.primary() == new


def make_pipe(path):
    try:
        os.mkfifo(path)
        return True
    except FileExistsError:
        return False
