"""One, two and four ranks on the same images, beside the estimates of the cost model."""

import os
from contextlib import ExitStack
from functools import partial

from cluster_worker import Engine
from cluster_worker.operations import catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.plan import cost
from cluster_worker.plan.chain import plan
from cluster_worker.plan.rates import MEASURED
from config.contract import recipe
from tests.benchmarks.candidates import run_held
from tests.benchmarks.cases import CASES
from tests.benchmarks.clock import interleave
from tests.benchmarks.images import SHAPES, pictured

RANKS = (1, 2, 4)
NAMES = ("gaussian σ=2 RGB", "median 5×5", "otsu", "equalize_hist", "CLAHE", "canny", "resize ½")
REPEATS = 5
SECONDS_MAX = 40.0


def run(folder, say, size="24 MP", names=NAMES, worlds=RANKS):
    """Return one row for each operation."""
    del folder
    rows = []
    with ExitStack() as stack:
        engines = {n: stack.enter_context(Engine(n, job_memory_bytes_max=12 << 30)) for n in worlds}
        for case in CASES:
            if case.name in names:
                rows.append(row(case, engines, pictured(case.picture, *SHAPES[size])))
                seconds = rows[-1]["seconds"]
                say(f"{case.name}: " + ", ".join(f"{n}: {seconds[n]:.3f} s" for n in seconds))
    return rows


def row(case, engines, image):
    """Time one operation on every world in turn."""
    steps = recipe.check([case.step], catalogue(), 1)
    with ExitStack() as stack:
        candidates = {}
        for ranks, engine in engines.items():
            held = stack.enter_context(engine.hold(image))
            run_held(engine, held, steps)
            candidates[str(ranks)] = partial(run_held, engine, held, steps)
        taken = interleave(candidates, REPEATS, SECONDS_MAX)
    return {
        "operation": case.name,
        "shape": list(image.shape),
        "seconds": taken.seconds,
        "model": {
            str(ranks): estimated_seconds(engine, image, steps) for ranks, engine in engines.items()
        },
    }


def estimated_seconds(engine, image, steps):
    """Return the seconds that the cost model estimates."""
    request = engine.plan_request(header_of(image.shape, image.dtype.name), steps)
    ranks = engine.ranks if engine.is_wide(request) else 1
    return cost.estimate(plan(request), ranks, len(os.sched_getaffinity(0)), MEASURED).seconds
