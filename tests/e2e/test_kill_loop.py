"""kill -9 of any process, again and again under load: the cluster serves again, and no acknowledged greeting is lost or
doubled. Errors meanwhile are allowed here."""

import random
import subprocess
import time

import pytest
from ledger import Ledger
from local_cluster import FLAVORS, GREETER, LocalCluster, alive, kill, run, wait_until

SEED = 20261122
GREETER_SECONDS = 45


def deck(cluster, shuffle):
    """30 targets: each process twice, the gate and all of the primary's twice more."""
    primary = cluster.primary()
    names = ["vtgate", "vtctld"] + [f"{kind}-{uid}" for kind in ("vttablet", "mysqlctld", "mysqld") for uid in cluster.uids()]
    names += ["vtgate"] + [f"{kind}-{primary}" for kind in ("vttablet", "mysqlctld", "mysqld")]
    rounds = [list(names), list(names)]
    for each in rounds:
        shuffle.shuffle(each)
    return rounds[0] + rounds[1]


def back(cluster, name, was):
    """A new process of that name, and a write through vtgate."""
    return cluster.everything().get(name, was) != was and cluster.serves()


def same_rows_everywhere(cluster, ledger):
    def holds():
        rows = {}
        for uid in cluster.uids():
            with cluster.mysqld(uid) as connection:
                rows[uid] = ledger.rows(connection)
        return len({frozenset(found.items()) for found in rows.values()}) == 1
    wait_until(holds, 60, "the same greetings on every tablet")


@pytest.mark.parametrize("flavor", FLAVORS)
def test_nothing_acknowledged_is_lost(flavor, tmp_path):
    shuffle = random.Random(f"{SEED}-{flavor}")
    run([GREETER, "build"], seconds=400)
    with LocalCluster(flavor) as cluster:
        book = tmp_path / "greeter.ledger"
        load = [GREETER, "load", f"--seconds={GREETER_SECONDS}", "--workers=2", f"--ledger={book}", "--allow-errors",
                "--verify=false", *cluster.greeter_flags()]
        with open(tmp_path / "greeter.out", "w") as out:
            greeter = subprocess.Popen([str(word) for word in load], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            with Ledger(cluster) as ledger:
                for number, name in enumerate(deck(cluster, shuffle), 1):
                    pid = cluster.everything()[name]
                    acknowledged = len(ledger.acknowledged)
                    wait_until(lambda: len(ledger.acknowledged) > acknowledged, 40, "the load to be under way")
                    began = time.monotonic()
                    kill(pid)
                    wait_until(lambda: back(cluster, name, pid), 60, f"a new {name}, and writes through vtgate")
                    print(f"kill {number:2}: {name:<14} served again after {time.monotonic() - began:.1f} s", flush=True)
                greeter.wait(timeout=GREETER_SECONDS + 60)
                cold_stop(cluster)
        finally:
            greeter.kill()
        print(ledger.summary())
        cluster.up()
        cluster.wait_serving(60)
        with cluster.connect() as connection:
            ledger.verify(connection, "after the cold stop, through vtgate")
        same_rows_everywhere(cluster, ledger)
        for uid in cluster.uids():
            with cluster.mysqld(uid) as connection:
                ledger.verify(connection, f"on the mysqld of tablet {uid}")
        print((tmp_path / "greeter.out").read_text())
        print(run([GREETER, "verify", f"--ledger={book}", *cluster.greeter_flags()]))
        wait_until(lambda: "VERDICT: all is well" in cluster.status(check=False), 30, "a status that says all is well")


def cold_stop(cluster):
    """As when the power goes: everything at once, the supervisor first so that it starts nothing again."""
    running = cluster.everything()
    kill(running.pop("supervisor"))
    for pid in running.values():
        kill(pid)
    assert not [name for name, pid in running.items() if alive(pid)]
    assert cluster.leftovers() == [], "something was started again, or was not known"
