"""The time of a warm run of a small image, beside that of the work alone."""

import statistics
from functools import partial

from cluster_worker import Engine
from cluster_worker.operations import catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.run import run_alone
from config.contract import recipe
from tests.benchmarks.candidates import run_held, run_whole
from tests.benchmarks.clock import seconds_of
from tests.benchmarks.images import photograph

RANKS = 2
SIDE = 512
ROUNDS = 200
STEPS = ({"operation": "invert"}, {"operation": "gaussian"}, {"operation": "threshold_otsu"})


def run(folder, say, rounds=ROUNDS):
    """Return one row for each operation."""
    del folder
    image = photograph(SIDE, SIDE, colours=False)
    rows = []
    with Engine(RANKS) as engine, engine.hold(image) as held:
        for step in STEPS:
            steps = recipe.check([step], catalogue(), 1)
            planned = plan(engine.plan_request(header_of(image.shape, "uint8"), steps))
            candidates = {
                "work alone": lambda planned=planned: seconds_of(lambda: run_alone(planned, image)),
                "end to end": partial(run_whole, engine, image, steps),
                "resident": partial(run_held, engine, held, steps),
            }
            taken = {name: [] for name in candidates}
            for _ in range(rounds):
                for name, run in candidates.items():
                    # The first run of a turn is not counted: see `clock.Times`.
                    run()
                    taken[name].append(run())
            rows.append({"operation": step["operation"], "seconds": summary(taken)})
            say(f"{step['operation']}: {rows[-1]['seconds']['end to end'][0] * 1000:.2f} ms")
    return rows


def summary(taken):
    """Return the median, and what nineteen of twenty runs do not exceed."""
    return {
        name: (statistics.median(each), statistics.quantiles(each, n=20)[-1])
        for name, each in taken.items()
    }
