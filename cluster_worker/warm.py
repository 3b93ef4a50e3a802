"""Warm up: import, compile and call everything once, so that no job waits for that.

`python -m cluster_worker.warm` does it on its own: what numba compiles stays in its cache.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS, Operation
from cluster_worker.pipeline import run_alone
from cluster_worker.planning import Order, plan

Image = NDArray[Any]


def warm_up() -> None:
    """Call every operation on each type of picture, in colour and in gray.

    scikit-image imports lazily, and kernels are compiled for each type that they meet.
    """
    ramp = np.arange(256).reshape(16, 16)
    levels: list[Image] = [ramp.astype(np.uint8), ramp.astype(np.uint16)]
    levels.append((ramp / 255).astype(np.float32))
    pictures = levels + [np.stack([each, each, each], axis=2) for each in levels]
    for operation in OPERATIONS.values():
        for steps in map(json.dumps, chains(operation)):
            for image in [ramp > 128] if operation.takes == "labels" else pictures:
                # An operation that refuses such an image has been called as well.
                with suppress(Rejected):
                    run_alone(plan(Order(image.shape, str(image.dtype), steps)), image)


def chains(operation: Operation) -> Iterator[list[dict[str, Any]]]:
    """Give the chains that an operation is called in.

    One that has kernels stands beside others too: there it gives floats, or is given floats or
    bytes, where alone it is given and gives what the image is of.
    """
    step, blur = step_of(operation), step_of(OPERATIONS["gaussian"])
    yield [step]
    if operation.kernels:
        yield from ([each] for each in others(operation))
        yield [step, blur]
        yield [blur, step]
        # A mean of ranks is of 8 bits when it is given floats, also of an image of 16.
        yield [blur, step_of(OPERATIONS["rank_mean"]), step]


def others(operation: Operation) -> Iterator[dict[str, Any]]:
    """Give a step for each kernel that does not hold for the defaults, but for another option."""
    step = step_of(operation)
    names = operation.parameters
    options = [{**step, name: option} for name in names for option in names[name].get("enum", ())]
    for kernel in operation.kernels:
        held = [s for s in [step, *options] if kernel.when(**{name: s[name] for name in names})]
        yield from held[:1] if step not in held else ()


def step_of(operation: Operation) -> dict[str, Any]:
    """Give an operation's step with its defaults."""
    defaults = {name: each["default"] for name, each in operation.parameters.items()}
    return {"operation": operation.name, **defaults}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    warm_up()
