"""The estimate of a plan over several hosts, and how many hosts are worth it."""

from dataclasses import replace

import pytest

from cluster_worker.engine.steps import checked_steps
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.spread import NETWORK, given_bytes, hosts_worth, seconds_over

SLOW = [{"operation": "denoise_nl_means", "patch_distance": 25}]
QUICK = [{"operation": "invert"}]


def planned(steps, side=4000):
    return plan(PlanRequest(header_of((side, side), "uint8"), checked_steps(steps)))


def test_hosts_that_share_much_work_take_less_time():
    seconds = [seconds_over(planned(SLOW), hosts, 4, 4, MEASURED) for hosts in (1, 2, 4)]
    assert seconds[0] > seconds[1] > seconds[2]
    # The start of a world and the pixels' ways through the store are no less with more hosts.
    assert seconds[2] > seconds[0] / 4 + NETWORK.start


def test_every_pixel_goes_to_the_store_and_its_result_comes_back():
    chain = planned(QUICK, 100)
    assert given_bytes(chain) == 20_000
    slow = replace(NETWORK, process_bytes_per_second=10_000.0)
    # Both ways of the image, and what two hosts read and write of it.
    assert seconds_over(chain, 2, 1, 1, MEASURED, slow) == pytest.approx(4.5, abs=0.1)
    # Four ranks of a host move four times as much, unless its link is full.
    assert seconds_over(chain, 2, 4, 4, MEASURED, slow) == pytest.approx(3.75, abs=0.1)
    full = replace(slow, link_bytes_per_second=20_000.0)
    assert seconds_over(chain, 2, 4, 4, MEASURED, full) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(("steps", "hosts"), [(SLOW, 4), (QUICK, 1)])
def test_as_many_hosts_are_taken_as_finish_first(steps, hosts):
    assert hosts_worth(planned(steps), 4, 4, 4, MEASURED, 1.0) == hosts


def test_hosts_that_save_less_than_the_least_time_are_not_taken():
    chain = planned(SLOW)
    saved = seconds_over(chain, 1, 4, 4, MEASURED) - seconds_over(chain, 2, 4, 4, MEASURED)
    assert hosts_worth(chain, 2, 4, 4, MEASURED, saved - 0.1) == 2
    assert hosts_worth(chain, 2, 4, 4, MEASURED, saved + 0.1) == 1


def test_a_least_time_below_zero_takes_hosts_where_they_save_nothing():
    assert hosts_worth(planned(QUICK), 2, 4, 4, MEASURED, -60.0) == 2
