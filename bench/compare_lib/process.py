"""Servers that the bench starts, and what /proc tells of any process: who listens, CPU used, memory held."""

import os
import pathlib
import pwd
import signal
import socket
import subprocess
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """What went wrong, where, and what to do next, in one line."""


def wait_until(condition, seconds, what):
    """Polls until condition() is true. BenchError naming `what` when time is up."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            raise BenchError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)


def answers(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_ports(count):
    """Ports that were free a moment ago; all held until the last is known, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for probe in held:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()


def identity(user):
    """Popen arguments that run a program as `user` (None: as ourselves); none when we are not root, who alone can change."""
    if os.geteuid() != 0 or user is None:
        return {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise BenchError(f"no user '{user}' to run servers as: name another with --run-as") from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def owned_folder(path, user):
    path.mkdir()
    who = identity(user)
    if who:
        os.chown(path, who["user"], who["group"])
    return path


class Server:
    """One started process, in a session of its own as Paceline's are: Linux shares the CPU out between sessions (autogroup).
    Its output goes to a file that the error of a failed start quotes."""

    def __init__(self, name, argv, folder, user, cwd=None):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "wb") as log:
            try:
                self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                cwd=cwd or folder, start_new_session=True, **identity(user))
            except OSError as error:
                raise BenchError(f"cannot start {name}: {error}") from None
        self.pid = self.process.pid

    def wait_for_port(self, port, seconds=30):
        def ready():
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with code {self.process.returncode} before it listened: {self.tail()}")
            return answers(port)
        wait_until(ready, seconds, f"{self.name} on port {port}")

    def tail(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "no output"

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def listener(port):
    """Pid of the process that listens on a TCP port; None when none does or its files may not be read."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            for line in pathlib.Path(table).read_text().splitlines()[1:]:
                field = line.split()
                if field[3] == "0A" and int(field[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{field[9]}]")
    for pid in filter(str.isdigit, os.listdir("/proc") if inodes else ()):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in inodes:
                    return int(pid)
        except OSError:
            continue
    return None


def cpu_seconds(pid):
    """User and system time of a process and its ended threads, in steps of a clock tick (10 ms)."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        raise BenchError(f"process {pid} ended during the measurement") from None
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def machine_busy_seconds():
    """CPU seconds that anyone used since boot, and those the host took away (steal)."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq) / TICKS, steal / TICKS
