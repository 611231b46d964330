"""The run-book, command by command, on a five-tablet cluster of each flavor."""

import pathlib
import subprocess
import sys

import pytest
from local_cluster import FLAVORS, REPO

SCRIPT = pathlib.Path(__file__).parent / "run_the_runbook"


@pytest.mark.parametrize("flavor", FLAVORS)
def test_every_command_runs_as_written(flavor):
    text = REPO.parent / "shared/seed-runbook.md"  # where it lies beside the repository, it is compared with
    argv = [sys.executable, str(SCRIPT), f"--flavor={flavor}"] + ([f"--text={text}"] if text.exists() else [])
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=900)
    print(done.stdout)
    assert done.returncode == 0, "the script's output above says which command failed"
