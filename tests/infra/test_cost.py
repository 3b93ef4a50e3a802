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
        assert settings.broker_type in prices["broker_hour"]
        assert set(settings.instance_types) <= set(prices["instance_hour"])


def test_the_cheaper_way_to_aws_is_taken_unless_one_is_set(prices):
    expensive = json.loads(json.dumps(prices)) | {"nat_hour": 100.0}
    small = SIZES["small"]
    assert cost.egress(small, prices) == "nat"
    assert cost.egress(small, expensive) == "endpoints"
    assert cost.egress(replace(small, egress="nat"), expensive) == "nat"


def test_idle_workers_cost_nothing(prices):
    assert cost.idle_month(SIZES["production"], prices)["workers"] == 0.0


def test_spot_instances_make_images_cheaper(prices):
    spot, own = (
        cost.thousand_images(replace(SIZES["small"], spot_percent=share), prices)["workers"]
        for share in (100, 0)
    )
    assert spot == pytest.approx(own * prices["spot_share"])


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
