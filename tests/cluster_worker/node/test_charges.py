"""What visitors' jobs used, and the release of their waiting jobs, without a broker or a table."""

import pika
import pytest

from cluster_worker.errors import Broken
from cluster_worker.node import releases
from cluster_worker.node.charges import Charges
from cluster_worker.node.consumer import Address, Publisher
from cluster_worker.node.releases import ReleaseThread
from config.contract import resources
from config.contract.job import Job


class Table:
    """Adds up what it is told; may be silent."""

    def __init__(self):
        self.used, self.silent_for = {}, set()

    def add_use(self, visitor, now, use):
        if visitor in self.silent_for:
            raise Broken("silent")
        before = self.used.get(visitor, {})
        self.used[visitor] = {name: before.get(name, 0) + use[name] for name in use}


def test_what_jobs_used_is_written_once_for_each_visitor_and_for_all():
    charges, table = Charges(), Table()
    charges.add("a", 10, 0.5)
    charges.add("a", 5, 0.25)
    charges.add("b", 1, 0.001)
    charges.write(table, 7)
    charges.write(table, 8)
    assert table.used == {
        "a": {"pixels": 15, "cpu_ms": 750},
        "b": {"pixels": 1, "cpu_ms": 1},
        resources.ALL_VISITORS: {"pixels": 16, "cpu_ms": 751},
    }


def test_what_a_silent_table_did_not_take_is_written_later():
    charges, table = Charges(), Table()
    charges.add("a", 10, 0.5)
    table.silent_for = {"a"}
    charges.write(table, 7)
    table.silent_for = set()
    charges.add("a", 1, 0.0)
    charges.write(table, 8)
    assert table.used["a"] == {"pixels": 11, "cpu_ms": 500}


def test_what_the_table_took_before_it_fell_silent_is_not_written_again():
    charges, table = Charges(), Table()
    charges.add("a", 10, 0.5)
    charges.add("b", 0, 2.0)
    table.silent_for = {resources.ALL_VISITORS}
    charges.write(table, 7)
    table.silent_for = set()
    charges.write(table, 8)
    assert table.used == {
        "a": {"pixels": 10, "cpu_ms": 500},
        "b": {"pixels": 0, "cpu_ms": 2000},
        resources.ALL_VISITORS: {"pixels": 10, "cpu_ms": 2500},
    }


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(releases.time, "monotonic", lambda: now[0])
    return now


def row(job, visitor="v", lane="interactive"):
    return Job("b", job, "a.png", 1, "", "running", 1, 2, visitor=visitor, lane=lane)


def requested(thread):
    found = []
    while not thread.publisher.requests.empty():
        at, taken = thread.publisher.requests.get()
        (row,) = taken.args
        found.append((at, row.visitor, row.lane))
    return found


def test_messages_taken_in_a_row_ask_for_waiting_jobs_once_and_once_more_at_the_end(clock):
    thread = ReleaseThread(None, Address("amqp://unused"))
    for _ in range(50):
        thread.on_taken(row("same"))
    assert requested(thread) == [(100.0, "v", "interactive"), (101.0, "v", "interactive")]
    clock[0] = 101.5
    thread.on_taken(row("same"))
    assert requested(thread) == [(102.0, "v", "interactive")]


def test_another_visitor_and_another_lane_are_asked_for_by_themselves(clock):
    thread = ReleaseThread(None, Address("amqp://unused"))
    for visitor, lane in (("v", "interactive"), ("w", "interactive"), ("v", "bulk")):
        thread.on_taken(row("same", visitor, lane))
    assert requested(thread) == [
        (100.0, "v", "interactive"),
        (100.0, "w", "interactive"),
        (100.0, "v", "bulk"),
    ]


class SilentTable:
    """A table that does not answer for a while."""

    lapse_ms = 1

    def __init__(self, answers):
        self.answers = answers

    def release(self, *_):
        answer = self.answers.pop(0)
        if answer is None:
            raise Broken("the table does not answer")
        return answer

    def mark_published(self, *_):
        return True


def test_waiting_jobs_that_a_silent_table_kept_are_asked_for_again(clock):
    thread = ReleaseThread(SilentTable([None]), Address("amqp://unused"))
    thread.on_taken(row("last"))
    _, work = thread.publisher.requests.get()
    work(None)
    assert requested(thread) == [(101.0, "v", "interactive")]


def test_a_released_job_is_published_though_the_connection_is_lost_meanwhile(clock):
    thread = ReleaseThread(SilentTable([[row("one"), row("two")]]), Address("amqp://unused"))
    publisher, published = thread.publisher, []

    def lose(*_):
        raise pika.exceptions.StreamLostError

    thread.on_taken(row("taken"))
    publisher.carry_out(publisher.next_due(), lose)
    for _ in range(2):
        with pytest.raises(pika.exceptions.StreamLostError):
            publisher.carry_out(publisher.next_due(), lose)
    for _ in range(2):
        publisher.carry_out(publisher.next_due(), lambda message, _: published.append(message.job))
    assert published == ["one", "two"]


def test_a_request_is_done_when_it_is_due():
    publisher = Publisher(Address("amqp://unused"))
    clock = releases.time.monotonic
    begun, done = clock(), []
    publisher.request(lambda _: done.append(("later", clock() - begun >= 0.2)), clock() + 0.2)
    publisher.request(lambda _: done.append(("now", clock() - begun >= 0.2)), clock())
    while len(done) < 2:
        work = publisher.next_due()
        if work is not None:
            work(None)
    assert done == [("now", False), ("later", True)]
