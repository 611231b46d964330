"""What a person has put into maintenance vtorc only diagnoses, until it is taken out again."""

import json
import urllib.request

from local_cluster import LocalCluster, wait_until


def remedy(cluster, analysis):
    """What the first vtorc would do about that, and why it does not."""
    with urllib.request.urlopen(f"http://127.0.0.1:{cluster.port(16000)}/api/problems", timeout=5) as answer:
        for shard in json.load(answer):
            for problem in shard["problems"]:
                if problem["analysis"] == analysis:
                    return problem["remedy"], shard["maintenance"]
    return None


def writable(cluster, uid, set_to=None):
    with cluster.as_dba(uid) as connection, connection.cursor() as cursor:
        if set_to is not None:
            cursor.execute(f"SET GLOBAL read_only = {'OFF' if set_to else 'ON'}")
        cursor.execute("SELECT @@global.read_only")
        return not cursor.fetchone()[0]


def test_nothing_is_healed_in_maintenance():
    with LocalCluster("mariadb", vtorc=True) as cluster:
        cluster.wait_serving(30)
        replica = next(uid for uid in cluster.uids() if uid != cluster.primary())
        said = cluster.vtctldclient("SetMaintenance", "on", "nowhere/0", check=False)
        assert "nowhere" in said and "maintenance:" not in said, said
        assert "neither on nor off" in cluster.vtctldclient("SetMaintenance", "perhaps", check=False)
        shard = f"{cluster.keyspace}/0"
        assert f"{shard}: new disks" in cluster.vtctldclient("SetMaintenance", "--why=new disks", "on", shard)
        assert f"{shard}: new disks" in cluster.vtctldclient("GetMaintenance")
        assert writable(cluster, replica, set_to=True)
        due = ("make read-only", "new disks")
        wait_until(lambda: remedy(cluster, "ReplicaIsWritable") == due, 30, "vtorc to see it, and to know that it must not")
        assert writable(cluster, replica)
        assert "nothing is in maintenance" in cluster.vtctldclient("SetMaintenance", "off", shard)
        wait_until(lambda: not writable(cluster, replica), 20, "vtorc to heal it")
