"""Colours for the regions of a label image."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from skimage import color
from skimage.color import colorlabel

from cluster_worker.operations.declare import (
    Image,
    Measure,
    Number,
    Statistical,
    operation,
)


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
    number = np.searchsorted(regions, image) % len(LABEL_COLOURS)
    result: Image = LABEL_COLOURS[number]
    result[image == bg_label] = 0
    return result


LABEL_COLOURS = np.array([color.color_dict[name] for name in colorlabel.DEFAULT_COLORS])
