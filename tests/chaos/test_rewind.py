"""Crashes of the primary under load of many sessions, so that the log's end holds groups of commits that nobody acknowledged: the
old primary comes back by a rewind, with the same data and GTIDs as the others; what was cut off was kept, and nothing that a
client was told is in it. Where a rewind would not be safe, it is seeded anew."""

import contextlib
import os
import random
import re
import signal
import threading
import time

import pymysql
import pytest
from local_cluster import FLAVORS, LocalCluster, kill, wait_until

SEED = 20261127
SESSIONS = 24
TOKEN = re.compile(rb"token-\d{2}-\d{8}")


class Session(threading.Thread):
    """Inserts one row after the other while `go` is set; never repeats one."""

    def __init__(self, cluster, number, stop, go):
        super().__init__(name=f"session-{number}", daemon=True)
        self.cluster, self.number, self.stop, self.go = cluster, number, stop, go
        self.told = {}  # token: (when, "ok" or "open")
        self.waits = True  # for `go`

    def run(self):
        connection, step = None, 0
        while not self.stop.is_set():
            self.waits = not self.go.is_set()
            if not self.go.wait(0.1):
                continue
            self.waits = False
            token = f"token-{self.number:02}-{step:08}"
            try:
                connection = connection or self.cluster.connect(read_timeout=60)
                step += 1
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO crash_load (token, filler) VALUES (%s, REPEAT('x', 300))", (token,))
                self.told[token] = (time.monotonic(), "ok")
            except (pymysql.MySQLError, OSError):
                self.told[token] = (time.monotonic(), "open")
                connection = None
                time.sleep(0.05)
        self.waits = True


class Load:
    def __init__(self, cluster):
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS crash_load (id BIGINT PRIMARY KEY AUTO_INCREMENT, token VARCHAR(32) NOT NULL,"
                           " filler VARCHAR(400) NOT NULL, KEY (token))")
            cursor.execute("DELETE FROM crash_load")
        self.cluster, self.stop, self.go = cluster, threading.Event(), threading.Event()
        self.sessions = [Session(cluster, number, self.stop, self.go) for number in range(SESSIONS)]

    def __enter__(self):
        self.go.set()
        for session in self.sessions:
            session.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.go.set()
        for session in self.sessions:
            session.join(timeout=90)

    def pause(self):
        self.go.clear()
        wait_until(lambda: all(session.waits for session in self.sessions), 90, "every session to pause")

    def told(self):
        return {token: told for session in self.sessions for token, told in session.told.copy().items()}

    def under_way(self):
        count = len(self.told())
        wait_until(lambda: len(self.told()) > count + 5 * SESSIONS, 60, "the load to be under way")

    def verify(self):
        with self.cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT token, COUNT(*) FROM crash_load GROUP BY token")
            there = dict(cursor.fetchall())
        told = self.told()
        lost = [token for token, (_, how) in told.items() if how == "ok" and token not in there]
        assert not lost, f"{len(lost)} acknowledged rows are lost: {lost[:5]}"
        doubled = [token for token, count in there.items() if count > 1]
        assert not doubled, f"{len(doubled)} rows are there more often than once: {doubled[:5]}"


def ask(cluster, uid, sql):
    with cluster.as_dba(uid, connect_timeout=5, read_timeout=30) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def replicas(cluster, primary):
    return [uid for uid in cluster.uids() if uid != primary]


