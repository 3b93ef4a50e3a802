"""What the client of the table does when the service refuses a write."""

import pytest

from cluster_worker.errors import Broken
from config.contract.table_access import Busy, Lost, Patience, TableAccess


def refused(code, *reasons):
    """An error as boto3 raises it."""
    error = Exception(code)
    error.response = {
        "Error": {"Code": code},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return error


class Refusing:
    """A client whose transactions are refused one after the other, until no refusal is left."""

    def __init__(self, *refusals):
        self.refusals = list(refusals)

    def transact_write_items(self, **_):
        if self.refusals:
            raise self.refusals.pop(0)


TABLE = "jobs"
CANCELLED = "TransactionCanceledException"
IN_CONFLICT = refused(CANCELLED, "None", "TransactionConflict")


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr(Patience, "pause", lambda *_: None)


@pytest.mark.parametrize(
    ("refusal", "raised"),
    [
        (refused(CANCELLED, "None", "ConditionalCheckFailed"), Lost),
        (refused(CANCELLED, "TransactionConflict", "ConditionalCheckFailed"), Lost),
        (refused("ConditionalCheckFailedException"), Lost),
        (refused(CANCELLED, "TransactionConflict", "ValidationError"), Exception),
        (refused("ResourceNotFoundException"), Exception),
        (ConnectionError("away"), ConnectionError),
    ],
)
def test_a_write_that_cannot_succeed_later_is_not_sent_again(no_pauses, refusal, raised):
    client = Refusing(refusal, refusal)
    with pytest.raises(raised) as caught:
        TableAccess(client, TABLE).transact([])
    assert len(client.refusals) == 1
    assert isinstance(caught.value, Lost) or caught.value is refusal


@pytest.mark.parametrize(
    "reasons",
    [
        ("None", "TransactionConflict"),
        ("TransactionConflict", "ProvisionedThroughputExceeded"),
        ("ThrottlingError", "None"),
    ],
)
def test_a_transaction_refused_for_a_conflict_or_for_load_is_sent_again(no_pauses, reasons):
    client = Refusing(refused(CANCELLED, *reasons))
    TableAccess(client, TABLE).transact([])
    assert client.refusals == []


def test_conflicts_without_end_are_a_lost_race_unless_they_are_translated(no_pauses):
    client = Refusing(*[IN_CONFLICT] * 9)
    with pytest.raises(Busy):
        TableAccess(client, TABLE, Patience(tries=4)).transact([])
    assert len(client.refusals) == 5
    access = TableAccess(client, TABLE, Patience(tries=4), lambda error: Broken(f"it: {error}"))
    with pytest.raises(Broken, match="it: other writers were always first"):
        access.transact([])
