"""Real parts for the tests: a broker, and the whole app as `make run` starts it."""

import pytest
from hypothesis import settings

from infra.local.app import LocalApp
from infra.local.broker import Broker

# The same examples each time, on a slow machine too: a run that fails can be run again.
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """The whole app with two ranks, shared by all tests that leave it as they found it.

    `app.url` is the site's origin, `app.pids()` the parts' pids, `app.environment` what API and
    worker were told, and `app.folder` holds the logs.
    """
    with LocalApp(tmp_path_factory.mktemp("app"), ranks=2, sweep_seconds=1.0, say=print) as app:
        yield app


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """A RabbitMQ of its own: `broker.url`; a test that kills it must `broker.restart()` it."""
    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker
