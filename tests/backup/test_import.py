"""A plain server becomes a shard while it is written: copied, followed, switched over to and back, with nothing lost or
doubled; and what cannot be imported is refused before anything is changed."""

import time

import pytest
from import_source import DATABASE, ImportCluster, Source, Writers
from local_cluster import FLAVORS, kill, wait_until

pytestmark = pytest.mark.long  # until it has been seen to pass on both: docs/verification.md

STOP_MAX = 1.0  # s without an acknowledged write of any client, through a switch
KINDS = """CREATE TABLE kinds (id INT PRIMARY KEY, a BIGINT UNSIGNED, b DECIMAL(30,10), c DOUBLE, d VARCHAR(50), e VARBINARY(50),
 f LONGBLOB, g JSON, h DATETIME(6), i TIMESTAMP(6) NULL, j TIME(3), k YEAR, l BIT(9), m ENUM('x','y'), n SET('p','q'),
 o GEOMETRY, p CHAR(5) CHARACTER SET latin1, q FLOAT, r INT GENERATED ALWAYS AS (id + 1) STORED, `s ``t` TEXT)
 DEFAULT CHARSET utf8mb4"""
ROW = """INSERT INTO kinds (id, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, `s ``t`) VALUES
 (1, 18446744073709551615, -12345678901234567890.0123456789, 1e-300, '\u00e4\U0001F600\\'', X'00ff0a', REPEAT(X'005c27', 70000),
 '{"a": [1, null]}', '2026-11-27 19:15:00.123456', '2026-11-27 19:15:00.123456', '-838:59:58.999', 2026, b'101010101', 'y',
 'p,q', ST_GeomFromText('POINT(1 2)'), '\u00e9', 16777.217, '')"""
TABLES = ("kinds", "keyless", "parent", "child", "ledger")


def fill(source):
    """Columns of each kind, what is easily mangled, and all that is no table."""
    with source.root(database=DATABASE) as connection, connection.cursor() as cursor:
        for sql in (KINDS, ROW, "INSERT INTO kinds (id) VALUES (2)", "CREATE TABLE keyless (a INT, b VARCHAR(100))",
                    "CREATE TABLE parent (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)",
                    "CREATE TABLE child (id INT PRIMARY KEY, owner INT, FOREIGN KEY (owner) REFERENCES parent (id))",
                    "CREATE TABLE ledger (id BIGINT PRIMARY KEY AUTO_INCREMENT, writer INT, number INT)",
                    "CREATE TABLE counts (n INT)", "INSERT INTO counts VALUES (0)",
                    "CREATE VIEW b_base AS SELECT b, COUNT(*) AS n FROM keyless GROUP BY b",
                    "CREATE VIEW a_above AS SELECT MAX(n) AS m FROM b_base",
                    "CREATE FUNCTION twice (x INT) RETURNS INT DETERMINISTIC RETURN 2 * x",
                    "CREATE PROCEDURE noted (x INT) BEGIN INSERT INTO keyless VALUES (x, 'by a procedure; \\'quoted\\''); END",
                    "CREATE TRIGGER counted AFTER INSERT ON parent FOR EACH ROW UPDATE counts SET n = n + 1",
                    "CREATE EVENT rarely ON SCHEDULE EVERY 1 YEAR STARTS '2030-01-01 00:00:00' DO DELETE FROM keyless"):
            cursor.execute(sql)
        for start in range(0, 6000, 1000):
            rows = ", ".join(f"({n}, 'row {n % 7}')" for n in range(start, start + 1000))
            cursor.execute(f"INSERT INTO keyless VALUES {rows}")
        for _ in range(8):
            cursor.execute("INSERT INTO parent (v) VALUES " + ", ".join(["(REPEAT(UUID(), 500))"] * 100))
        cursor.execute("INSERT INTO child SELECT id, id FROM parent")


def checksums(connection):
    with connection, connection.cursor() as cursor:
        sums = {}
        for table in TABLES:
            cursor.execute(f"CHECKSUM TABLE {DATABASE}.{table}")
            sums[table] = cursor.fetchone()[1]
        return sums