@contextlib.contextmanager
def acknowledgements_stopped(cluster, primary):
    """No replica receives any more; their vttablets, which would mend that at once, are frozen. For less than a second, or the
    primary's lease ends."""
    frozen = [cluster.pid(f"vttablet-{uid}") for uid in replicas(cluster, primary)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        for uid in replicas(cluster, primary):
            ask(cluster, uid, "STOP SLAVE IO_THREAD" if cluster.flavor == "mariadb" else "STOP REPLICA IO_THREAD")
        yield
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


def waiting(cluster, uid):
    """Sessions that wait for an acknowledgement."""
    return sum(str(row[6]).startswith("Waiting for semi-sync ACK") for row in ask(cluster, uid, "SHOW PROCESSLIST"))


def state_of(cluster, uid):
    """All that is to be equal: GTIDs, and checksums of every table of the keyspace."""
    if cluster.flavor == "mariadb":  # what came by a seed is in gtid_slave_pos alone: the newest of both is compared
        both = ask(cluster, uid, "SELECT CONCAT_WS(',', NULLIF(@@global.gtid_binlog_state, ''), NULLIF(@@global.gtid_slave_pos, ''))")
        gtids = max(both[0][0].split(","), key=lambda gtid: int(gtid.rsplit("-", 1)[1]))
    else:
        gtids = ask(cluster, uid, "SELECT @@global.gtid_executed")[0][0]
    schema = f"vt_{cluster.keyspace}"
    tables = [row[0] for row in ask(cluster, uid, f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"
                                                  " AND table_type = 'BASE TABLE' ORDER BY table_name")]
    sums = ask(cluster, uid, "CHECKSUM TABLE " + ", ".join(f"`{schema}`.`{table}`" for table in tables))
    return "".join(sorted(gtids.replace("\n", "").split(","))), tuple(sums)


def same_everywhere(cluster):
    """Until all are equal at one moment; the heartbeat goes on meanwhile."""
    def agree():
        states = [state_of(cluster, uid) for uid in cluster.uids()]
        return all(state == states[0] for state in states)
    wait_until(agree, 90, "the same GTIDs and checksums on every tablet")


def follows(cluster, uid, primary):
    if alive_mysqld(cluster, uid) is None:
        return False
    rows = ask(cluster, uid, "SHOW SLAVE STATUS" if cluster.flavor == "mariadb" else "SHOW REPLICA STATUS")
    return bool(rows) and rows[0].count("Yes") >= 2 and cluster.port(17000 + primary) in rows[0]


def alive_mysqld(cluster, uid):
    try:
        return cluster.mysqld_pid(uid)
    except AssertionError:
        return None


def all_well(cluster):
    primary = cluster.primary()
    return primary if all(follows(cluster, uid, primary) for uid in replicas(cluster, primary)) else None


class Crash:
    """One crash of the primary, and what its tablet did to come back."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.old = wait_until(lambda: all_well(cluster), 120, "every replica to follow")
        self.logs = [cluster.data_dir / "log" / f"{name}-{self.old}.log" for name in ("mysqlctld", "vttablet")]
        self.offsets = [log.stat().st_size for log in self.logs]
        self.when = None

    def strike(self, with_tail, dice):
        pid = self.cluster.mysqld_pid(self.old)
        if with_tail:
            wait_until(lambda: self.kill_where_commits_wait(pid), 60, "commits to wait for an acknowledgement")
        else:
            time.sleep(dice.random() * 0.1)  # not a wait: where the crash falls is left to chance
            self.kill(pid)
        self.wait_for_another()

    def kill_where_commits_wait(self, pid):
        """False where the disk was too slow for one to come that far before the primary's lease ends."""
        self.cluster.wait_serving()
        with acknowledgements_stopped(self.cluster, self.old):
            end = time.monotonic() + 0.7
            while waiting(self.cluster, self.old) == 0:  # the first of a group waits for all of it
                if time.monotonic() > end:
                    return False
            time.sleep(0.1)  # not a wait: others come to their commit
            self.kill(pid)
        return True

    def kill(self, pid):
        self.when = time.monotonic()
        kill(pid)

    def wait_for_another(self):
        wait_until(lambda: self.cluster.primary() != self.old, 90, "another primary")

    def wrote(self):
        text = ""
        for log, offset in zip(self.logs, self.offsets):
            with open(log, errors="replace") as lines:
                lines.seek(offset)
                text += lines.read()
        return text

    def cut_off(self):
        """(how many, the file they are in), or (0, None)."""
        found = re.search(r"(\d+) transactions cut off \(.*\), kept in (\S+)", self.wrote())
        return (int(found[1]), found[2]) if found else (0, None)

    def seeded(self):
        return "seeded from" in self.wrote()


def crash_loop(flavor, crashes):
    dice = random.Random(f"{SEED}-{flavor}")
    with LocalCluster(flavor, vtorc=True) as cluster, Load(cluster) as load:
        cut = 0
        for number in range(1, crashes + 1):
            load.go.set()
            load.under_way()
            crash = Crash(cluster)
            crash.strike(with_tail=number % 5 != 0, dice=dice)
            wait_until(lambda: all_well(cluster), 180, "the old primary to be a replica again")
            back = time.monotonic() - crash.when
            load.pause()
            same_everywhere(cluster)
            load.verify()
            count, file = crash.cut_off()
            assert not crash.seeded(), crash.wrote()
            if count:
                cut += 1
                with open(file, "rb") as kept:
                    tokens = {token.decode() for token in TOKEN.findall(kept.read())}
                told = load.told()
                before = [token for token in tokens if token in told and told[token][1] == "ok" and told[token][0] < crash.when]
                assert not before, f"acknowledged before the crash, and cut off: {before[:5]}"
                assert tokens or count <= 2, f"{count} transactions in {file}, and no row of theirs"
            print(f"{flavor} crash {number:3} of {crash.old}: {count} transactions cut off, back after {back:.2f} s", flush=True)
        print(f"{flavor}: {crashes} crashes, {cut} with a tail", flush=True)
        assert cut >= crashes // 2, f"only {cut} of {crashes} crashes had anything to cut"


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_crash_is_rewound(flavor):
    crash_loop(flavor, 5)


@pytest.mark.long
@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_crash_is_rewound_100(flavor):
    crash_loop(flavor, 100)


def ends_as_a_seed(cluster, crash):
    wait_until(crash.seeded, 180, f"tablet {crash.old} to be seeded anew")
    wait_until(lambda: all_well(cluster), 120, "it to follow again")
    same_everywhere(cluster)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_what_sessions_were_told_is_not_rewound(flavor):
    """Semi-sync was switched off by hand, and what nobody acknowledged was told."""
    with LocalCluster(flavor, vtorc=True) as cluster:
        with Load(cluster) as load:
            load.under_way()
            crash = Crash(cluster)
            pid = cluster.mysqld_pid(crash.old)
            with acknowledgements_stopped(cluster, crash.old):
                wait_until(lambda: waiting(cluster, crash.old) > 0, 20, "commits to wait for an acknowledgement")
                source = "master" if flavor == "mariadb" else "source"
                ask(cluster, crash.old, f"SET GLOBAL rpl_semi_sync_{source}_enabled = OFF")
                crash.kill(pid)
            crash.wait_for_another()
        ends_as_a_seed(cluster, crash)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_definition_is_not_rewound(flavor):
    with LocalCluster(flavor, vtorc=True) as cluster:
        crash = Crash(cluster)
        pid = cluster.mysqld_pid(crash.old)
        with cluster.connect(read_timeout=60) as connection:
            definition = threading.Thread(target=lambda: connection.cursor().execute("CREATE TABLE in_the_tail (id INT PRIMARY KEY)"))
            with acknowledgements_stopped(cluster, crash.old):
                definition.start()
                wait_until(lambda: any("in_the_tail" in str(row[7]) and str(row[6]).startswith("Waiting for semi-sync ACK")
                                       for row in ask(cluster, crash.old, "SHOW PROCESSLIST")), 20, "the definition to wait")
                crash.kill(pid)
            crash.wait_for_another()
            definition.join(timeout=60)
        ends_as_a_seed(cluster, crash)
