"""Hysteresis thresholding: regions above a low level that have a pixel above a high level."""

from functools import partial

import numpy as np

from cluster_worker.kernels import components
from cluster_worker.operations.color import white_of
from cluster_worker.operations.declare import Composed, Image, Place, Stage, operation
from cluster_worker.operations.support.propagation import selection_stages
from cluster_worker.operations.thresholds import Share


@operation(
    "Thresholding (hysteresis)",
    "Thresholds",
    Composed("propagating"),
    channels="gray",
    arrays=2,
    cost=0.12,
)
def apply_hysteresis_threshold(low: Share = 0.3, high: Share = 0.6) -> tuple[Stage, ...]:
    """Threshold with hysteresis: keep bright pixels and the less bright ones connected to them.

    A region brighter than the low level becomes white if any of its pixels is brighter than the
    high level. Pixels are connected if they share a side.

    Parameters
    ----------
    low : float
        Level above which a pixel belongs to a region, as a share of white; more than `high` counts
        as `high`.
    high : float
        Level that at least one pixel of a region must exceed, as a share of white.

    References
    ----------
    skimage.filters.apply_hysteresis_threshold
    """
    return selection_stages(partial(bright_regions, low=low, high=high), 1)


def bright_regions(
    image: Image, *, place: Place, out: Image | None, low: float, high: float
) -> Image:
    """Return the seats of the regions above the low level; pixels above the high one are marks."""
    white = white_of(image)
    # Of float64, as scikit-image makes it: a number of Python would be compared in float32.
    least = np.float64(min(low, high) * white)
    bright, brighter = image > least, image > high * white
    return components.seated(bright, brighter, 1, place, out=out)
