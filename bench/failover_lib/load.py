"""Writers through vtgate that never repeat a statement by themselves, and the ledger of what they were told."""

import collections
import random
import struct
import threading
import time

import pymysql
from local_cluster import wait_until
from prepared import Prepared

# What each writer does every 5 ms, in percent. All but the replica read are writes.
MIX = {"insert": 45, "prepared insert": 20, "counter update": 15, "transaction": 10, "replica read": 10}
PAUSE = 0.005
SCHEMA = [
    "CREATE TABLE IF NOT EXISTS failover_ledger (id BIGINT AUTO_INCREMENT PRIMARY KEY, run VARCHAR(16) NOT NULL,"
    " writer INT NOT NULL, n INT NOT NULL, how VARCHAR(20) NOT NULL, KEY (run, writer, n))",
    "CREATE TABLE IF NOT EXISTS failover_counters (run VARCHAR(16) NOT NULL, writer INT NOT NULL, value BIGINT NOT NULL,"
    " PRIMARY KEY (run, writer))",
]
INSERT = "INSERT INTO failover_ledger (run, writer, n, how) VALUES ({}, {}, {}, {})"


class Writer(threading.Thread):
    """One connection for writes and one for replica reads; a new one after an error, and nothing is tried again."""

    def __init__(self, load, number):
        super().__init__(name=f"writer-{number}", daemon=True)
        self.load, self.number = load, number
        self.dice = random.Random(f"{load.run}-{number}")
        self.connection = self.reader = self.prepared = None
        self.n = 0
        self.acknowledged = set()   # n of inserts
        self.open = set()           # n of inserts whose call failed: there or not, but not twice
        self.counted = self.counted_open = 0
        self.last_write = None
        self.writes = []            # (time, time since the write before it) where that was long

    def run(self):
        pick = [name for name, share in MIX.items() for _ in range(share)]
        while not self.load.stop.is_set():
            began = time.monotonic()
            kind = self.dice.choice(pick)
            try:
                if kind == "replica read":
                    self.read()
                else:
                    self.write(kind)
                    self.wrote()
                self.load.done[kind] += 1
            except (pymysql.MySQLError, OSError, struct.error) as error:
                self.load.note(kind, error)
                self.drop(kind)
                self.load.stop.wait(0.05)
            self.load.stop.wait(max(0.0, PAUSE - (time.monotonic() - began)))
        self.drop("replica read")
        self.drop("")

    def wrote(self):
        now = time.monotonic()
        if self.last_write is not None and now - self.last_write > 0.02:
            self.writes.append((now, now - self.last_write))
        self.last_write = now

    def longest_gap(self, since):
        """The longest time between two acknowledged writes, the later one after `since`."""
        return max((gap for when, gap in self.writes if when >= since), default=0.02)

    def drop(self, kind):
        name = "reader" if kind == "replica read" else "connection"
        connection = getattr(self, name)
        setattr(self, name, None)
        if name == "connection":
            self.prepared = None
        if connection is not None:
            try:
                connection.close()
            except (pymysql.MySQLError, OSError):
                pass

    def write(self, kind):
        if self.connection is None:
            self.connection = self.load.cluster.connect(connect_timeout=30, read_timeout=90)
        load, me = self.load, self.number
        if kind == "counter update":
            self.counted_open += 1
            with self.connection.cursor() as cursor:
                cursor.execute("UPDATE failover_counters SET value = value + 1 WHERE run = %s AND writer = %s", (load.run, me))
            self.counted_open -= 1
            self.counted += 1
            return
        self.n += 1
        n = self.n
        if kind == "prepared insert" and self.prepared is None:
            self.prepared = Prepared(self.connection, INSERT.format("?", "?", "?", "?"))
        self.open.add(n)
        if kind == "prepared insert":
            self.prepared.execute(load.run, me, n, kind)
        else:
            with self.connection.cursor() as cursor:
                if kind == "transaction":
                    cursor.execute("BEGIN")
                    self.counted_open += 1
                cursor.execute(INSERT.format("%s", "%s", "%s", "%s"), (load.run, me, n, kind))
                if kind == "transaction":
                    cursor.execute("UPDATE failover_counters SET value = value + 1 WHERE run = %s AND writer = %s",
                                   (load.run, me))
                    cursor.execute("COMMIT")
                    self.counted_open -= 1
                    self.counted += 1
        self.open.discard(n)
        self.acknowledged.add(n)

    def read(self):
        if self.reader is None:
            self.reader = self.load.cluster.connect(database=self.load.cluster.keyspace + "@replica", connect_timeout=30,
                                                    read_timeout=90)
        with self.reader.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM failover_counters")
            cursor.fetchall()


class Load:
    """with Load(cluster) as load: ...   Writes while entered."""

    def __init__(self, cluster, writers=4):
        self.cluster = cluster
        self.run = f"{random.randrange(1 << 60):x}"
        self.stop = threading.Event()
        self.done = collections.Counter()
        self.errors = collections.Counter()
        self.writers = [Writer(self, number) for number in range(writers)]

    def __enter__(self):
        with self.cluster.connect() as connection, connection.cursor() as cursor:
            for statement in SCHEMA:
                cursor.execute(statement)
            for writer in self.writers:
                cursor.execute("INSERT INTO failover_counters VALUES (%s, %s, 0)", (self.run, writer.number))
        # Reads on replicas are a part of the mix: the tables are there before it begins.
        wait_until(lambda: all(self.is_on(uid) for uid in self.cluster.uids()), 60, "the load's tables on every tablet")
        for writer in self.writers:
            writer.start()
        return self

    def is_on(self, uid):
        with self.cluster.mysqld(uid) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'failover_counters'")
            if cursor.fetchone() != (1,):
                return False
            cursor.execute("SELECT COUNT(*) FROM failover_counters WHERE run = %s", (self.run,))
            return cursor.fetchone() == (len(self.writers),)

    def __exit__(self, *_):
        self.stop.set()
        for writer in self.writers:
            writer.join(timeout=120)
            assert not writer.is_alive(), f"{writer.name} waits for ever"

    def note(self, kind, error):
        self.errors[f"{kind}: " + " ".join(str(part) for part in error.args[:2])[:200]] += 1

    def all_wrote_since(self, moment):
        return all(writer.last_write is not None and writer.last_write > moment for writer in self.writers)

    def longest_gap(self, since):
        return max(writer.longest_gap(since) for writer in self.writers)

    def verify(self, connection):
        """(lost, doubled, what): acknowledged writes that are not there, and effects there more often than once. The load
        has ended."""
        lost, doubled, what = 0, 0, []
        with connection.cursor() as cursor:
            for writer in self.writers:
                cursor.execute("SELECT n, COUNT(*) FROM failover_ledger WHERE run = %s AND writer = %s GROUP BY n",
                               (self.run, writer.number))
                there = dict(cursor.fetchall())
                missing = sorted(writer.acknowledged - set(there))
                twice = sorted(n for n, count in there.items() if count > 1)
                cursor.execute("SELECT value FROM failover_counters WHERE run = %s AND writer = %s", (self.run, writer.number))
                value = cursor.fetchone()[0]
                short = max(0, writer.counted - value)
                over = max(0, value - writer.counted - writer.counted_open)
                lost += len(missing) + short
                doubled += len(twice) + over
                if missing or twice or short or over:
                    what.append(f"writer {writer.number}: lost {missing[:5]}, twice {twice[:5]}, counter {value} of "
                                f"{writer.counted} (+{writer.counted_open} open)")
        return lost, doubled, what
