"""Backup, list, restore and removal by the commands, to a folder, on both flavors; what is damaged, interrupted or lacking is
refused by name and nothing is half applied."""

import json
import subprocess
import threading

import pytest
from local_cluster import BIN, FLAVORS, LocalCluster, kill, mysqld_of, run, wait_until
from object_stores import free_port
from seeding import Load, catches_up, fill, same_everywhere, serves_as


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param) as cluster:
        fill(cluster)
        yield cluster
        cluster.failed = request.session.testsfailed > 0


def shard(cluster):
    return f"{cluster.keyspace}/0"


def alias(cluster, uid):
    return f"{cluster.cell}-{uid:010d}"


def replicas(cluster):
    primary = cluster.primary()
    return [uid for uid in cluster.uids() if uid != primary]


def listed(cluster):
    return cluster.vtctldclient("GetBackups", shard(cluster)).split()


def types(cluster):
    """A table with a column of each kind, and what is easily mangled."""
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kinds (id INT PRIMARY KEY, a BIGINT UNSIGNED, b DECIMAL(30,10), c DOUBLE, d VARCHAR(50), "
                       "e VARBINARY(50), f LONGBLOB, g JSON, h DATETIME(6), i TIMESTAMP(6) NULL, j TIME(3), k YEAR, l BIT(9), "
                       "m ENUM('x','y'), n SET('p','q'), o GEOMETRY, p CHAR(5) CHARACTER SET latin1) DEFAULT CHARSET utf8mb4")
        cursor.execute("INSERT INTO kinds VALUES (1, 18446744073709551615, -12345678901234567890.0123456789, 1e-300, '\u00e4\U0001F600\\'', "
                       "X'00ff0a', REPEAT(X'00', 70000), '{\"a\": [1, null]}', '2026-11-27 19:15:00.123456', NULL, '-838:59:58.999', "
                       "2026, b'101010101', 'y', 'p,q', ST_GeomFromText('POINT(1 2)'), '\u00e9')")
        cursor.execute("INSERT INTO kinds (id) VALUES (2)")


def test_backup_and_restore_under_load(cluster):
    uid = replicas(cluster)[0]
    types(cluster)
    assert listed(cluster) == []
    with Load(cluster) as load:
        said = cluster.vtctldclient("Backup", alias(cluster, uid), seconds=180)
        assert f"{shard(cluster)} ({alias(cluster, uid)}): backup " in said and "is complete" in said
        names = listed(cluster)
        assert len(names) == 1 and names[0].endswith(f".{alias(cluster, uid)}")
        assert cluster.vtctldclient("ListBackups", shard(cluster)).split() == names
        before = load.acknowledged
        wait_until(lambda: load.acknowledged > before, 20, "writes to go on")
        # What came after the backup is caught up from the primary.
        other = replicas(cluster)[-1]
        assert f"would restore backup {names[0]}" in cluster.vtctldclient("RestoreFromBackup", "--dry-run", alias(cluster, other))
        said = cluster.vtctldclient("RestoreFromBackup", alias(cluster, other), seconds=180)
        assert f"restored backup {names[0]}" in said
        wait_until(lambda: serves_as(cluster, other), 60, "the restored tablet to serve")
        catches_up(cluster, other)
    same_everywhere(cluster)
    log = (cluster.data_dir / f"log/vttablet-{other}.log").read_text(errors="replace")
    assert "restored backup" in log
    detail = json.loads(cluster.vtctldclient("--json", "GetBackups", shard(cluster)))["backups"][0]
    assert detail["status"] == "COMPLETE" and detail["engine"] in ("clone", "mariabackup")


def test_backup_of_a_shard_and_removal(cluster):
    said = cluster.vtctldclient("BackupShard", shard(cluster), seconds=180)
    assert "is complete" in said
    names = listed(cluster)
    assert len(names) == 2
    cluster.vtctldclient("RemoveBackup", shard(cluster), names[0])
    assert listed(cluster) == names[1:]
    assert "no backup" in cluster.vtctldclient("RemoveBackup", shard(cluster), names[0], check=False)


def test_what_is_refused(cluster):
    primary = cluster.primary()
    assert "is the primary" in cluster.vtctldclient("Backup", alias(cluster, primary), check=False)
    assert "is the primary" in cluster.vtctldclient("RestoreFromBackup", alias(cluster, primary), check=False)
    uid = replicas(cluster)[0]
    assert "engine" in cluster.vtctldclient("Backup", "--backup-engine=nonsense", alias(cluster, uid), check=False)


