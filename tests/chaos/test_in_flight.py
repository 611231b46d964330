"""Writes in flight when the primary dies: every acknowledged effect is there once, none is there twice, whatever killed it.

The primary's mysqld is killed at random and at named points of a commit (lib/stop_points.py). Clients never repeat a statement
by themselves. What a write's outcome was to its client is held against what the tables hold in the end; how vtgate came to it
stands in its metrics, which are printed for each protocol."""

import json
import random
import struct
import threading
import time
import urllib.request

import pymysql
import pytest
import stop_points
from local_cluster import FLAVORS, LocalCluster, kill, wait_until
from prepared import Prepared
from pymysql.constants import CLIENT

SEED = 20261127
PROTOCOLS = ("text", "prepared")
POINTS = ("at random", *stop_points.NAMES)
AT_LEAST = 20  # of each kind of evidence, per flavor and protocol, in the long run
EVIDENCE = {  # what evidence said: the metrics that count it
    "committed": ("FailoverResolvedCommitted",),
    "not committed": ("FailoverResolvedNotCommitted",),
    "replayed": ("FailoverReplayed",),
    "refused": ("FailoverReplayRefused", "FailoverReplayDiffered", "FailoverStateLost"),
}
OTHERS = ("FailoverResultRebuilt", "FailoverResultLost", "FailoverUnknown", "FailoverRunAgain", "BufferRequestsBuffered")
# What says that a write had no effect; what says that it had. Everything else that ends one leaves it open.
ROLLED_BACK, COMMITTED = {1213, 1205, 50002}, {50001}


class Worker(threading.Thread):
    """One kind of write over one connection after the other. `told`: {token: "ok", "failed", "open"}."""

    def __init__(self, cluster, number, kind, protocol, stop):
        super().__init__(name=f"{protocol}-{kind}-{number}", daemon=True)
        self.cluster, self.number, self.kind, self.protocol, self.stop = cluster, number, kind, protocol, stop
        self.told, self.ids, self.errors = {}, {}, []
        self.connection, self.prepared = None, {}

    def run(self):
        step = 0
        while not self.stop.is_set():
            try:
                if self.connection is None:
                    self.connect()
            except (pymysql.MySQLError, OSError):
                self.connection = None
                time.sleep(0.1)
                continue
            step += 1
            token = f"{self.name}-{step}"
            try:
                inserted = getattr(self, self.kind)(token)
                self.told[token] = "ok"
                if inserted:
                    self.ids[token] = inserted
            except (pymysql.MySQLError, OSError, struct.error) as error:
                number = error.args[0] % 65536 if error.args and isinstance(error.args[0], int) else None  # pymysql reads it signed
                self.told[token] = "failed" if number in ROLLED_BACK else "ok" if number in COMMITTED else "open"
                self.errors.append(f"{token}: {error}")
                self.drop()

    def connect(self):
        flags = CLIENT.FOUND_ROWS if self.kind == "found_rows" else 0
        self.connection, self.prepared = self.cluster.connect(client_flag=flags, read_timeout=60), {}

    def drop(self):
        try:
            self.connection.close()
        except (pymysql.MySQLError, OSError):
            pass
        self.connection = None

    def write(self, sql, *values):
        """Affected rows and insert id, by the worker's protocol; `sql` has ? for parameters."""
        if self.protocol == "prepared":
            if sql not in self.prepared:
                self.prepared[sql] = Prepared(self.connection, sql)
            return self.prepared[sql].execute(*values)
        with self.connection.cursor() as cursor:
            count = cursor.execute(sql.replace("?", "%s"), values)
            return count, cursor.lastrowid

    def insert(self, token):
        count, inserted = self.write("INSERT INTO flight (token) VALUES (?)", token)
        assert count == 1, f"{token}: {count} rows"
        return inserted

    def counter(self, token):
        count, _ = self.write("UPDATE flight_counters SET n = n + 1 WHERE id = ?", self.number)
        assert count == 1, f"{token}: {count} rows"

    def found_rows(self, token):
        count, _ = self.write("UPDATE flight_counters SET n = n + 1, seen = 1 WHERE id = ?", self.number)
        assert count == 1, f"{token}: {count} rows"

    def call(self, token):
        self.write("CALL add_flight(?)", token)

    def transaction(self, token):
        self.connection.begin()
        _, inserted = self.write("INSERT INTO flight (token) VALUES (?)", token)
        self.write("UPDATE flight_counters SET n = n + 1 WHERE id = ?", self.number)
        self.connection.commit()
        return inserted

    def differing(self, token):
        """A transaction that read what comes out differently when it runs again."""
        self.connection.begin()
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT UUID()")
        _, inserted = self.write("INSERT INTO flight (token) VALUES (?)", token)
        time.sleep(0.02)  # not a wait: it is to be open when the primary dies
        self.connection.commit()
        return inserted


KINDS = ("insert", "counter", "found_rows", "call", "transaction", "transaction", "differing")


