"""A large batch on the real app: the worker alone publishes its waiting jobs."""

from collections import Counter

import pytest

from infra.local.app import LocalApp
from tests.app import pictures
from tests.client import Client

pytestmark = pytest.mark.slow

# Fifty go by the interactive lane; of the others, one per counter row may be on the broker.
COUNT = 66


@pytest.fixture
def client(tmp_path):
    """Run the app with a small lane share, and a sweep that comes too late to help."""
    settings = {"LANE_SHARE_JOBS": "8", "WARM_OPERATIONS": "median"}
    with (
        LocalApp(tmp_path, ranks=2, sweep_seconds=600.0, say=print, **settings) as app,
        Client(app.url) as client,
    ):
        yield client


def test_a_batch_beyond_its_lane_share_is_done_without_the_sweep(client):
    image = pictures.png(pictures.small(0))
    images = [(f"{number}.png", "image/png", image) for number in range(COUNT)]
    batch, jobs = client.submit([{"operation": "median", "radius": 4}], images)
    views = client.wait(batch, len(jobs), seconds=120)
    assert Counter(view["state"] for view in views.values()) == {"succeeded": COUNT}
    assert {view["attempt"] for view in views.values()} == {1}
