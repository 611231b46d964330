"""Runs the slices: each is one short sysbench against one contender, with the CPU that every process used meanwhile."""

import os
import re
import subprocess
import sys
import tempfile
import time

from compare_lib import servers, syscalls, workloads
from compare_lib.process import BenchError, cpu_seconds, machine_busy_seconds, rss_mb, wait_until


class Bench:
    def __init__(self, options, backend, folder):
        self.options, self.backend, self.made = options, backend, False
        self.load_file = folder / "load.txt"

    def sysbench(self, workload, contender, *more):
        return workloads.sysbench(self.options, workloads.ALL[workload], contender, *more)

    def ask(self, sql):
        return servers.ask(self.options, self.backend.port, sql)

    def make_tables(self, lineup):
        """Through mysqld itself. Tables of the same size that an earlier run kept are used again."""
        if not self.tables_are_there():
            print(f"making {self.options.tables} tables of {self.options.rows} rows", file=sys.stderr, flush=True)
            self.drop_tables(always=True)
            self.made = True
            run_to_end(self.sysbench("read_write", lineup[0], "prepare"), 300)
        for kind in {workloads.ALL[name].tables for name in self.options.workloads} - {"sbtest", "none"}:
            self.made = True
            workloads.make_tables(self.ask, self.options.database, kind)
        workloads.make_load_file(self.load_file)
        for contender in lineup:
            probe = self.sysbench("point_select", contender, "--threads=1", "--events=1", "--time=0", "run")
            self.wait_for_answer(contender, probe)

    def wait_for_answer(self, contender, probe):
        last = []

        def works():
            try:
                run_to_end(probe, 20)
                return True
            except BenchError as error:
                last[:] = [str(error)]
                return False
        try:
            wait_until(works, 20, f"a first answer through {contender.name}")
        except BenchError as error:
            raise BenchError(f"{error}: {last[0]}") from None

    def tables_are_there(self):
        names = [f"sbtest{i + 1}" for i in range(self.options.tables)]
        listed = ",".join(f"'{n}'" for n in names)
        there = servers.ask(self.options, self.backend.port, "SELECT COUNT(*) FROM information_schema.tables WHERE "
                            f"table_schema='{self.options.database}' AND table_name IN ({listed})")
        if int(there) != len(names):
            return False
        counts = "+".join(f"(SELECT COUNT(*)={self.options.rows} FROM {self.options.database}.{n})" for n in names)
        return servers.ask(self.options, self.backend.port, f"SELECT {counts}") == str(len(names))

    def drop_tables(self, always=False):
        if always or (self.made and not self.options.keep_tables):
            tables = [f"sbtest{i + 1}" for i in range(self.options.tables)] + ["bench_bulk", "bench_stream"]
            self.ask("DROP TABLE IF EXISTS " + ",".join(f"{self.options.database}.{table}" for table in tables))

    def run_case(self, workload, connections, lineup):
        """All rounds of one workload. The order turns by one each round, so that no one always follows the same neighbour."""
        title = f"{workload.replace('_', ' ')}, {connections} connection{'s' if connections != 1 else ''}"
        slices = {contender.name: [] for contender in lineup}
        failures = {}
        for contender in lineup:  # warm up: plan caches, pools, buffer pool; not counted
            self.try_slice(workload, connections, contender, 1, failures)
        for turn in range(self.options.rounds):
            shift = turn % len(lineup)
            for contender in lineup[shift:] + lineup[:shift]:
                if contender.name not in failures:
                    progress(f"{title}: round {turn + 1}/{self.options.rounds} {contender.name:10}")
                    one = self.try_slice(workload, connections, contender, self.options.slice, failures)
                    if one:
                        slices[contender.name].append({"round": turn, **one})
        counts = {}
        if self.options.syscalls:
            for contender in lineup:
                if contender.name not in failures and contender.processes:
                    counts[contender.name] = self.count_syscalls(workload, connections, contender)
        progress("")
        return {"syscalls": counts, "title": title, "workload": workload, "connections": connections, "rounds": self.options.rounds,
                "slice_s": self.options.slice, "slices": slices, "failures": failures}

    def try_slice(self, workload, connections, contender, seconds, failures):
        try:
            return self.slice(workload, connections, contender, seconds)
        except BenchError as error:
            failures[contender.name] = str(error)
            return None

    def start_again(self, argv, seconds):
        """sysbench may fail to log in: its threads load a plugin of the client library at once, and one that loses the race
        asks for a plugin that is not there. Such a start is tried again, and counted."""
        for again in range(4):
            try:
                start = time.monotonic()
                return *run_to_end(argv, seconds), time.monotonic() - start, again
            except BenchError as error:
                if "connect" not in str(error) or again == 3:
                    raise
        raise AssertionError("unreachable")

    def client(self, workload, connections, contender, seconds):
        if workload == "load_data":
            return workloads.load_data(servers.mysql_client(self.options), contender, self.load_file)
        return self.sysbench(workload, contender, f"--threads={connections}", f"--time={seconds}", "--histogram=on", "run")

    def count_syscalls(self, workload, connections, contender):
        """System calls per query, by process: of a slice of their own, since being counted slows them."""
        with syscalls.Counter(contender.processes) as counter:
            parsed = self.try_slice(workload, connections, contender, 1, {})
        return counter.per(parsed["queries"]) if parsed else {}

    def slice(self, workload, connections, contender, seconds):
        watched = {**contender.processes, "mysqld": self.backend.pid}
        if workloads.ALL[workload].tables == "bulk":
            self.ask(f"TRUNCATE TABLE {self.options.database}.bench_bulk")
        argv = self.client(workload, connections, contender, seconds)
        cpu_before = {name: cpu_seconds(pid) for name, pid in watched.items()}
        busy_before, steal_before = machine_busy_seconds()
        output, client_cpu, elapsed, again = self.start_again(argv, seconds + 30)
        busy, steal = machine_busy_seconds()
        cpu = {name: cpu_seconds(pid) - cpu_before[name] for name, pid in watched.items()}
        parsed = parse_sysbench(output) if argv[0] == "sysbench" else {
            "queries": workloads.LOADS, "qps": workloads.LOADS / elapsed, "events": workloads.LOADS, "errors": 0,
            "histogram_ms": [(1000 * elapsed / workloads.LOADS, workloads.LOADS)]}
        others = max(0.0, busy - busy_before - sum(cpu.values()) - client_cpu)
        capacity = elapsed * os.cpu_count()
        return {**parsed, "failed_starts": again, "cpu_us_per_query": {n: 1e6 * s / parsed["queries"] for n, s in {**cpu, "sysbench": client_cpu}.items()},
                "rss_mb": {name: rss_mb(pid) for name, pid in watched.items()},
                "others_busy": others / capacity, "stolen": (steal - steal_before) / capacity}


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:70}\r", end="", file=sys.stderr, flush=True)