def programs(connection):
    with connection, connection.cursor() as cursor:
        found = {}
        for kind, name, column in (("VIEW", "a_above", 1), ("VIEW", "b_base", 1), ("FUNCTION", "twice", 2),
                                   ("PROCEDURE", "noted", 2), ("TRIGGER", "counted", 2)):
            cursor.execute(f"SHOW CREATE {kind} {DATABASE}.{name}")
            found[name] = cursor.fetchone()[column]
        cursor.execute("SELECT event_name, event_definition, interval_value, interval_field FROM information_schema.events "
                       f"WHERE event_schema = '{DATABASE}'")
        found["events"] = cursor.fetchall()
        cursor.execute(f"SELECT * FROM {DATABASE}.a_above")
        found["a_above's row"] = cursor.fetchall()
        return found


def same_everywhere(source, cluster):
    """REQUIRES: nobody writes."""
    wanted = checksums(source.root())
    for uid in cluster.uids():
        wait_until(lambda: checksums(cluster.as_dba(uid)) == wanted, 30, f"tablet {uid} to hold what the source holds")
        assert programs(cluster.as_dba(uid)) == programs(source.root())


@pytest.fixture(scope="module", params=FLAVORS)
def flavor(request):
    return request.param


def test_there_and_back_and_confirmed(flavor):
    with Source(flavor) as source, ImportCluster(flavor, vtorc=True) as cluster:
        fill(source)
        with Writers(source, cluster) as writers:
            print(cluster.create(source))
            refused = cluster.vtctldclient("PlannedReparentShard", f"{DATABASE}/0", check=False)
            assert "is being imported" in refused, refused
            cluster.wait_replicating()
            assert "next:     Import switch shop/0" in cluster.importing("show")
        same_everywhere(source, cluster)

        with Writers(source, cluster) as writers:
            def moved(verb, number):
                since = time.monotonic()
                said = cluster.importing(verb)
                took = time.monotonic() - since
                writers.go_on()
                gap = writers.longest_gap(since)
                print(f"{flavor}: {verb} {number} took {took:.2f} s, no write for {gap:.3f} s\n{said}")
                assert gap < STOP_MAX, (verb, gap, said)
                return said

            assert "leads shop/0" in moved("switch", 1)
            wait_until(lambda: source.replicates_from() == cluster.port(17000 + cluster.primary()), 10, "the source to follow")
            assert "phase:    switched" in cluster.importing("show")
            assert "takes the writes again" in moved("back", 1)
            assert source.replicates_from() is None
            cluster.wait_replicating(60)
            assert "leads shop/0" in moved("switch", 2)
        writers.check(cluster.connect())
        wait_until(lambda: source.replicates_from(), 10, "the source to follow")
        same_everywhere(source, cluster)
        with cluster.connect() as connection, connection.cursor() as cursor:
            # Programs run with the rights of those who made them, who are not accounts of a tablet.
            cursor.execute("INSERT INTO parent (v) VALUES ('after the switch')")
            cursor.execute("SELECT n FROM counts")
            assert cursor.fetchone()[0] == 801
            cursor.execute("SELECT twice(4)")
            assert cursor.fetchone()[0] == 8

        print(cluster.importing("complete"))
        assert source.replicates_from() is None
        assert source.ask("SELECT @@read_only")[0][0] == 1
        assert "is not being imported" in cluster.importing("show", check=False)
        cluster.vtctldclient("PlannedReparentShard", f"{DATABASE}/0")  # a shard as any other


