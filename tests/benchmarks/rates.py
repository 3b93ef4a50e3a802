"""Calibrate the cost model, and write the measured rates to cluster_worker/plan/rates.py."""

import math
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from skimage import util

from cluster_worker import Engine, Rejected
from cluster_worker.kernels import copies
from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.header import header_of
from cluster_worker.plan import cost
from cluster_worker.plan.chain import plan
from config.contract import recipe
from tests.benchmarks.candidates import run_held
from tests.benchmarks.clock import seconds_of
from tests.benchmarks.images import photograph, suited
from tests.benchmarks.machine import machine, today

PATH = Path(cost.__file__).with_name("rates.py")
# An operation is measured on the largest of these that is expected to take at most `SECONDS_MAX`.
SHAPES = ((256, 256), (768, 768), (2304, 2304), (4000, 6000))
SECONDS_MAX = 0.3
REPEATS = 3
# Number of tiles of the image that shows the time per tile; number of runs of a short job.
MANY, OFTEN = 16, 100
# How often overheads are measured before, and again after, everything else.
TURNS = 3
INVERT = [{"operation": "invert"}]
# Bytes that each core copies repeatedly, and for how long.
BYTES = 1 << 26
COPYING_SECONDS = 1.0
# Most seconds that a process may take to start.
STARTING_SECONDS = 60.0

HEAD = '''"""Rates of the cost model, written by `make bench PART=rates`; do not edit by hand."""

from cluster_worker.plan.cost import Rates

MEASURED = Rates(
    source="{source}",
    job={job:.3g},
    extra_rank={extra_rank:.3g},
    tile={tile:.3g},
    synchronization={synchronization:.3g},
    bytes_per_second={bytes_per_second:.3g},
    conversion={conversion:.3g},
    operations={{
{operations}
    }},
)
'''


def run(folder, say, names=tuple(OPERATIONS), path=PATH):
    """Measure all rates and write them; return them as one row."""
    del folder
    taken = [overheads() for _ in range(TURNS)]
    found = medians(taken) | {"bytes_per_second": memory_speed(), "conversion": conversion()}
    source = f"make bench on {machine()}, {today()}"
    rates = cost.Rates(source, **found, operations={})
    with Engine(1, job_memory_bytes_max=12 << 30) as engine:
        for name in names:
            pair = rates_of(OPERATIONS[name], engine, rates)
            rates.operations[name] = pair
            say(f"{name}: {1e9 * pair[0]:.2f} and {1e9 * pair[1]:.2f} ns")
    # Measure overheads again: the host may have been slow for a minute.
    found |= medians(taken + [overheads() for _ in range(TURNS)])
    rates = replace(rates, **found)
    path.write_text(written(rates))
    return [found | {"operations": len(rates.operations)}]


def written(rates):
    """Return the module's text, as the formatter would write it."""
    lines = [
        f'        "{name}": ({whole:.3g}, {floating:.3g}),'
        for name, (whole, floating) in sorted(rates.operations.items())
    ]
    text = HEAD.format(**{**vars(rates), "operations": "\n".join(lines)})
    return text.replace("e+", "e")


def overheads():
    """Return the seconds of a job, of a second rank, of a tile and of a synchronization.

    The images are small. Each of the two ranks has one tile, like the single rank.
    """
    otsu = [{"operation": "threshold_otsu"}]
    small, pair, larger = (photograph(64 * n, 64, colours=False) for n in (1, 2, MANY))
    with Engine(1, core=(64, 64)) as one, Engine(2, core=(64, 64)) as two:
        job, shared = least_of(one, small, INVERT), least_of(two, pair, INVERT)
        tile = (least_of(one, larger, INVERT) - job) / (MANY - 1)
        planned = plan(two.plan_request(header_of(pair.shape, "uint8"), otsu))
        count = sum(map(planned.synchronizations, range(len(planned.passes))))
        measuring = least_of(one, small, otsu) - job
        synchronization = (least_of(two, pair, otsu) - shared - measuring) / count
    return {
        "job": job,
        "extra_rank": shared - job,
        "tile": tile,
        "synchronization": synchronization,
    }


def medians(taken):
    """Return the median of each overhead, at least 0."""
    return {name: max(median(each[name] for each in taken), 0.0) for name in taken[0]}


def least_of(engine, image, steps, repeats=OFTEN):
    """Return the fewest seconds of a run of a held image: other processes may slow some runs."""
    with engine.hold(image) as held:
        run_held(engine, held, steps)
        return min(run_held(engine, held, steps) for _ in range(repeats))


def memory_speed():
    """Return the bytes that all cores together read and write in a second, past their caches."""
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    ready = [context.Barrier(cores)]
    with ProcessPoolExecutor(cores, context, wait_for_all, ready) as pool:
        return sum(pool.map(copying_speed, [COPYING_SECONDS] * cores))


def wait_for_all(barrier):
    """Wait until the processes of all cores have started."""
    barrier.wait(STARTING_SECONDS)


def copying_speed(seconds):
    """Return the bytes that this core reads and writes in a second."""
    source, target = np.ones(BYTES, np.uint8), np.zeros(BYTES, np.uint8)
    copies.copy(source, target)
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        copies.copy(source, target)
        count += 1
    return 2 * BYTES * count / spent


def conversion():
    """Return the seconds per unit of work of a conversion; a pixel is a tenth of a unit."""
    image = photograph(1024, 1024, colours=False)
    floats = util.img_as_float32(image)

    def there_and_back():
        util.img_as_float32(image)
        to_depth(floats, "uint8")

    return min(seconds_of(there_and_back) for _ in range(REPEATS)) / 2 / image.size / 0.1


def rates_of(operation, engine, rates):
    """Return the seconds per unit of an operation's work, on whole numbers and on floats."""
    rates = rates.compute_bound()
    steps = recipe.check([{"operation": operation.name}], catalogue(), 1)
    found = []
    for floats in (False, True):
        rate, seconds, before = None, 0.0, 1
        for shape in SHAPES:
            pixels = math.prod(shape)
            if seconds * pixels / before > SECONDS_MAX:
                break
            image = suited(operation, *shape)
            if floats and operation.takes == "picture":
                image = util.img_as_float32(image)
            try:
                seconds = least_of(engine, image, steps, REPEATS)
            except Rejected:
                break
            planned = plan(engine.plan_request(header_of(image.shape, image.dtype.name), steps))
            rate, before = rate_from(operation.name, planned, seconds, rates), pixels
        found.append(rate)
    whole, floating = found
    return whole if whole is not None else floating, floating if floating is not None else whole


def rate_from(name, planned, seconds, rates):
    """Return the seconds per unit of work, without the time of a run that is not the operation's.

    At least a tenth of the run counts as the operation's.
    """
    alone = cost.estimate(planned, 1, 1, nothing_for(name, rates))
    unit = cost.estimate(planned, 1, 1, unit_for(name, rates)).work - alone.work
    return max(seconds - alone.seconds, seconds / 10) / unit


def nothing_for(name, rates):
    """Return rates at which an operation costs nothing."""
    return replace(rates, operations={**rates.operations, name: (0.0, 0.0)})


def unit_for(name, rates):
    """Return rates at which a unit of an operation's work takes a second."""
    return replace(rates, operations={**rates.operations, name: (1.0, 1.0)})
