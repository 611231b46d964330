#!/usr/bin/python3
"""Chaos on real processes: list-append and bank through vtgate while faults follow each other, then a verdict.

usage: tests/chaos/run_chaos.py [--flavor=mysql|mariadb] [--topo=embedded|etcd] [--network] [--disks] [--clocks]
       [--seconds=600] [--seed=N] [--only=WORDS]
"""

import argparse
import contextlib
import pathlib
import random
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
sys.path.insert(0, str(HERE))

from history import check  # noqa: E402
from local_cluster import LocalCluster, wait_until  # noqa: E402
from nemesis import CLOCKS, DISKS, ETCD, NEMESES, NETWORK  # noqa: E402
from network_cluster import NetworkCluster  # noqa: E402
from workload import ACCOUNTS, EACH, Lists, Load  # noqa: E402


def healed(cluster):
    """One primary, which alone is writable, and all others replicate from it with its data."""
    primary = cluster.primary()
    sums = {}
    for uid in cluster.uids():
        with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@global.read_only")
            if bool(cursor.fetchone()[0]) == (uid == primary):
                return False
            cursor.execute("CHECKSUM TABLE lists, accounts")
            sums[uid] = [total for _, total in cursor.fetchall()]
    return len({tuple(each) for each in sums.values()}) == 1


@contextlib.contextmanager
def clocks_to_move():
    """The environment in which each process has a wall clock of its own."""
    with tempfile.TemporaryDirectory(prefix="paceline-clocks-") as folder:
        pathlib.Path(folder).chmod(0o777)  # mysqld runs as another user
        shim = pathlib.Path(folder) / "clock_shim.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, HERE / "clock_shim.c", "-ldl"], check=True)
        offsets = pathlib.Path(folder) / "offsets"
        offsets.mkdir()
        offsets.chmod(0o777)
        yield {"LD_PRELOAD": str(shim), "PACELINE_CLOCKS": str(offsets)}


def run(flavor, topo="embedded", seconds=600, seed=1, only="", network=False, disks=False, clocks=False, once=False, out=print):
    """Returns the list of what is wrong; empty: clean. `once`: each fault briefly, until all have been there or the time is up."""
    faults = {**NEMESES, **(ETCD if topo == "etcd" else {}), **(NETWORK if network else {}), **(DISKS if disks else {}),
              **(CLOCKS if clocks else {})}
    faults = {name: act for name, act in faults.items() if only in name}
    with clocks_to_move() if clocks else contextlib.nullcontext() as environment:
        cluster = (NetworkCluster if network else LocalCluster)(flavor, topo=topo, vtorc=True, disk_mb=1024 if disks else 0,
                                                                environment=environment)
        with cluster:
            return under_load(cluster, faults, seconds, seed, once, out)


def under_load(cluster, faults, seconds, seed, once, out):
    dice = random.Random(f"{seed}-{cluster.flavor}")
    deck = []
    with Load(cluster, seed) as load:
        wait_until(lambda: load.done() > 20, 60, "the load to be under way")
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end and not (once and number == len(faults)):
            if not deck:
                deck = sorted(faults)
                dice.shuffle(deck)
            name = deck.pop()
            number += 1
            before, began = load.done(), time.monotonic()
            told = faults[name](cluster, dice, hold=dice.uniform(0.5, 2 if once else 6))
            wait_until(lambda: load.done() > before + 20, 60, f"transactions again after: {name}")
            out(f"{number:3}. {name} ({told}): {time.monotonic() - began:.1f} s", flush=True)
            time.sleep(dice.uniform(0.1, 0.5 if once else 2))
    wait_until(lambda: healed(cluster), 60, "one writable primary, and the same data everywhere")
    with cluster.connect() as connection:
        verdict = check(load.history(), Lists.final(connection))
        with connection.cursor() as cursor:
            cursor.execute("SELECT SUM(balance) FROM accounts")
            total = int(cursor.fetchone()[0])
    wrong = [f"{name}: {what}" for name, what in verdict.anomalies]
    wrong += [f"bank: {what}" for client in load.banks for what in client.wrong]
    if total != ACCOUNTS * EACH:
        wrong.append(f"bank: {total} in the end, not {ACCOUNTS * EACH}")
    out(f"{cluster.flavor}, seed {seed}: {number} faults; {verdict.counts}; longest gap of a client {load.longest_gap():.2f} s")
    for error, count in load.errors().most_common(12):
        out(f"   {count} x {error}")
    cluster.failed = bool(wrong)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flavor", default="mysql", choices=("mysql", "mariadb"))
    parser.add_argument("--topo", default="embedded", choices=("embedded", "etcd"))
    parser.add_argument("--network", action="store_true", help="tablets in network namespaces, and faults of the network too")
    parser.add_argument("--disks", action="store_true", help="each tablet on a small disk of its own, which is filled; needs root")
    parser.add_argument("--clocks", action="store_true", help="wall clocks of tablets jump; needs cc")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="only faults whose name has these words")
    options = parser.parse_args()
    wrong = run(options.flavor, options.topo, options.seconds, options.seed, options.only, options.network,
                options.disks, options.clocks)
    for each in wrong[:40]:
        print("ANOMALY", each)
    print("VERDICT: " + ("clean" if not wrong else f"{len(wrong)} anomalies (seed {options.seed})"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
