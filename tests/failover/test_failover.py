"""The promises of bench/failover, three rounds each: no error, nothing lost or doubled, another primary, the old one a replica
again; the limits are generous, since this machine does other things too."""

import sys

import pytest
from local_cluster import FLAVORS, REPO, LocalCluster

sys.path.insert(0, str(REPO / "bench"))
from failover_lib import events  # noqa: E402
from failover_lib.load import Load  # noqa: E402

ROUNDS = 3
GAP = {  # seconds; the goals stand in bench/failover_lib/table.py
    "PlannedReparentShard": 5,
    "kill -9 of mysqld": 8,
    "kill -9 of mysqld, mysqlctld and vttablet": 10,
    "SIGSTOP of mysqld and vttablet": 12,
}


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request):
    with LocalCluster(request.param, vtorc=True) as cluster:
        failed = request.session.testsfailed
        yield cluster
        cluster.failed = request.session.testsfailed > failed


def errors_of(result):
    """Without transactions that were rolled back and are told to be run again (1213); docs/verification.md counts them."""
    return result.errors - sum(int(text.split(" ", 1)[0]) for text in result.texts if ": 1213 " in text)


@pytest.mark.parametrize("event", events.events()[:4], ids=lambda event: event.name)
def test_clients_ride_out_the_loss_of_a_primary(cluster, event):
    for number in range(ROUNDS):
        result = events.play(cluster, event, Load)
        told = f"round {number + 1}: {vars(result)}"
        print(told)
        assert result.moved, told
        assert (result.lost, result.doubled, errors_of(result)) == (0, 0, 0), told
        assert result.two_primaries == 0, told
        assert result.way != "needs a seed", told
        assert result.gap < GAP[event.name], told


def test_a_vttablet_that_comes_back_soon_keeps_its_role(cluster):
    event = events.events()[5]
    result = events.play(cluster, event, Load)
    assert not result.moved and (result.lost, result.doubled, errors_of(result)) == (0, 0, 0), vars(result)
