"""How hosts offer themselves and are leased, on a DynamoDB over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from config.contract.host import GONE_SECONDS, LEASE_SECONDS, Host, lease_of
from tests.config.conftest import NOW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ENDS = NOW + round(1000 * LEASE_SECONDS)
GONE = NOW + round(1000 * GONE_SECONDS) + 1
ONE, TWO = lease_of("job", 1), lease_of("job", 2)


def offered(table, worker="b", **changes):
    given = Host(worker, f"{worker}:7321", "zone", "alike", 2, is_idle=True, seen=NOW)
    return table.offer(replace(given, **changes))


@pytest.fixture
def host(table):
    return offered(table)


def test_a_host_is_leased_for_an_attempt_and_free_again_after_it(table, host):
    taken = table.lease_host(host, ONE, NOW)
    assert (taken.lease, taken.since, taken.until) == (ONE, NOW, ENDS)
    assert taken.is_leased_to(ONE, ENDS - 1)
    assert not taken.is_leased_to(TWO, NOW)
    table.end_lease("b", ONE)
    assert table.host("b").until == 0
    assert table.lease_host(host, TWO, NOW) is not None


def test_of_many_attempts_that_take_a_host_one_gets_it(table, host):
    names = [lease_of("job", number) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda name: table.lease_host(host, name, NOW), names))
    (winner,) = filter(None, taken)
    assert table.host("b").lease == winner.lease


def test_a_lease_that_is_renewed_holds_and_another_attempt_cannot_renew_it(table, host):
    table.lease_host(host, ONE, NOW)
    assert table.renew_lease("b", ONE, ENDS - 1)
    assert table.lease_host(host, TWO, ENDS + 1) is None
    assert not table.renew_lease("b", TWO, ENDS)


def test_a_lease_that_was_not_renewed_has_ended_for_good(table, host):
    table.lease_host(host, ONE, NOW)
    # The holder was frozen: nobody else has leased the host, and yet its lease is over.
    assert not table.renew_lease("b", ONE, ENDS)
    assert table.lease_host(replace(host, seen=ENDS), TWO, ENDS - 1) is None
    assert table.lease_host(offered(table, seen=ENDS), TWO, ENDS) is not None
    assert not table.renew_lease("b", ONE, ENDS)


def test_a_former_holder_does_not_end_the_lease_of_another(table, host):
    table.lease_host(host, ONE, NOW)
    table.lease_host(offered(table, seen=ENDS), TWO, ENDS)
    table.end_lease("b", ONE)
    assert table.host("b").is_leased_to(TWO, ENDS)


def test_an_offer_leaves_the_lease_as_it_is(table, host):
    table.lease_host(host, ONE, NOW)
    row = offered(table, is_idle=False, seen=NOW + 1)
    assert (row.lease, row.until, row.is_idle, row.seen) == (ONE, ENDS, False, NOW + 1)


@pytest.mark.parametrize(
    "changes",
    [{"is_idle": False}, {"zone": "far"}, {"likeness": "other"}, {"until": NOW + 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_host_that_is_busy_far_or_of_another_kind_is_not_asked(table, host, changes):
    own = replace(host, worker="a")
    assert host.may_join(own, NOW)
    assert not replace(host, **changes).may_join(own, NOW)


def test_a_host_is_not_asked_to_join_itself_or_when_it_is_gone(host):
    assert not host.may_join(host, NOW)
    assert not host.may_join(replace(host, worker="a"), GONE)


@pytest.mark.parametrize("is_idle", [False, True])
def test_a_host_that_got_work_or_has_gone_since_it_was_read_is_not_leased(table, host, is_idle):
    offered(table, is_idle=is_idle)
    assert table.lease_host(host, ONE, GONE if is_idle else NOW) is None


def test_a_worker_leases_its_own_host_while_it_works_but_not_from_another(table):
    own = offered(table, "a", is_idle=False)
    assert table.lease_host(own, ONE, NOW) is None
    assert table.lease_host(own, ONE, NOW, is_own=True) is not None
    assert table.lease_host(own, TWO, NOW, is_own=True) is None


def test_a_host_that_leaves_takes_its_lease_with_it(table, host):
    table.lease_host(host, ONE, NOW)
    table.withdraw("b")
    assert table.hosts() == []
    assert not table.renew_lease("b", ONE, NOW)
    table.end_lease("b", ONE)
    assert table.lease_host(host, TWO, NOW) is None
    assert table.host("b") is None
