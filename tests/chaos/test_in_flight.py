"""Writes in flight when the primary dies: every acknowledged effect is there once, none is there twice, whatever killed it.

Clients never repeat a statement by themselves. What a write's outcome was to its client is held against what the tables
hold in the end; how vtgate came to it stands in its metrics, which are printed."""

import json
import random
import struct
import threading
import time
import urllib.request

import pymysql
import pytest
from local_cluster import FLAVORS, LocalCluster, kill, wait_until
from pymysql.constants import CLIENT, COMMAND

SEED = 20261127
WORKERS = 6
METRICS = ("FailoverResolvedCommitted", "FailoverResolvedNotCommitted", "FailoverResultRebuilt", "FailoverResultLost",
           "FailoverUnknown", "FailoverRunAgain", "FailoverReplayed", "FailoverReplayRefused", "FailoverReplayDiffered",
           "BufferRequestsBuffered")
# What says that a write had no effect. Everything else that ends one leaves it open, or says that it was committed.
ROLLED_BACK = {1213, 1205}


class Prepared:
    """COM_STMT_PREPARE and COM_STMT_EXECUTE with one string, which pymysql does not speak."""

    def __init__(self, connection, sql):
        self.connection = connection
        connection._execute_command(COMMAND.COM_STMT_PREPARE, sql)
        head = connection._read_packet()._data
        self.id, columns, parameters = struct.unpack("<IHH", head[1:9])
        assert (columns, parameters) == (0, 1), head
        connection._read_packet()
        connection._read_packet()  # EOF behind the parameter's definition

    def execute(self, text):
        value = text.encode()
        body = struct.pack("<IBIBBH", self.id, 0, 1, 0, 1, 0xfd) + bytes([len(value)]) + value
        self.connection._execute_command(COMMAND.COM_STMT_EXECUTE, body)
        return self.connection._read_query_result()


class Worker(threading.Thread):
    """One kind of write over one connection after the other. `told`: {token: "ok", "failed", "open"}."""

    def __init__(self, cluster, number, kind, stop):
        super().__init__(name=f"{kind}-{number}", daemon=True)
        self.cluster, self.number, self.kind, self.stop = cluster, number, kind, stop
        self.told, self.ids, self.errors = {}, {}, []
        self.connection = self.statement = None

    def run(self):
        step = 0
        while not self.stop.is_set():
            token = f"{self.name}-{step}"
            try:
                if self.connection is None:
                    self.connect()
            except (pymysql.MySQLError, OSError):
                self.connection = None
                time.sleep(0.1)
                continue
            step += 1
            try:
                inserted = getattr(self, self.kind)(token)
                self.told[token] = "ok"
                if inserted:
                    self.ids[token] = inserted
            except (pymysql.MySQLError, OSError, struct.error) as error:
                number = error.args[0] if error.args else None
                self.told[token] = "failed" if number in ROLLED_BACK else "open"
                self.errors.append(f"{token}: {error}")
                self.drop()

    def connect(self):
        flags = CLIENT.FOUND_ROWS if self.kind == "found_rows" else 0
        self.connection = self.cluster.connect(client_flag=flags, read_timeout=60)
        self.statement = None
        if self.kind == "prepared":
            self.statement = Prepared(self.connection, "INSERT INTO flight (token) VALUES (?)")

    def drop(self):
        try:
            self.connection.close()
        except (pymysql.MySQLError, OSError):
            pass
        self.connection = None

    def write(self, sql, *values):
        with self.connection.cursor() as cursor:
            count = cursor.execute(sql, values)
            return count, cursor.lastrowid

    def text(self, token):
        count, inserted = self.write("INSERT INTO flight (token) VALUES (%s)", token)
        assert count == 1, f"{token}: {count} rows"
        return inserted

    def prepared(self, token):
        assert self.statement.execute(token) == 1
        return self.connection.insert_id()

    def counter(self, token):
        count, _ = self.write("UPDATE flight_counters SET n = n + 1 WHERE id = %s", self.number)
        assert count == 1, f"{token}: {count} rows"

    def found_rows(self, token):
        count, _ = self.write("UPDATE flight_counters SET n = n + 1, seen = 1 WHERE id = %s", self.number)
        assert count == 1, f"{token}: {count} rows"

    def call(self, token):
        self.write("CALL add_flight(%s)", token)

    def transaction(self, token):
        self.connection.begin()
        _, inserted = self.write("INSERT INTO flight (token) VALUES (%s)", token)
        self.write("UPDATE flight_counters SET n = n + 1 WHERE id = %s", self.number)
        self.connection.commit()
        return inserted


KINDS = ("text", "prepared", "counter", "found_rows", "call", "transaction")


def prepare(cluster):
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE flight (id BIGINT PRIMARY KEY AUTO_INCREMENT, token VARCHAR(64) NOT NULL, KEY (token))")
        cursor.execute("CREATE TABLE flight_counters (id INT PRIMARY KEY, n BIGINT NOT NULL, seen INT NOT NULL DEFAULT 0)")
        for number in range(WORKERS):
            cursor.execute("INSERT INTO flight_counters (id, n) VALUES (%s, 0)", (number,))
        cursor.execute("CREATE PROCEDURE add_flight(what VARCHAR(64)) INSERT INTO flight (token) VALUES (what)")


def metrics(cluster):
    with urllib.request.urlopen(f"http://127.0.0.1:{cluster.port(15001)}/debug/vars", timeout=10) as page:
        values = json.load(page)
    return {name: values.get(name, 0) for name in METRICS}


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
    wrong, sums = [], {}
    for worker in workers:
        told = list(worker.told.values())
        ok, opened = told.count("ok"), told.count("open")
        sums[worker.name] = f"{ok} ok, {told.count('failed')} rolled back, {opened} open"
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
    for name, line in sums.items():
        print(f"  {name:<16} {line}")
    for worker in workers:
        for error in worker.errors:
            print(f"  {error}")
    assert wrong == [], "\n".join(wrong)


def in_flight(flavor, kills):
    dice = random.Random(f"{SEED}-{flavor}")
    stop = threading.Event()
    with LocalCluster(flavor, vtorc=True) as cluster:
        prepare(cluster)
        workers = [Worker(cluster, number, KINDS[number % len(KINDS)], stop) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        try:
            for number in range(1, kills + 1):
                all_replicate(cluster, f"before-kill-{number}")
                primary = cluster.primary()
                acknowledged = sum(len(worker.told) for worker in workers)
                wait_until(lambda: sum(len(worker.told) for worker in workers) > acknowledged + 20, 60, "the load to be under way")
                time.sleep(dice.random() * 0.2)  # not a wait: where in a statement the kill falls is left to chance
                began = time.monotonic()
                kill(cluster.mysqld_pid(primary))
                wait_until(cluster.serves, 60, f"writes after kill {number}")
                print(f"kill {number:3} of the primary {primary}: writes again after {time.monotonic() - began:.2f} s", flush=True)
        finally:
            stop.set()
            for worker in workers:
                worker.join(timeout=90)
        all_replicate(cluster, "the-end")
        print(f"{flavor}: {kills} kills:", ", ".join(f"{name} {value}" for name, value in metrics(cluster).items()))
        verify(cluster, workers)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_write_once(flavor):
    in_flight(flavor, 10)


@pytest.mark.long
@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_write_once_200_kills(flavor):
    in_flight(flavor, 200)
