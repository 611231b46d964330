"""What keeps a primary busy causes no failover."""

import threading
import time

import pymysql
import pytest
from local_cluster import FLAVORS, LocalCluster, wait_until

HOLD = 8.0  # longer than any patience of vtorc that could end in a failover


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param, vtorc=True) as cluster:
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE big (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)")
            cursor.execute("INSERT INTO big (v) VALUES (REPEAT('x', 1000000))")
            for _ in range(5):
                cursor.execute("INSERT INTO big (v) SELECT v FROM big")
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


@pytest.fixture
def stays(cluster):
    """The same primary before and after, and it serves."""
    before = cluster.primary()
    yield before
    cluster.wait_serving(90)
    assert cluster.primary() == before


def test_flush_tables_with_read_lock(cluster, stays):
    with cluster.as_dba(stays, database=f"vt_{cluster.keyspace}") as connection, connection.cursor() as cursor:
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        time.sleep(HOLD)
        cursor.execute("UNLOCK TABLES")


def test_one_huge_transaction(cluster, stays):
    with cluster.connect(read_timeout=300) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE big SET v = CONCAT(v, 'y')")
        cursor.execute("UPDATE big SET v = CONCAT(v, 'z')")
        cursor.execute("COMMIT")
        cursor.execute("SELECT COUNT(*) FROM big WHERE v LIKE '%yz'")
        assert cursor.fetchone()[0] == 32


def test_an_alter_that_copies_the_table(cluster, stays):
    with cluster.connect(read_timeout=300) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE big ADD COLUMN more INT, ALGORITHM=COPY")


def test_a_dump(cluster, stays):
    """What mysqldump --single-transaction --master-data does."""
    with cluster.as_dba(stays, database=f"vt_{cluster.keyspace}") as connection, connection.cursor(pymysql.cursors.SSCursor) as cursor:
        for statement in ("FLUSH TABLES", "FLUSH TABLES WITH READ LOCK", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                          "START TRANSACTION WITH CONSISTENT SNAPSHOT", "UNLOCK TABLES"):
            cursor.execute(statement)
        cursor.execute("SELECT * FROM big")
        assert sum(1 for _ in cursor) == 32


def test_many_connections_that_wait_for_a_lock(cluster, stays):
    """Every connection of the pools is taken."""
    with cluster.as_dba(stays, database=f"vt_{cluster.keyspace}") as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES greetings WRITE")
        stop = threading.Event()

        def wait():
            with cluster.connect(read_timeout=120) as client, client.cursor() as each:
                while not stop.is_set():
                    each.execute("INSERT INTO greetings (name) VALUES ('waits')")
        clients = [threading.Thread(target=wait, daemon=True) for _ in range(30)]
        for client in clients:
            client.start()
        time.sleep(HOLD)
        cursor.execute("UNLOCK TABLES")
        stop.set()
        for client in clients:
            client.join(timeout=90)
        wait_until(lambda: not any(client.is_alive() for client in clients), 1, "every client to end")
