"""Hysteresis thresholding: what a low level finds, where a high one holds some of it."""

from functools import partial

from cluster_worker.kernels import components
from cluster_worker.operations.color import white_of
from cluster_worker.operations.declare import Composed, Image, Place, Stage, operation
from cluster_worker.operations.support.propagation import parts_wanted
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
    """Turn bright pixels white, and with them the less bright ones that touch them.

    A region brighter than the low level is white if any of its pixels is brighter than the high
    one; pixels touch by their sides.

    Parameters
    ----------
    low : float
        Level above which a pixel is white if its region is, as a share of white; at most `high`
        counts.
    high : float
        Level that one pixel of a region must exceed, as a share of white.

    References
    ----------
    skimage.filters.apply_hysteresis_threshold
    """
    return parts_wanted(partial(bright_regions, low=low, high=high), 1)


def bright_regions(
    image: Image, *, place: Place, out: Image | None, low: float, high: float
) -> Image:
    """Give seats to the regions above the low level; marked is what exceeds the high one."""
    white = white_of(image)
    bright, brighter = image > min(low, high) * white, image > high * white
    return components.seated(bright, brighter, 1, place, out=out)
