"""Counts the system calls of processes by strace. Slow for them, right in number."""

import collections
import re
import shutil
import signal
import subprocess
import tempfile

from compare_lib.process import BenchError, wait_until

LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$")


class Counter:
    """with Counter({"vtgate": pid}) as counter: ...   then counter.per(queries)"""

    def __init__(self, processes):
        if not shutil.which("strace"):
            raise BenchError("no strace: apt-get install strace, or leave --syscalls out")
        self.processes, self.tracers, self.counts = processes, {}, {}

    def __enter__(self):
        for name, pid in self.processes.items():
            out = tempfile.NamedTemporaryFile("w+")
            tracer = subprocess.Popen(["strace", "-c", "-f", "-U", "time,total-time,avg-time,calls,errors,name", "-o", out.name,
                                       "-p", str(pid)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.tracers[name] = (tracer, out)
            wait_until(lambda pid=pid: traced(pid), 10, f"strace to hold {name}")
        return self

    def __exit__(self, *_):
        for name, (tracer, out) in self.tracers.items():
            tracer.send_signal(signal.SIGINT)
            tracer.wait(20)
            counts = collections.Counter()
            for line in out.read().splitlines():
                found = LINE.match(line)
                if found and found.group(2) != "total":
                    counts[found.group(2)] += int(found.group(1))
            out.close()
            self.counts[name] = counts

    def per(self, queries):
        """{process: {call: times per query}}, the frequent ones, most first."""
        return {name: {call: round(count / queries, 2) for call, count in counts.most_common(6) if count / queries >= 0.01}
                for name, counts in self.counts.items()}


def traced(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return "TracerPid:\t0\n" not in status.read()
