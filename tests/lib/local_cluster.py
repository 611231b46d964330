"""A local cluster of real processes, for tests: started under its own folder and ports, stopped and removed afterwards."""

import errno
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pymysql

REPO = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("PACELINE_BIN", REPO / "build/release/bin"))
GREETER = REPO / "examples/greeter/greeter"
DISK_FULL = 1021  # until there is room
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


# PACELINE_BASE_PORT: for a second run beside another one that cannot see its locks (a chroot, a container).
GROUPS = [int(os.environ["PACELINE_BASE_PORT"])] if "PACELINE_BASE_PORT" in os.environ else [21000, 10000]
# Within a group the ports of two clusters never meet: they lie 250 apart, and reach 3150 above the base.
BASE_PORTS = [group + 250 * k for group in GROUPS for k in range(4)]
_reserved = []  # open lock files: a base port is ours until this process ends


def free_base_port():
    """A base port whose main listeners are free, reserved among all test processes of this machine."""
    folder = pathlib.Path(tempfile.gettempdir()) / "paceline-test-ports"
    folder.mkdir(exist_ok=True)
    for base in BASE_PORTS:
        lock = open(folder / str(base), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for offset in (0, 1, 100, 306, 790, 991, 999, 1100, 2100, 3100):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", base + offset))
            _reserved.append(lock)
            return base
        except OSError:
            lock.close()
    raise AssertionError(f"no free range of ports among {BASE_PORTS}")


def release_base_port(base):
    for lock in [lock for lock in _reserved if lock.name.endswith(f"/{base}")]:
        _reserved.remove(lock)
        lock.close()


def alive(pid):
    """True while the process runs; a zombie does not, once its last thread has let go of its files and ports."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return fields[0] != "Z" or int(fields[17]) > 1
    except OSError:
        return False


def kill(pid, sign=signal.SIGKILL):
    """Sends a signal; with SIGKILL waits until the process is gone."""
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return
    if sign == signal.SIGKILL:
        wait_until(lambda: not alive(pid), 20, f"the death of process {pid}")


def run(argv, seconds=60, check=True, **options):
    """Runs a program; returns its output (both streams). Fails with that output when its exit code is not 0."""
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=seconds, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode} of {' '.join(str(a) for a in argv)}:\n{done.stdout}")
    return done.stdout


class LocalCluster:
    """with LocalCluster("mysql", tablets=3) as cluster: ...   Serves when entered; purged when left."""

    def __init__(self, flavor, tablets=3, topo="embedded", cell="zone1", keyspace="test_keyspace", vtorc=False, disk_mb=0,
                 environment=None, vtgate_threads=0, gate_in_tablet=False, tls=False, archive=False,
                 backup_flags="", stalling_disks=False, vttablet_flags="", vtctld_flags=""):
        """`disk_mb`: each tablet has a disk of its own, of that size, which fill_disk fills; needs root. `stalling_disks`: and
        which freeze_disk stalls. `environment`: of all processes, beside this one's."""
        if not (BIN / "paceline").exists():
            raise AssertionError(f"no paceline in {BIN}: build it with tools/build")
        self.flavor, self.tablets, self.topo, self.cell, self.keyspace = flavor, tablets, topo, cell, keyspace
        self.base_port = free_base_port()
        self.data_dir = pathlib.Path(tempfile.mkdtemp(prefix="paceline-"))
        self.data_dir.chmod(0o755)  # mysqld runs as another user
        self.vtorc, self.vtgate_threads, self.gate_in_tablet = vtorc, vtgate_threads, gate_in_tablet
        self.stalling_disks = stalling_disks
        self.disk_mb, self.environment = disk_mb, {**os.environ, **(environment or {})}
        self.tls, self.archive = tls, archive
        self.backup_flags, self.vttablet_flags, self.vtctld_flags = backup_flags, vttablet_flags, vtctld_flags
        self.failed = False  # set by whoever shares a cluster among tests, when one of them failed

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.__exit__(AssertionError, None, None)
            raise
        return self

    def __exit__(self, kind, *_):
        failed = kind is not None or self.failed
        if failed and os.environ.get("PACELINE_KEEP"):
            print(f"kept: {self.data_dir}")
            return
        if failed:
            self.show_logs()
        for uid in self.uids() if self.stalling_disks else []:
            self.thaw_disk(uid)  # nothing that waits for a frozen disk can be killed
        self.down(purge=True)
        for pid in self.leftovers():
            print(f"process {pid} of {self.data_dir} outlived its cluster and is killed")
            kill(pid)
        for uid in self.uids() if self.disk_mb else []:
            run(["umount", self.folder(uid)], check=False)
        shutil.rmtree(self.data_dir, ignore_errors=True)
        release_base_port(self.base_port)

    def flags(self):
        return [f"--flavor={self.flavor}", f"--mysqld={mysqld_of(self.flavor)}", f"--topo={self.topo}",
                f"--vtorcs={2 if self.vtorc else 0}", f"--vtgate-threads={self.vtgate_threads}",
                f"--gate-in-tablet={'true' if self.gate_in_tablet else 'false'}", *(["--tls"] if self.tls else []),
                *(["--archive-binlogs"] if self.archive else []),
                *([f"--backup-flags={self.backup_flags}"] if self.backup_flags else []),
                *([f"--vttablet-flags={self.vttablet_flags}"] if self.vttablet_flags else []),
                *([f"--vtctld-flags={self.vtctld_flags}"] if self.vtctld_flags else [])]

    def up_command(self):
        return [BIN / "paceline", "up", "--detach", f"--tablets={self.tablets}", f"--cell={self.cell}",
                f"--keyspace={self.keyspace}", f"--data-dir={self.data_dir}", f"--base-port={self.base_port}",
                f"--schema={REPO / 'schema/greetings.sql'}", *self.flags()]

    def up(self):
        for uid in self.uids() if self.disk_mb else []:
            if not self.folder(uid).exists():
                self.folder(uid).mkdir()
                self.mount(uid)
        return run(self.up_command(), seconds=300, env=self.environment)

    def mount(self, uid):
        if not self.stalling_disks:
            run(["mount", "-t", "tmpfs", "-o", f"size={self.disk_mb}m,mode=755", "tmpfs", self.folder(uid)])
            return
        image = self.data_dir / f"disk-{uid}"
        run(["truncate", "-s", f"{self.disk_mb}M", image])
        run(["mkfs.ext4", "-q", image])
        run(["mount", "-o", "loop", image, self.folder(uid)])
        (self.folder(uid) / "lost+found").rmdir()

    def freeze_disk(self, uid):
        """No write to that tablet's disk ends until it is thawed."""
        run(["fsfreeze", "-f", self.folder(uid)])

    def thaw_disk(self, uid):
        run(["fsfreeze", "-u", self.folder(uid)], check=False)

    def folder(self, uid):
        return self.data_dir / f"vt_{uid:010d}"

    def fill_disk(self, uid, leave_mb=0):
        """Until not a byte is left on that tablet's disk, or so many; may be asked again, for less or more."""
        path = self.folder(uid) / "filler"
        if leave_mb:
            disk = os.statvfs(self.folder(uid))
            size = path.stat().st_size if path.exists() else 0
            with open(path, "ab") as filler:
                os.posix_fallocate(filler.fileno(), 0, max(1, size + disk.f_bavail * disk.f_frsize - (leave_mb << 20)))
                filler.truncate(max(1, size + disk.f_bavail * disk.f_frsize - (leave_mb << 20)))
            return
        with open(path, "ab", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        filler.write(b"f" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free_disk(self, uid):
        (self.folder(uid) / "filler").unlink(missing_ok=True)

    def has_followed(self, uid, token):
        """Whether that tablet has the greeting."""
        try:
            with self.mysqld(uid) as connection, connection.cursor() as cursor:
                return cursor.execute("SELECT 1 FROM greetings WHERE token = %s", (token,)) > 0
        except pymysql.MySQLError:
            return False

    def wait_follows(self, uid, seconds):
        """Until what is written now is on that tablet. A mysqld whose disk was full looks once a minute whether there is room."""
        token = f"follow-{time.monotonic_ns()}"

        def written():
            try:
                with self.connect() as connection, connection.cursor() as cursor:
                    return cursor.execute("INSERT INTO greetings (name, token) VALUES ('who follows', %s)", (token,))
            except pymysql.OperationalError as error:
                if error.args[0] != DISK_FULL:
                    raise
                return False
        wait_until(written, seconds, "writes to be taken again")
        wait_until(lambda: self.has_followed(uid, token), seconds, f"tablet {uid} to follow")

    def down(self, purge=False):
        return run([BIN / "paceline", "down", f"--data-dir={self.data_dir}", *(["--purge"] if purge else [])],
                   seconds=240, check=False)

    def status(self, check=True):
        return run([BIN / "paceline", "status", f"--data-dir={self.data_dir}"], check=check)

    def port(self, standard):
        """A documented default port as this cluster has it."""
        return self.base_port + standard - 15000

    def vtctldclient(self, *arguments, check=True, seconds=60):
        return run([BIN / "vtctldclient", "--server", f"127.0.0.1:{self.port(15999)}", *self.tls_flags(), *arguments], seconds, check)

    def tls_flags(self, prefix="vtctld-grpc", who="client"):
        """What a client under --tls is told; nothing without."""
        if not self.tls:
            return []
        folder = self.data_dir / "tls"
        return [f"--{prefix}-ca={folder}/ca.pem", f"--{prefix}-cert={folder}/{who}.pem", f"--{prefix}-key={folder}/{who}-key.pem"]

    def page(self, standard, path="/metrics", **headers):
        """(status, text) of an HTTP page, by the documented default port of its process."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port(standard)}{path}",
                                         headers={name.replace("_", "-"): value for name, value in headers.items()})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def connect(self, **options):
        """A connection to vtgate."""
        return pymysql.connect(host="127.0.0.1", port=self.port(15306), user="root",
                               **{"database": self.keyspace, "autocommit": True, "connect_timeout": 10, "read_timeout": 30,
                                  **options})

    def greeter_flags(self):
        return [f"--mysql=127.0.0.1:{self.port(15306)}", f"--vtgate=127.0.0.1:{self.port(15991)}",
                f"--keyspace={self.keyspace}"]

    def greet(self, seconds=2, *flags):
        """Runs the greeter's load and its ledger check."""
        return run([GREETER, "load", f"--seconds={seconds}", *self.greeter_flags(), *flags], seconds + 120)

    def state(self):
        """What the supervisor has written down."""
        return json.loads((self.data_dir / "processes.json").read_text())

    def pids(self):
        """{name: pid} of the supervised processes, for instance vttablet-100."""
        return {record["name"]: record["pid"] for record in self.state()["processes"]}

    def pid(self, process):
        pids = self.pids()
        if process not in pids:
            raise AssertionError(f"no process {process} in {self.data_dir}/processes.json")
        return pids[process]

    def uids(self):
        return range(100, 100 + self.tablets)

    def everything(self):
        """{name: pid} of all that runs for this cluster: the supervised processes, each mysqld and etcd, the
        supervisor."""
        found = {name: pid for name, pid in self.pids().items() if alive(pid)}
        for uid in self.uids():
            try:
                found[f"mysqld-{uid}"] = self.mysqld_pid(uid)
            except AssertionError:
                pass
        for member in range(3 if self.topo == "etcd" else 0):
            try:
                found[f"etcd-{member}-server"] = self.etcd_pid(member)
            except AssertionError:
                pass
        supervisor = self.state()["supervisor_pid"]
        if alive(supervisor):
            found["supervisor"] = supervisor
        return found

    def leftovers(self):
        """Processes whose command line names this cluster's folder."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if str(self.data_dir).encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def primary(self):
        """The uid of the shard's primary, by its topology record."""
        shard = json.loads(self.vtctldclient("GetShard", f"{self.keyspace}/0"))["shard"]
        return int(shard["primary_alias"]["uid"])

    def address(self, uid):
        """Where a tablet listens."""
        del uid
        return "127.0.0.1"

    def mysqld(self, uid, **options):
        """A connection to a tablet's mysqld itself, for looking, not for going around vtgate."""
        return pymysql.connect(host=self.address(uid), port=self.port(17000 + uid), user="vt_bench", database=f"vt_{self.keyspace}",
                               **{"autocommit": True, "connect_timeout": 5, "read_timeout": 30, **options})

    def as_dba(self, uid, **options):
        """A connection to a tablet's mysqld with all privileges, on its socket."""
        return pymysql.connect(unix_socket=str(self.data_dir / f"vt_{uid:010d}" / "mysql.sock"), user="vt_dba",
                               **{"autocommit": True, "connect_timeout": 5, "read_timeout": 120, **options})

    def serves(self):
        """True when a write through vtgate succeeds."""
        connection = self.connect(connect_timeout=2, read_timeout=5)
        with connection, connection.cursor() as cursor:
            return cursor.execute("INSERT INTO greetings (name) VALUES ('does it serve')") == 1

    def wait_serving(self, seconds=60):
        wait_until(self.serves, seconds, "a write through vtgate")

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

    def etcd_pid(self, member):
        """The pid of a member's etcd itself; cluster.pid("etcd-0") is its wrapper's."""
        folder = f"{self.data_dir}/etcd-{member}".encode()
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(part.rsplit(b"/", 1)[-1] == b"etcd" for part in command[:6]) and folder in command and alive(int(entry.name)):
                return int(entry.name)
        raise AssertionError(f"no etcd of member {member}")

    def freeze_etcd(self):
        """Stops all of etcd, wrappers too, which would start a silent one anew; returns what to thaw."""
        pids = [self.pid(f"etcd-{n}") for n in range(3)] + [self.etcd_pid(n) for n in range(3)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    def kill_tablet(self, uid):
        """kill -9 of a tablet's vttablet and mysqld, as a pod that is gone."""
        for pid in (self.pid(f"vttablet-{uid}"), self.mysqld_pid(uid)):
            kill(pid)

    def show_logs(self, lines=15):
        for log in sorted(self.data_dir.glob("log/*.log")):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            print(f"--- {log.name}\n" + "\n".join(tail))
