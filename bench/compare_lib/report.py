"""From slices to figures, and figures to text, Markdown and JSON. Pure but for result(), which looks at machine and commit."""

import os
import pathlib
import platform
import statistics
import subprocess
import time

from compare_lib.process import REPO


def percentile(histogram, fraction):
    """Upper bound of the bucket that holds the fraction, of merged (ms, count) pairs; sysbench's buckets are 1-2% wide."""
    counts = {}
    for ms, count in histogram:
        counts[ms] = counts.get(ms, 0) + count
    wanted, seen = fraction * sum(counts.values()), 0
    for ms in sorted(counts):
        seen += counts[ms]
        if seen >= wanted:
            return ms
    return None


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)} if values else None


def summarise(case):
    """Per contender: medians over rounds; ratios are taken within a round, where both saw the same machine."""
    direct = {s["round"]: s for s in case["slices"]["direct"]}
    rows = []
    for name, slices in case["slices"].items():
        if not slices:
            continue
        merged = [pair for s in slices for pair in s["histogram_ms"]]
        paired = [s["qps"] / direct[s["round"]]["qps"] for s in slices if s["round"] in direct]
        processes = list(slices[0]["cpu_us_per_query"])
        middle = [p for p in processes if p not in ("mysqld", "sysbench")]
        cpu = {p: statistics.median(s["cpu_us_per_query"][p] for s in slices) for p in processes}
        rows.append({
            "name": name, "qps": statistics.median(s["qps"] for s in slices), "ratio": spread(paired),
            "p50_ms": percentile(merged, 0.50), "p95_ms": percentile(merged, 0.95), "p99_ms": percentile(merged, 0.99),
            "cpu_us": cpu, "cpu_us_middle": sum(cpu[p] for p in middle),
            "rss_mb": {p: max(s["rss_mb"][p] for s in slices) for p in slices[0]["rss_mb"]},
            "errors": sum(s["errors"] for s in slices), "failed_starts": sum(s["failed_starts"] for s in slices),
            "others_busy": statistics.median(s["others_busy"] for s in slices),
            "stolen": statistics.median(s["stolen"] for s in slices)})
    return rows


HEADER = ("", "q/s", "x direct (range)", "p50 ms", "p95 ms", "p99 ms", "middle us/q", "mysqld us/q", "client us/q", "RSS MB")


def cells(row):
    def ms(value):
        return "-" if value is None else f"{value:.3f}"
    middle = {p: us for p, us in row["cpu_us"].items() if p not in ("mysqld", "sysbench")}
    parts = "" if len(middle) < 2 else " (" + " + ".join(f"{p} {us:.1f}" for p, us in middle.items()) + ")"
    rss = " ".join(f"{p} {mb:.0f}" for p, mb in row["rss_mb"].items() if p != "mysqld")
    ratio = row["ratio"]
    return (row["name"], f"{row['qps']:,.0f}", f"{ratio['median']:.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})" if ratio else "-",
            ms(row["p50_ms"]), ms(row["p95_ms"]), ms(row["p99_ms"]), f"{row['cpu_us_middle']:.1f}{parts}" if middle else "-",
            f"{row['cpu_us']['mysqld']:.1f}", f"{row['cpu_us']['sysbench']:.1f}", rss or "-")


def noise_note(rows):
    others, stolen = (100 * max((r[k] for r in rows), default=0) for k in ("others_busy", "stolen"))
    note = f"other programs used up to {others:.0f}% of the machine, its host took up to {stolen:.0f}%"
    return note + ("; too much to trust small differences" if others + stolen > 15 else "")


def syscall_lines(case):
    return [f"system calls per query, {name}: " + "; ".join(
        f"{process} {sum(calls.values()):.2f} ({', '.join(f'{call} {times}' for call, times in calls.items())})"
        for process, calls in processes.items()) for name, processes in case.get("syscalls", {}).items()]


def idle_text(rows):
    return "\n".join(f"{row['connections']:,} idle connections, {row['name']}: " + ", ".join(
        f"{process} {kb:.1f} KB each" for process, kb in row["kb_per_connection"].items()) for row in rows)


def heading(case):
    return f"{case['title']}: {case['rounds']} rounds of {case['slice_s']} s"


def case_text(case):
    rows = summarise(case)
    table = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEADER))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in table]
    return "\n".join([heading(case), *lines, *remarks(case, rows), f"({noise_note(rows)})", ""])


def remarks(case, rows):
    lines = [f"{row['name']}: {row['errors']} transactions met a deadlock or lock timeout and ran again" for row in rows if row["errors"]]
    lines += [f"{row['name']}: sysbench failed to log in {row['failed_starts']} times" for row in rows if row["failed_starts"]]
    lines += syscall_lines(case)
    return lines + [f"{name}: FAILED: {error}" for name, error in case["failures"].items()]


def result(options, backend, cases):
    def git(*argv):
        done = subprocess.run(["git", "-C", str(REPO), *argv], capture_output=True, text=True, check=False)
        return done.stdout.strip()
    cpu = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": git("rev-parse", "--short=10", "HEAD"), "changed": bool(git("status", "--porcelain", "--", "src", "proto", "CMakeLists.txt")),
        "machine": f"{os.cpu_count()} x {cpu}, {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB, "
                   f"Linux {platform.release()}",
        "server": backend.version, "tables": options.tables, "rows": options.rows, "tls": False,
        "cases": [{**case, "summary": summarise(case)} for case in cases]}


def markdown(outcome):
    lines = [f"## {outcome['date']}, commit {outcome['commit']}{' with local changes' if outcome['changed'] else ''}",
             f"{outcome['machine']}. MySQL {outcome['server']}; {outcome['tables']} tables of {outcome['rows']:,} rows; "
             "sysbench, no TLS.", ""]
    for case in outcome["cases"]:
        rows = case["summary"]
        lines += [f"### {heading(case)}", "| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
        lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
        notes = [*remarks(case, rows), noise_note(rows)]
        lines += ["", " ".join(note[0].upper() + note[1:] + "." for note in notes), ""]
    if outcome.get("idle"):
        lines += [idle_text(outcome["idle"]) + ".", ""]
    return "\n".join(lines)