def run_to_end(argv, seconds):
    """Output and CPU seconds of a program that must end well in time."""
    with tempfile.TemporaryFile("w+") as out:
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        except OSError as error:
            raise BenchError(f"cannot start {argv[0]}: {error.strerror}; apt-get install {argv[0]}") from None
        end, pid = time.monotonic() + seconds, 0
        while not pid:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if not pid:
                if time.monotonic() >= end:
                    process.kill()
                    process.wait()
                    raise BenchError(f"{argv[0]} did not end within {seconds:.0f} s")
                time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        fatal = [line for line in text.splitlines() if "FATAL" in line or "rror" in line] or text.strip().splitlines()[-1:]
        raise BenchError(" | ".join(dict.fromkeys(fatal[:2])) or f"{argv[0]} ended with code {process.returncode}")
    return text, usage.ru_utime + usage.ru_stime


def parse_sysbench(text):
    """What a run reports: queries, qps, the latency histogram of its events (transactions) in ms."""
    def number(pattern):
        found = re.search(pattern, text)
        if not found:
            raise BenchError(f"sysbench's report has no '{pattern}'")
        return float(found.group(1))
    queries = int(number(r"queries:\s+(\d+)"))
    if queries == 0:
        raise BenchError("no query was answered within the slice")
    histogram = [(float(ms), int(count)) for ms, count in re.findall(r"^\s*([\d.]+) \|\**\s+(\d+)\s*$", text, re.M)]
    return {"queries": queries, "qps": number(r"queries:\s+\d+\s+\(([\d.]+) per sec"), "events": int(number(r"transactions:\s+(\d+)")),
            "errors": int(number(r"ignored errors:\s+(\d+)")), "histogram_ms": histogram}
