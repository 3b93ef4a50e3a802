"""The warm processes that the engines of these tests share."""

import pytest

from cluster_worker.operations import OPERATIONS


@pytest.fixture(scope="session")
def warm_engine():
    """Return an engine beside which others start at once: ranks and decoders are its forks.

    It has called all operations, so that no rank loads them again. A test that kills its forkserver
    needs an engine of its own.
    """
    from cluster_worker import Engine

    with Engine(1, warm=list(OPERATIONS)) as engine:
        yield engine
