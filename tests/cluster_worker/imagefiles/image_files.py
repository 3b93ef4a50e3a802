"""Random pictures, and image files read or refused, for tests."""

import numpy as np
import pytest

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats

PIXELS_MAX = 1_000_000
RANDOM = np.random.default_rng(7)


def picture(dtype, *shape):
    if dtype == "bool":
        return RANDOM.random(shape) > 0.5
    if dtype.startswith("float"):
        return RANDOM.normal(size=shape).astype(dtype)
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def read(path, name=None):
    header = formats.read_header(path, name or path.name, PIXELS_MAX)
    out = np.empty(header.shape, header.dtype)
    formats.read_pixels(path, header, out)
    return header, out


def refusal(path):
    with pytest.raises(Rejected) as caught:
        read(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path.name}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{path.name}: ")
