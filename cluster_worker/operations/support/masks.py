"""Pictures that are masks or class numbers: which ones are, by their levels.

At depth "input" a picture with one level, or with 0 and one other, is the mask of its pixels that
are not 0. So are class numbers: few whole numbers, 0 among them, many pixels for each. Any other
picture is refused, because no level of it is the right one to split it at.
"""

from functools import partial
from typing import Any

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Image, Measure, Place, Stage

# Most levels of class numbers, and fewest pixels for each.
CLASSES_MAX = 32
PIXELS_PER_CLASS = 16
# The least levels of an image, in order: all of them, or one more than CLASSES_MAX.
Levels = tuple[Any, ...]


def levels_of(image: Image) -> Levels:
    """Return the least levels of a block. NaN, which says that a pixel has no data, is as 0."""
    values = image.ravel()
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(0), values)
    return tuple(np.unique(values)[: CLASSES_MAX + 1].tolist())


def join_levels(a: Levels, b: Levels) -> Levels:
    """Join the levels of two sets of tiles."""
    return tuple(sorted({*a, *b}))[: CLASSES_MAX + 1]


LEVELS = (Measure(levels_of, join_levels),)


def check_levels(levels: Levels, dtype: np.dtype[Any], pixels: int) -> None:
    """Check that a picture with these levels is a mask, or class numbers.

    Raises
    ------
    Rejected
        If it is neither.
    """
    if len(levels) == 1 or (len(levels) == 2 and 0 in levels):
        return
    few = len(levels) <= CLASSES_MAX and len(levels) * PIXELS_PER_CLASS <= pixels
    if few and dtype.kind == "u" and 0 in levels:
        return
    found = len(levels) if len(levels) <= CLASSES_MAX else f"more than {CLASSES_MAX}"
    raise Rejected(
        f"takes a mask, got a picture of {found} levels; put threshold or threshold_otsu before it"
    )


def not_zero(image: Image, *, place: Place, statistics: tuple[Levels]) -> Image:
    """Return the mask of the pixels that are not 0, of a picture that is a mask."""
    check_levels(statistics[0], image.dtype, place.shape[0] * place.shape[1])
    mask: Image = image != 0
    return mask & ~np.isnan(image) if image.dtype.kind == "f" else mask


def checked(image: Image, *, place: Place, statistics: tuple[Levels]) -> Image:
    """Return class numbers unchanged."""
    check_levels(statistics[0], image.dtype, place.shape[0] * place.shape[1])
    return image


def as_mask(name: str) -> Stage:
    """Return the stage that makes the mask of a picture for the operation `name`."""
    return Stage(not_zero, measures=LEVELS, like=partial(np.asarray, dtype=np.bool_), name=name)


def as_classes(name: str) -> Stage:
    """Return the stage that checks a picture of whole numbers for the operation `name`."""
    return Stage(checked, measures=LEVELS, like=np.asarray, name=name)
