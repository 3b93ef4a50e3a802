"""Every test counts in a room that has a budget."""

from collections import defaultdict
from pathlib import Path

import pytest

from tests import budgets

TESTS = Path(__file__).parent


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("cluster_worker/operations/test_catalogue.py", "cluster_worker/operations"),
        ("cluster_worker/test_cli.py", "cluster_worker"),
        ("api/test_app.py", "api"),
        ("test_rooms.py", "top"),
    ],
)
def test_a_test_counts_in_its_folder(path, room):
    assert budgets.room_of(path) == room


def test_every_folder_of_tests_has_a_budget():
    paths = (str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py"))
    assert {budgets.room_of(path) for path in paths if "/" in path} == set(budgets.SECONDS) - {
        "top"
    }


def test_a_room_that_takes_longer_than_its_budget_is_named(monkeypatch):
    spent = defaultdict(float, api=1.0, config=budgets.SECONDS["config"] + 1.0)
    monkeypatch.setattr(budgets, "spent", spent)
    assert budgets.exceeded() == ["config"]
    assert [line for line in budgets.table() if "over its budget" in line]
