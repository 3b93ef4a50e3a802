"""Warm up: import, compile and call everything once, so that no job waits for that.

`python -m cluster_worker.warm` does it on its own: what numba compiles stays in its cache.
"""

import json
import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations import catalogue
from cluster_worker.pipeline import run_alone
from cluster_worker.planning import Order, plan

Image = NDArray[Any]


def warm_up() -> None:
    """Call every operation once on each type of picture, in colour and in gray.

    scikit-image imports lazily, and kernels are compiled for each type that they meet.
    """
    ramp = np.arange(256).reshape(16, 16)
    levels: list[Image] = [ramp.astype(np.uint8), ramp.astype(np.uint16)]
    levels.append((ramp / 255).astype(np.float32))
    pictures = levels + [np.stack([each, each, each], axis=2) for each in levels]
    for entry in catalogue()["operations"]:
        defaults = {
            name: each["default"] for name, each in entry["parameters"]["properties"].items()
        }
        steps = json.dumps([{"operation": entry["name"], **defaults}])
        for image in [ramp > 128] if entry["takes"] == "labels" else pictures:
            # An operation that refuses such an image has been called as well.
            with suppress(Rejected):
                run_alone(plan(Order(image.shape, str(image.dtype), steps)), image)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    warm_up()
