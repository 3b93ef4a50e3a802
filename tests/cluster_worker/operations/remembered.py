"""References that remember their latest results, for tests that ask for one several times.

An operation that makes no floats is given the same image in both depths. Scikit-image's filters of
ranks and its hulls take longer than all else in these tests.
"""

import json
from functools import lru_cache, partial

from cluster_worker.operations import OPERATIONS
from tests.cluster_worker.operations import reference


class Pixels:
    """An image as a key of a cache: equal to those of the same type, shape and values."""

    def __init__(self, image):
        self.image = image
        self.key = image.dtype.str, image.shape, image.tobytes()

    def __eq__(self, other):
        return self.key == other.key

    def __hash__(self):
        return hash(self.key)


@lru_cache(maxsize=4)
def computed(name, parameters, pixels):
    """Return what the reference of an operation makes of an image; `parameters` are JSON."""
    return reference.result_of(OPERATIONS[name], pixels.image, json.loads(parameters))


def result_of(operation, image, parameters):
    """Return the same as `reference.result_of`, computed once for equal images in a row."""
    return computed(operation.name, json.dumps(parameters), Pixels(image))


run = partial(reference.run, result_of=result_of)
