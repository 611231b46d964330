"""What tests do to the three etcd members of a local cluster, and how they see it whole again."""

import json
import os
import shutil
import subprocess
import uuid

from local_cluster import alive, kill, wait_until

MEMBERS = range(3)


def etcd_of_peers(peers):
    """etcd 3.5, where tools/mysql97 has brought it; None: there is none."""
    path = peers.parent / "etcd"
    return path if path.exists() else None


def membership(cluster):
    """{peer URL: member id} of the voters that have started, as etcd lists them; empty while it does not answer."""
    endpoints = ",".join(f"127.0.0.1:{cluster.port(15790 + 2 * n)}" for n in MEMBERS)
    done = subprocess.run(["etcdctl", f"--endpoints={endpoints}", "--dial-timeout=1s", "--command-timeout=3s", "member", "list",
                           "-w", "json"], env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {}
    return {m["peerURLs"][0]: m["ID"] for m in json.loads(done.stdout)["members"] if m.get("name") and not m.get("isLearner")}


def healthy(cluster, member):
    """True when the member's own server answers for a quorum."""
    done = subprocess.run(["etcdctl", f"--endpoints=127.0.0.1:{cluster.port(15790 + 2 * member)}", "--dial-timeout=1s",
                           "--command-timeout=3s", "get", "x"], env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, check=False)
    return done.returncode == 0


def wait_whole(cluster, seconds, but_not=()):
    """Until three voters with started servers stand in the list, none of them one of the ids `but_not`."""
    def whole():
        now = membership(cluster)
        return len(now) == 3 and not set(now.values()) & set(but_not) and all(healthy(cluster, n) for n in MEMBERS)
    wait_until(whole, seconds, "three serving members of etcd")


def identity(cluster, member):
    return membership(cluster)[f"http://127.0.0.1:{cluster.port(15791 + 2 * member)}"]


def lose_disk(cluster, member, also_snapshots=False):
    """Deletes a member's data, at once as seen from outside."""
    names = [f"etcd-{member}"] + ([f"etcd-{member}.snapshots"] if also_snapshots else [])
    for name in names:
        folder = cluster.data_dir / name
        trash = cluster.data_dir / f"trash-{uuid.uuid4().hex}"
        if folder.exists():
            folder.rename(trash)
            shutil.rmtree(trash)


def kill_and_lose(cluster, member, also_snapshots=False):
    kill(cluster.etcd_pid(member))
    lose_disk(cluster, member, also_snapshots)


def revision(cluster):
    """How far etcd's data has come."""
    done = subprocess.run(["etcdctl", f"--endpoints=127.0.0.1:{cluster.port(15790)}", "get", "x", "-w", "json"],
                          env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["header"]["revision"]


def all_have_a_snapshot(cluster, of_revision):
    """Every member has kept a snapshot that is at least so new; members take none while nothing changes."""
    def newest(member):
        names = (path.name for path in (cluster.data_dir / f"etcd-{member}.snapshots").glob("*.db"))
        return max((int(name.split("-")[2]) for name in names), default=0)  # <taken>-<cluster>-<revision>-<digest>.db
    return all(newest(member) >= of_revision for member in MEMBERS)


__all__ = ["MEMBERS", "alive", "all_have_a_snapshot", "etcd_of_peers", "healthy", "identity", "kill_and_lose", "lose_disk",
           "membership", "revision", "wait_whole"]
