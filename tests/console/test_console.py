"""The console in a real Chromium, against a living cluster. Screenshots: build/console-screenshots."""

import http.client
import json
import re
import signal
import subprocess

import pytest
from chromium import HERE, Chromium
from local_cluster import BIN, LocalCluster, kill, run, wait_until


# What hangs on the flavor runs on both; the pages themselves are the same.
one_flavor = pytest.mark.parametrize("cluster", ["mariadb"], indirect=True)
actions_flavors = pytest.mark.parametrize("cluster", ["mariadb", pytest.param("mysql", marks=pytest.mark.long)], indirect=True)


@pytest.fixture(scope="module")
def browser():
    with Chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def cluster(request):
    with LocalCluster(request.param, vtorc=True, archive=True) as cluster:
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


def alias(cluster, uid):
    return f"{cluster.cell}-{uid:010d}"


def state(cluster):
    return ask(cluster, "GET", "/api/state")[1]


def ask(cluster, method, path, body=None, headers=None):
    """(status, JSON or text) of one request to vtctld."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster.port(15000), timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


def post(cluster, path, body, **headers):
    return ask(cluster, "POST", path, json.dumps(body),
               {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}})


def wait_healthy(cluster):
    def healthy():
        tablets = state(cluster)["tablets"]
        return len(tablets) == cluster.tablets and all(t["healthy"] and t["version"] for t in tablets)
    wait_until(healthy, 90, "all tablets to be healthy in the console's eyes")


@pytest.fixture
def names(cluster):
    """What the cases ask for; the cluster is whole."""
    wait_healthy(cluster)
    primary = cluster.primary()
    replica, other = [uid for uid in cluster.uids() if uid != primary][:2]
    return {"keyspace": cluster.keyspace, "shard": f"{cluster.keyspace}/0", "primary": alias(cluster, primary),
            "replica": alias(cluster, replica), "other": alias(cluster, other)}


@pytest.fixture
def url(cluster):
    return f"http://127.0.0.1:{cluster.port(15000)}/"


def test_every_page(browser, cluster, url, names):
    with cluster.connect() as client, client.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('console', 5)")
        browser.case("pages", url, brief=cluster.flavor == "mysql", **names)


@one_flavor
def test_the_first_view_is_light_and_soon_there(browser, url, names):
    browser.case("first_view", url, **names)


@one_flavor
def test_behind_a_prefix(browser, url, names):
    browser.case("prefix", url, **names)


@one_flavor
def test_without_a_mouse(browser, url, names):
    browser.case("keyboard", url, **names)


@actions_flavors
def test_each_action_once(browser, url, names):
    browser.case("actions", url, **names)


def test_a_failover_watched(browser, cluster, url, names):
    running = browser.start("failover", url, **names)
    browser.wait_ready(running)
    cluster.kill_tablet(cluster.primary())
    browser.finish(running)
    cluster.wait_serving()


@actions_flavors
def test_an_emergency_reparent_by_hand(browser, cluster, url, names):
    status, _ = post(cluster, "/api/run", {"action": "maintenance", "arguments": {"name": "*", "on": True, "why": "a test"}})
    assert status == 200
    wait_until(lambda: state(cluster)["maintenance"], 20, "the maintenance")
    running = browser.start("emergency", url, **names)
    browser.wait_ready(running)
    cluster.kill_tablet(cluster.primary())
    browser.finish(running)
    cluster.wait_serving()


@one_flavor
def test_vtctld_goes_and_comes_back(browser, cluster, url, names):
    running = browser.start("vtctld_away", url, **names)
    browser.wait_ready(running)
    kill(cluster.pid("vtctld"))
    browser.finish(running)


@one_flavor
def test_bad_requests_are_refused(cluster):
    """Cross-site posts, missing headers, traversal, oversized bodies, nonsense."""
    plan = {"action": "validate", "arguments": {}}
    assert post(cluster, "/api/plan", plan)[0] == 200
    assert post(cluster, "/api/plan", plan, Sec_Fetch_Site="cross-site")[0] == 403
    assert post(cluster, "/api/plan", plan, Origin="http://elsewhere.example")[0] == 403
    assert ask(cluster, "POST", "/api/run", json.dumps(plan), {"Content-Type": "text/plain"})[0] == 403
    assert ask(cluster, "GET", "/api/run")[0] == 405
    assert ask(cluster, "GET", "/../etc/passwd")[0] == 400
    assert ask(cluster, "GET", "/api/%2e%2e/secret")[0] == 400
    assert ask(cluster, "POST", "/api/run", "x" * (2 << 20), {"Content-Type": "application/json"})[0] == 413
    for path in ("/api/tablet?alias=nonsense", "/api/tablet", "/api/schema?tablet=--help", "/api/backups?shard=x"):
        status, answer = ask(cluster, "GET", path)
        assert status == 400 and answer["error"], (path, answer)
    status, answer = ask(cluster, "GET", "/api/tablet?alias=zone1-9")
    assert status == 404 and "zone1-0000000009" in answer["error"]
    for body in ("", "[]", "{", '{"action": 1}'):
        assert ask(cluster, "POST", "/api/run", body, {"Content-Type": "application/json"})[0] == 400
    status, answer = post(cluster, "/api/run", {"action": "format_the_disk"})
    assert status == 404 and "planned_reparent" in answer["error"]


@pytest.fixture
def asking(cluster):
    """(url, {role: token}) of a second vtctld, which asks who calls."""
    folder = cluster.data_dir / "access"
    folder.mkdir()
    users, tokens = [], {}
    for role in ("viewer", "operator"):
        told = run([BIN / "paceline", "access-token", "--name", f"{role}-person", "--role", role])
        credentials, user = re.findall(r"^For .*?: (\{.*\})$", told, re.M)
        users.append(json.loads(user))
        tokens[role] = json.loads(credentials)["Password"]
    (folder / "users.json").write_text(json.dumps({"users": users}))
    with open(folder / "vtctld.log", "w") as log:
        vtctld = subprocess.Popen([BIN / "vtctld", "--cell=zone1", "--bind-address=127.0.0.1", f"--port={cluster.port(15010)}",
                                   f"--grpc-port={cluster.port(15011)}", "--topo-implementation=embedded",
                                   f"--topo-global-server-address={cluster.data_dir}/topo/topology.sqlite",
                                   "--topo-global-root=/vitess/global", f"--access-users-file={folder}/users.json",
                                   f"--audit-log-file={folder}/audit.log"], stdout=log, stderr=log)
    try:
        wait_until(lambda: cluster.page(15010, "/readyz")[0] == 200, 30, "the vtctld that asks")
        yield f"http://127.0.0.1:{cluster.port(15010)}/", tokens, folder / "audit.log"
    finally:
        kill(vtctld.pid, signal.SIGTERM)
        vtctld.wait(20)


@one_flavor
def test_each_sees_what_the_role_allows(browser, names, asking):
    url, tokens, audit = asking
    browser.case("roles", url, tokens=tokens, **names)
    written = [json.loads(line) for line in audit.read_text().splitlines()]
    done = [line for line in written if line["action"] == "PingTablet"]
    assert [(line["who"], line["result"]) for line in done] == [("operator-person", "OK")], written
    assert not any(token in audit.read_text() for token in tokens.values())


def simulated(count):
    return subprocess.Popen(["node", HERE / "mock.mjs", str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.long
def test_a_thousand_tablets_in_the_browser(browser):
    server = simulated(1000)
    try:
        browser.case("thousand", server.stdout.readline().strip())
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)
