"""kill -9 of any party at a random moment of a backup, a restore, a seed or of archiving: no tablet stays away, what is listed
restores, and the archive has no gap."""

import json
import random
import subprocess
import sys
import threading
import time

import pytest
from local_cluster import FLAVORS, LocalCluster, alive, kill, wait_until
from object_stores import S3_ENVIRONMENT, free_port, s3_server
from seeding import Load, catches_up, fill, lose_data, same_everywhere, serves_as

SEED = 20261128
PARTIES = ("vttablet", "mysqld", "mysqlctld", "store", "vtctld")
# The bytes lie in the server behind, as on the disks of a store whose process dies.
FORWARDER = """
import socket, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
while True:
    client, _ = server.accept()
    behind = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for pair in ((client, behind), (behind, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


class Store:
    """The front of an S3 server, which can be killed and started again."""

    def __init__(self, behind):
        self.port, self.behind, self.process = free_port(), behind.rsplit(":", 1)[1], None
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", FORWARDER, str(self.port), self.behind],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with s3_server() as address:
        store = Store(address)
        flags = ("--backup-storage-implementation=s3 --s3-backup-storage-bucket=backups --s3-backup-storage-root=all "
                 f"--s3-backup-aws-endpoint=http://127.0.0.1:{store.port} --s3-backup-force-path-style=true")
        try:
            with LocalCluster(request.param, archive=True, backup_flags=flags, environment=S3_ENVIRONMENT) as cluster:
                cluster.store = store
                fill(cluster)
                yield cluster
                cluster.failed = request.session.testsfailed > 0
        finally:
            store.kill()


def alias(cluster, uid):
    return f"{cluster.cell}-{uid:010d}"


def listed(cluster):
    return cluster.vtctldclient("GetBackups", f"{cluster.keyspace}/0").split()


def replicas(cluster):
    return [uid for uid in cluster.uids() if uid != cluster.primary()]


def all_serve(cluster):
    kinds = {uid: "primary" if uid == cluster.primary() else "replica" for uid in cluster.uids()}
    return cluster.serves() and all(serves_as(cluster, uid, kind) for uid, kind in kinds.items())


def archive_of(cluster):
    return json.loads(cluster.vtctldclient("--json", "GetArchive", f"{cluster.keyspace}/0"))


def archiver(cluster):
    """The uid of the tablet that archives."""
    running = [one["tablet"] for one in archive_of(cluster)["archivers"] if one["running"]]
    return int(running[0].rsplit("-", 1)[1]) if running else None


def archive_is_whole(cluster):
    """It comes to hold what is written now, and all before it."""
    mark = f"mark_{time.monotonic_ns()}"
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {mark} (id INT PRIMARY KEY)")
        cursor.execute(f"DROP TABLE {mark}")
    shard = f"{cluster.keyspace}/0"
    wait_until(lambda: cluster.vtctldclient("GetArchive", "--ddl", shard).count(mark) == 2, 90, "the archive to go on")
    assert "gap:" not in cluster.vtctldclient("GetArchive", shard)


class Work:
    """A backup or a restore by its command, a seed, or nothing but what is archived; `said` once it has ended."""

    def __init__(self, cluster, kind, uid):
        self.said = ""
        words = {"backup": ["Backup"], "restore": ["RestoreFromBackup"]}.get(kind)

        def run():
            if kind == "seed":
                lose_data(cluster, uid)
            elif words is not None:
                self.said = cluster.vtctldclient(*words, alias(cluster, uid), check=False, seconds=240)
        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self):
        self.thread.join(240)
        assert not self.thread.is_alive(), "the command never ended"
        return self.said


def strike(cluster, party, uid):
    if party == "store":
        cluster.store.kill()
        time.sleep(1)  # as long as a start takes
        cluster.store.start()
        return
    everything = cluster.everything()
    pid = everything.get(party if party == "vtctld" else f"{party}-{uid}")
    if pid is not None and alive(pid):
        kill(pid)


def rounds(cluster, count, chance):
    names = listed(cluster)
    kinds = ["backup", "restore", "seed", "archive", "restore"]
    for number in range(count):
        kind = kinds[number % len(kinds)]
        party = chance.choice(PARTIES)
        uid = chance.choice(replicas(cluster))
        # Of a seed both ends are parties.
        struck = chance.choice(replicas(cluster)) if kind == "seed" else uid
        if kind == "archive":
            struck = wait_until(lambda: archiver(cluster), 90, "an archiver")
        delay = chance.uniform(0, cluster.took)
        what = f"round {number}: {kind} of {uid}, kill of {party}-{struck} after {delay:.2f} s"
        print(what, flush=True)
        work = Work(cluster, kind, uid)
        time.sleep(delay)
        strike(cluster, party, struck)
        said = work.end()
        wait_until(lambda: all_serve(cluster), 180, f"all tablets to serve after {what}; the command said: {said[-300:]}")
        for each in replicas(cluster):
            catches_up(cluster, each)
        now = wait_until(lambda: listed(cluster), 60, "backups to be listed")
        assert set(names) <= set(now), f"{what}: a backup that was listed is not any more"
        if kind == "backup" and "is complete" in said:
            assert len(now) > len(names), f"{what}: told as complete, and not listed"
        names = now
        while len(names) > 4:
            cluster.vtctldclient("RemoveBackup", f"{cluster.keyspace}/0", names.pop(0), seconds=120)


def every_listed_one_restores(cluster):
    for name in listed(cluster):
        uid = replicas(cluster)[0]
        stamp = name.rsplit(".", 1)[0]
        said = cluster.vtctldclient("RestoreFromBackup", f"--backup-timestamp={stamp}", alias(cluster, uid), check=False, seconds=240)
        assert f"restored backup {name}" in said, said
        wait_until(lambda: all_serve(cluster), 120, f"all tablets to serve after {name} was restored")
        catches_up(cluster, uid)


@pytest.fixture(scope="module")
def whole(cluster):
    """With a first backup, made undisturbed: how long that takes is what later strikes are spread over."""
    began = time.monotonic()
    assert "is complete" in cluster.vtctldclient("Backup", alias(cluster, replicas(cluster)[0]), seconds=240)
    cluster.took = 1.3 * (time.monotonic() - began)
    return cluster


def hurt(cluster, count, seed):
    with Load(cluster) as load:
        rounds(cluster, count, random.Random(f"{SEED}-{cluster.flavor}-{seed}"))
        before = load.acknowledged
        wait_until(lambda: load.acknowledged > before, 30, "writes to go on")
    archive_is_whole(cluster)
    every_listed_one_restores(cluster)
    same_everywhere(cluster)


def test_vttablet_dies_while_the_restored_mysqld_is_started(whole):
    """It comes back, leaves a server alone that has no history yet, and says no more that it is seeded."""
    uid = replicas(whole)[0]
    ready = whole.folder(uid) / "seed.ready"  # there from the exchange of the data until they are settled
    work = Work(whole, "restore", uid)
    wait_until(ready.exists, 60, "the restored data to stand ready")
    kill(whole.pid(f"vttablet-{uid}"))
    work.end()
    wait_until(lambda: all_serve(whole), 60, f"all tablets to serve after the death of vttablet-{uid}")
    catches_up(whole, uid)
    assert not ready.exists()
    same_everywhere(whole)


def test_five_times(whole):
    hurt(whole, 5, "five")


@pytest.mark.long
def test_fifty_times(whole):
    hurt(whole, 50, "fifty")
