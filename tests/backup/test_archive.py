"""The archive of binary logs, and what comes back from it: a table dropped by mistake under load returns beside the live
keyspace, exact to the transaction, by two commands, whatever was killed meanwhile."""

import json
import os
import random
import re
import threading
import time

import pytest
from local_cluster import BIN, FLAVORS, LocalCluster, kill, run, wait_until
from seeding import catches_up, serves_as

SHARD = "test_keyspace/0"


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param, vtorc=True, archive=True) as cluster:
        cluster.snapshots = 0
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE ledger (id INT PRIMARY KEY, writer INT, v VARCHAR(100))")
            cursor.execute("INSERT INTO greetings (name) VALUES ('from before the backup')")
        uid = next(uid for uid in cluster.uids() if uid != cluster.primary())
        cluster.vtctldclient("Backup", f"{cluster.cell}-{uid:010d}", seconds=180)
        yield cluster
        cluster.failed = request.session.testsfailed > 0


class Ledger:
    """Writers that number their rows; what was acknowledged, and what may or may not be there."""

    def __init__(self, cluster, first, writers=2, pause=0.005):
        self.cluster, self.next, self.pause = cluster, first, pause
        self.acknowledged, self.unknown = set(), set()
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(writers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: self.acknowledged, 60, "the load to be under way")
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)

    def run(self, writer):
        number = None
        while not self.stop.is_set():
            try:
                with self.cluster.connect(read_timeout=20) as connection, connection.cursor() as cursor:
                    while not self.stop.is_set():
                        with self.lock:
                            number, self.next = self.next, self.next + 1
                        cursor.execute("INSERT INTO ledger VALUES (%s, %s, REPEAT('x', 80))", (number, writer))
                        with self.lock:
                            self.acknowledged.add(number)
                        self.stop.wait(self.pause)
            except Exception:  # noqa: BLE001: the table goes away, the cluster is being hurt
                if number is not None and number not in self.acknowledged:
                    with self.lock:
                        self.unknown.add(number)
                self.stop.wait(0.05)


def archive_of(cluster):
    return json.loads(cluster.vtctldclient("--json", "GetArchive", SHARD))


