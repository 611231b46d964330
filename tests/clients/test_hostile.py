"""What no honest client sends: vtgate neither falls nor grows, and its other sessions notice nothing."""

import os
import pathlib
import random
import resource
import socket
import ssl
import struct
import time

import pytest
import raw_mysql as raw
from local_cluster import wait_until

pytestmark = pytest.mark.long  # not yet run whole: docs/verification.md
CORPUS = pathlib.Path(__file__).parent / "corpus"  # inputs that once did harm: each is sent again


def gate_port(cluster):
    return cluster.port(15306)


def process_of(cluster, name):
    return next(record["pid"] for record in cluster.state()["processes"] if record["name"].startswith(name))


def resident_kb(pid):
    return int(next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1])


class Recorder:
    """A socket that keeps what is sent through it."""

    def __init__(self, inner):
        self.inner, self.sent = inner, b""

    def sendall(self, data):
        self.sent += data
        self.inner.sendall(data)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def conversation(cluster):
    """The bytes of a client that does a little of everything, its login without a password."""
    connect = socket.create_connection
    recorders = []

    def recording(*arguments, **options):
        recorders.append(Recorder(connect(*arguments, **options)))
        return recorders[-1]

    raw.socket.create_connection = recording
    try:
        client = raw.Client(gate_port(cluster), "app", database=cluster.keyspace, capabilities=raw.USUAL | raw.MULTI_STATEMENTS,
                            charset=45, attributes={"program": "hostile"})
    finally:
        raw.socket.create_connection = connect
    client.query("SELECT 1; SELECT 2")
    client.query("BEGIN")
    number = client.prepare("SELECT ?, ?")[1]
    client.long_data(number, 1, b"long" * 10)
    client.execute(number, [(8, 0), (252, 0)], [0, 0], [struct.pack("<q", 5)])
    client.execute(number, flags=1, nulls=[1, 1], types=[(6, 0), (6, 0)], values=[b"", b""])
    client.fetch(number, 1)
    client.reset_statement(number)
    client.close_statement(number)
    client.simple(raw.PING)
    client.simple(raw.INIT_DB, cluster.keyspace.encode())
    client.field_list("greetings")
    client.simple(raw.RESET_CONNECTION)
    client.close()
    return recorders[0].sent


def sessions(cluster):
    with raw.Client(gate_port(cluster), "app", charset=45) as client:
        return len(client.query("SHOW VITESS_SESSIONS")[0][2]) - 1


