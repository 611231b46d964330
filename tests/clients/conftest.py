import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from local_cluster import BIN, FLAVORS, LocalCluster, kill, run, wait_until

import raw_mysql
from twins import free_port

USERS = {"app": [{"Password": "secret"}],
         "native": [{"MysqlNativePassword": "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"}],
         "sha2": [{"CachingSha2Password": "*" + hashlib.sha256(hashlib.sha256(b"secret").digest()).hexdigest()}]}


class SecureGate:
    """A second vtgate of a cluster, with users, a certificate, and what else a flag switches on."""

    def __init__(self, cluster, *flags, ready=True):
        self.cluster, self.flags, self.ready = cluster, flags, ready
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="paceline-gate-"))
        self.users, self.cert, self.key = self.folder / "users.json", self.folder / "cert.pem", self.folder / "key.pem"
        self.users.write_text(json.dumps(USERS))
        self.make_certificate("one")
        self.port = free_port()
        self.process = None

    def make_certificate(self, name):
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key,
             "-out", self.cert])

    def __enter__(self):
        record = next(r for r in self.cluster.state()["processes"] if r["name"].startswith("vtgate"))
        command = pathlib.Path(f"/proc/{record['pid']}/cmdline").read_bytes().decode().split("\0")[1:-1]
        flags, keep = [], False
        for one in command:
            keep = one.startswith(("--cell", "--topo")) or (keep and not one.startswith("-"))
            flags += [one] if keep else []
        self.log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(
            [BIN / "vtgate", *flags, f"--mysql-server-port={self.port}", "--mysql-server-bind-address=127.0.0.1", "--port=0", "--grpc-port=0",
             f"--mysql-auth-server-static-file={self.users}", f"--mysql-server-ssl-cert={self.cert}", f"--mysql-server-ssl-key={self.key}",
             *self.flags], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        if self.ready:
            wait_until(self.answers, 30, "the second vtgate")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text())
        proxy = b"PROXY UNKNOWN\r\n" if "--proxy-protocol" in self.flags else b""
        with raw_mysql.Client(self.port, "app", "secret", self.cluster.keyspace, before=proxy) as client:
            return client.query("SELECT 1")[0][0] == "rows"

    def __exit__(self, *_):
        kill(self.process.pid)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param, tablets=1) as running:
        yield running
        running.failed = bool(request.session.testsfailed)


@pytest.fixture(scope="session")
def gate(cluster):
    with SecureGate(cluster) as running:
        yield running
