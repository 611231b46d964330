"""What operators see of statements: /debug/queryz, the query log, VEXPLAIN; and reads that go to replicas by themselves."""

import json
import pathlib
import subprocess
import tempfile
import urllib.request

import pytest
import raw_mysql as raw
from local_cluster import BIN, FLAVORS, LocalCluster, kill, wait_until
from twins import free_port

pytestmark = pytest.mark.long  # not yet run: docs/verification.md


class OwnGate:
    """One more vtgate of a cluster, with flags of the test's own."""

    def __init__(self, cluster, *flags):
        self.cluster, self.port, self.web = cluster, free_port(), free_port()
        record = next(r for r in cluster.state()["processes"] if r["name"].startswith("vtgate"))
        command = pathlib.Path(f"/proc/{record['pid']}/cmdline").read_bytes().decode().split("\0")[1:-1]
        kept, keep = [], False
        for one in command:
            keep = one.startswith(("--cell", "--topo")) or (keep and not one.startswith("-"))
            kept += [one] if keep else []
        self.command = [BIN / "vtgate", *kept, f"--mysql-server-port={self.port}", "--mysql-server-bind-address=127.0.0.1",
                        "--bind-address=127.0.0.1", f"--port={self.web}", "--grpc-port=0", "--mysql-auth-server-impl=none", *flags]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, 30, "another vtgate")
        return self

    def answers(self):
        assert self.process.poll() is None
        with self.client() as client:
            return client.query("SELECT COUNT(*) FROM greetings")[0][0] == "rows"

    def client(self, user="app"):
        return raw.Client(self.port, user, database=self.cluster.keyspace, charset=45)

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}{path}", timeout=20) as answer:
            return answer.read().decode()

    def __exit__(self, *_):
        kill(self.process.pid)
        self.process.wait()


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param, tablets=2) as running:
        failed = request.session.testsfailed
        yield running
        running.failed = request.session.testsfailed > failed


def value(client, text):
    return raw.text_row(client.query(text)[0][2][0])[0].decode()


def test_statements_by_shape(cluster):
    with OwnGate(cluster) as gate, gate.client() as client:
        for number in range(5):
            client.query(f"SELECT /* secret */ {number} + 1 FROM greetings WHERE id IN ({number}, 7, 'secret')")
        client.query("SELECT nope FROM greetings")
        lines = json.loads(gate.page("/debug/query_stats"))
        shape = [line for line in lines if "? + ?" in line["Query"]]
        assert len(shape) == 1 and shape[0]["QueryCount"] == 5 and shape[0]["Keyspace"] == cluster.keyspace and shape[0]["Time"] > 0
        assert next(line for line in lines if "nope" in line["Query"])["ErrorCount"] == 1
        page = gate.page("/debug/queryz")
        assert "? + ?" in page and "secret" not in page


def test_query_log(cluster):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "queries.json"
        with OwnGate(cluster, f"--log-queries-to-file={path}") as gate, gate.client("ada") as client:
            client.query("SELECT 'secret' FROM greetings WHERE id = 5")
            number = client.prepare("SELECT ? AS prepared_one")[1]
            client.execute(number, [(253, 0)], [0], [raw.lenenc_text(b"secret")])
            client.query("SELECT nope")
            lines = wait_until(lambda: [json.loads(line) for line in path.read_text().splitlines() if '"ada"' in line][2:] and
                               [json.loads(line) for line in path.read_text().splitlines() if '"ada"' in line], 10, "three lines")
            assert "secret" not in path.read_text()
            assert [line["statement"] for line in lines] == ["SELECT ? FROM greetings WHERE id = ?", "SELECT ? AS prepared_one", "SELECT nope"]
            assert [line["prepared"] for line in lines] == [False, True, False]
            assert lines[2]["error_number"] == 1054 and lines[1]["rows"] == 1 and lines[0]["keyspace"] == cluster.keyspace
        with OwnGate(cluster, f"--log-queries-to-file={path}", "--querylog-sample-rate=0", "--querylog-redact=false") as gate:
            before = path.stat().st_size
            with gate.client() as client:
                client.query("SELECT 1")
            assert path.stat().st_size == before


def test_vexplain(cluster):
    with OwnGate(cluster) as gate, gate.client() as client:
        plan = json.loads(value(client, "VEXPLAIN PLAN SELECT * FROM greetings WHERE id = 5"))
        assert plan["OperatorType"] == "Route" and plan["Keyspace"] == {"Name": cluster.keyspace, "Sharded": False}
        assert plan["Query"] == "SELECT * FROM greetings WHERE id = 5" and plan["TargetTabletType"] == "PRIMARY"
        assert json.loads(value(client, "VEXPLAIN SET @a = 1"))["OperatorType"] == "Gate"
        assert client.query("VEXPLAIN QUERIES SELECT 1")[0][0] == "error"


def test_plain_reads_go_to_replicas(cluster):
    """Each session reads what it wrote; writes, transactions and locking reads stay on the primary."""
    own = "@@server_id"
    with OwnGate(cluster, "--read-from-replicas-users=reader") as gate, gate.client() as client, gate.client("reader") as reader:
        primary = value(client, f"SELECT {own} FROM greetings UNION SELECT {own}")
        replica = value(reader, f"SELECT {own} FROM greetings UNION SELECT {own} FROM greetings UNION SELECT {own}")
        assert replica != primary
        assert client.query("SET read_from_replicas = 1")[0][0] == "ok"
        client.query("CREATE TABLE IF NOT EXISTS own_reads (id INT PRIMARY KEY, n INT)")
        for number in range(30):
            assert client.query(f"REPLACE INTO own_reads VALUES (1, {number})")[0][0] == "ok"
            assert value(client, "SELECT n FROM own_reads WHERE id = 1") == str(number)
        assert value(client, f"SELECT {own} FROM own_reads") == replica
        for text in (f"SELECT {own} FROM own_reads FOR UPDATE", f"SELECT {own}, GET_LOCK('x', 0) FROM own_reads"):
            assert value(client, text) == primary, text
        client.query("SELECT RELEASE_LOCK('x')")
        client.query("BEGIN")
        assert value(client, f"SELECT {own} FROM own_reads") == primary
        client.query("COMMIT")
        client.query("SET read_from_replicas = 0")
        assert value(client, f"SELECT {own} FROM own_reads") == primary
        client.query("DROP TABLE own_reads")
