"""Warm up: import, compile and call everything once, so that no job waits for that.

`python -m cluster_worker.engine.warm` does it on its own, on all cores: what numba compiles
stays in its cache.
"""

import json
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS, Operation
from cluster_worker.plan.chain import PlanRequest, plan
from cluster_worker.plan.run import run_alone

Image = NDArray[Any]


RAMP = np.arange(256).reshape(16, 16)
MASK = RAMP > 128
LEVELS: dict[str, Image] = {
    "uint8": RAMP.astype(np.uint8),
    "uint16": RAMP.astype(np.uint16),
    "float32": (RAMP / 255).astype(np.float32),
}
# Of each type a gray one and one in colour.
PICTURES = {name: [each, np.stack([each] * 3, axis=2)] for name, each in LEVELS.items()}
ALL = [image for images in PICTURES.values() for image in images]
# Colours lie side by side in a row, so that most loops do not tell them from gray.
GRAY = [gray for gray, _ in PICTURES.values()]
# Parameters that limit how many rounds are made, and how many are enough here.
LIMITS = ("max_num_iter", "num_iter")
ROUNDS = 2
Steps = list[dict[str, Any]]


def warm_up(names: Iterable[str] = OPERATIONS) -> None:
    """Call operations: scikit-image imports lazily, and kernels are compiled for each type."""
    for operation in map(OPERATIONS.__getitem__, names):
        for steps, images in chains(operation):
            for image in images:
                # An operation that refuses such an image has been called as well.
                with suppress(Rejected):
                    request = PlanRequest(image.shape, str(image.dtype), json.dumps(steps))
                    run_alone(plan(request), image)


def chains(operation: Operation) -> Iterator[tuple[Steps, list[Image]]]:
    """Give the chains that an operation is called in, and the images of each.

    One that has kernels is called with each type of picture. It stands beside others too: there it
    gives floats, or is given floats or bytes, where alone it is given and gives what the image is
    of.
    """
    step, blur = default_step(operation), default_step(OPERATIONS["gaussian"])
    on_labels = operation.takes == "labels"
    if not operation.kernels:
        yield [step], [MASK] if on_labels else PICTURES["uint8"]
        return
    yield [step], [MASK] if on_labels else ALL
    for steps in (*([each] for each in others(operation)), [step, blur], [blur, step]):
        yield steps, [MASK] if on_labels else GRAY
    # A mean of ranks is of 8 bits when it is given floats, also of an image of 16.
    yield [blur, default_step(OPERATIONS["rank_mean"]), step], PICTURES["uint16"][:1]


def others(operation: Operation) -> Iterator[dict[str, Any]]:
    """Give a step for each kernel that does not hold for the defaults, but for another option."""
    step = default_step(operation)
    names = operation.parameters
    options = [{**step, name: option} for name in names for option in names[name].get("enum", ())]
    for kernel in operation.kernels:
        held = [s for s in [step, *options] if kernel.when(**{name: s[name] for name in names})]
        yield from held[:1] if step not in held else ()


def default_step(operation: Operation) -> dict[str, Any]:
    """Give an operation's step with its defaults, but for a few rounds where there are many."""
    defaults = {
        name: min(each["default"], ROUNDS)
        if name in LIMITS and each["default"]
        else each["default"]
        for name, each in operation.parameters.items()
    }
    return {"operation": operation.name, **defaults}


def compile_all() -> None:
    """Warm up family by family in as many processes as there are cores, which end then."""
    # What several families call first: no two processes should compile the same.
    warm_up(["gaussian", "rank_mean", "adjust_gamma"])
    families = groupby(OPERATIONS, key=lambda name: OPERATIONS[name].group)
    with get_context("spawn").Pool(len(os.sched_getaffinity(0)), ignore_warnings) as pool:
        pool.map(warm_up, [list(names) for _, names in families], chunksize=1)


def ignore_warnings() -> None:
    """Say nothing of what small pictures make operations warn of."""
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    ignore_warnings()
    compile_all()
