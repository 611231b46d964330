"""A local cluster of real processes, for tests: started under its own folder and ports, stopped and removed afterwards."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pymysql

REPO = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("PACELINE_BIN", REPO / "build/release/bin"))
GREETER = REPO / "examples/greeter/greeter"
FLAVORS = ("mysql", "mariadb")


def mysqld_of(flavor):
    """The mysqld that tests use for a flavor: MySQL 9.7 as tools/mysql97 brings it, Debian's MariaDB."""
    if flavor == "mariadb":
        return pathlib.Path("/usr/sbin/mariadbd")
    peers = pathlib.Path(os.environ.get("PACELINE_PEERS", REPO / ".cache")) / "mysql97" / "root"
    return pathlib.Path(os.environ.get("PACELINE_MYSQL_BASEDIR", peers)) / "bin" / "mysqld"


def wait_until(condition, seconds, what):
    """The first truthy value of condition(); exceptions count as not yet. Fails naming `what` when time is up."""
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except Exception as error:  # noqa: BLE001: whatever it is, it is shown when time is up
            last = error
        if time.monotonic() >= end:
            raise AssertionError(f"waited {seconds} s in vain for {what}" + (f": {last}" if last else ""))
        time.sleep(0.05)


def free_base_port():
    """A base port whose main listeners are free. Ports reach up to 3200 above it."""
    for base in range(20000, 28000, 200):
        try:
            for offset in (0, 1, 306, 991, 999, 100, 1100, 2100, 3100):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
    raise AssertionError("no free range of ports between 20000 and 28000")


def run(argv, seconds=60, check=True, **options):
    """Runs a program; returns its output (both streams). Fails with that output when its exit code is not 0."""
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=seconds, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode} of {' '.join(str(a) for a in argv)}:\n{done.stdout}")
    return done.stdout


class LocalCluster:
    """with LocalCluster("mysql", tablets=3) as cluster: ...   Serves when entered; purged when left."""

    def __init__(self, flavor, tablets=3, topo="embedded", cell="zone1", keyspace="test_keyspace"):
        if not (BIN / "paceline").exists():
            raise AssertionError(f"no paceline in {BIN}: build it with tools/build")
        self.flavor, self.tablets, self.topo, self.cell, self.keyspace = flavor, tablets, topo, cell, keyspace
        self.base_port = free_base_port()
        self.data_dir = pathlib.Path(tempfile.mkdtemp(prefix="paceline-"))
        self.data_dir.chmod(0o755)  # mysqld runs as another user
        self.kept = False

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.__exit__(AssertionError, None, None)
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None and os.environ.get("PACELINE_KEEP"):
            print(f"kept: {self.data_dir}")
            return
        if kind is not None:
            self.show_logs()
        self.down(purge=True)
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def flags(self):
        return [f"--flavor={self.flavor}", f"--mysqld={mysqld_of(self.flavor)}", f"--topo={self.topo}"]

    def up(self):
        return run([BIN / "paceline", "up", "--detach", f"--tablets={self.tablets}", f"--cell={self.cell}",
                    f"--keyspace={self.keyspace}", f"--data-dir={self.data_dir}", f"--base-port={self.base_port}",
                    f"--schema={REPO / 'schema/greetings.sql'}", *self.flags()], seconds=300)

    def down(self, purge=False):
        return run([BIN / "paceline", "down", f"--data-dir={self.data_dir}", *(["--purge"] if purge else [])],
                   seconds=240, check=False)

    def port(self, standard):
        """A documented default port as this cluster has it."""
        return self.base_port + standard - 15000

    def vtctldclient(self, *arguments, check=True, seconds=60):
        return run([BIN / "vtctldclient", "--server", f"127.0.0.1:{self.port(15999)}", *arguments], seconds, check)

    def connect(self, **options):
        """A connection to vtgate."""
        return pymysql.connect(host="127.0.0.1", port=self.port(15306), user="root", database=self.keyspace,
                               **{"autocommit": True, "connect_timeout": 10, "read_timeout": 30, **options})

    def greeter_flags(self):
        return [f"--mysql=127.0.0.1:{self.port(15306)}", f"--vtgate=127.0.0.1:{self.port(15991)}",
                f"--keyspace={self.keyspace}"]

    def greet(self, seconds=2, *flags):
        """Runs the greeter's load and its ledger check."""
        return run([GREETER, "load", f"--seconds={seconds}", *self.greeter_flags(), *flags], seconds + 120)

    def pid(self, process):
        """The pid of a supervised process, for instance vttablet-100."""
        state = json.loads((self.data_dir / "processes.json").read_text())
        for record in state["processes"]:
            if record["name"] == process:
                return record["pid"]
        raise AssertionError(f"no process {process} in {self.data_dir}/processes.json")

    def mysqld_pid(self, uid):
        """The pid of a tablet's mysqld, found by the tablet's folder in its command line."""
        folder = f"{self.data_dir}/vt_{uid:010d}/"
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            names = b" ".join(command[:6])
            if (b"mysqld" in names or b"mariadbd" in names) and b"mysqlctld" not in command[0]:
                if any(folder.encode() in part for part in command):
                    return int(entry.name)
        raise AssertionError(f"no mysqld of tablet {uid} under {folder}")

    def kill_tablet(self, uid):
        """kill -9 of a tablet's vttablet and mysqld, as a pod that is gone."""
        for pid in (self.pid(f"vttablet-{uid}"), self.mysqld_pid(uid)):
            os.kill(pid, signal.SIGKILL)

    def show_logs(self, lines=15):
        for log in sorted(self.data_dir.glob("log/*.log")):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            print(f"--- {log.name}\n" + "\n".join(tail))