def prepare(cluster):
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE flight (id BIGINT PRIMARY KEY AUTO_INCREMENT, token VARCHAR(64) NOT NULL, KEY (token))")
        cursor.execute("CREATE TABLE flight_counters (id INT PRIMARY KEY, n BIGINT NOT NULL, seen INT NOT NULL DEFAULT 0)")
        for number in range(len(KINDS) * len(PROTOCOLS)):
            cursor.execute("INSERT INTO flight_counters (id, n) VALUES (%s, 0)", (number,))
        cursor.execute("CREATE PROCEDURE add_flight(what VARCHAR(64)) INSERT INTO flight (token) VALUES (what)")


def metrics(cluster):
    with urllib.request.urlopen(f"http://127.0.0.1:{cluster.port(15001)}/debug/vars", timeout=10) as page:
        return json.load(page)


def counted(before, after):
    def by(names):
        return sum(after.get(name, 0) - before.get(name, 0) for name in names)
    return {what: by(names) for what, names in EVIDENCE.items()}, {name: by((name,)) for name in OTHERS}


def replicates(cluster, uid, mark):
    with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM flight WHERE token = %s", (mark,))
        return cursor.fetchone()[0] == 1


def all_replicate(cluster, mark):
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO flight (token) VALUES (%s)", (mark,))
    for uid in cluster.uids():
        wait_until(lambda uid=uid: replicates(cluster, uid, mark), 90, f"tablet {uid} to replicate after {mark}")


def verify(cluster, workers):
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT token, COUNT(*), MIN(id) FROM flight GROUP BY token")
        rows = {token: (count, first) for token, count, first in cursor.fetchall()}
        cursor.execute("SELECT id, n FROM flight_counters")
        counters = dict(cursor.fetchall())
    wrong = []
    for worker in workers:
        told = list(worker.told.values())
        ok, opened = told.count("ok"), told.count("open")
        print(f"  {worker.name:<26} {ok} ok, {told.count('failed')} rolled back, {opened} open")
        if worker.kind in ("counter", "found_rows", "transaction"):
            if not ok <= counters[worker.number] <= ok + opened:
                wrong.append(f"{worker.name}: counted {counters[worker.number]}, acknowledged {ok}, open {opened}")
        if worker.kind in ("counter", "found_rows"):
            continue
        for token, outcome in worker.told.items():
            count, first = rows.get(token, (0, None))
            if count > 1 or (outcome == "ok" and count != 1) or (outcome == "failed" and count != 0):
                wrong.append(f"{token} was told {outcome} and is there {count} times")
            if outcome == "ok" and token in worker.ids and worker.ids[token] != first:
                wrong.append(f"{token} was told the id {worker.ids[token]} and has {first}")
    for worker in workers:
        for error in worker.errors:
            print(f"  {error}")
    assert wrong == [], "\n".join(wrong)


def kill_once(cluster, points, point, dice, workers):
    primary = cluster.primary()
    acknowledged = sum(len(worker.told) for worker in workers)
    wait_until(lambda: sum(len(worker.told) for worker in workers) > acknowledged + 20, 60, "the load to be under way")
    began = time.monotonic()
    if point == "at random":
        time.sleep(dice.random() * 0.2)  # not a wait: where in a statement the kill falls is left to chance
        kill(cluster.mysqld_pid(primary))
    else:
        points.kill(cluster, primary, point)
    wait_until(cluster.serves, 60, f"writes after a kill {point}")
    return primary, time.monotonic() - began


def in_flight(flavor, kills, at_least=0):
    dice = random.Random(f"{SEED}-{flavor}")
    everyone, few = [], []
    with stop_points.StopPoints(range(100, 103)) as points, \
            LocalCluster(flavor, vtorc=True, environment=points.environment) as cluster:
        prepare(cluster)
        for protocol in PROTOCOLS:
            stop, before = threading.Event(), metrics(cluster)
            workers = [Worker(cluster, len(everyone) + number, kind, protocol, stop) for number, kind in enumerate(KINDS)]
            everyone += workers
            for worker in workers:
                worker.start()
            try:
                for number in range(kills // len(PROTOCOLS)):
                    all_replicate(cluster, f"before-{protocol}-{number}")
                    point = POINTS[number % len(POINTS)]
                    primary, took = kill_once(cluster, points, point, dice, workers)
                    print(f"{protocol} kill {number + 1:3} of the primary {primary} {point}: {took:.2f} s", flush=True)
            finally:
                stop.set()
                for worker in workers:
                    worker.join(timeout=90)
            evidence, others = counted(before, metrics(cluster))
            print(f"{flavor}, {protocol}, {kills // len(PROTOCOLS)} kills: evidence said", ", ".join(
                f"{what} {count}" for what, count in evidence.items()), "| counted", others, flush=True)
            few += [f"{protocol}: {what} only {count} times" for what, count in evidence.items() if count < at_least]
        all_replicate(cluster, "the-end")
        verify(cluster, everyone)
    assert few == []


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_write_once(flavor):
    in_flight(flavor, 10)


@pytest.mark.long
@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_write_once_200_kills(flavor):
    in_flight(flavor, 200, AT_LEAST)
