"""What idle connections cost a middle tier: its memory before and with them, by process."""

import resource
import socket
import time

from compare_lib.process import BenchError, rss_mb

AT_ONCE = 200  # logins in flight


def measure(count, lineup):
    """[{name, connections, kb_per_connection: {process: KB}}] of the contenders that have processes of their own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 100:
        raise BenchError(f"--idle={count} needs {count + 100} file descriptors; the limit here is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
    return [one(count, contender) for contender in lineup if contender.name.startswith("ours")]


def one(count, contender):
    held = []
    try:
        held.append(login(contender))  # what the first one brings along is not the price of one more
        before = {name: rss_mb(pid) for name, pid in contender.processes.items()}
        for _ in range(count):
            held.append(login(contender))
        time.sleep(1)
        after = {name: rss_mb(pid) for name, pid in contender.processes.items()}
    finally:
        for connection in held:
            connection.close()
    return {"name": contender.name, "connections": count,
            "kb_per_connection": {name: 1024 * (after[name] - before[name]) / count for name in before}}


def login(contender):
    """A logged-in connection of a user without a password, over the bare protocol: HandshakeResponse41 with an empty answer."""
    connection = socket.create_connection(("127.0.0.1", contender.port), timeout=20)
    receive(connection)  # the greeting
    capabilities = 0x1 | 0x8 | 0x200 | 0x8000 | 0x80000  # long password, with database, protocol 4.1, secure, plugin auth
    body = capabilities.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x2d" + bytes(23)
    body += contender.user.encode() + b"\0" + b"\0" + contender.database.encode() + b"\0" + b"caching_sha2_password\0"
    connection.sendall(len(body).to_bytes(3, "little") + b"\x01" + body)
    answer = receive(connection)
    if answer[:1] not in (b"\x00", b"\x01"):
        raise BenchError(f"{contender.name} refused an idle connection: {answer[:80]!r}")
    return connection


def receive(connection):
    head = exactly(connection, 4)
    return exactly(connection, int.from_bytes(head[:3], "little"))


def exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise BenchError("the connection was closed at its login")
        data += part
    return data
