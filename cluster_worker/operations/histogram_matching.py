"""Match the histogram of an image to that of another."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Image, Input, Measure, Statistical, operation
from cluster_worker.operations.support.propagation import refuse_nan

Array = NDArray[Any]
# Values in ascending order, and how many pixels have each.
Counted = tuple[Array, NDArray[np.int64]]
# Most different values of an image: every rank keeps 16 bytes for each.
VALUES_MAX = 1 << 24


@dataclass(frozen=True)
class Levels:
    """The values of an image and of its reference, channel by channel."""

    image: tuple[Counted, ...]
    reference: tuple[Counted, ...]

    @cached_property
    def matched(self) -> tuple[Array, ...]:
        """For each channel, the new value of each of its values, as scikit-image computes them."""
        return tuple(
            np.interp(shares(counts), shares(known[1]), known[0])
            for (_, counts), known in zip(self.image, self.reference, strict=True)
        )


def shares(counts: NDArray[np.int64]) -> Array:
    """Return which share of the pixels has a value or a lower one, for each value."""
    found: Array = np.cumsum(counts) / counts.sum()
    return found


def channels(image: Image) -> list[Image]:
    """Return the channels of an image."""
    return [image] if image.ndim == 2 else list(np.moveaxis(image, 2, 0))


def counted(plane: Image) -> Counted:
    """Count the pixels of each value."""
    refuse_nan(plane)
    values, counts = np.unique(plane, return_counts=True)
    return values, counts.astype(np.int64)


def levels_of(image: Image, *, reference: Image) -> Levels:
    """Count the values of a block and of its reference."""
    if image.ndim != reference.ndim:
        raise ValueError("reference: must have as many channels as the image")
    return Levels(tuple(map(counted, channels(image))), tuple(map(counted, channels(reference))))


def joined(one: Counted, other: Counted) -> Counted:
    """Join the counts of two sets of tiles.

    Raises
    ------
    Rejected
        If there are too many values.
    """
    values, at = np.unique(np.concatenate([one[0], other[0]]), return_inverse=True)
    if values.size > VALUES_MAX:
        raise Rejected(
            f"takes up to {VALUES_MAX} different values, got {values.size}; give "
            "it whole numbers, before other filters"
        )
    total = np.zeros(values.size, np.int64)
    np.add.at(total, at, np.concatenate([one[1], other[1]]))
    return values, total


def join_levels(a: Levels, b: Levels) -> Levels:
    """Join the values of two sets of tiles."""
    return Levels(
        tuple(map(joined, a.image, b.image)), tuple(map(joined, a.reference, b.reference))
    )


@operation(
    "Match a histogram",
    "Intensity",
    Statistical((Measure(levels_of, join_levels),)),
    channels="any",
    floats=True,
    arrays=8,
    cost=6.0,
)
def match_histograms(
    image: Image, *, reference: Annotated[Image, Input("picture")], statistics: tuple[Levels]
) -> Image:
    """Change the brightness of an image so that its histogram is that of another.

    Colours are matched channel by channel.

    Parameters
    ----------
    reference : ndarray
        The image whose histogram is wanted.

    References
    ----------
    skimage.exposure.match_histograms
    """
    del reference  # The measure has counted it.
    (levels,) = statistics
    found = [
        matched[np.searchsorted(values, plane)]
        for plane, (values, _), matched in zip(
            channels(image), levels.image, levels.matched, strict=True
        )
    ]
    if image.ndim == 3:
        # As in scikit-image, colours keep their type, and whole numbers are cut off.
        return np.stack(found, axis=2).astype(image.dtype)
    single = image.dtype.kind == "f" and image.dtype.itemsize <= 4
    return found[0].astype(np.float32 if single else np.float64)
