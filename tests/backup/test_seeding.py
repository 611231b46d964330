"""A tablet that lost its data, a new one whose primary has purged its logs, and an old primary that cannot be rewound seed
themselves and serve again, under load, without a hand."""

import shutil

import pymysql
import pytest
from local_cluster import FLAVORS, LocalCluster, kill, wait_until
from seeding import Load, fill, lose_data, same_everywhere, seeded_again


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param) as cluster:
        fill(cluster)
        yield cluster
        cluster.failed = request.session.testsfailed > 0


def replicas(cluster):
    primary = cluster.primary()
    return [uid for uid in cluster.uids() if uid != primary]


def test_a_replica_that_lost_its_data(cluster):
    uid = replicas(cluster)[0]
    with Load(cluster) as load:
        lose_data(cluster, uid)
        took = seeded_again(cluster, uid)
        before = load.acknowledged
        wait_until(lambda: load.acknowledged > before, 20, "writes to go on")
    print(f"{cluster.flavor}: back after {took:.1f} s")
    same_everywhere(cluster)
    wait_until(lambda: not (cluster.data_dir / f"vt_{uid:010d}/aside").exists(), 30, "the old data to be removed")


def test_a_new_tablet_whose_primary_has_purged_its_logs(cluster):
    uid = replicas(cluster)[-1]
    with pymysql.connect(user="vt_dba", unix_socket=str(cluster.data_dir / f"vt_{cluster.primary():010d}/mysql.sock")) as connection:
        cursor = connection.cursor()
        cursor.execute("FLUSH BINARY LOGS")

        def purged():  # not while a replica still reads the older ones
            cursor.execute("SHOW BINARY LOGS")
            logs = [row[0] for row in cursor.fetchall()]
            cursor.execute(f"PURGE BINARY LOGS TO '{logs[-1]}'")
            return len(logs) == 1
        wait_until(purged, 30, "the primary's older logs to be purged")
    folder = cluster.data_dir / f"vt_{uid:010d}"
    with Load(cluster):
        before = cluster.everything()
        folder.rename(cluster.data_dir / "gone")  # whoever is started now finds nothing
        for name in (f"mysqlctld-{uid}", f"vttablet-{uid}", f"mysqld-{uid}"):
            kill(before[name])
        shutil.rmtree(cluster.data_dir / "gone")
        seeded_again(cluster, uid)
    same_everywhere(cluster)


def test_an_old_primary_that_cannot_be_rewound(cluster):
    old = cluster.primary()
    with Load(cluster) as load:
        # Its log, by which a rewind would be judged, is gone.
        shutil.rmtree(cluster.data_dir / f"vt_{old:010d}/bin-logs")
        kill(cluster.mysqld_pid(old))
        cluster.vtctldclient("EmergencyReparentShard", f"{cluster.keyspace}/0", seconds=90)
        assert cluster.primary() != old
        seeded_again(cluster, old)
        before = load.acknowledged
        wait_until(lambda: load.acknowledged > before, 20, "writes to go on")
    same_everywhere(cluster)
