"""Table ACLs from a file: refused, reloaded, and a wrong file told at the start."""

import json
import os
import pathlib
import signal
import subprocess

import pymysql
import pytest
from local_cluster import BIN, LocalCluster, kill, wait_until


def acl(writers):
    return json.dumps({"table_groups": [{"name": "all", "table_names_or_prefixes": ["%"], "readers": ["root"],
                                         "writers": writers, "admins": []}]})


def test_refused_then_allowed_by_a_new_file(tmp_path):
    rules = tmp_path / "acl.json"
    rules.write_text(acl([]))
    with LocalCluster("mariadb", tablets=1) as cluster:
        supervisor, tablet = cluster.state()["supervisor_pid"], cluster.pid("vttablet-100")
        words = pathlib.Path(f"/proc/{tablet}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        os.kill(supervisor, signal.SIGSTOP)  # so that it does not start its own again
        mine = None
        try:
            kill(tablet)
            mine = subprocess.Popen([*words, f"--table-acl-config={rules}", "--table-acl-config-reload-interval=200ms",
                                     "--queryserver-config-strict-table-acl"],
                                    env={**os.environ, "VTDATAROOT": str(cluster.data_dir)}, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

            def refused():
                with cluster.connect() as connection, connection.cursor() as cursor:
                    cursor.execute("SELECT COUNT(*) FROM greetings")
                    try:
                        cursor.execute("INSERT INTO greetings (name) VALUES ('not for root')")
                    except pymysql.MySQLError as error:
                        assert "greetings" in str(error) and "root" in str(error)
                        return True
                    raise AssertionError("the insert was let through")
            wait_until(refused, 30, "a refused write")
            rules.write_text("{")  # what was in force stays
            wait_until(refused, 5, "a refused write")
            rules.write_text(acl(["root"]))
            wait_until(cluster.serves, 10, "the new file to be in force")
        finally:
            if mine is not None:
                mine.terminate()
                mine.wait(timeout=30)
            os.kill(supervisor, signal.SIGCONT)


@pytest.mark.parametrize("flags, named", [
    (["--table-acl-config={file}"], "acl.json"),
    (["--filecustomrules={file}"], "acl.json"),
    (["--table-acl-config=/no/such/file"], "/no/such/file"),
    (["--enforce-tableacl-config"], "--table-acl-config"),
])
def test_a_wrong_file_ends_the_start(tmp_path, flags, named):
    (tmp_path / "acl.json").write_text("[{]")
    topo = tmp_path / "topo"
    topo.mkdir()
    done = subprocess.run([str(BIN / "vttablet"), "--tablet-path=zone1-9", "--init-keyspace=ks", "--topo-implementation=embedded",
                           f"--topo-global-server-address={topo}", "--topo-global-root=/global", "--port=0", "--grpc-port=0",
                           *[flag.format(file=tmp_path / "acl.json") for flag in flags]],
                          env={**os.environ, "VTDATAROOT": str(tmp_path)}, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert named in done.stderr.splitlines()[-1], done.stderr
