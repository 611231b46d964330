"""What monitors are told: pages of every process, counts that really count, and that the dashboard and the alert rules
name only metrics that are there."""

import json
import re
import shutil
import subprocess

import pymysql
import pytest
from local_cluster import REPO, LocalCluster, run, wait_until

MONITORING = REPO / "deploy/monitoring"
PROGRAMS = "vtgate|vttablet|vtctld|vtorc|mysqlctld|etcd_member|process"


@pytest.fixture(scope="module")
def cluster(request):
    with LocalCluster("mariadb", tablets=2, topo="etcd", vtorc=True) as cluster:
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


def processes(cluster):
    """{name: documented port} of everything that serves HTTP."""
    ports = {"vtctld": 15000, "vtgate": 15001, "vtorc-0": 16000, "vtorc-1": 16001}
    for n in range(cluster.tablets):
        ports |= {f"vttablet-{100 + n}": 15100 + n, f"mysqlctld-{100 + n}": 15200 + n}
    return ports | {f"etcd-{n}": 15796 + n for n in range(3)}


def samples(text):
    """{(name, labels): value} of a page of Prometheus's."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"^([a-z_][a-zA-Z0-9_]*)(\{.*\})? (\S+)$", line)
        if match:
            found[match.group(1), match.group(2) or ""] = float(match.group(3))
    return found


def value(text, name, *labels):
    """The sum over all samples of `name` whose labels hold all of `labels`."""
    return sum(v for (n, given), v in samples(text).items() if n == name and all(label in given for label in labels))


def test_every_process_has_its_pages(cluster):
    for name, port in processes(cluster).items():
        for path in ("/healthz", "/readyz"):
            wait_until(lambda: cluster.page(port, path)[0] == 200, 30, f"{path} of {name}")
        status, text = cluster.page(port, "/metrics")
        assert status == 200 and value(text, "process_resident_memory_bytes") > 0, name
        assert isinstance(json.loads(cluster.page(port, "/debug/vars")[1]), dict), name
        assert cluster.page(port, "/debug/status")[0] == 200, name


def test_statements_are_counted(cluster):
    def counts():
        gate = cluster.page(15001)[1]
        tablets = [cluster.page(15100 + n)[1] for n in range(cluster.tablets)]
        return {
            "statements": value(gate, "vtgate_api_count", 'keyspace="test_keyspace"', 'operation="Execute"'),
            "errors": value(gate, "vtgate_api_error_counts", 'keyspace="test_keyspace"'),
            "rows returned": value(gate, "vtgate_api_rows_returned", 'keyspace="test_keyspace"'),
            "rows affected": value(gate, "vtgate_api_rows_affected", 'keyspace="test_keyspace"'),
            "inserts": value(gate, "vtgate_query_executions", 'query="INSERT"'),
            "tablets' inserts": sum(value(t, "vttablet_query_counts", 'table="greetings"', 'plan="Insert"') for t in tablets),
            "tablets' selects": sum(value(t, "vttablet_query_counts", 'table="greetings"', 'plan="Select"') for t in tablets),
            "tablets' time": sum(value(t, "vttablet_query_times_ns", 'table="greetings"') for t in tablets),
            "tablets' errors": sum(value(t, "vttablet_query_error_counts", 'table="nowhere"') for t in tablets),
        }

    before = counts()
    with cluster.connect() as connection, connection.cursor() as cursor:
        for n in range(10):
            cursor.execute("INSERT INTO greetings (name) VALUES (%s)", (f"counted {n}",))
        cursor.execute("SELECT name FROM greetings WHERE name LIKE 'counted%' LIMIT 4")
        assert len(cursor.fetchall()) == 4
        with pytest.raises(pymysql.err.ProgrammingError):
            cursor.execute("SELECT * FROM nowhere")
    grown = {what: after - before[what] for what, after in counts().items()}
    assert grown["statements"] >= 12 and grown["inserts"] == 10, grown
    assert grown["rows affected"] == 10 and grown["rows returned"] == 4, grown
    assert grown["errors"] == 1 and grown["tablets' errors"] == 1, grown
    assert grown["tablets' inserts"] == 10 and grown["tablets' selects"] == 1 and grown["tablets' time"] > 0, grown


def test_the_primary_and_the_replica_are_told_apart(cluster):
    pages = [cluster.page(15100 + n)[1] for n in range(cluster.tablets)]
    assert sorted(value(page, "vttablet_tablet_is_primary") for page in pages) == [0, 1]
    for page in pages:
        assert value(page, "vttablet_tablet_serving") == 1 and value(page, "vttablet_mysqld_running") == 1
        assert value(page, "vttablet_replication_lag_sec") < 30
    gate = cluster.page(15001)[1]
    assert value(gate, "vtgate_healthcheck_connections", 'tablet_type="primary"') == 1
    assert value(cluster.page(16000)[1], "vtorc_shards_watched") == 1


def test_vtorc_shows_a_problem_while_it_lasts(cluster):
    replica = next(uid for uid in cluster.uids() if uid != cluster.primary())
    # Without a shard lock nothing heals: the problem stays to be seen.
    for port in (16000, 16001):
        assert cluster.page(port, "/api/disable-global-recoveries?why=test")[0] == 200
    cluster.vtctldclient("StopReplication", f"zone1-{replica:010d}")
    wait_until(lambda: value(cluster.page(16000)[1], "vtorc_detected_problems", f"{replica:010d}") == 1, 60, "the problem")
    assert value(cluster.page(16000)[1], "vtorc_shards_in_maintenance") == 1
    cluster.page(16000, "/api/enable-global-recoveries")
    wait_until(lambda: value(cluster.page(16000)[1], "vtorc_detected_problems") == 0, 60, "the remedy")


def names_used(text):
    return set(re.findall(rf"\b(?:{PROGRAMS})_[a-z][a-z_0-9]*", text))


def test_dashboard_and_rules_name_only_what_is_there(cluster):
    exported = set()
    for port in processes(cluster).values():
        text = cluster.page(port)[1]
        exported |= {name for name, _ in samples(text)} | set(re.findall(r"^# TYPE (\S+)", text, re.M))
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    rules = re.findall(r"expr: (?:\|\n\s+)?(.*)", (MONITORING / "alerts.yaml").read_text())
    assert len(expressions) > 40 and len(rules) > 15
    missing = {}
    for expression in expressions + rules:
        bare = re.sub(r'"[^"]*"', "", expression)
        for name in names_used(bare) - exported:
            missing[name] = expression
    assert not missing, missing


@pytest.mark.parametrize("arguments", (["check", "rules", "alerts.yaml"], ["check", "config", "prometheus.yaml"],
                                       ["test", "rules", "alerts_test.yaml"]), ids=lambda a: " ".join(a[:2]))
def test_promtool(arguments):
    assert shutil.which("promtool"), "tools/setup installs it (Debian's prometheus)"
    run(["promtool", *arguments], cwd=MONITORING)


def test_promtool_takes_every_query_of_the_dashboard(tmp_path):
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            lines += [f"      - record: query{len(lines)}", f"        expr: {json.dumps(target['expr'])}"]
    (tmp_path / "queries.yaml").write_text("\n".join(lines) + "\n")
    done = subprocess.run(["promtool", "check", "rules", str(tmp_path / "queries.yaml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
