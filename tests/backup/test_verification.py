"""Backups verified by command and by vtctld, on both flavors: a good one is found good with its rows counted though the load went
on, a damaged one is told wherever one looks and not restored, and who dies in the middle leaves nothing."""

import json
import re
import subprocess
import threading
import urllib.request

import pytest
from local_cluster import BIN, FLAVORS, LocalCluster, kill, wait_until
from object_stores import free_port
from seeding import Load, catches_up, fill, kinds, serves_as


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param, tablets=2) as cluster:
        fill(cluster)
        kinds(cluster)
        yield cluster
        cluster.failed = request.session.testsfailed > 0


def shard(cluster):
    return f"{cluster.keyspace}/0"


def replica(cluster):
    return next(uid for uid in cluster.uids() if uid != cluster.primary())


def alias(cluster, uid):
    return f"{cluster.cell}-{uid:010d}"


def statuses(cluster):
    return [backup["status"] for backup in json.loads(cluster.vtctldclient("--json", "ListBackups", shard(cluster)))["backups"]]


def names(cluster):
    return cluster.vtctldclient("GetBackups", shard(cluster)).split()


def back_up(cluster):
    said = cluster.vtctldclient("Backup", alias(cluster, replica(cluster)), seconds=240)
    assert re.search(r"is complete: [0-9.]+ MB in [0-9.]+ s", said), said
    return names(cluster)[-1]


def damage(cluster, name):
    data = cluster.data_dir / "backups" / cluster.keyspace / "0" / name / "data"
    good = data.read_bytes()
    middle = len(good) // 2
    data.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1:])


def no_folder_left(cluster):
    assert list(cluster.data_dir.glob("vt_*/verify")) == []


def test_a_backup_made_under_load_is_good(cluster):
    with Load(cluster):
        name = back_up(cluster)
    assert statuses(cluster) == ["COMPLETE"]
    manifest = json.loads((cluster.data_dir / "backups" / cluster.keyspace / "0" / name / "MANIFEST").read_text())
    counted = {(table["Schema"], table["Name"]): table["Rows"] for table in manifest["Tables"] if "Rows" in table}
    assert counted[f"vt_{cluster.keyspace}", "keyless"] == 6000, manifest["Tables"]
    mysqld = cluster.mysqld_pid(replica(cluster))
    said = cluster.vtctldclient("VerifyBackup", shard(cluster), seconds=240)
    told = re.search(rf"backup {re.escape(name)} is good: (\d+) tables are whole, (\d+) of them with the (\d+) rows", said)
    assert told and int(told[2]) == len(counted) and int(told[3]) == sum(counted.values()), (said, counted)
    assert int(told[1]) > int(told[2]), "the server's own tables are checked too"
    assert statuses(cluster) == ["VALID"]
    assert cluster.mysqld_pid(replica(cluster)) == mysqld and serves_as(cluster, replica(cluster))
    no_folder_left(cluster)


def test_progress_as_lines_of_json(cluster):
    for words in (["Backup", alias(cluster, replica(cluster))], ["VerifyBackup", shard(cluster)],
                  ["RestoreFromBackup", alias(cluster, replica(cluster))]):
        lines = [json.loads(line) for line in cluster.vtctldclient("--json", *words, seconds=240).splitlines()]
        assert all(line["keyspace"] == cluster.keyspace and line["event"] and line["time"].endswith("Z") for line in lines), lines
        told = [line["progress"] for line in lines if "progress" in line]
        assert told and all(each["phase"] for each in told), lines
        if words[0] == "Backup":
            assert told[-1]["bytes"] == told[-1]["total_bytes"] > 1_000_000, told
    uid = replica(cluster)
    wait_until(lambda: serves_as(cluster, uid), 60, "the restored tablet to serve")
    catches_up(cluster, uid)


def test_a_bad_backup_is_told_and_not_restored(cluster):
    name = back_up(cluster)
    older = names(cluster)[-2]
    damage(cluster, name)
    said = cluster.vtctldclient("VerifyBackup", shard(cluster), name, check=False, seconds=240)
    assert f"backup {name} is bad" in said and "checksum" in said, said
    assert statuses(cluster)[-1] == "INVALID"
    uid = replica(cluster)
    said = cluster.vtctldclient("RestoreFromBackup", "--dry-run", alias(cluster, uid))
    assert older in said and name not in said, said
    assert cluster.vtctldclient("VerifyBackup", shard(cluster), older, seconds=240).count("is good") == 1
    for each in names(cluster)[:-1]:
        cluster.vtctldclient("RemoveBackup", shard(cluster), each)
    said = cluster.vtctldclient("RestoreFromBackup", "--dry-run", alias(cluster, uid), check=False)
    assert "1 failed their verification" in said, said
    assert "no backup" in cluster.vtctldclient("VerifyBackup", shard(cluster), "2025-11-27.190000.zone1-0000000101", check=False)
    no_folder_left(cluster)


def test_vtctld_verifies_by_itself(cluster):
    """The newest is bad: it is told by log and metrics, replaced, and the next one found good."""
    assert statuses(cluster) == ["INVALID"]
    port = free_port()
    log = cluster.data_dir / "log/verifier.log"
    with open(log, "w") as out:
        vtctld = subprocess.Popen([BIN / "vtctld", f"--cell={cluster.cell}", "--bind-address=127.0.0.1", f"--port={port}",
                                   f"--grpc-port={free_port()}", "--backup-verify-interval=1s", "--topo-implementation=embedded",
                                   f"--topo-global-server-address={cluster.data_dir}/topo/topology.sqlite",
                                   "--topo-global-root=/vitess/global", "--backup-storage-implementation=file",
                                   f"--file-backup-storage-root={cluster.data_dir}/backups"],
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=cluster.environment)

    def metric(name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"vtctld_{name}{{"))
    try:
        wait_until(lambda: "failed its verification" in log.read_text(), 60, "the bad one to be told")
        assert metric("backups_bad") == 1
        back_up(cluster)
        wait_until(lambda: statuses(cluster)[-1] == "VALID", 120, "the new one to be verified")
        wait_until(lambda: metric("backup_verifications") == 1, 10, "the count of verifications")
    finally:
        kill(vtctld.pid)
        vtctld.wait()


def test_who_dies_in_the_middle_leaves_nothing(cluster):
    uid = replica(cluster)
    fill(cluster, rows=400)
    back_up(cluster)
    said = []
    asked = threading.Thread(target=lambda: said.append(
        cluster.vtctldclient("VerifyBackup", shard(cluster), check=False, seconds=240)))
    asked.start()
    wait_until(lambda: list(cluster.data_dir.glob("vt_*/verify/*")), 60, "the verification to be under way")
    kill(cluster.pid(f"mysqlctld-{uid}"))
    asked.join(240)
    assert "is good" not in said[0] and statuses(cluster)[-1] == "COMPLETE", said
    wait_until(lambda: serves_as(cluster, uid), 60, "the tablet to serve on")
    wait_until(lambda: "is good" in cluster.vtctldclient("VerifyBackup", shard(cluster), check=False, seconds=240), 120,
               "another verification")
    no_folder_left(cluster)