def test_a_damaged_backup_is_named_and_changes_nothing(cluster):
    uid = replicas(cluster)[0]
    name = listed(cluster)[-1]
    data = cluster.data_dir / "backups" / cluster.keyspace / "0" / name / "data"
    good = data.read_bytes()
    mysqld = cluster.mysqld_pid(uid)
    data.write_bytes(good[:len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1:])
    said = cluster.vtctldclient("RestoreFromBackup", alias(cluster, uid), check=False, seconds=120)
    assert f"{name}/data" in said and "checksum" in said, said
    data.write_bytes(good[:-10])
    said = cluster.vtctldclient("RestoreFromBackup", alias(cluster, uid), check=False, seconds=120)
    assert f"{name}/data" in said and "too early" in said, said
    data.write_bytes(good)
    wait_until(lambda: serves_as(cluster, uid), 60, "the tablet to serve on")
    assert cluster.mysqld_pid(uid) == mysqld
    catches_up(cluster, uid)


def test_an_interrupted_backup_is_not_listed_and_is_swept(cluster):
    uid = replicas(cluster)[0]
    names = listed(cluster)
    fill(cluster, rows=400)
    said = []
    asked = threading.Thread(target=lambda: said.append(
        cluster.vtctldclient("Backup", alias(cluster, uid), check=False, seconds=120)))
    asked.start()
    folder = cluster.data_dir / "backups" / cluster.keyspace / "0"

    def folders():
        return [entry for entry in folder.iterdir() if entry.name != "archive"]
    wait_until(lambda: len(folders()) > len(names), 60, "the backup to be under way")
    kill(cluster.pid(f"mysqlctld-{uid}"))
    asked.join(120)
    assert "is complete" not in said[0]
    assert listed(cluster) == names
    wait_until(lambda: serves_as(cluster, uid), 60, "the tablet to serve on")
    wait_until(lambda: "is complete" in cluster.vtctldclient("Backup", alias(cluster, uid), check=False, seconds=180), 120,
               "another backup")
    assert len(listed(cluster)) == len(names) + 1
    # What the interrupted one left is gone.
    assert len(folders()) == len(names) + 1


def places(cluster):
    return ["--topo-implementation=embedded", f"--topo-global-server-address={cluster.data_dir}/topo/topology.sqlite",
            "--topo-global-root=/vitess/global", "--backup-storage-implementation=file",
            f"--file-backup-storage-root={cluster.data_dir}/backups"]


def vtbackup(cluster, *flags):
    return run([BIN / "vtbackup", f"--init-keyspace={cluster.keyspace}", f"--flavor={cluster.flavor}",
                f"--mysqld={mysqld_of(cluster.flavor)}", f"--mysql-port={free_port()}", "--mysql-bind-address=127.0.0.1", "--mysql-small",
                *places(cluster), *flags], seconds=240, env={**cluster.environment, "VTDATAROOT": str(cluster.data_dir)})


def test_vtbackup_makes_the_next_one_and_removes_what_has_expired(cluster):
    before = listed(cluster)
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE only_in_the_next (id INT PRIMARY KEY)")
    said = vtbackup(cluster, "--min-retention-count=2")
    after = listed(cluster)
    assert after[:-1] == before[-1:] and ".vtbackup-" in after[-1] and after[-1] in said, (said, before, after)
    assert len(list(cluster.data_dir.glob("vt_*"))) == cluster.tablets, "its folder is removed"
    said = vtbackup(cluster, "--min-backup-interval=1h")
    assert listed(cluster) == after, said
    # What it made is a backup like any other.
    uid = replicas(cluster)[0]
    said = cluster.vtctldclient("RestoreFromBackup", alias(cluster, uid), seconds=240)
    assert f"restored backup {after[-1]}" in said, said
    wait_until(lambda: serves_as(cluster, uid), 60, "the restored tablet to serve")
    same_everywhere(cluster)


def test_vtctld_makes_backups_by_itself_and_removes_old_ones(cluster):
    before = listed(cluster)
    with open(cluster.data_dir / "log/scheduler.log", "w") as log:
        vtctld = subprocess.Popen([BIN / "vtctld", f"--cell={cluster.cell}", "--bind-address=127.0.0.1", "--port=0", f"--grpc-port={free_port()}",
                                   "--backup-schedule-interval=2s", "--backup-retention-count=1", *places(cluster)],
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=cluster.environment)
    try:
        wait_until(lambda: len(listed(cluster)) == 1 and listed(cluster)[0] not in before, 120, "one new backup and no old one")
    finally:
        kill(vtctld.pid)
        vtctld.wait()


def test_internal_takes_every_flag_of_backups(cluster):
    said = run([BIN / "vtctldclient", "--server=internal", "--gcs-backup-storage-bucket=b", "--s3-backup-force-path-style",
                "--gcs-backup-storage-root", "r", *places(cluster), "GetBackups", shard(cluster)])
    assert said.split() == listed(cluster)
