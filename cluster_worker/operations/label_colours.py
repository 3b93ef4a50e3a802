"""Colours for the regions of a label image."""

from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Measure,
    Number,
    Statistical,
    operation,
)

color = lazily("skimage.color")
colorlabel = lazily("skimage.color.colorlabel")


@operation(
    "Colours for labels",
    "Colour",
    Statistical((Measure(np.unique, np.union1d),)),
    channels="any",
    takes="labels",
    arrays=8,
    cost=2.0,
)
def label2rgb(
    image: Image,
    bg_label: Annotated[int, Number(0, 65535, slider=(0, 255), step=1)] = 0,
    *,
    statistics: tuple[NDArray[Any]],
) -> Image:
    """Colour each region of a label image with one of ten colours; the background is black.

    Parameters
    ----------
    bg_label : int
        Label of the background.

    Notes
    -----
    The colours are assigned in the order of the labels that the whole image holds.

    References
    ----------
    skimage.color.label2rgb
    """
    if image.ndim == 3:
        raise ValueError("takes labels or a mask, got colours; put a threshold before it")
    (present,) = statistics
    regions = present[present != bg_label]
    colours = label_colours()
    result: Image = colours[np.searchsorted(regions, image) % len(colours)]
    result[image == bg_label] = 0
    return result


@cache
def label_colours() -> NDArray[np.float64]:
    """Return scikit-image's colours for labels, one in each row."""
    return np.array([color.color_dict[name] for name in colorlabel.DEFAULT_COLORS])
