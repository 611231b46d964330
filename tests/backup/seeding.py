"""What the tests of seeding and backup share: a load of their own, and whether all tablets hold the same."""

import shutil
import threading
import time

from local_cluster import kill, wait_until


LETTERS = "aAbB\u00e4Z"


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


def kinds(cluster):
    """A table with a column of each kind, and what is easily mangled; others without a key, with keys of text and of two parts."""
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kinds (id INT PRIMARY KEY, a BIGINT UNSIGNED, b DECIMAL(30,10), c DOUBLE, d VARCHAR(50), "
                       "e VARBINARY(50), f LONGBLOB, g JSON, h DATETIME(6), i TIMESTAMP(6) NULL, j TIME(3), k YEAR, l BIT(9), "
                       "m ENUM('x','y'), n SET('p','q'), o GEOMETRY, p CHAR(5) CHARACTER SET latin1, q FLOAT, "
                       "r INT GENERATED ALWAYS AS (id + 1) STORED, `s ``t` TEXT) DEFAULT CHARSET utf8mb4")
        cursor.execute("INSERT INTO kinds (id, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, `s ``t`) VALUES "
                       "(1, 18446744073709551615, -12345678901234567890.0123456789, 1e-300, '\u00e4\U0001F600\\'', X'00ff0a', "
                       "REPEAT(X'00', 70000), '{\"a\": [1, null]}', '2026-11-27 19:15:00.123456', '2026-11-27 19:15:00.123456', "
                       "'-838:59:58.999', 2026, b'101010101', 'y', 'p,q', ST_GeomFromText('POINT(1 2)'), '\u00e9', 16777.217, '')")
        cursor.execute("INSERT INTO kinds (id) VALUES (2)")
        cursor.execute("CREATE TABLE keyless (a INT, b VARCHAR(100))")
        cursor.execute("CREATE TABLE texts (a VARCHAR(30) CHARACTER SET utf8mb4, b INT, v INT, PRIMARY KEY (a, b))")
        for start in range(0, 6000, 1000):
            rows = ", ".join(f"({n}, 'row {n % 7}')" for n in range(start, start + 1000))
            cursor.execute(f"INSERT INTO keyless VALUES {rows}")
            rows = ", ".join(f"('{LETTERS[n % 6]}{n % 50}', {n}, {n})" for n in range(start, start + 1000))
            cursor.execute(f"INSERT INTO texts VALUES {rows}")


def programs(cluster):
    """Views that need each other, routines, a trigger, an event."""
    with cluster.as_dba(cluster.primary(), database=f"vt_{cluster.keyspace}") as connection, connection.cursor() as cursor:
        for sql in ("CREATE VIEW b_base AS SELECT a, COUNT(*) AS n FROM texts GROUP BY a",
                    "CREATE VIEW a_above AS SELECT MAX(n) AS m FROM b_base",
                    "CREATE FUNCTION twice (x INT) RETURNS INT DETERMINISTIC RETURN 2 * x",
                    "CREATE PROCEDURE noted (x INT) BEGIN INSERT INTO keyless VALUES (x, 'by a procedure; with \\'quotes\\''); END",
                    "CREATE TRIGGER counted BEFORE INSERT ON texts FOR EACH ROW SET NEW.v = NEW.v + 0",
                    "CREATE EVENT rarely ON SCHEDULE EVERY 1 YEAR STARTS '2030-01-01 00:00:00' DO DELETE FROM keyless"):
            cursor.execute(sql)


def definitions(cluster, uid):
    """All that is no table, as the server tells it."""
    schema = f"vt_{cluster.keyspace}"
    found = {}
    with cluster.as_dba(uid, database=schema) as connection, connection.cursor() as cursor:
        for kind, asked in (("VIEW", "SELECT table_name FROM information_schema.views WHERE table_schema = %s"),
                            ("PROCEDURE", "SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s AND "
                                          "routine_type = 'PROCEDURE'"),
                            ("FUNCTION", "SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s AND "
                                         "routine_type = 'FUNCTION'"),
                            ("TRIGGER", "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s")):
            cursor.execute(asked, (schema,))
            for (name,) in cursor.fetchall():
                cursor.execute(f"SHOW CREATE {kind} `{name}`")
                found[kind, name] = [part for part in cursor.fetchone() if isinstance(part, str)][:3]
        cursor.execute("SELECT event_name, event_definition, interval_value FROM information_schema.events WHERE event_schema = %s",
                       (schema,))
        found["EVENT"] = cursor.fetchall()
        cursor.execute("SELECT * FROM a_above")
        found["SELECT"] = cursor.fetchall()
    return found


def same_programs(cluster):
    all_of_them = [definitions(cluster, uid) for uid in cluster.uids()]
    assert len(all_of_them[0]) == 7 and all(each == all_of_them[0] for each in all_of_them), all_of_them


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
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name")
        tables = [row[0] for row in cursor.fetchall()]
        cursor.execute("CHECKSUM TABLE " + ", ".join(f"`{table}`" for table in tables))
        return {row[0]: row[1] for row in cursor.fetchall()}


def same_everywhere(cluster):
    """CHECKSUM TABLE of every table agrees on all tablets; the load must have ended."""
    def agree():
        found = [checksums(cluster, uid) for uid in cluster.uids()]
        return found[0] and all(each == found[0] for each in found)
    wait_until(agree, 60, "the same checksums on every tablet")


def told(cluster, uid, words="seeded from"):
    """How often a tablet's log has the words."""
    return (cluster.data_dir / f"log/vttablet-{uid}.log").read_text(errors="replace").count(words)


def seeded_again(cluster, uid, before=0, words="seeded from", seconds=150):
    """`before`: what told() said before the data was lost."""
    began = time.monotonic()
    wait_until(lambda: told(cluster, uid, words) > before, seconds, f"tablet {uid} to be seeded")
    wait_until(lambda: serves_as(cluster, uid), 60, f"tablet {uid} to serve again")
    catches_up(cluster, uid)
    return time.monotonic() - began
