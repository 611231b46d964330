"""What can happen to a primary, and how the cluster is watched meanwhile."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pymysql
from local_cluster import BIN, alive, wait_until

ALL = ("mysqld", "mysqlctld", "vttablet")


def pids(cluster, uid, *kinds):
    everything = cluster.everything()
    return [everything[f"{kind}-{uid}"] for kind in kinds if f"{kind}-{uid}" in everything]


def strike(victims, sign):
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)


class Event:
    """`do(cluster, uid)` harms the primary `uid`, and returns what takes it back, or None where it comes back by itself.
    `moves`: another tablet leads afterwards. `hold`: seconds from the harm until it is taken back. `restarts`: the process
    of the primary whose restart the gap is held against."""

    def __init__(self, name, do, moves=True, hold=0.0, network=False, topo=None, restarts=None):
        self.name, self.do, self.moves, self.hold = name, do, moves, hold
        self.network, self.topo, self.restarts = network, topo, restarts


def planned(cluster, uid):
    target = next(other for other in cluster.uids() if other != uid)
    subprocess.run([str(BIN / "vtctldclient"), "--server", f"127.0.0.1:{cluster.port(15999)}", "PlannedReparentShard",
                    f"{cluster.keyspace}/0", "--new-primary", f"{cluster.cell}-{target}"], check=True,
                   stdout=subprocess.DEVNULL, timeout=120)


def killed(*kinds):
    return lambda cluster, uid: strike(pids(cluster, uid, *kinds), signal.SIGKILL)


def frozen(*kinds):
    def do(cluster, uid):
        victims = pids(cluster, uid, *kinds)
        strike(victims, signal.SIGSTOP)
        return lambda: strike([pid for pid in victims if alive(pid)], signal.SIGCONT)
    return do


def cut(cluster, uid):
    cluster.cut(uid)
    return cluster.heal_network


def members(cluster):
    return [pid for name, pid in cluster.everything().items() if name.startswith("etcd")]


def without_etcd(then=None, after=2.0):
    """All members stop, their wrappers too, which would start a silent one anew. `then` happens `after` seconds later."""
    def do(cluster, uid):
        victims = members(cluster)
        strike(victims, signal.SIGSTOP)
        if then is not None:
            time.sleep(after)  # so that every watch and lease has noticed
            then(cluster, uid)
        return lambda: strike(victims, signal.SIGCONT)
    return do


def events(etcd_seconds=60.0):
    return [
        Event("PlannedReparentShard", planned),
        Event("kill -9 of mysqld", killed("mysqld")),
        Event("kill -9 of mysqld, mysqlctld and vttablet", killed(*ALL)),
        Event("SIGSTOP of mysqld and vttablet", frozen("mysqld", "vttablet"), hold=8),
        Event("network cut off from everyone", cut, hold=8, network=True),
        Event("kill -9 of vttablet alone", killed("vttablet"), moves=False, restarts="vttablet"),
        Event("all of etcd down", without_etcd(), moves=False, hold=etcd_seconds, topo="etcd"),
        Event("all of etcd down, kill -9 of mysqld meanwhile", without_etcd(killed("mysqld"), min(10.0, etcd_seconds / 3)),
              hold=etcd_seconds, topo="etcd"),
    ]


def leader(cluster):
    """The uid of the serving primary as clients of vtgate see it; needs no topology."""
    with cluster.connect(connect_timeout=5, read_timeout=10) as connection, connection.cursor() as cursor:
        return serving_primaries(cursor)[0]


def serving_primaries(cursor):
    cursor.execute("SHOW VITESS_TABLETS")
    return [int(row[5].rsplit("-", 1)[1]) for row in cursor.fetchall() if row[3] == "PRIMARY" and row[4] == "SERVING"]


def answers_again(cluster, uid, process, dead_pid, patience):
    """Waits until a killed process runs again and its gRPC port answers; the moment of it."""
    def there():
        if cluster.pids().get(f"{process}-{uid}") in (dead_pid, None):
            return False
        with socket.create_connection((cluster.address(uid), cluster.port(16000 + uid)), timeout=1):
            return time.monotonic()
    return wait_until(there, patience, f"{process} of {uid} to run again")


def timelines(cluster, since):
    """What each vtorc did since a wall-clock time, as lines."""
    lines = []
    for number in range(2):
        url = f"http://127.0.0.1:{cluster.port(16000 + number)}/api/recoveries"
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=5) as page:
            for each in json.load(page):
                if each["began_unix_ms"] >= since * 1000:
                    stages = ", ".join(f"{stage['unix_ms'] - since * 1000:.0f} {stage['stage']}" for stage in each["stages"])
                    lines.append(f"vtorc-{number} {each['analysis']} {each['tablet']} {each['remedy']}: {stages} {each['error']}")
    return lines


class Watch(threading.Thread):
    """Looks for two serving primaries at once, as a client of vtgate sees them."""

    def __init__(self, cluster):
        super().__init__(name="watch", daemon=True)
        self.cluster = cluster
        self.stop = threading.Event()
        self.seen = 0  # looks that showed two
        self.looks = 0

    def run(self):
        connection = None
        while not self.stop.wait(0.05):
            try:
                connection = connection or self.cluster.connect(connect_timeout=5, read_timeout=10)
                with connection.cursor() as cursor:
                    serving = serving_primaries(cursor)
                self.looks += 1
                self.seen += len(serving) > 1
            except (pymysql.MySQLError, OSError):
                connection = None

    def end(self):
        self.stop.set()
        self.join(timeout=20)


def follows(cluster, uid, primary):
    """True when the mysqld of `uid` replicates, running, from that of `primary`, and is read-only."""
    with cluster.as_dba(uid, connect_timeout=2, read_timeout=5, cursorclass=pymysql.cursors.DictCursor) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SHOW SLAVE STATUS" if cluster.flavor == "mariadb" else "SHOW REPLICA STATUS")
            row = cursor.fetchone()
            if row is None:
                return False
            old = cluster.flavor == "mariadb"
            port = row["Master_Port" if old else "Source_Port"]
            io = row["Slave_IO_Running" if old else "Replica_IO_Running"]
            sql = row["Slave_SQL_Running" if old else "Replica_SQL_Running"]
            cursor.execute("SELECT @@global.read_only AS r")
            return port == cluster.port(17000 + primary) and io == sql == "Yes" and cursor.fetchone()["r"] == 1


def all_follow(cluster, primary):
    return all(follows(cluster, uid, primary) for uid in cluster.uids() if uid != primary)


def way_back(text):
    """How an old primary came back, by what its vttablet wrote meanwhile."""
    if re.search(r"seeded anew|seeding from|restored from", text):
        return "clone"
    if "needs" in text and "seed" in text:
        return "needs a seed"
    if "comes back under" in text:
        return "rewind"
    return "as it was"


class Round:
    """What one event did. Times in seconds."""

    def __init__(self, event, flavor):
        self.event, self.flavor = event, flavor
        self.gap = self.back = self.restart = None
        self.way, self.errors, self.lost, self.doubled, self.two_primaries, self.looks = "", 0, 0, 0, 0, 0
        self.moved, self.trouble, self.texts, self.timelines = None, "", [], []

    def clean(self):
        """True when nothing was lost, doubled, failed or seen double, and the right tablet leads."""
        return not (self.trouble or self.lost or self.doubled or self.errors or self.two_primaries or not self.looks
                    or self.moved != self.event.moves)


def age(pid):
    """Seconds since a process was started."""
    ticks = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    return float(pathlib.Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def play(cluster, event, load_type, patience=60.0):
    """One round of one event on a healthy cluster; leaves it healthy."""
    result = Round(event, cluster.flavor)
    def well():
        primary = leader(cluster)
        return primary if primary == cluster.primary() and all_follow(cluster, primary) else None
    old = wait_until(well, patience, "every replica to follow before the event")
    if event.restarts:
        # The supervisor holds back what dies again within 3 s, as it should.
        wait_until(lambda: all(age(pid) > 4 for pid in pids(cluster, old, event.restarts)), 60, "what is killed to be at work")
    log = cluster.data_dir / "log" / f"vttablet-{old}.log"
    offset = log.stat().st_size
    watch = Watch(cluster)
    with load_type(cluster) as load:
        start = time.monotonic()
        wait_until(lambda: load.all_wrote_since(start + 0.5), 60, "the load to be under way")
        watch.start()
        wait_until(lambda: watch.looks, 60, "a first look at the tablets")
        restarting = pids(cluster, old, event.restarts) if event.restarts else []
        began, began_wall = time.monotonic(), time.time()
        undo = event.do(cluster, old)
        returned = began
        try:
            if restarting:
                result.restart = answers_again(cluster, old, event.restarts, restarting[0], patience) - began
            wait_until(lambda: load.all_wrote_since(began + 0.05), patience, "each writer to write again")
            if event.moves:
                wait_until(lambda: leader(cluster) != old, patience, "another primary")
            time.sleep(max(0.5, event.hold - (time.monotonic() - began)))
        finally:
            if undo is not None:
                returned = time.monotonic()
                undo()
        wait_until(lambda: load.all_wrote_since(time.monotonic() - 0.5), patience, "writes to go on")
        primary = wait_until(lambda: leader(cluster), patience, "a primary")
        result.moved = primary != old
        if result.moved:
            wait_until(lambda: follows(cluster, old, primary), patience, "the old primary to be a replica")
            result.back = time.monotonic() - returned
            wait_until(lambda: cluster.primary() == primary, patience, "the new primary in the record")
        settle = time.monotonic()
        wait_until(lambda: load.all_wrote_since(settle), patience, "writes in the end")
        result.gap = load.longest_gap(began)
    watch.end()
    with open(log, errors="replace") as lines:
        lines.seek(offset)
        result.way = way_back(lines.read()) if result.moved else ""
    with cluster.connect() as connection:
        result.lost, result.doubled, result.texts = load.verify(connection)
    result.errors = sum(load.errors.values())
    result.texts += [f"{count} x {text}" for text, count in load.errors.most_common(6)]
    result.two_primaries, result.looks = watch.seen, watch.looks
    result.timelines = timelines(cluster, began_wall)
    return result
