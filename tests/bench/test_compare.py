"""bench/compare: its arithmetic on made-up slices, and one short run against a cluster of its own."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "bench"))
from compare_lib import measure, report  # noqa: E402

SYSBENCH_REPORT = """
Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       0.100 |****                                     90
       0.200 |*                                        10

SQL statistics:
    transactions:                        100    (50.00 per sec.)
    queries:                             2000   (1000.00 per sec.)
    ignored errors:                      1      (0.05 per sec.)
"""


def test_reads_what_sysbench_reports():
    parsed = measure.parse_sysbench(SYSBENCH_REPORT)
    assert parsed == {"queries": 2000, "qps": 1000.0, "events": 100, "errors": 1, "histogram_ms": [(0.1, 90), (0.2, 10)]}
    assert report.percentile(parsed["histogram_ms"], 0.90) == 0.1
    assert report.percentile(parsed["histogram_ms"], 0.95) == 0.2


def one_slice(turn, qps, **middle):
    return {"round": turn, "qps": qps, "queries": qps, "events": qps, "errors": 0, "failed_starts": 0,
            "histogram_ms": [(0.5, qps)],
            "cpu_us_per_query": {**middle, "mysqld": 50.0, "sysbench": 20.0}, "rss_mb": {**dict.fromkeys(middle, 20.0), "mysqld": 400.0},
            "others_busy": 0.01, "stolen": 0.0}


def test_ratios_are_taken_within_a_round():
    # The machine is twice as fast in round 1; both contenders see it, so the ratio stays.
    case = {"title": "t", "rounds": 2, "slice_s": 1, "failures": {}, "slices": {
        "direct": [one_slice(0, 1000), one_slice(1, 2000)],
        "ours": [one_slice(0, 500, vtgate=30.0, vttablet=20.0), one_slice(1, 1000, vtgate=34.0, vttablet=20.0)]}}
    direct, ours = report.summarise(case)
    assert ours["ratio"] == {"median": 0.5, "min": 0.5, "max": 0.5}
    assert ours["cpu_us_middle"] == 52.0
    assert direct["cpu_us_middle"] == 0
    assert "vtgate 32.0 + vttablet 20.0" in report.case_text(case)


@pytest.mark.skipif(not shutil.which("sysbench"), reason="sysbench is not installed")
def test_smoke_run_against_an_own_cluster(tmp_path):
    peers = os.environ.get("PACELINE_MYSQL_BASEDIR")  # .../mysql97/root
    where = [f"--mysql97={pathlib.Path(peers).parent}"] if peers else []
    binaries = [f"--bin={os.environ['PACELINE_BIN']}"] if "PACELINE_BIN" in os.environ else []
    done = subprocess.run([REPO / "bench/compare", "--cluster=own", "--quick", "--only=ours,router", f"--json={tmp_path / 'out.json'}",
                           *where, *binaries], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = json.loads((tmp_path / "out.json").read_text())["cases"]
    assert [case["workload"] for case in cases] == ["point_select", "read_write"]
    for case in cases:
        figures = {row["name"]: row for row in case["summary"]}
        assert set(figures) == {"direct", "ours", "router"}
        assert figures["ours"]["cpu_us"]["vtgate"] > 0 and figures["ours"]["cpu_us"]["vttablet"] > 0
