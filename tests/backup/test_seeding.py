"""A tablet that lost its data, a new one whose primary has purged its logs, and an old primary that cannot be rewound seed
themselves and serve again, under load, without a hand."""

import shutil

import pymysql
import pytest
from local_cluster import FLAVORS, LocalCluster, kill, wait_until
from seeding import Load, fill, lose_data, same_everywhere, seeded_again, told


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


@pytest.mark.long
def test_a_donors_death_changes_the_source(cluster):
    uid, donor = replicas(cluster)
    asked, seeded = told(cluster, uid, "seeding from"), told(cluster, uid)
    with Load(cluster):
        lose_data(cluster, uid)
        wait_until(lambda: told(cluster, uid, "seeding from") > asked, 60, "a donor to be chosen")
        assert f"seeding from {cluster.cell}-{donor:010d}" in (cluster.data_dir / f"log/vttablet-{uid}.log").read_text()
        cluster.kill_tablet(donor)
        seeded_again(cluster, uid, seeded)
    same_everywhere(cluster)


class NoDonors:
    """No tablet's data can be copied: MySQL has no clone plugin, MariaDB's mariabackup finds a folder where its log should be."""

    def __init__(self, cluster, uids):
        self.cluster, self.uids = cluster, uids

    def on_each(self, statements, folder):
        for uid in self.uids:
            if self.cluster.flavor == "mysql":
                with self.cluster.as_dba(uid) as connection, connection.cursor() as cursor:
                    cursor.execute("SELECT @@super_read_only, @@read_only")
                    (super_read_only, _) = cursor.fetchone()
                    cursor.execute("SET sql_log_bin = 0, GLOBAL super_read_only = 0")
                    cursor.execute(statements)
                    cursor.execute(f"SET GLOBAL super_read_only = {super_read_only}")
            else:
                folder(self.cluster.data_dir / f"vt_{uid:010d}/tmp/mariabackup.log")

    def __enter__(self):
        def block(path):
            path.unlink(missing_ok=True)
            path.mkdir()
        self.on_each("UNINSTALL PLUGIN clone", block)

    def __exit__(self, *_):
        self.on_each("INSTALL PLUGIN clone SONAME 'mysql_clone.so'", lambda path: path.rmdir())


@pytest.mark.long
def test_a_backup_is_taken_when_no_tablet_can_be_copied(cluster):
    uid, other = replicas(cluster)
    assert "is complete" in cluster.vtctldclient("Backup", f"{cluster.cell}-{other:010d}", seconds=180)
    restored = told(cluster, uid, "restored backup")
    with Load(cluster), NoDonors(cluster, [other, cluster.primary()]):
        lose_data(cluster, uid)
        seeded_again(cluster, uid, restored, "restored backup")
    same_everywhere(cluster)