def test_canceled_and_begun_anew(flavor):
    """Also: a copy that is cut short by crashes begins anew."""
    with Source(flavor) as source, ImportCluster(flavor) as cluster:
        fill(source)
        with Writers(source, cluster) as writers:
            cluster.create(source)
            kill(cluster.pid("vttablet-100"))
            wait_until(lambda: "tablet:" in cluster.importing("show"), 60, "the tablet to be back")
            kill(cluster.mysqld_pid(100))
            cluster.wait_replicating()
            kill(cluster.pid("vttablet-101"))
            cluster.wait_replicating()
            said = cluster.importing("cancel", seconds=180)
            assert "is canceled" in said
            writers.go_on()
            for uid in cluster.uids():
                with cluster.as_dba(uid) as connection, connection.cursor() as cursor:
                    cursor.execute("SHOW DATABASES")
                    assert {row[0] for row in cursor.fetchall()} - {"mysql", "sys", "information_schema", "performance_schema"} == set()
                    cursor.execute("SELECT user FROM mysql.user WHERE user IN ('app', 'import', 'root')")
                    assert cursor.fetchall() == ()
            # Two servers with nothing, of which one may lead, or import again.
            cluster.create(source)
            cluster.wait_replicating()
            assert "leads shop/0" in cluster.importing("switch")
            writers.go_on()
        writers.check(cluster.connect())
        assert "Import back first" in cluster.importing("cancel", check=False)


def test_a_switch_that_fails_changes_nothing(flavor):
    """The source cannot be closed in time, and takes writes again."""
    with Source(flavor) as source, ImportCluster(flavor, tablets=1) as cluster:
        fill(source)
        with Writers(source, cluster) as writers:
            cluster.create(source)
            cluster.wait_replicating()
            with source.root(database=DATABASE) as connection, connection.cursor() as cursor:
                cursor.execute("LOCK TABLES counts WRITE")  # which nothing but its own session ends
                said = cluster.importing("switch", "--write-stop-max=500ms", check=False)
            print(said)
            assert "the source takes writes again" in said and "holds tables locked" in said
            writers.go_on()
            assert source.ask("SELECT @@read_only")[0][0] == 0
            cluster.wait_replicating(60)
            assert "leads shop/0" in cluster.importing("switch")
            writers.go_on()
        writers.check(cluster.connect())


def test_what_is_refused(flavor):
    with Source(flavor) as source, ImportCluster(flavor, tablets=1) as cluster:
        fill(source)

        def refused(*texts, **options):
            said = cluster.create(source, check=False, **options)
            for text in texts:
                assert text in said, said
            assert "is not being imported" in cluster.importing("show", check=False)
            cluster.wait_serving_nothing_new()

        cluster.wait_serving_nothing_new = lambda: cluster.vtctldclient("GetShard", f"{DATABASE}/0")
        refused("Access denied", password="wrong")
        said = cluster.create(source, "--source-db=other", check=False)
        assert "it has no database other, but shop" in said, said
        source.ask("CREATE DATABASE other")
        said = cluster.create(source, "--source-db=other", check=False)
        assert "--init-db-name-override=other" in said, said
        source.ask("DROP DATABASE other")
        source.ask("CREATE DATABASE _vt")
        refused("a tablet of Paceline or Vitess already")
        source.ask("DROP DATABASE _vt")
        source.ask("SET GLOBAL read_only = 1")
        refused("it is read-only")
        source.ask("SET GLOBAL read_only = 0")
        source.ask(f"CREATE TABLE {DATABASE}.old (id INT PRIMARY KEY) ENGINE=MyISAM")
        refused("shop.old (MyISAM)", "ENGINE = InnoDB")
        source.ask(f"DROP TABLE {DATABASE}.old")
        source.ask("REVOKE RELOAD ON *.* FROM 'import'@'%'")
        refused("the account lacks RELOAD")
        source.ask("GRANT RELOAD ON *.* TO 'import'@'%'")
        if flavor == "mysql":
            source.restart(gtid_mode="OFF")
            refused("its gtid_mode is OFF")
            source.restart(gtid_mode="ON", skip_log_bin=None, without=("log_bin",))
        else:
            source.restart(without=("log_bin",))
        refused("its binary log is off")

        # A tablet of Paceline, this very one.
        with cluster.as_dba(100) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER 'import'@'%' IDENTIFIED BY 'secret'")
            cursor.execute("GRANT ALL ON *.* TO 'import'@'%'")
        itself = type("Tablet", (), {"port": cluster.port(17100)})
        said = cluster.create(itself, password="secret", check=False)
        assert "a tablet of Paceline or Vitess already" in said and "as the tablet's" in said, said

        # A shard that holds something.
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE own (id INT PRIMARY KEY)")
        refused("holds data of its own (1 tables in shop)")
