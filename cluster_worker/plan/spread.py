"""Estimate how long a plan takes over several hosts, and how many are worth it. Pure.

Over hosts, every pass reads its pixels from a store and writes them to it. The host that has the
image first writes it there, and reads the result at the end. In rounds, ranks send rows to each
other. So a plan takes

    start + estimate(hosts · ranks) + stored / (hosts · h) + exchanged / (hosts · link)
        + (image + result) / r

seconds, where r is the rate of one process, and h that of a host: of all its ranks, but at most of
its link. Rates are those of one machine, as for `cost.estimate`.
"""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from cluster_worker.plan.cost import Rates, estimate
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import RecipePlan
from cluster_worker.plan.traffic import traffic


@dataclass(frozen=True)
class Network:
    """What several hosts cost.

    Attributes
    ----------
    process_bytes_per_second, link_bytes_per_second : float
        Pixels that one process reads from the store or writes to it, compression included, and that
        all processes of one host do.
    start : float
        Seconds to lease hosts, to start a world over them, and to end it.
    """

    process_bytes_per_second: float
    link_bytes_per_second: float
    start: float


# Both rates are assumed. A process has eight requests under way, each of a chunk of 256 KiB or
# more, which S3 answers in 30 ms. The link is that of a c6i.xlarge, 1.56 Gbit/s. Compressing chunks
# and writing them to memory was faster: 161 MB/s on two busy cores. From the lease to the first
# task 0.8 s were measured there; a network makes some more of it.
NETWORK = Network(process_bytes_per_second=60e6, link_bytes_per_second=195e6, start=1.5)


def seconds_over(
    planned: Plan | RecipePlan,
    hosts: int,
    ranks: int,
    cores: int,
    rates: Rates,
    network: Network = NETWORK,
) -> float:
    """Estimate how long a plan takes over hosts.

    Parameters
    ----------
    planned : Plan or RecipePlan
        The plan of one image.
    hosts : int
        Number of hosts; 1 runs without a store.
    ranks, cores : int
        Ranks of each host, and cores that they share there.
    rates : Rates
        Speeds of one host.
    network : Network
        Speeds between a host and the store.
    """
    if hosts == 1:
        return estimate(planned, ranks, cores, rates).seconds
    together = replace(rates, bytes_per_second=hosts * rates.bytes_per_second)
    computing = estimate(planned, hosts * ranks, hosts * cores, together).seconds
    link, process = network.link_bytes_per_second, network.process_bytes_per_second
    moved = traffic(planned, hosts * ranks)
    moving = (moved.stored / min(ranks * process, link) + moved.exchanged / link) / hosts
    return network.start + computing + moving + given_bytes(planned) / min(process, link)


def hosts_worth(
    planned: Plan | RecipePlan,
    most: int,
    ranks: int,
    cores: int,
    rates: Rates,
    least_seconds: float,
) -> int:
    """Return the number of hosts that finish a plan first, if they save enough; else 1.

    Parameters
    ----------
    planned, ranks, cores, rates
        As for `seconds_over`.
    most : int
        Most hosts.
    least_seconds : float
        Time that they must save, in comparison with one host. Below 0, hosts are taken also where
        they save nothing.
    """
    given = ranks, cores, rates
    alone = seconds_over(planned, 1, *given)
    if alone < NETWORK.start + least_seconds:
        return 1
    seconds = {each: seconds_over(planned, each, *given) for each in range(2, most + 1)}
    best = min(seconds, key=lambda hosts: (seconds[hosts], hosts), default=1)
    return best if best > 1 and alone - seconds[best] >= least_seconds else 1


def given_bytes(planned: Plan | RecipePlan) -> int:
    """Return the bytes of the images that are sent to the store and fetched from it."""
    images = [(planned.shape, planned.dtype)]
    images += [(each.shape, each.dtype) for _, each in planned.inputs]
    images += [(each.result_shape, each.result_dtype) for each in planned.results]
    return sum(prod(shape) * np.dtype(dtype).itemsize for shape, dtype in images)
