"""The suite that every storage passes, against a server that speaks S3's protocol; and what a bucket or a key that is wrong
makes of it."""

import os
import pathlib
import socket
import subprocess

import pytest
from local_cluster import REPO, run, wait_until

MOTO = pathlib.Path(os.environ.get("PACELINE_TEST_VENV", REPO / ".cache/test-venv")) / "bin/moto_server"
SUITE = REPO / "build/release/src/backup_test"


@pytest.fixture(scope="module")
def s3():
    """The address of a server with the bucket `backups`."""
    if not MOTO.exists():
        pytest.skip(f"no {MOTO}: tools/setup installs it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(port)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def answers():
            with socket.create_connection(("127.0.0.1", port), 1):
                return True
        wait_until(answers, 60, "moto to listen")
        run(["curl", "-sf", "-X", "PUT", f"http://127.0.0.1:{port}/backups"])
        yield f"endpoint=http://127.0.0.1:{port}&path_style=true"
    finally:
        server.kill()
        server.wait()


def suite(address, pattern="Storages/ConformanceTest.*/s3", **environment):
    return run([SUITE, f"--gtest_filter={pattern}"], seconds=120, check=False, env={
        **os.environ, "PACELINE_TEST_S3": address, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "secret",
        **environment})


def test_s3_passes_the_suite(s3):
    said = suite(f"s3://backups/some/prefix?{s3}")
    assert "[  PASSED  ] 6 tests" in said and "SKIPPED" not in said, said


def test_a_missing_bucket_is_named(s3):
    said = suite(f"s3://nowhere?{s3}", "*ListsNames*/s3")
    assert "FAILED" in said and "NoSuchBucket" in said and "nowhere" in said, said


def test_a_server_that_is_away_is_named():
    said = suite("s3://backups?endpoint=http://127.0.0.1:9&path_style=true", "*ListsNames*/s3")
    assert "FAILED" in said and "127.0.0.1:9" in said, said
