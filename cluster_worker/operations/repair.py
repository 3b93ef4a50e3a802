"""Repair of images: missing pixels are filled in."""

from typing import Annotated

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Input,
    Whole,
    channel_axis,
    operation,
)
from cluster_worker.operations.support.propagation import refuse_not_finite

restoration = lazily("skimage.restoration")
util = lazily("skimage.util")


@operation(
    "Fill in missing pixels",
    "Restoration",
    Whole("The pixels of a gap are the solution of one system of equations."),
    channels="any",
    floats=True,
    arrays=30,
    cost=180.0,
    exponential=True,
)
def inpaint_biharmonic(
    image: Image,
    split_into_regions: bool = False,
    *,
    mask: Annotated[Image, Input("mask")],
) -> Image:
    """Fill in the pixels of a mask smoothly from those around them, by biharmonic equations.

    Parameters
    ----------
    split_into_regions : bool
        Whether each connected part of the mask is filled in by itself, which is faster.
    mask : ndarray
        The pixels that are missing.

    References
    ----------
    skimage.restoration.inpaint_biharmonic
    """
    refuse_not_finite(image)
    if mask.all():
        raise ValueError("mask: holds all pixels; leave some from which the others are filled in")
    if not mask.any():
        found: Image = util.img_as_float(image)
        return found
    filled: Image = restoration.inpaint_biharmonic(
        image, mask, split_into_regions=split_into_regions, channel_axis=channel_axis(image)
    )
    return filled