def archived(cluster):
    """True once all that the primary has now is archived."""
    with cluster.mysqld(cluster.primary()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@global.gtid_executed" if cluster.flavor == "mysql" else "SELECT @@global.gtid_binlog_pos")
        now = cursor.fetchone()[0].replace("\n", "")

    def covers():
        reached = archive_of(cluster).get("to", "")
        if cluster.flavor == "mariadb":
            number = max(int(n) for n in re.findall(r"\d+-\d+-(\d+)", now))
            return max([int(n) for n in re.findall(r"\d+-\d+-(\d+)", reached)] or [0]) >= number
        with cluster.mysqld(cluster.primary()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT GTID_SUBSET(%s, %s)", (now, reached.split("/", 1)[-1]))
            return cursor.fetchone()[0] == 1
    wait_until(covers, 60, "the archive to reach the primary's position")


def ddl(cluster, words):
    """The GTID of the newest change of the schema that says so."""
    lines = [line for line in cluster.vtctldclient("GetArchive", "--ddl", SHARD).splitlines() if words in line]
    assert lines, f"no {words} in the archive"
    return lines[-1].split()[1]


def restore(cluster, point):
    cluster.snapshots += 1
    name = f"undo{cluster.snapshots}"
    said = run([BIN / "paceline", "restore", "--data-dir", cluster.data_dir, "--as", name, "--restore-to-pos", point], seconds=400)
    assert f"{name} is there" in said, said
    return name


def rows(cluster, keyspace):
    with cluster.connect(database=f"{keyspace}@replica") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM ledger ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def drop_and_make_again(cluster):
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE ledger")
        cursor.execute("CREATE TABLE ledger (id INT PRIMARY KEY, writer INT, v VARCHAR(100))")


def test_a_dropped_table_is_back_beside_by_two_commands(cluster):
    with Ledger(cluster, 1) as ledger:
        wait_until(lambda: len(ledger.acknowledged) > 200, 120, "some rows")
        before = set(ledger.acknowledged)
        drop_and_make_again(cluster)
        after = set(ledger.acknowledged) | set(range(max(ledger.acknowledged), ledger.next))
        more = len(ledger.acknowledged)
        wait_until(lambda: len(ledger.acknowledged) > more + 50, 60, "rows in the new table")
        archived(cluster)
        point = ddl(cluster, "DROP TABLE")
        name = restore(cluster, "before:" + point)
    found = rows(cluster, name)
    # Nothing acknowledged before is missing, nothing is twice, nothing is there that came after.
    assert before <= set(found) <= after | ledger.unknown
    assert len(found) == len(set(found))
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM ledger WHERE id IN (%s)" % ",".join(str(n) for n in list(before)[:50]))
        assert cursor.fetchone()[0] == 0  # the live keyspace goes on as it was


def test_what_would_be_restored_is_told_and_errors_name_it(cluster):
    uid = next(uid for uid in cluster.uids() if uid != cluster.primary())
    alias = f"{cluster.cell}-{uid:010d}"
    point = ddl(cluster, "DROP TABLE")
    said = cluster.vtctldclient("RestoreFromBackup", "--dry-run", "--restore-to-pos", "before:" + point, alias)
    assert "would restore backup" in said and f"just before transaction {point}" in said, said
    said = cluster.vtctldclient("RestoreFromBackup", "--restore-to-pos", "nonsense", alias, check=False)
    assert "nonsense" in said, said
    said = cluster.vtctldclient("RestoreFromBackup", "--restore-to-timestamp", "2001-01-01T00:00:00Z", alias, check=False)
    assert "no backup" in said, said
    said = cluster.vtctldclient("RestoreFromBackup", "--restore-to-timestamp", "yesterday", alias, check=False)
    assert "yesterday" in said, said


def test_a_replica_goes_back_in_place_and_comes_again(cluster):
    uid = next(uid for uid in cluster.uids() if uid != cluster.primary())
    alias = f"{cluster.cell}-{uid:010d}"
    point = ddl(cluster, "DROP TABLE")
    said = cluster.vtctldclient("RestoreFromBackup", "--restore-to-pos", "before:" + point, alias, seconds=240)
    assert "archived transactions" in said and f"just before transaction {point}" in said, said
    wait_until(lambda: " drained " in tablet_line(cluster, uid), 30, "it to be DRAINED")
    with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM ledger")
        then = cursor.fetchone()[0]
        assert then > 0
    # Neither a reparent nor a new vttablet moves it from there.
    other = next(other for other in cluster.uids() if other not in (uid, cluster.primary()))
    cluster.vtctldclient("PlannedReparentShard", "--new-primary", f"{cluster.cell}-{other:010d}", SHARD, seconds=120)
    old = cluster.pid(f"vttablet-{uid}")
    kill(old)
    wait_until(lambda: cluster.pid(f"vttablet-{uid}") != old, 30, "another vttablet")
    wait_until(lambda: "is not running" not in cluster.vtctldclient("RunHealthCheck", alias), 30, "it to answer")
    assert " drained " in tablet_line(cluster, uid) and replication_is_off(cluster, uid)
    with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM ledger")
        assert cursor.fetchone()[0] == then
    said = cluster.vtctldclient("RestoreFromBackup", alias, seconds=240)
    assert "restored backup" in said, said
    wait_until(lambda: serves_as(cluster, uid), 60, "it to serve again")
    catches_up(cluster, uid)


def tablet_line(cluster, uid):
    return next(line for line in cluster.vtctldclient("ListAllTablets").splitlines() if f"-{uid:010d} " in line)


def replication_is_off(cluster, uid):
    with cluster.as_dba(uid) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW REPLICA STATUS")
        row = dict(zip([column[0] for column in cursor.description], cursor.fetchone()))
        return {value for key, value in row.items() if key in ("Replica_IO_Running", "Slave_IO_Running")} == {"No"}


def archiver(cluster):
    running = [one["tablet"] for one in archive_of(cluster)["archivers"] if one["running"]]
    return int(running[0].rsplit("-", 1)[1]) if running else None


def hurt_and_restore(cluster, times, seed):
    """Kills the archiver's vttablet, its mysqld, or the primary, at random points of a load; all is archived once and whole."""
    chance = random.Random(seed)
    first = 1 + max([0] + rows_of_live(cluster))
    with Ledger(cluster, first) as ledger:
        for _ in range(times):
            wait_until(lambda: archiver(cluster) is not None, 90, "an archiver")
            uid = archiver(cluster) or cluster.uids()[-1]
            party = chance.choice(["vttablet", "mysqld", "vttablet"])
            time.sleep(chance.uniform(0, 1.5))  # the random point, not a wait for something
            try:
                kill(cluster.pid(f"vttablet-{uid}") if party == "vttablet" else cluster.mysqld_pid(uid))
            except (AssertionError, KeyError, StopIteration):
                continue  # it is being started again
            count = len(ledger.acknowledged)
            wait_until(lambda: len(ledger.acknowledged) > count + 20, 120, f"writes after the death of {party} {uid}")
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE after_all (id INT PRIMARY KEY)")
        cursor.execute("DROP TABLE after_all")
    archived(cluster)
    name = restore(cluster, "before:" + ddl(cluster, "CREATE TABLE after_all"))
    live, back = rows_of_live(cluster), rows(cluster, name)
    assert ledger.acknowledged <= set(live)
    assert live == back


def rows_of_live(cluster):
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM ledger ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def test_no_transaction_is_missing_or_twice_whoever_dies(cluster):
    hurt_and_restore(cluster, 5, int(os.environ.get("PACELINE_SEED", "7")))


def test_a_gap_is_told_before_anything_is_replaced(cluster):
    uid = next(uid for uid in cluster.uids() if uid != cluster.primary())
    alias = f"{cluster.cell}-{uid:010d}"
    point = ddl(cluster, "CREATE TABLE after_all")
    mysqld = cluster.mysqld_pid(uid)
    runs = cluster.data_dir / "backups" / cluster.keyspace / "0" / "archive"
    first = min(runs.iterdir())
    first.rename(cluster.data_dir / "aside")
    try:
        said = cluster.vtctldclient("RestoreFromBackup", "--restore-to-pos", "before:" + point, alias, check=False, seconds=60)
        assert "gap" in said, said
    finally:
        (cluster.data_dir / "aside").rename(first)
    middle = sorted(sorted(runs.iterdir())[0].iterdir())[1]
    middle.rename(cluster.data_dir / "aside")
    try:
        said = cluster.vtctldclient("RestoreFromBackup", "--restore-to-pos", "before:" + point, alias, check=False, seconds=60)
        assert middle.name in said and "missing" in said, said
    finally:
        (cluster.data_dir / "aside").rename(middle)
    assert cluster.mysqld_pid(uid) == mysqld


@pytest.mark.long
def test_the_same_fifty_times(cluster):
    for turn in range(10):
        hurt_and_restore(cluster, 5, 100 + turn)


@pytest.mark.long  # it is a measure: 10 s of it
def test_lag_stays_below_five_seconds(cluster):
    """The promise itself: under 1,000 writes a second, or as many as this machine takes."""
    first = 1 + max([0] + rows_of_live(cluster))
    lags, rates = [], []
    with Ledger(cluster, first, writers=16, pause=0) as ledger:
        for _ in range(20):
            began, count = time.monotonic(), len(ledger.acknowledged)
            time.sleep(0.5)  # the measure
            rates.append((len(ledger.acknowledged) - count) / (time.monotonic() - began))
            lags += [one["lag_ms"] for one in archive_of(cluster)["archivers"] if one["running"]]
    print(f"{cluster.flavor}: {sum(rates) / len(rates):.0f} writes a second, lag at most {max(lags)} ms")
    assert max(lags) < 5000
