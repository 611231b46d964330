"""Whole backups into object stores, encrypted and by lz4, by each engine, on both flavors: MySQL's go to S3, MariaDB's to Google
Cloud Storage. What comes back is held against the primary table by table."""

import json
import pathlib

import pytest
from local_cluster import FLAVORS, LocalCluster, wait_until
from object_stores import S3_ENVIRONMENT, gcs_server, s3_server
from seeding import Load, catches_up, fill, kinds, programs, same_everywhere, same_programs, serves_as

KEY = "correct horse battery staple"


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    folder.chmod(0o755)
    (folder / "key").write_text(KEY + "\n")
    common = "--compression-engine-name=lz4 --backup-encryption-key-file=" + str(folder / "key")
    store = s3_server if request.param == "mysql" else gcs_server
    with store() as address:
        if request.param == "mysql":
            flags = f"--backup-storage-implementation=s3 --s3-backup-storage-bucket=backups --s3-backup-storage-root=all " \
                    f"--s3-backup-aws-endpoint=http://{address} --s3-backup-force-path-style=true"
            environment = S3_ENVIRONMENT
        else:
            flags = "--backup-storage-implementation=gcs --gcs-backup-storage-bucket=backups --gcs-backup-storage-root=all"
            environment = {"STORAGE_EMULATOR_HOST": address}
        with LocalCluster(request.param, tablets=2, backup_flags=f"{flags} {common}", environment=environment) as cluster:
            cluster.key = folder / "key"
            fill(cluster, rows=400)
            kinds(cluster)
            programs(cluster)
            yield cluster
            cluster.failed = request.session.testsfailed > 0


def replica(cluster):
    return next(uid for uid in cluster.uids() if uid != cluster.primary())


def alias(cluster, uid):
    return f"{cluster.cell}-{uid:010d}"


def backups(cluster):
    return json.loads(cluster.vtctldclient("--json", "GetBackups", f"{cluster.keyspace}/0")).get("backups", [])


def peak_memory(pid):
    """In MB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def backup_and_restore(cluster, *flags):
    uid = replica(cluster)
    before = len(backups(cluster))
    said = cluster.vtctldclient("Backup", *flags, alias(cluster, uid), seconds=240)
    assert "is complete" in said, said
    assert len(backups(cluster)) == before + 1
    newest = backups(cluster)[-1]
    said = cluster.vtctldclient("RestoreFromBackup", alias(cluster, uid), seconds=240)
    assert f"restored backup {newest['name']}" in said, said
    wait_until(lambda: serves_as(cluster, uid), 60, "the restored tablet to serve")
    catches_up(cluster, uid)
    same_everywhere(cluster)
    same_programs(cluster)
    return newest["engine"]


def test_the_flavors_own_engine_under_load(cluster):
    with Load(cluster):
        uid = replica(cluster)
        said = cluster.vtctldclient("Backup", alias(cluster, uid), seconds=240)
        assert "is complete" in said, said
    engine = backup_and_restore(cluster)
    assert engine == ("clone" if cluster.flavor == "mysql" else "mariabackup")
    agent = cluster.pid(f"mysqlctld-{replica(cluster)}")
    assert peak_memory(agent) < 128 + 60, "streams are bounded by 128 MB, and the program itself takes some"


@pytest.mark.long
def test_builtin_stops_mysqld_and_starts_it_again(cluster):
    assert backup_and_restore(cluster, "--backup-engine=builtin") == "builtin"


def test_logical_is_statements_and_comes_back_the_same(cluster):
    """Under load: the snapshot is of one moment, and what came after it follows from the primary."""
    with Load(cluster) as load:
        uid = replica(cluster)
        before = load.acknowledged
        said = cluster.vtctldclient("Backup", "--backup-engine=logical", alias(cluster, uid), seconds=240)
        assert "is complete" in said, said
        wait_until(lambda: load.acknowledged > before, 20, "writes to go on")
    assert backup_and_restore(cluster, "--backup-engine=logical") == "logical"
    verify = ["VerifyBackup", f"{cluster.keyspace}/0"]
    said = wait_until(lambda: cluster.vtctldclient(*verify, seconds=240), 60, "a replica that replicates and verifies")
    assert "is good" in said and "rows that were counted" in said, said
    agent = cluster.pid(f"mysqlctld-{replica(cluster)}")
    assert peak_memory(agent) < 128 + 60, "streams are bounded by 128 MB, and the program itself takes some"


def test_another_key_is_refused_and_changes_nothing(cluster):
    uid = replica(cluster)
    mysqld = cluster.mysqld_pid(uid)
    try:
        cluster.key.write_text("another secret of some length")
        said = cluster.vtctldclient("RestoreFromBackup", alias(cluster, uid), check=False, seconds=120)
        assert "another key" in said and "/data" in said, said
        cluster.key.write_text("short")
        said = cluster.vtctldclient("Backup", alias(cluster, uid), check=False, seconds=120)
        assert str(cluster.key) in said, said
    finally:
        cluster.key.write_text(KEY)
    wait_until(lambda: serves_as(cluster, uid), 60, "the tablet to serve on")
    assert cluster.mysqld_pid(uid) == mysqld
    catches_up(cluster, uid)
