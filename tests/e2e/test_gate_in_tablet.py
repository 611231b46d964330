"""vtgate --with-tablet: gate and tablet in one process, reached without a hop, and the shard's other tablets as ever."""

import threading

import pymysql
import pytest
from ledger import Ledger
from local_cluster import FLAVORS, LocalCluster, kill, wait_until


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param, tablets=3, gate_in_tablet=True) as cluster:
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


def to_primary(cluster, uid):
    cluster.vtctldclient("PlannedReparentShard", f"{cluster.keyspace}/0", "--new-primary", f"{cluster.cell}-0000000{uid}")


def test_statements_of_all_kinds(cluster):
    assert "vtgate" not in cluster.pids()
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@hostname, CONNECTION_ID()")
        cursor.execute("INSERT INTO greetings (name) VALUES ('one process')")
        connection.begin()
        cursor.execute("INSERT INTO greetings (name) VALUES ('rolled back')")
        connection.rollback()
        cursor.execute("SELECT name FROM greetings WHERE name IN ('one process', 'rolled back')")
        assert cursor.fetchall() == (("one process",),)
        cursor.execute("SELECT REPEAT('x', 20000000)")  # more than any buffer on the way
        assert len(cursor.fetchone()[0]) == 20_000_000
        with pytest.raises(pymysql.MySQLError) as error:
            cursor.execute("SELECT nothing FROM greetings")
        assert error.value.args[0] == 1054
        sleeper = threading.Thread(target=lambda: pytest.raises(pymysql.MySQLError, cursor.execute, "SELECT SLEEP(60)"))
        sleeper.start()
        wait_until(lambda: cluster.connect().cursor().execute(f"KILL QUERY {connection.thread_id()}") == 0, 10, "the KILL")
        sleeper.join(30)


def test_reparents_there_and_back(cluster):
    with Ledger(cluster, writers=3) as ledger:
        for uid in (101, 100):
            wait_until(lambda: len(ledger.acknowledged) > 20, 20, "the load to be under way")
            to_primary(cluster, uid)
            before = len(ledger.acknowledged)
            wait_until(lambda: len(ledger.acknowledged) > before + 20, 20, f"writes at {uid}")
    with cluster.connect() as connection:
        ledger.verify(connection, "after two reparents")


def test_killed_it_comes_back(cluster):
    pid = cluster.pid("vttablet-100")
    kill(pid)
    wait_until(lambda: cluster.pid("vttablet-100") != pid, 30, "the process to be started again")
    cluster.wait_serving(60)
