"""Colours for the regions of a label image."""

from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Input,
    Measure,
    Number,
    Statistical,
    operation,
)

color = lazily("skimage.color")
colorlabel = lazily("skimage.color.colorlabel")
util = lazily("skimage.util")


@operation(
    "Colours for labels",
    "Colour",
    Statistical((Measure(np.unique, np.union1d),)),
    channels="any",
    takes="labels",
    arrays=8,
    cost=2.0,
    fine=("opacity", "saturation"),
)
def label2rgb(
    image: Image,
    bg_label: Annotated[int, Number(0, 65535, slider=(0, 255), step=1)] = 0,
    opacity: Annotated[float, Number(0, 1, slider=(0, 1), step=0.05)] = 0.3,
    saturation: Annotated[float, Number(0, 1, slider=(0, 1), step=0.05)] = 0.0,
    *,
    picture: Annotated[Image | None, Input("values")] = None,
    statistics: tuple[NDArray[Any]],
) -> Image:
    """Colour each region of a label image with one of ten colours; the background is black.

    With a picture the colours are laid over it.

    Parameters
    ----------
    bg_label : int
        Label of the background.
    opacity : float
        Opacity of the colours over a picture; the parameter alpha of scikit-image.
    saturation : float
        How much colour the picture keeps below them, as a share.
    picture : ndarray, optional
        What the colours are laid over; the parameter image of scikit-image.

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
    if picture is None:
        return result
    under = in_rgb(picture, saturation)
    over: Image = result * opacity + under * (1 - opacity)
    return over


def in_rgb(picture: Image, saturation: float) -> Image:
    """Return a picture as RGB in floats, with a share of its saturation."""
    floats = util.img_as_float(picture)
    if floats.dtype == np.float16:
        floats = floats.astype(np.float32)
    if floats.ndim == 2:
        gray: Image = color.gray2rgb(floats)
        return gray
    hsv = color.rgb2hsv(floats)
    hsv[..., 1] *= saturation
    faded: Image = color.hsv2rgb(hsv)
    return faded


@cache
def label_colours() -> NDArray[np.float64]:
    """Return scikit-image's colours for labels, one in each row."""
    return np.array([color.color_dict[name] for name in colorlabel.DEFAULT_COLORS])
