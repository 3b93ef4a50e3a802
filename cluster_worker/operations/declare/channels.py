"""Colours: the last axis of an image."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]


def channel_axis(image: Image) -> int | None:
    """Axis of the colours. Always positive: unsharp_mask of scikit-image 0.26 errs on -1."""
    return 2 if image.ndim == 3 else None


def each_channel(function: Callable[[Image], Image], image: Image) -> Image:
    """Run a function of a gray image on every colour of an image."""
    if image.ndim == 2:
        return function(image)
    return np.stack([function(image[..., i]) for i in range(image.shape[2])], axis=2)
