import pytest
from local_cluster import FLAVORS
from twins import Twins


@pytest.fixture(scope="session", params=FLAVORS)
def twins(request):
    with Twins(request.param) as both:
        yield both
        both.cluster.failed = bool(request.session.testsfailed)


