"""What the chosen settings cost, by the price table: `make cost`.

The figures are estimates from list prices (`prices.json`, with the date of its entry and a note on
where they come from) and from what an image is assumed to need. They leave out taxes, free tiers,
and traffic from S3 to CloudFront, which is free.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.contract.settings import SettingError
from infra.settings import StackSettings, load

FILE = Path(__file__).with_name("prices.json")

# Interface endpoints that a network without NAT needs; each stands in both zones.
ENDPOINTS = (
    "secretsmanager",
    "ecr.api",
    "ecr.dkr",
    "logs",
    "ssm",
    "ssmmessages",
    "monitoring",
    "autoscaling",
)
ZONES = 2

ALARMS = 7
METRICS = 6


class PriceError(Exception):
    """The price table lacks a price; the sentence says which."""


@dataclass(frozen=True)
class Usage:
    """What an image is assumed to need: a photograph of 12 megapixels, one filter, on one node.

    No node on AWS has been measured yet: these are set by hand.

    Attributes
    ----------
    node_seconds : float
        Of one node for one image, transfer and codecs included; a node works on several at once.
    upload_megabytes, result_megabytes : float
        Of one image.
    api_calls : float
        Per image: its share of the batch, `uploaded`, and polls.
    table_writes, table_reads : float
        Units per image. A transaction counts twice, each index once more.
    """

    node_seconds: float = 0.5
    upload_megabytes: float = 5.0
    result_megabytes: float = 5.0
    api_calls: float = 3.0
    table_writes: float = 60.0
    table_reads: float = 20.0
    call_seconds: float = 0.1


def read_prices() -> dict[str, Any]:
    """Read the price table."""
    prices: dict[str, Any] = json.loads(FILE.read_text())
    return prices


def egress(settings: StackSettings, prices: Mapping[str, Any]) -> str:
    """Choose how the network reaches AWS: what was set, or the cheaper one when idle."""
    if settings.egress != "auto":
        return settings.egress
    return min(("nat", "endpoints"), key=lambda kind: egress_month(kind, prices))


def egress_month(kind: str, prices: Mapping[str, Any]) -> float:
    """Price of a month's idle NAT gateway, or of the interface endpoints."""
    hour = prices["nat_hour"] if kind == "nat" else prices["endpoint_hour"] * ZONES * len(ENDPOINTS)
    return float(hour * prices["month_hours"])


def idle_month(settings: StackSettings, prices: Mapping[str, Any]) -> dict[str, float]:
    """List what a month costs in which nobody sends an image."""
    nodes = prices["broker_cluster_nodes"] if settings.broker_cluster else 1
    broker = priced(prices["broker_hour"], settings.broker_type)
    # The sweep and the backlog, once a minute each, with 256 MB for a quarter of a second.
    calls = 2 * 60 * prices["month_hours"]
    schedules = calls * (0.25 * 0.25 * prices["lambda_gigabyte_second"])
    schedules += calls * prices["lambda_million"] / 1e6
    # Four partitions of the index of what is due, the nodes, and the dead letters' rows.
    schedules += calls / 2 * 6 * prices["table_read_million"] / 1e6
    return {
        f"broker {settings.broker_type} × {nodes}": broker * nodes * prices["month_hours"],
        f"network by {egress(settings, prices)}": egress_month(egress(settings, prices), prices),
        "schedules": schedules,
        "secret, alarms and metrics": prices["secret_month"]
        + ALARMS * prices["alarm_month"]
        + METRICS * prices["metric_month"],
        "firewall": prices["firewall_month"] if settings.firewall_requests else 0.0,
        "workers": 0.0,
    }


def thousand_images(
    settings: StackSettings, prices: Mapping[str, Any], usage: Usage = Usage()
) -> dict[str, float]:
    """List what a thousand images cost on top of that."""
    spot = settings.spot_percent / 100
    hour = sum(priced(prices["instance_hour"], each) for each in settings.instance_types)
    hour *= (1 - spot * (1 - prices["spot_share"])) / len(settings.instance_types)
    calls = 1000 * usage.api_calls
    gigabytes = (usage.upload_megabytes + usage.result_megabytes) * 1000 / 1024
    months = settings.kept_days / 30
    return {
        "workers": hour / 3600 * usage.node_seconds * 1000,
        "API and Lambda": calls
        * (
            prices["api_million"] / 1e6
            + prices["lambda_million"] / 1e6
            + usage.call_seconds * 0.25 * prices["lambda_gigabyte_second"]
        ),
        "table": usage.table_writes * 1000 * prices["table_write_million"] / 1e6
        + usage.table_reads * 1000 * prices["table_read_million"] / 1e6,
        f"S3, kept {settings.kept_days} days": gigabytes * months * prices["storage_gigabyte_month"]
        + 2 * prices["put_thousand"]
        + 2 * prices["get_thousand"],
        "downloads": usage.result_megabytes * 1000 / 1024 * prices["cloudfront_gigabyte"]
        + calls * prices["cloudfront_million"] / 1e6,
    }


def priced(table: Mapping[str, float], name: str) -> float:
    """Look up a price.

    Raises
    ------
    PriceError
        If the table has none.
    """
    if name not in table:
        raise PriceError(f"{name}: no price in {FILE.name}; add it there")
    return table[name]


def report(settings: StackSettings) -> str:
    """Write both lists with their sums, and where the prices come from."""
    prices = read_prices()
    idle, images = idle_month(settings, prices), thousand_images(settings, prices)
    usage = Usage()
    lines = [f"size {settings.size}, {prices['region']}, prices of {prices['date']}", ""]
    lines += table(f"idle, {prices['currency']} a month", idle)
    lines += ["", *table(f"1,000 images, {prices['currency']} on top", images)]
    lines += [
        "",
        f"An image is assumed to be {usage.upload_megabytes:g} MB up, "
        f"{usage.result_megabytes:g} MB back, and {usage.node_seconds:g} s of a node.",
        f"By NAT the network costs {egress_month('nat', prices):.2f} a month, by endpoints "
        f"{egress_month('endpoints', prices):.2f}.",
        prices["note"],
    ]
    return "\n".join(lines)


def table(title: str, amounts: Mapping[str, float]) -> list[str]:
    """Write amounts below each other, with their sum."""
    rows = [(title, sum(amounts.values())), *((f"  {key}", each) for key, each in amounts.items())]
    return [f"{name:<40}{amount:>10.2f}" for name, amount in rows]


def main(arguments: list[str]) -> int:
    """Print the report for settings given as `cdk` takes them; 2 if they cannot be used."""
    parser = argparse.ArgumentParser(prog="make cost", description="Price of the chosen settings")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="NAME=VALUE")
    given = dict(each.partition("=")[::2] for each in parser.parse_args(arguments).context)
    try:
        sys.stdout.write(report(load(given.get, os.environ)) + "\n")
    except (SettingError, PriceError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
