"""Warm up a process: import, compile and call everything once, so that no job waits for that.

`python -m cluster_worker.engine.warm` does so in processes on all cores. What numba compiles stays
in its cache on disk for later processes.
"""

import ctypes
import importlib
import json
import os
import signal
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.engine.compiling import compile_with
from cluster_worker.errors import Rejected
from cluster_worker.lazy import lazy_names
from cluster_worker.operations import OPERATIONS, Operation
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import PlanRequest, RecipeRequest
from cluster_worker.plan.run import run_alone
from cluster_worker.plan.run_recipe import run_recipe_alone

Image = NDArray[Any]

RAMP = np.arange(256).reshape(16, 16)
MASK = RAMP > 128
LEVELS: dict[str, Image] = {
    "uint8": RAMP.astype(np.uint8),
    "uint16": RAMP.astype(np.uint16),
    "float32": (RAMP / 255).astype(np.float32),
}
# For each dtype, a gray picture and one in colour.
PICTURES = {name: [each, np.stack([each] * 3, axis=2)] for name, each in LEVELS.items()}
ALL = [image for images in PICTURES.values() for image in images]
# Enough for most kernels: colours lie side by side in a row, so the same loops serve both.
GRAY = [gray for gray, _ in PICTURES.values()]
# Parameters that limit the number of rounds, and the number that is enough to warm up.
LIMITS = ("max_num_iter", "num_iter")
ROUNDS = 2
ORIGINAL = "original"
# linux/prctl.h
PR_SET_PDEATHSIG = 1
Steps = list[dict[str, Any]]


def warm_up(names: Iterable[str] = OPERATIONS) -> None:
    """Call operations, because scikit-image imports lazily and numba compiles per dtype."""
    for operation in map(OPERATIONS.__getitem__, names):
        for steps, images in chains(operation):
            for image in images:
                # An operation that rejects this image has been called and is warm too.
                with suppress(Rejected):
                    header, given = header_of(image.shape, str(image.dtype)), json.dumps(steps)
                    if operation.stands_alone and not names_images(steps):
                        run_alone(plan(PlanRequest(header, given)), image)
                    else:
                        run_recipe_alone(plan_recipe(RecipeRequest(header, given)), image, {})


def names_images(steps: Steps) -> bool:
    """Return whether steps name second images, so that they are a recipe."""
    return any(name in OPERATIONS[step["operation"]].inputs for step in steps for name in step)


def chains(operation: Operation) -> Iterator[tuple[Steps, list[Image]]]:
    """Yield chains that contain an operation, each with the images to run it on.

    An operation with kernels runs on pictures of each dtype. Alone it reads and returns the dtype
    of the image. Before and after a Gaussian it also returns or reads floats.
    """
    if operation.gives == "table":
        # Regions of labels as they mostly are, with intensities of each dtype.
        labels = [default_step(OPERATIONS["label"])] if operation.takes == "labels" else []
        masks = [MASK, *(MASK * each.max() for each in LEVELS.values())]
        yield [*labels, default_step(operation)], masks
        return
    step, blur = default_step(operation), default_step(OPERATIONS["gaussian"])
    for each in steps_with_all_images(operation):
        yield [each], [MASK]
    on_masks = operation.takes != "picture"
    if not operation.kernels:
        yield [step], [MASK] if on_masks else PICTURES["uint8"]
        return
    yield [step], [MASK] if on_masks else ALL
    for steps in (*([each] for each in other_steps(operation)), [step, blur], [blur, step]):
        yield steps, [MASK] if on_masks else GRAY
    # `rank_mean` converts floats to 8 bits: so the operation reads uint8 and returns uint16.
    yield [blur, default_step(OPERATIONS["rank_mean"]), step], PICTURES["uint16"][:1]


def other_steps(operation: Operation) -> Iterator[dict[str, Any]]:
    """Yield a step for each kernel that serves other options of the operation than its defaults."""
    step = default_step(operation)
    names = operation.parameters
    options = [{**step, name: option} for name in names for option in names[name].get("enum", ())]
    for kernel in operation.kernels:
        served = [s for s in [step, *options] if kernel.when(**{name: s[name] for name in names})]
        yield from served[:1] if step not in served else ()


def steps_with_all_images(operation: Operation) -> Iterator[dict[str, Any]]:
    """Yield steps with second images that may be left out, which other loops may serve."""
    if operation.stands_alone and operation.inputs:
        step = {**default_step(operation), **dict.fromkeys(operation.inputs, ORIGINAL)}
        for name, each in operation.parameters.items():
            yield from ({**step, name: option} for option in each.get("enum", ()))
        yield step


def default_step(operation: Operation) -> dict[str, Any]:
    """Return an operation's step with its defaults, but with at most ROUNDS rounds.

    Second images that it needs are the image itself.
    """
    defaults = {
        name: min(each["default"], ROUNDS)
        if name in LIMITS and each["default"]
        else each["default"]
        for name, each in operation.parameters.items()
    }
    if operation.gives == "table":
        # All that it can measure.
        lists = {name: each["items"].get("enum") for name, each in listed(operation).items()}
        defaults |= {name: found for name, found in lists.items() if found}
    second = operation.inputs if operation.gives == "table" else operation.required
    return {"operation": operation.name, **defaults, **dict.fromkeys(second, ORIGINAL)}


def listed(operation: Operation) -> dict[str, Any]:
    """Return the schemas of the parameters that are lists."""
    return {name: each for name, each in operation.parameters.items() if "items" in each}


def load_modules() -> None:
    """Load scikit-image and the compiler, so that ranks share their pages."""
    for name in lazy_names():
        if name.startswith("skimage."):
            importlib.import_module(name)
    importlib.import_module("cluster_worker.kernels.loops.compiling")


def compile_all() -> None:
    """Call all operations, group by group of the catalogue, in one process for each core.

    It does nothing if all kernels are compiled.
    """
    compile_with(compile_groups)


def compile_groups() -> None:
    """Call all operations, as `compile_all` does."""
    # Call first what several groups use, so that no two processes compile the same kernel.
    warm_up(["gaussian", "rank_mean", "adjust_gamma"])
    groups = groupby(OPERATIONS, key=lambda name: OPERATIONS[name].group)
    with get_context("spawn").Pool(len(os.sched_getaffinity(0)), begin_worker) as pool:
        pool.map(warm_up, [list(names) for _, names in groups], chunksize=1)


def ignore_warnings() -> None:
    """Turn off warnings, which operations raise about such small pictures."""
    warnings.simplefilter("ignore")


def begin_worker() -> None:
    """Begin as a process of the pool: it must not outlive the process that waits for it."""
    ignore_warnings()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    ignore_warnings()
    compile_all()
