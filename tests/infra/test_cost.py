import json
from dataclasses import replace
from datetime import date

import pytest

from infra import cost
from infra.settings import SIZES


@pytest.fixture(scope="module")
def prices():
    return cost.read_prices()


def test_the_price_table_tells_its_date_and_holds_every_choice_of_the_sizes(prices):
    date.fromisoformat(prices["date"])
    for settings in SIZES.values():
        assert settings.on_host or settings.broker_type in prices["broker_hour"]
        assert set(settings.instance_types) <= set(prices["instance_hour"])


def test_the_cheaper_way_to_aws_is_taken_unless_one_is_set(prices):
    expensive = json.loads(json.dumps(prices)) | {"nat_hour": 100.0}
    production = SIZES["production"]
    assert cost.egress(production, prices) == "nat"
    assert cost.egress(production, expensive) == "endpoints"
    assert cost.egress(replace(production, egress="nat"), expensive) == "nat"
    assert cost.egress(SIZES["small"], prices) == "direct"


def test_idle_workers_cost_nothing(prices):
    assert cost.idle_month(SIZES["production"], prices)["workers"] == 0.0


def test_spot_instances_make_images_cheaper(prices):
    spot, own = (
        cost.thousand_images(replace(SIZES["production"], spot_percent=share), prices)["workers"]
        for share in (100, 0)
    )
    assert spot == pytest.approx(own * prices["spot_share"])


def test_an_idle_small_stack_costs_less_than_thirty_dollars(prices):
    small = cost.idle_month(SIZES["small"], prices)
    assert sum(small.values()) < 30
    assert (small["network by direct"], small["firewall"]) == (0.0, 0.0)


def test_a_nat_gateway_is_counted_with_its_address(prices):
    hour = prices["nat_hour"] + prices["address_hour"]
    assert cost.egress_month("nat", prices) == hour * prices["month_hours"]


def test_the_report_marks_what_is_free_for_a_while_and_names_its_sources(capsys, prices):
    assert cost.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    marked = {line[2:].partition(" *")[0] for line in lines if " *  " in line}
    assert marked == set(cost.FREE)
    assert set(prices["pages"]) <= set(lines)
    assert prices["date"] in lines[0]


def test_a_price_that_is_missing_is_one_sentence(capsys):
    assert cost.main(["-c", "instance_types=x9.huge"]) == 2
    assert capsys.readouterr().err == "x9.huge: no price in prices.json; add it there\n"


def test_the_report_sums_what_it_lists(capsys):
    assert cost.main(["-c", "size=production"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("idle"))
    amounts = []
    for line in lines[start + 1 :]:
        if not line:
            break
        amounts.append(float(line.split()[-1]))
    assert float(lines[start].split()[-1]) == pytest.approx(sum(amounts), abs=0.05)


def test_an_idle_tiny_stack_costs_less_than_twenty_dollars(prices):
    tiny = cost.idle_month(SIZES["tiny"], prices)
    assert sum(tiny.values()) < 20
    # A host that is stopped costs its disk.
    assert tiny["host's disk"] > 0
    assert not [item for item in tiny if item.startswith("broker mq")]
