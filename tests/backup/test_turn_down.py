"""The end of a keyspace and of a cluster: what goes is told first, backups stay unless asked."""

import pytest
from local_cluster import BIN, LocalCluster, run


# One flavor in ./test: what goes is records and folders, the same on both.
@pytest.mark.parametrize("flavor", ["mariadb", pytest.param("mysql", marks=pytest.mark.long)])
def test_what_goes_is_told_and_backups_stay(flavor):
    with LocalCluster(flavor, tablets=2) as cluster:
        shard = f"{cluster.keyspace}/0"
        assert "is complete" in cluster.vtctldclient("BackupShard", shard, seconds=180)
        name = cluster.vtctldclient("ListBackups", shard).strip()
        said = cluster.vtctldclient("DeleteKeyspace", "--recursive", "--dry-run", cluster.keyspace)
        for what in (f"would delete keyspace {cluster.keyspace}", f"shard {shard}", "record of tablet zone1-0000000101", f"{name}: stays"):
            assert what in said, said
        assert cluster.keyspace in cluster.vtctldclient("GetKeyspaces")
        said = cluster.vtctldclient("DeleteKeyspace", "--recursive", "--remove-backups", cluster.keyspace) if flavor == "mariadb" else \
            cluster.vtctldclient("DeleteKeyspace", "--recursive", cluster.keyspace)
        assert said.index("deleting keyspace") < said.index("Successfully deleted"), said
        assert cluster.keyspace not in cluster.vtctldclient("GetKeyspaces")
        kept = cluster.data_dir / "backups" / cluster.keyspace / "0" / name
        assert kept.exists() == (flavor == "mysql")
        down = [BIN / "paceline", "down", f"--data-dir={cluster.data_dir}", "--purge"]
        said = run([*down, *(["--purge-backups"] if flavor == "mariadb" else [])], seconds=240)
        assert "deleting" in said and f"{cluster.data_dir}/vt_0000000100" in said, said
        left = [path.name for path in cluster.data_dir.iterdir()] if cluster.data_dir.exists() else []
        assert left == (["backups"] if flavor == "mysql" else [])
        assert kept.exists() == (flavor == "mysql")
