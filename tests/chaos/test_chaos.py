"""Every fault once on each flavor, ten minutes of them in the long run; run_chaos.py says how. The checker is tested in
test_history.py."""

import os
import shutil

import pytest
from local_cluster import FLAVORS
from run_chaos import run

ROOT = os.geteuid() == 0  # by whom alone networks are cut
CC = shutil.which("cc") is not None


@pytest.mark.parametrize("flavor", FLAVORS)
def test_each_fault_once_is_clean(flavor):
    wrong = run(flavor, seconds=120, seed=20261127, clocks=CC, once=True)
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.long
@pytest.mark.parametrize("topo", ("embedded", "etcd"))
@pytest.mark.parametrize("flavor", FLAVORS)
def test_ten_minutes_of_everything_are_clean(flavor, topo):
    if topo == "etcd" and not shutil.which("etcd"):
        pytest.skip("no etcd in PATH")
    network = ROOT and shutil.which("nft") is not None
    wrong = run(flavor, topo=topo, seconds=600, seed=20261127, network=network, disks=ROOT, clocks=CC)
    assert not wrong, "\n".join(wrong[:20])
