"""What the tests of seeding and backup share: a load of their own, and whether all tablets hold the same."""

import shutil
import threading
import time

from local_cluster import kill, wait_until


class Load:
    """One writer through vtgate; errors are allowed, what was acknowledged is counted."""

    def __init__(self, cluster):
        self.cluster, self.acknowledged, self.stop = cluster, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.acknowledged > 0, 30, "the load to be under way")
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)

    def run(self):
        while not self.stop.is_set():
            try:
                with self.cluster.connect(read_timeout=10) as connection, connection.cursor() as cursor:
                    while not self.stop.is_set():
                        cursor.execute("INSERT INTO greetings (name) VALUES ('load')")
                        self.acknowledged += 1
                        self.stop.wait(0.02)
            except Exception:  # noqa: BLE001: the cluster is being hurt; the count says what was promised
                self.stop.wait(0.1)


def fill(cluster, rows=200, bytes_each=20000):
    """A table that makes a seed carry something."""
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS filler (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)")
        for _ in range(rows // 20):
            cursor.execute("INSERT INTO filler (v) VALUES " + ", ".join([f"(REPEAT(UUID(), {bytes_each // 36}))"] * 20))


def lose_data(cluster, uid):
    """The folders of data and logs are gone, as with a volume that was emptied, and then mysqld dies."""
    pid = cluster.mysqld_pid(uid)
    for part in ("data", "innodb", "bin-logs", "relay-logs"):
        shutil.rmtree(cluster.data_dir / f"vt_{uid:010d}" / part, ignore_errors=True)
    kill(pid)


def record(cluster, uid):
    import json
    return json.loads(cluster.vtctldclient("GetTablet", f"{cluster.cell}-{uid:010d}"))["tablet"]


def serves_as(cluster, uid, kind="replica"):
    """True when ListAllTablets has it with that type and vtgate reads through it."""
    lines = [line for line in cluster.vtctldclient("ListAllTablets").splitlines() if f"-{uid:010d} " in line]
    return len(lines) == 1 and f" {kind} " in lines[0] and "seed:" not in lines[0]


def catches_up(cluster, uid):
    """It has all rows that its primary had when asked."""
    with cluster.mysqld(cluster.primary()) as primary, primary.cursor() as cursor:
        cursor.execute("SELECT MAX(id) FROM greetings")
        newest = cursor.fetchone()[0]

    def has():
        with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT MAX(id) FROM greetings")
            return cursor.fetchone()[0] >= newest
    wait_until(has, 60, f"tablet {uid} to have row {newest}")


def checksums(cluster, uid):
    with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name")
        tables = [row[0] for row in cursor.fetchall()]
        cursor.execute("CHECKSUM TABLE " + ", ".join(f"`{table}`" for table in tables))
        return {row[0]: row[1] for row in cursor.fetchall()}


def same_everywhere(cluster):
    """CHECKSUM TABLE of every table agrees on all tablets; the load must have ended."""
    def agree():
        found = [checksums(cluster, uid) for uid in cluster.uids()]
        return found[0] and all(each == found[0] for each in found)
    wait_until(agree, 60, "the same checksums on every tablet")


def seeded_again(cluster, uid, seconds=150):
    began = time.monotonic()
    log = cluster.data_dir / f"log/vttablet-{uid}.log"
    wait_until(lambda: "seeded from" in log.read_text(errors="replace"), seconds, f"tablet {uid} to be seeded")
    wait_until(lambda: serves_as(cluster, uid), 60, f"tablet {uid} to serve again")
    catches_up(cluster, uid)
    return time.monotonic() - began