def throw(port, data, rng=None, linger=0.0):
    """Sends bytes to a port and goes away, in one of three manners."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as thrown:
        try:
            thrown.sendall(data)
            manner = rng.randrange(3) if rng else 0
            if manner == 1:
                thrown.shutdown(socket.SHUT_WR)
            if manner == 2:
                thrown.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if linger:
                time.sleep(linger)
        except OSError:
            pass


@pytest.fixture
def bystander(cluster):
    """A session beside, which must go on as if nothing were."""
    before = {record["name"]: record["pid"] for record in cluster.state()["processes"]}
    with raw.Client(gate_port(cluster), "app", database=cluster.keyspace, charset=45) as client:
        client.query("BEGIN")
        client.query("SET @bystander = 7")
        yield client
        assert raw.text_row(client.query("SELECT @bystander")[0][2][0]) == (b"7",)
        assert client.query("COMMIT")[0][0] == "ok"
    wait_until(lambda: sessions(cluster) == 0, 30, "the sessions of hostile clients to end")
    assert {record["name"]: record["pid"] for record in cluster.state()["processes"]} == before


def test_cut_at_every_byte(cluster, bystander):
    whole, rng = conversation(cluster), random.Random(1)
    for cut in range(len(whole)):
        throw(gate_port(cluster), whole[:cut], rng)


def test_changed_bytes(cluster, bystander):
    whole = conversation(cluster)
    for seed in range(400):
        rng = random.Random(seed)
        data = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data))
            how = rng.randrange(4)
            if how == 0:
                data[at] = rng.choice((0, 0xff, 0xfb, 0xfe, rng.randrange(256)))
            elif how == 1:
                del data[at:at + rng.randint(1, 20)]
            elif how == 2:
                data[at:at] = rng.randbytes(rng.randint(1, 20))
            else:
                data[at:at + 3] = rng.choice((b"\xff\xff\xff", b"\0\0\0", b"\1\0\0"))
        throw(gate_port(cluster), bytes(data), rng)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*")), ids=lambda path: path.name)
def test_corpus(cluster, bystander, path):
    throw(gate_port(cluster), path.read_bytes())


GARBAGE = [b"", b"\0" * 100, b"\xff" * 5000, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET " + b"a" * 100_000, b"\x16\x03\x01\x02\x00\x01" + b"x" * 600,
           b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 400, b"SSH-2.0-x\r\n", b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nx",
           random.Random(3).randbytes(20_000)]


def test_garbage_on_every_port(cluster, bystander):
    listening = set()
    pids = {record["pid"] for record in cluster.state()["processes"]}
    inodes = set()
    for pid in pids:
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(link))
            except OSError:
                pass
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            listening.add(int(fields[1].split(":")[1], 16))
    assert gate_port(cluster) in listening and len(listening) >= 5, listening
    rng = random.Random(5)
    for port in sorted(listening):
        for data in GARBAGE:
            throw(port, data, rng)
    with raw.Client(gate_port(cluster), "app", database=cluster.keyspace, charset=45) as client:
        assert client.query("SELECT COUNT(*) FROM greetings")[0][0] == "rows"


def test_lengths_that_promise_too_much(cluster, bystander):
    """A packet is believed as it comes, not as its header says; and there is an end to one command."""
    pid = process_of(cluster, "vtgate")
    before = resident_kb(pid)
    open_ones = []
    for _ in range(200):
        client = raw.Client(gate_port(cluster), "app", charset=45)
        client.socket.sendall(b"\xff\xff\xff\0\x03SELECT 1")
        open_ones.append(client)
    assert resident_kb(pid) - before < 30_000
    for client in open_ones:
        client.socket.close()
    with raw.Client(gate_port(cluster), "app", charset=45) as client:
        piece = b"\xff\xff\xff" + b"%c" + b"x" * 0xffffff
        with pytest.raises((raw.Lost, OSError, AssertionError)):
            for number in range(80):  # 1.3 GB
                client.socket.sendall(piece.replace(b"%c", bytes([number]), 1))
            client.sequence = 80
            answer = client.end_of(client.receive())
            assert answer[0] != "error"
    assert resident_kb(pid) - before < 400_000


def test_slow_readers(cluster, bystander):
    """Results that nobody reads stop at the tablet; the gate keeps a window of each."""
    pid = process_of(cluster, "vtgate")
    before = resident_kb(pid)
    slow = []
    for _ in range(20):
        client = raw.Client(gate_port(cluster), "app", database=cluster.keyspace, charset=45)
        client.command(raw.QUERY, b"SELECT REPEAT('x', 1000000) FROM information_schema.columns LIMIT 200")
        slow.append(client)
    for _ in range(20):
        assert bystander.query("SELECT 1")[0][0] == "rows"
        time.sleep(0.1)
    grown = resident_kb(pid) - before
    for client in slow:
        client.socket.close()
    assert grown < 80_000, f"{grown} KB for 20 results that nobody reads"


def test_half_handshakes(cluster, bystander):
    halves = []
    for data in (b"", b"\x20", b"\x20\0\0\1" + b"\0" * 10) * 50:
        half = socket.create_connection(("127.0.0.1", gate_port(cluster)))
        half.sendall(data)
        halves.append(half)
    assert bystander.query("SELECT 1")[0][0] == "rows"
    for half in halves[:3]:  # by the time limit of a login
        half.settimeout(40)
        while half.recv(4096):
            pass
    for half in halves:
        half.close()


def idle_kb(port, pid, count, tls=None):
    """Resident memory of the process for each connection that is logged in and idle."""
    clients = [raw.Client(port, "app", "secret" if tls else "", tls=tls, charset=45) for _ in range(200)]  # what is made once
    before = resident_kb(pid)
    clients += [raw.Client(port, "app", "secret" if tls else "", tls=tls, charset=45) for _ in range(count)]
    each = (resident_kb(pid) - before) / count
    for client in clients:
        client.socket.close()
    return each


def allow_open_files(count):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.mark.parametrize("count", [2000, pytest.param(9700, marks=pytest.mark.long)])
def test_memory_of_idle_connections(cluster, bystander, count):
    allow_open_files(count + 1000)
    each = idle_kb(gate_port(cluster), process_of(cluster, "vtgate"), count)
    assert each <= 10, f"{each:.1f} KB for each connection"


@pytest.mark.parametrize("count", [500, pytest.param(9700, marks=pytest.mark.long)])
def test_memory_of_idle_connections_over_tls(cluster, gate, count):
    allow_open_files(count + 1000)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    each = idle_kb(gate.port, gate.process.pid, count, context)
    assert each <= 40, f"{each:.1f} KB for each connection over TLS"
