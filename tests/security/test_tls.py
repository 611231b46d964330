"""A cluster under --tls: who shows no certificate is refused everywhere, and the run-book's steps work."""

import socket
import ssl

import pytest
from local_cluster import BIN, LocalCluster, run, wait_until


@pytest.fixture(scope="module")
def cluster(request):
    with LocalCluster("mariadb", tablets=3, topo="etcd", vtorc=True, tls=True) as cluster:
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


def context(cluster, who=None):
    made = ssl.create_default_context(cafile=cluster.data_dir / "tls/ca.pem")
    made.set_alpn_protocols(["h2"])
    if who:
        made.load_cert_chain(cluster.data_dir / f"tls/{who}.pem", cluster.data_dir / f"tls/{who}-key.pem")
    return made


GRPC_PORTS = {"vtctld": 15999, "vtgate": 15991, "vttablet": 16100}
NATIVE_PORT = 18100


def lets_in(cluster, port, who):
    """True when the server goes on after the handshake with what `who` shows. TLS 1.3 tells a refused client with its
    first read."""
    with socket.create_connection(("127.0.0.1", cluster.port(port)), timeout=10) as raw:
        try:
            with context(cluster, who).wrap_socket(raw, server_hostname="127.0.0.1") as tls:
                if port != NATIVE_PORT:  # which waits for a hello of its own
                    tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                tls.settimeout(3)
                try:
                    return len(tls.recv(100)) > 0
                except TimeoutError:
                    return port == NATIVE_PORT
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.mark.parametrize("port", [*GRPC_PORTS.values(), NATIVE_PORT], ids=[*GRPC_PORTS, "native"])
def test_only_who_shows_a_certificate_is_let_in(cluster, port):
    assert lets_in(cluster, port, "client")
    assert not lets_in(cluster, port, None)


def test_clients_without_a_certificate_are_told_so(cluster):
    server = ["--server", f"127.0.0.1:{cluster.port(15999)}"]
    plain = run([BIN / "vtctldclient", *server, "--action-timeout=5s", "GetKeyspaces"], check=False)
    assert "test_keyspace" not in plain and "Error" in plain
    ca = f"--vtctld-grpc-ca={cluster.data_dir}/tls/ca.pem"
    bare = run([BIN / "vtctldclient", *server, ca, "--action-timeout=5s", "GetKeyspaces"], check=False)
    assert "test_keyspace" not in bare and "Error" in bare
    assert "test_keyspace" in cluster.vtctldclient("GetKeyspaces")


def test_etcd_asks_for_a_certificate(cluster):
    assert lets_in(cluster, 15790, "client")
    assert not lets_in(cluster, 15790, None)


def test_the_runbooks_steps(cluster):
    """Statements over the native plane, backup, planned reparent, and a failover that nobody drives."""
    cluster.wait_serving()
    old = cluster.primary()
    other = next(uid for uid in cluster.uids() if uid != old)
    cluster.vtctldclient("Backup", f"zone1-{other:010d}", seconds=180)
    assert f"zone1-{other:010d}" in cluster.vtctldclient("GetBackups", "test_keyspace/0")
    cluster.vtctldclient("PlannedReparentShard", "test_keyspace/0", "--new-primary", f"zone1-{other:010d}", seconds=120)
    assert cluster.primary() == other
    cluster.wait_serving()
    cluster.kill_tablet(other)
    wait_until(lambda: cluster.primary() != other, 90, "a new primary")
    cluster.wait_serving()
    # The lost one is back, as a replica of the new primary.
    wait_until(lambda: "zone1-0000000%d" % other in cluster.vtctldclient("GetTablets", "--keyspace=test_keyspace", "--tablet-type=replica"),
               120, "the old primary as a replica")


def test_mysql_clients_may_use_tls(cluster):
    with cluster.connect(ssl={"ca": str(cluster.data_dir / "tls/ca.pem")}) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM greetings")
        assert cursor.fetchone()[0] >= 1


def test_keys_are_their_owners_alone(cluster):
    for key in (cluster.data_dir / "tls").glob("*-key.pem"):
        assert key.stat().st_mode & 0o077 == 0, key
