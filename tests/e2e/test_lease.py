"""The lease: a primary that its replicas grant nothing serves nothing, and serves on as soon as one of them does."""

import json
import os
import signal
import time
import urllib.error
import urllib.request

import pymysql
import pytest
from ledger import Ledger
from local_cluster import FLAVORS, LocalCluster, alive, wait_until

GRANT_SECONDS = 1.0


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param) as cluster:
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


def page(cluster, uid, path):
    """A page of a tablet's vttablet."""
    words = command(cluster.pid(f"vttablet-{uid}"))
    port = int(words[words.index("--port") + 1])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
        return answer.read().decode()


def command(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return [word.decode() for word in file.read().split(b"\0")]


def serves(cluster, uid):
    try:
        return page(cluster, uid, "/debug/health") == "ok"
    except urllib.error.HTTPError:
        return False


class Stopped:
    """with Stopped(pids): ...   SIGSTOP while entered, SIGCONT when left, or before by go_on."""

    def __init__(self, *pids):
        self.pids = pids

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        return self

    def go_on(self, pid):
        os.kill(pid, signal.SIGCONT)

    def __exit__(self, *_):
        for pid in self.pids:
            if alive(pid):
                os.kill(pid, signal.SIGCONT)


def vttablets(cluster, *uids):
    return [cluster.pid(f"vttablet-{uid}") for uid in uids]


def test_one_replica_is_enough(cluster):
    first, second = vttablets(cluster, 101, 102)
    wait_until(lambda: serves(cluster, 100), 10, "the primary to serve")
    lapses = json.loads(page(cluster, 100, "/debug/vars"))["LeaseLapses"]
    with Stopped(first), Ledger(cluster, writers=2) as ledger:
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 3 * GRANT_SECONDS and len(ledger.acknowledged) > 20, 30, "writes")
        assert serves(cluster, 100)
    assert ledger.open == [], ledger.errors
    assert json.loads(page(cluster, 100, "/debug/vars"))["LeaseLapses"] == lapses


def test_without_grants_it_serves_nothing_and_with_one_again(cluster):
    """The replicas' mysqlds live and acknowledge; only their word is missing."""
    first, second = vttablets(cluster, 101, 102)
    wait_until(lambda: serves(cluster, 100), 10, "the primary to serve")
    with cluster.connect(read_timeout=20) as connection, connection.cursor() as cursor, Stopped(first, second) as stopped:
        began = time.monotonic()
        wait_until(lambda: not serves(cluster, 100), 5, "the primary to stop serving")
        took = time.monotonic() - began
        print(f"{cluster.flavor}: stopped serving {took:.2f} s after the replicas were stopped")
        # Asked every 250 ms, good for 1 s; the rest is this machine's.
        assert 0.5 < took < 2.5, took
        assert "lease" in unwell(cluster, 100)
        # Neither a read nor a write is answered; whether it waits in the gate or ends there is the gate's business.
        for statement in ("SELECT COUNT(*) FROM greetings", "INSERT INTO greetings (name, token) VALUES ('late', 'lease-1')"):
            with cluster.connect(read_timeout=2) as late, late.cursor() as asked, pytest.raises(pymysql.MySQLError):
                asked.execute(statement)
        began = time.monotonic()
        stopped.go_on(second)
        wait_until(lambda: serves(cluster, 100), 10, "the primary to serve again")
        print(f"{cluster.flavor}: serves {time.monotonic() - began:.2f} s after a replica went on")
        cursor.execute("SELECT COUNT(*) FROM greetings")
    cluster.wait_serving(10)
    assert json.loads(page(cluster, 100, "/debug/vars"))["LeaseLapses"] >= 1


def unwell(cluster, uid):
    try:
        return page(cluster, uid, "/debug/health")
    except urllib.error.HTTPError as error:
        return error.read().decode()


def test_a_write_under_way_is_not_answered_after_the_lease(cluster):
    """It sleeps in mysqld while the lease ends: what the client hears is not that it did not run."""
    first, second = vttablets(cluster, 101, 102)
    wait_until(lambda: serves(cluster, 100), 10, "the primary to serve")
    with cluster.connect(read_timeout=20) as connection, connection.cursor() as cursor:
        with Stopped(first, second):
            with pytest.raises(pymysql.MySQLError) as error:
                cursor.execute("INSERT INTO greetings (name, token) SELECT 'slow', 'lease-2' FROM (SELECT SLEEP(2)) AS s")
            assert error.value.args[0] not in (1205, 1213), "on which drivers run it again"
    cluster.wait_serving(10)


def test_the_lease_lasts_under_load(cluster):
    """All cores busy, statements and all: renewals keep up."""
    wait_until(lambda: serves(cluster, 100), 10, "the primary to serve")
    lapses = json.loads(page(cluster, 100, "/debug/vars"))["LeaseLapses"]
    with Ledger(cluster, writers=16) as ledger:
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 8, 20, "the load to last")
    found = json.loads(page(cluster, 100, "/debug/vars"))
    print(f"{cluster.flavor}: {len(ledger.acknowledged)} writes in 8 s; grants: {found['LeaseGrants']}")
    assert found["LeaseLapses"] == lapses, "the lease lapsed under load"
    assert ledger.open == [], ledger.errors
