"""`make cost`: estimate what the chosen settings cost, from the price table.

The estimates use list prices (`prices.json`, which has their date, a note on their source, and the
pages of AWS to compare with) and assumptions about one image (`Usage`). Taxes and the free traffic
from S3 to CloudFront are left out. Free tiers are not deducted: other apps of the account may use
them. An item that has one is marked.
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
from infra.settings import ZONES, StackSettings, load

FILE = Path(__file__).with_name("prices.json")

# Interface endpoints that a network without NAT needs; each exists in both zones.
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

# Broker's messages and the worker's image on disk, in GB; assumed.
BROKER_GIGABYTES = 1.0
IMAGE_GIGABYTES = 0.5

# What AWS gives each account for nothing, by the items that it is for.
FREE = {
    "schedules": "a million calls and 400,000 GB s of Lambda a month",
    "secrets, alarms and metrics": "10 alarms, 10 metrics and 3 dashboards",
    "API and Lambda": "a million calls and 400,000 GB s of Lambda a month",
    "downloads": "1 TB and 10 million requests of CloudFront a month",
}

# CloudWatch counts the metrics that an alarm reads. Without Amazon MQ those of the broker, of the
# scaling and of missing figures are not there.
ALARM_METRICS, ALARM_METRICS_ON_HOST = 20, 10
METRICS = 6
# System, image, kernels, messages, and images larger than memory.
HOST_GIGABYTES = 30


class PriceError(Exception):
    """The price table lacks a price; the sentence says which."""


@dataclass(frozen=True)
class Usage:
    """The assumed usage of one image: a photograph of 12 megapixels, one filter, on one node.

    The values are set by hand; no node on AWS has been measured yet.

    Attributes
    ----------
    node_seconds : float
        Time of a node per image, in seconds, transfers and codecs included; smaller than the time
        that an image takes, because a node works on several images at once.
    upload_megabytes, result_megabytes : float
        Sizes of the upload and of the result.
    api_calls : float
        Calls per image: `uploaded`, polls, and its share of the calls for the batch.
    table_writes, table_reads : float
        Capacity units per image. A write in a transaction counts twice; each index adds one.
    call_seconds : float
        Duration of one call of the API, in seconds.
    """

    node_seconds: float = 0.5
    upload_megabytes: float = 5.0
    result_megabytes: float = 5.0
    api_calls: float = 3.0
    table_writes: float = 68.0
    table_reads: float = 20.0
    call_seconds: float = 0.1


def read_prices() -> dict[str, Any]:
    """Read the price table."""
    prices: dict[str, Any] = json.loads(FILE.read_text())
    return prices


def egress(settings: StackSettings, prices: Mapping[str, Any]) -> str:
    """Return the setting, or for ``auto`` the cheaper of ``nat`` and ``endpoints`` when idle."""
    if settings.egress != "auto":
        return settings.egress
    return min(("nat", "endpoints"), key=lambda way: egress_month(way, prices))


def egress_month(way: str, prices: Mapping[str, Any]) -> float:
    """Return the price of a way to AWS for one idle month.

    Parameters
    ----------
    way : str
        ``nat`` (the gateway with its address), ``endpoints``, or ``direct``, which costs nothing.
    prices : mapping
        The price table.
    """
    hours = {
        "nat": prices["nat_hour"] + prices["address_hour"],
        "endpoints": prices["endpoint_hour"] * ZONES * len(ENDPOINTS),
        "direct": 0.0,
    }
    return float(hours[way] * prices["month_hours"])


def idle_month(settings: StackSettings, prices: Mapping[str, Any]) -> dict[str, float]:
    """Return the cost of a month without any image, by item."""
    # The sweep and the backlog each run once a minute, with 256 MB for a quarter of a second.
    calls = 2 * 60 * prices["month_hours"]
    schedules = calls * (0.25 * 0.25 * prices["lambda_gigabyte_second"])
    schedules += calls * prices["lambda_million"] / 1e6
    # Reads per minute: four partitions of the due index, nodes, hosts, and rows of dead letters.
    schedules += calls / 2 * 7 * prices["table_read_million"] / 1e6
    secrets, alarms = (1, ALARM_METRICS_ON_HOST) if settings.on_host else (2, ALARM_METRICS)
    if settings.hosts_max > 1:
        secrets, alarms = secrets + 1, alarms + 1
    return {
        **broker_month(settings, prices),
        f"network by {egress(settings, prices)}": egress_month(egress(settings, prices), prices),
        "schedules": schedules,
        "secrets, alarms and metrics": secrets * prices["secret_month"]
        + alarms * prices["alarm_month"]
        + METRICS * prices["metric_month"],
        "firewall": prices["firewall_month"] if settings.firewall_requests else 0.0,
        "worker's image": IMAGE_GIGABYTES * prices["image_gigabyte_month"],
        "workers": 0.0,
    }


def broker_month(settings: StackSettings, prices: Mapping[str, Any]) -> dict[str, float]:
    """Return the cost of the broker for an idle month, by item."""
    if settings.on_host:
        disk = HOST_GIGABYTES * prices["volume_gigabyte_month"]
        return {"broker on the worker's host, stopped": 0.0, "host's disk": disk}
    nodes = prices["broker_cluster_nodes"] if settings.broker_cluster else 1
    hour = look_up_price(prices["broker_hour"], settings.broker_type)
    return {
        f"broker {settings.broker_type} × {nodes}": hour * nodes * prices["month_hours"],
        "broker's disk": BROKER_GIGABYTES * nodes * prices["broker_gigabyte_month"],
    }


def thousand_images(
    settings: StackSettings, prices: Mapping[str, Any], usage: Usage = Usage()
) -> dict[str, float]:
    """Return the cost of a thousand images on top of `idle_month`, by item."""
    spot = settings.spot_percent / 100
    hour = sum(look_up_price(prices["instance_hour"], each) for each in settings.instance_types)
    hour *= (1 - spot * (1 - prices["spot_share"])) / len(settings.instance_types)
    if settings.egress == "direct":
        hour += prices["address_hour"]
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
        "firewall": calls * prices["firewall_million"] / 1e6 if settings.firewall_requests else 0.0,
    }


def look_up_price(table: Mapping[str, float], name: str) -> float:
    """Return the price of an instance type.

    Raises
    ------
    PriceError
        If the table has no such price.
    """
    if name not in table:
        raise PriceError(f"{name}: no price in {FILE.name}; add it there")
    return table[name]


def report(settings: StackSettings) -> str:
    """Return the report: both lists with their sums, the assumptions, and the note on prices."""
    prices = read_prices()
    idle, images = idle_month(settings, prices), thousand_images(settings, prices)
    usage = Usage()
    lines = [f"size {settings.size}, {prices['region']}, prices of {prices['date']}", ""]
    lines += format_table(f"idle, {prices['currency']} a month", idle)
    lines += ["", *format_table(f"1,000 images, {prices['currency']} on top", images)]
    lines += [
        "",
        f"An image is assumed to be {usage.upload_megabytes:g} MB up, "
        f"{usage.result_megabytes:g} MB back, and {usage.node_seconds:g} s of a node.",
        f"By NAT the network costs {egress_month('nat', prices):.2f} a month, by endpoints "
        f"{egress_month('endpoints', prices):.2f}, with public addresses for the workers nothing.",
        "* AWS gives each account for nothing:",
        *(f"  {item}: {what}" for item, what in FREE.items()),
        prices["note"],
        *prices["pages"],
    ]
    return "\n".join(lines)


def format_table(title: str, amounts: Mapping[str, float]) -> list[str]:
    """Format amounts as lines of text: the title with the sum, then one line per amount."""
    lines = [(title, sum(amounts.values()))]
    lines += [(f"  {key}{' *' if key in FREE else ''}", each) for key, each in amounts.items()]
    return [f"{name:<40}{amount:>10.2f}" for name, amount in lines]


def main(arguments: list[str]) -> int:
    """Print the report for settings given as for `cdk`.

    Returns
    -------
    int
        Exit code: 2, after a sentence, for an unusable setting or a missing price; else 0.
    """
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
