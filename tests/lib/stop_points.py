"""Kills a tablet's mysqld at a named point of a commit: a library in mysqld (stop_point.c) waits for the word."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile

from local_cluster import alive, wait_until

NAMES = {"before the log's sync": 1, "after the log's sync": 2, "after the acknowledgement": 3, "after the commit": 4}


class StopPoints:
    """with StopPoints(uids) as points, LocalCluster(..., environment=points.environment) as cluster: ..."""

    def __init__(self, uids):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="paceline-stop-"))
        self.folder.chmod(0o755)
        library = self.folder / "stop_point.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library,
                        pathlib.Path(__file__).with_name("stop_point.c"), "-ldl"], check=True, timeout=60)
        library.chmod(0o755)
        for uid in uids:
            (self.folder / str(uid)).write_bytes(bytes(4096))
            (self.folder / str(uid)).chmod(0o666)  # mysqld runs as another user
        self.environment = {"LD_PRELOAD": str(library), "PACELINE_STOP_POINTS": str(self.folder)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def armed(self, uid, name):
        self._set(uid, NAMES[name])
        try:
            yield
        finally:
            self._set(uid, 0)

    def kill(self, cluster, uid, name, patience=30):
        """Waits until mysqld of `uid` has come to the point and is dead."""
        pid = cluster.mysqld_pid(uid)
        with self.armed(uid, name):
            wait_until(lambda: not alive(pid), patience, f"mysqld of {uid} to come to the point {name}")

    def _set(self, uid, value):
        with open(self.folder / str(uid), "r+b") as file:
            file.write(bytes([value]))
