"""Real parts for the tests, and how tests share them and the cores.

Servers, worlds and the app are imported where they are used: most rooms need none of them.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests import budgets

TESTS = Path(__file__).parent

# The same examples each time, on a slow machine too: a run that fails can be run again.
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")


def pytest_addoption(parser):
    parser.addoption("--operation", help="run the tests of one operation only")


def pytest_collection_modifyitems(config, items):
    """Choose the tests of one operation, and put those first that take longest.

    Then no process is left alone with a long one at the end.
    """
    chosen = config.getoption("--operation")
    if chosen:
        kept = [item for item in items if chosen in names_of(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
        if not items:
            raise pytest.UsageError(f"--operation: no test is of {chosen}; see `dip operations`")
    items.sort(key=lambda item: budgets.ORDER.index(budgets.room_of(path_of(item))))
    for item in items:
        if item.get_closest_marker("slow"):
            # Servers, worlds and browsers run beside whatever else the machine does. A test of them
            # that fails is tried once more, by itself, and the summary names it.
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_xdist_make_scheduler(config, log):
    """Let each group of tests run in one process, if they are not handed out one by one."""
    from tests.groups import GroupScheduling

    return GroupScheduling(config, log) if config.getoption("dist") == "loadscope" else None


def path_of(item):
    return str(item.path.relative_to(TESTS))


def names_of(item):
    """Name the operations that a test is of, as its parameters tell."""
    found = set()
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for value in parameters.values():
        steps = value if isinstance(value, list) else [value]
        for each in steps:
            if isinstance(each, dict):
                each = each.get("operation")
            if isinstance(each, str):
                found.add(each)
    return found


def pytest_runtest_logreport(report):
    budgets.add(report.nodeid, report.duration)


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"run once more: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext[-3000:])
    if budgets.spent:
        terminalreporter.section("seconds by room")
        for line in budgets.table():
            terminalreporter.write_line(line)


def pytest_sessionfinish(session, exitstatus):
    """Fail a whole run in which a room took more than its budget."""
    is_worker = hasattr(session.config, "workerinput")
    if os.environ.get("ROOM_BUDGETS") and not is_worker and exitstatus == 0 and budgets.exceeded():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """The whole app with two ranks, shared by all tests that leave it as they found it.

    `app.url` is the site's origin, `app.pids()` the parts' pids, `app.environment` what API and
    worker were told, `app.folder` holds the logs, and `app.traces_url` shows all traces.
    """
    from infra.local.app import LocalApp
    from infra.local.ports import HOST, free_ports

    folder = tmp_path_factory.mktemp("app")
    watched = {"trace": True, "METRICS_ADDRESS": f"{HOST}:{free_ports(1)[0]}"}
    with LocalApp(folder, ranks=2, sweep_seconds=1.0, say=print, **watched) as app:
        yield app


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """A RabbitMQ of its own: `broker.url`; a test that kills it must `broker.restart()` it."""
    from infra.local.broker import Broker

    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker
