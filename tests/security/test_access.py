"""Who may administer: roles of the users file over gRPC and HTTP, refusals that are logged and counted, no secret in any
log, page or command line."""

import json
import pathlib
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from local_cluster import BIN, LocalCluster, kill, run, wait_until

ROLES = ("viewer", "operator", "admin")


@pytest.fixture(scope="module")
def cluster(request):
    """A cluster with a second vtctld beside its own, which asks who calls."""
    with LocalCluster("mariadb", tablets=2) as cluster:
        failed = request.session.testsfailed
        folder = cluster.data_dir / "access"
        folder.mkdir()
        users = []
        cluster.tokens = {}
        for role in ROLES:
            told = run([BIN / "paceline", "access-token", "--name", role + "-person", "--role", role])
            credentials, user = re.findall(r"^For .*?: (\{.*\})$", told, re.M)
            users.append(json.loads(user))
            cluster.tokens[role] = json.loads(credentials)["Password"]
            (folder / f"{role}.json").write_text(credentials)
        (folder / "forged.json").write_text('{"Username": "admin-person", "Password": "pl_forged"}')
        (folder / "users.json").write_text(json.dumps({"users": users}))
        cluster.audit_log = folder / "audit.log"
        cluster.asking_log = folder / "vtctld.log"
        with open(cluster.asking_log, "w") as log:
            asking = subprocess.Popen([BIN / "vtctld", "--cell=zone1", "--bind-address=127.0.0.1", f"--port={cluster.port(15010)}",
                                       f"--grpc-port={cluster.port(15011)}", "--topo-implementation=embedded",
                                       f"--topo-global-server-address={cluster.data_dir}/topo/topology.sqlite",
                                       "--topo-global-root=/vitess/global", f"--access-users-file={folder}/users.json",
                                       f"--audit-log-file={cluster.audit_log}"], stdout=log, stderr=log)
        cluster.asking = asking
        wait_until(lambda: cluster.page(15010, "/readyz")[0] == 200, 30, "the vtctld that asks")
        yield cluster
        cluster.failed = request.session.testsfailed > failed
        kill(asking.pid, signal.SIGTERM)
        asking.wait(20)


def client(cluster, who, *command):
    """(exit code, output) of a command as `who`; None shows no credentials."""
    creds = [f"--grpc-auth-static-client-creds={cluster.data_dir}/access/{who}.json"] if who else []
    done = subprocess.run([BIN / "vtctldclient", "--server", f"127.0.0.1:{cluster.port(15011)}", *creds, *command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def audit(cluster):
    return [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]


def refusals(cluster, reason):
    text = cluster.page(15010, "/metrics")[1]
    return int(re.search(rf'^vtctld_access_refusals\{{reason="{reason}"\}} (\d+)', text, re.M).group(1))


def http(cluster, path, token=None, method="GET", body=None, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{cluster.port(15010)}{path}", method=method, data=body,
                                     headers={name.replace("_", "-"): value for name, value in headers.items()})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


COMMANDS = {  # role that it needs: command
    "viewer": ["GetTablets"],
    "operator": ["PlannedReparentShard", "test_keyspace/0"],
    "admin": ["ExecuteFetchAsDBA", "zone1-0000000100", "SELECT 'a secret in a statement'"],
}


@pytest.mark.parametrize("needs", ROLES)
@pytest.mark.parametrize("has", ROLES)
def test_each_role_may_do_what_is_its_own_and_below(cluster, has, needs):
    allowed = ROLES.index(has) >= ROLES.index(needs)
    code, output = client(cluster, has, *COMMANDS[needs])
    assert (code == 0) == allowed, output
    if not allowed:
        assert f"needs the role {needs}, {has}-person has {has}" in output
    if needs == "viewer":
        return
    last = audit(cluster)[-1]
    assert last["who"] == f"{has}-person" and last["action"] == COMMANDS[needs][0] and last["how"] == "token"
    assert last["result"].startswith("OK") == allowed, last
    assert ("test_keyspace" if needs == "operator" else "zone1") in last["target"], last


def test_nobody_and_forgers_are_refused_logged_and_counted(cluster):
    before = refusals(cluster, "no credentials"), refusals(cluster, "unknown credentials")
    assert client(cluster, None, "GetTablets")[0] != 0
    code, output = client(cluster, "forged", "GetTablets")
    assert code != 0 and "not known" in output and "pl_forged" not in output
    assert http(cluster, "/", "pl_forged") == 401 and http(cluster, "/") == 401
    assert refusals(cluster, "no credentials") == before[0] + 2
    assert refusals(cluster, "unknown credentials") == before[1] + 2
    assert [line["who"] for line in audit(cluster)[-4:]] == [""] * 4
    assert all(line["from"] for line in audit(cluster)[-4:])


def test_a_legacy_command_needs_its_own_role(cluster):
    creds = f"--grpc-auth-static-client-creds={cluster.data_dir}/access/viewer.json"
    server = ["--server", f"127.0.0.1:{cluster.port(15011)}"]
    assert "zone1-0000000100" in run([BIN / "vtctlclient", *server, creds, "ListAllTablets", "zone1"])
    refused = run([BIN / "vtctlclient", *server, creds, "DeleteKeyspace", "test_keyspace"], check=False)
    assert "needs the role admin" in refused


def test_pages(cluster):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert http(cluster, path) == 200, f"{path} is for probes"
    assert http(cluster, "/", cluster.tokens["viewer"]) == 200
    assert http(cluster, "/debug/vars", cluster.tokens["viewer"]) == 200
    assert http(cluster, "/debug/vars") == 401


def test_cross_site_posts_are_refused(cluster):
    before = refusals(cluster, "cross-site")
    for header in ({"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        assert http(cluster, "/", cluster.tokens["admin"], "POST", b"", **header) == 403
    assert refusals(cluster, "cross-site") == before + 2
    assert audit(cluster)[-1]["action"] == "POST /"


CONSOLE = {  # role that it needs: action of the console, its arguments, the command that it comes to
    "operator": ("ping", {"tablet": "zone1-0000000100"}, "PingTablet"),
    "admin": ("execute_dba", {"tablet": "zone1-0000000100", "sql": "SELECT 'a secret in a statement'"}, "ExecuteFetchAsDBA"),
}


def console(cluster, who, path, body=None):
    """(status, answer) of the console's API, asked by a person with that role."""
    request = urllib.request.Request(f"http://127.0.0.1:{cluster.port(15010)}/api/{path}", json.dumps(body).encode() if body else None,
                                     {"Content-Type": "application/json", "Authorization": f"Bearer {cluster.tokens[who]}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("needs", CONSOLE)
@pytest.mark.parametrize("has", ROLES)
def test_each_role_may_do_in_the_console_what_its_commands_need(cluster, has, needs):
    action, arguments, command = CONSOLE[needs]
    allowed = ROLES.index(has) >= ROLES.index(needs)
    wait_until(lambda: console(cluster, has, "state")[1]["tablets"], 20, "the console to know the tablets")
    asked = {"action": action, "arguments": arguments}
    before = refusals(cluster, "role")
    status, plan = console(cluster, has, "plan", asked)
    assert status == (200 if allowed else 403), plan
    status, answer = console(cluster, has, "run", asked)
    if not allowed:
        assert status == 403, answer
        assert refusals(cluster, "role") > before
        last = audit(cluster)[-1]
        assert last["who"] == f"{has}-person" and "needs the role" in last["result"], last
        return
    assert status == 200, answer
    operation = wait_until(lambda: (done := console(cluster, "admin", f"operations/{answer['id']}")[1])["state"] != "running" and done,
                           30, "the operation to end")
    assert operation["state"] == "done" and operation["who"] == f"{has}-person", operation
    written = [line for line in audit(cluster) if line["action"] == command and line["who"] == f"{has}-person"][-1]
    assert written["target"] == "zone1-0000000100" and written["result"] == "OK", written
    # What an admin's statement says and answers is not for everybody who may look.
    if needs == "admin":
        assert "secret" in json.dumps(operation)
        assert console(cluster, "operator", f"operations/{answer['id']}")[0] == 403
        assert "secret" not in json.dumps(console(cluster, "viewer", "operations")[1])


def test_unsafe_paths_and_large_bodies_are_refused(cluster):
    def raw(text):
        with socket.create_connection(("127.0.0.1", cluster.port(15010)), timeout=10) as connection:
            connection.sendall(text)
            return int(connection.recv(4096).split(b" ")[1])

    for path in (b"/../../etc/passwd", b"/%2e%2e/etc/passwd", b"/a/..%2f..%2fetc/passwd", b"/a\\b", b"/a%00b"):
        assert raw(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n") in (400, 404), path
    assert raw(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100) == 413
    assert raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n") == 431
    text = cluster.page(15010, "/metrics")[1]
    for status in ("400", "413", "431"):
        assert re.search(rf'^vtctld_http_refused\{{status="{status}"\}} [1-9]', text, re.M), status
    assert "was refused with 413" in cluster.asking_log.read_text()


def test_users_change_without_a_restart(cluster):
    file = cluster.data_dir / "access/users.json"
    kept = file.read_text()
    try:
        users = json.loads(kept)
        users["users"] = [user for user in users["users"] if user["role"] != "viewer"]
        file.write_text(json.dumps(users))
        wait_until(lambda: client(cluster, "viewer", "GetTablets")[0] != 0, 10, "the viewer to be gone")
        assert client(cluster, "admin", "GetTablets")[0] == 0
    finally:
        file.write_text(kept)
    wait_until(lambda: client(cluster, "viewer", "GetTablets")[0] == 0, 10, "the viewer to be back")


def test_no_secret_is_told(cluster):
    """Runs last: looks at what all the others left behind."""
    secrets = [*cluster.tokens.values(), "pl_forged", "a secret in a statement"]
    places = {str(path): path.read_text(errors="replace") for path in [cluster.audit_log, cluster.asking_log,
                                                                        *cluster.data_dir.glob("log/*.log")]}
    for path in ("/", "/debug/vars", "/debug/status", "/metrics"):
        request = urllib.request.Request(f"http://127.0.0.1:{cluster.port(15010)}{path}",
                                         headers={"Authorization": f"Bearer {cluster.tokens['admin']}"})
        places[path] = urllib.request.urlopen(request, timeout=20).read().decode()
    for pid in {cluster.asking.pid, *cluster.everything().values()}:
        places[f"ps {pid}"] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    for place, text in places.items():
        for secret in secrets:
            assert secret not in text, f"{secret[:6]}... in {place}"
