"""All tablets but one are lost for good, as it seems: nobody may decide that but a person, who is told first what it may cost."""

import json
import os
import signal
import urllib.request

import pytest
from local_cluster import FLAVORS, LocalCluster, wait_until


def processes(cluster, uid):
    everything = cluster.everything()
    return [everything[f"{kind}-{uid}"] for kind in ("mysqld", "mysqlctld", "vttablet")]


def problems(cluster):
    """{analysis: remedy} as vtorc sees the shard."""
    with urllib.request.urlopen(f"http://127.0.0.1:{cluster.port(16000)}/api/problems", timeout=5) as answer:
        return {problem["analysis"]: problem["remedy"] for shard in json.load(answer) for problem in shard["problems"]}


def sums(cluster):
    """One checksum for each tablet."""
    found = {}
    for uid in cluster.uids():
        with cluster.mysqld(uid) as connection, connection.cursor() as cursor:
            cursor.execute("CHECKSUM TABLE greetings")
            found[uid] = cursor.fetchone()[1]
    return found


def acknowledgements(cluster, uid):
    """Whether commits of that tablet wait for somebody."""
    with cluster.as_dba(uid) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('rpl_semi_sync_source_enabled', 'rpl_semi_sync_master_enabled')")
        return cursor.fetchone()[1] == "ON"


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_lone_survivor_is_forced(flavor):
    with LocalCluster(flavor, vtorc=True) as cluster:
        cluster.wait_serving(30)
        shard, old = f"{cluster.keyspace}/0", cluster.primary()
        gone, survivor = [uid for uid in cluster.uids() if uid != old]
        wait_until(lambda: len(set(sums(cluster).values())) == 1, 20, "the replicas to have caught up")
        pids = processes(cluster, old) + processes(cluster, gone)
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            refused = cluster.vtctldclient("EmergencyReparentShard", shard, check=False, seconds=120)
            assert "may be lost" in refused and "--force" in refused and f"{cluster.cell}-{gone:010d}" in refused, refused
            told = cluster.vtctldclient("EmergencyReparentShard", "--force", shard, seconds=120).splitlines()
            forced = [n for n, line in enumerate(told) if "forced: " in line and "may be lost" in line]
            begun = [n for n, line in enumerate(told) if "ask for term" in line]
            assert forced and begun and forced[0] < begun[0], told
            cluster.wait_serving(20)
            assert cluster.primary() == survivor
            # vtorc and the tablet itself would like acknowledgements, and know that nobody could give them.
            wait_until(lambda: problems(cluster).get("PrimarySemiSyncMustBeSet") == "none", 20, "vtorc to leave it alone")
            with cluster.connect() as connection, connection.cursor() as cursor:
                for n in range(20):
                    cursor.execute("INSERT INTO greetings (name, token) VALUES ('alone', %s)", (f"alone-{n}",))
            assert not acknowledgements(cluster, survivor)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        wait_until(lambda: len(set(sums(cluster).values())) == 1, 60, "the others to follow the survivor")
        wait_until(lambda: acknowledgements(cluster, survivor), 20, "commits to wait for acknowledgements again")
        assert cluster.primary() == survivor
        cluster.wait_serving(20)
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM greetings WHERE name = 'alone'")
            assert cursor.fetchone()[0] == 20
