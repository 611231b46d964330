"""What can happen to a cluster, one fault after the other. Each does its harm, holds it for some seconds and takes it back
where something must be taken back; what was killed comes back by itself."""

import os
import pathlib
import signal
import struct
import time

from local_cluster import alive, kill, wait_until


def pids_of_tablet(cluster, uid, *kinds):
    everything = cluster.everything()
    return [everything[f"{kind}-{uid}"] for kind in kinds if f"{kind}-{uid}" in everything]


def killed(*kinds, of="primary"):
    """kill -9 of processes of one tablet at once."""
    def act(cluster, dice, hold):
        del hold
        uid = choose(cluster, dice, of)
        for pid in pids_of_tablet(cluster, uid, *kinds):
            kill(pid)
        return f"{uid}"
    return act


def frozen(*kinds, of="primary"):
    """SIGSTOP, and SIGCONT after the hold."""
    def act(cluster, dice, hold):
        uid = choose(cluster, dice, of)
        pids = pids_of_tablet(cluster, uid, *kinds)
        freeze(pids, hold)
        return f"{uid} for {hold:.1f} s"
    return act


def freeze(pids, hold):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(hold)
    finally:
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGCONT)


def process_killed(prefix):
    def act(cluster, dice, hold):
        del hold
        name, pid = dice.choice([(n, p) for n, p in sorted(cluster.everything().items()) if n.startswith(prefix)])
        kill(pid)
        return name
    return act


def process_frozen(prefix):
    def act(cluster, dice, hold):
        name, pid = dice.choice([(n, p) for n, p in sorted(cluster.everything().items()) if n.startswith(prefix)])
        freeze([pid], hold)
        return f"{name} for {hold:.1f} s"
    return act


def planned(cluster, dice, hold):
    del hold
    target = dice.choice([uid for uid in cluster.uids() if uid != cluster.primary()])
    answer = cluster.vtctldclient("PlannedReparentShard", f"{cluster.keyspace}/0", "--new-primary",
                                  f"{cluster.cell}-{target}", check=False, seconds=90)
    return f"to {target}" + (f" ({answer.splitlines()[-1][:80]})" if "rror" in answer else "")


def twice(cluster, dice, hold):
    """The primary is lost, and as soon as there is another one it is lost too."""
    del hold
    first = choose(cluster, dice, "primary")
    for pid in pids_of_tablet(cluster, first, "mysqld", "mysqlctld", "vttablet"):
        kill(pid)
    second = wait_until(lambda: cluster.primary() != first and cluster.primary(), 30, "another primary")
    for pid in pids_of_tablet(cluster, second, "mysqld"):
        kill(pid)
    return f"{first}, then {second}"


def with_the_healer(cluster, dice, hold):
    """The primary and vtorc at once."""
    del hold
    uid = choose(cluster, dice, "primary")
    everything = cluster.everything()
    victims = [pid for name, pid in everything.items() if name.startswith("vtorc")]
    for pid in victims + pids_of_tablet(cluster, uid, "mysqld", "mysqlctld", "vttablet"):
        kill(pid)
    return f"{uid} and {len(victims)} vtorc"


def choose(cluster, dice, of):
    primary = cluster.primary()
    if of == "primary":
        return primary
    return dice.choice([uid for uid in cluster.uids() if uid != primary] if of == "replica" else list(cluster.uids()))


def full_disk(of="primary"):
    """Not a byte is left on a tablet's disk, until the hold is over."""
    def act(cluster, dice, hold):
        uid = choose(cluster, dice, of)
        cluster.fill_disk(uid)
        try:
            time.sleep(hold + 6)  # that it is full is certain after 5 s
        finally:
            cluster.free_disk(uid)
        cluster.wait_follows(uid, 120)  # until then it is a second fault for whatever comes next
        return f"{uid} for {hold + 6:.1f} s"
    return act


def clock_jump(seconds, of="primary"):
    """The wall clock of a tablet's host jumps, and back after the hold."""
    def act(cluster, dice, hold):
        uid = choose(cluster, dice, of)
        pids = pids_of_tablet(cluster, uid, "mysqld", "mysqlctld", "vttablet")
        move_clocks(cluster, pids, seconds)
        try:
            time.sleep(hold)
        finally:
            move_clocks(cluster, pids, 0)
        return f"{uid} by {seconds} s for {hold:.1f} s"
    return act


def move_clocks(cluster, pids, seconds):
    for pid in pids:
        offset = pathlib.Path(cluster.environment["PACELINE_CLOCKS"]) / str(pid)
        if offset.exists():  # not of a process that has just been started
            with open(offset, "r+b") as file:
                file.write(struct.pack("q", seconds * 10**9))


NEMESES = {
    "kill mysqld of the primary": killed("mysqld"),
    "kill mysqld, mysqlctld and vttablet of the primary": killed("mysqld", "mysqlctld", "vttablet"),
    "kill vttablet of the primary": killed("vttablet"),
    "kill mysqlctld of the primary": killed("mysqlctld"),
    "kill mysqld of a replica": killed("mysqld", of="replica"),
    "kill vttablet of a replica": killed("vttablet", of="replica"),
    "freeze mysqld of the primary": frozen("mysqld"),
    "freeze vttablet of the primary": frozen("vttablet"),
    "freeze the primary's host": frozen("mysqld", "mysqlctld", "vttablet"),
    "freeze a replica's host": frozen("mysqld", "mysqlctld", "vttablet", of="replica"),
    "planned reparent": planned,
    "two failovers in a row": twice,
    "primary and vtorc together": with_the_healer,
    "kill vtorc": process_killed("vtorc"),
    "freeze vtorc": process_frozen("vtorc"),
    "kill vtctld": process_killed("vtctld"),
    "freeze vtctld": process_frozen("vtctld"),
    "kill vtgate": process_killed("vtgate"),
    "freeze vtgate": process_frozen("vtgate"),
}
DISKS = {
    "fill the primary's disk": full_disk(),
    "fill a replica's disk": full_disk(of="replica"),
}
CLOCKS = {
    "the primary's clock jumps an hour ahead": clock_jump(3600),
    "the primary's clock jumps ten minutes back": clock_jump(-600),
    "a replica's clock jumps two seconds ahead": clock_jump(2, of="replica"),
}
ETCD = {
    "kill a member of etcd": process_killed("etcd"),
    "freeze a member of etcd": process_frozen("etcd"),
}


def network(cut, of="primary"):
    """`cut(cluster, uid)`, healed after the hold. REQUIRES: a NetworkCluster."""
    def act(cluster, dice, hold):
        uid = choose(cluster, dice, of)
        cut(cluster, uid)
        try:
            time.sleep(hold)
        finally:
            cluster.heal_network()
        return f"{uid} for {hold:.1f} s"
    return act


NETWORK = {
    "cut the primary off": network(lambda cluster, uid: cluster.cut(uid)),
    "cut a replica off": network(lambda cluster, uid: cluster.cut(uid), of="replica"),
    "the primary hears nobody": network(lambda cluster, uid: cluster.cut_one_way(uid, deaf=True)),
    "nobody hears the primary": network(lambda cluster, uid: cluster.cut_one_way(uid, deaf=False)),
    "a lossy network at the primary": network(lambda cluster, uid: cluster.lossy(uid, 30)),
    "a slow network at the primary": network(lambda cluster, uid: cluster.slow(uid, 20)),
}
