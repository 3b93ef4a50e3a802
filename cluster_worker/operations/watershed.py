"""The watershed: basins of an image in which water rises from markers."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from scipy import ndimage
from skimage import feature, filters, segmentation

from cluster_worker.kernels import basins
from cluster_worker.operations.declare import Image, Kernel, Number, Whole, operation
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.propagation import refuse_nan


def watershed_of_floats(
    image: Image,
    on: str,
    markers: int | None,
    min_distance: int,
    connectivity: int,
    **_: Any,
) -> Image:
    """Part an image of floats into basins that are neither compact nor parted by lines."""
    return basins_on(on, image, markers, min_distance, connectivity, basins.watershed)


def basins_on(
    on: str,
    image: Image,
    markers: int | None,
    min_distance: int,
    connectivity: int,
    part: Callable[..., Image],
) -> Image:
    """Part an image into basins of what the water rises in."""
    refuse_nan(image)
    if on != "distance":
        relief = filters.sobel(image) if on == "gradient" else image
        return part(relief, markers, connectivity)
    mask = image > (np.iinfo(image.dtype).max / 2 if image.dtype.kind == "u" else 0.5)
    distance = ndimage.distance_transform_edt(mask)
    # Evenly spaced markers on nothing make scikit-image divide by zero.
    given = markers if markers and mask.any() else summits(distance, mask, min_distance)
    return part(np.negative(distance, out=distance), given, connectivity, mask=mask)


@operation(
    "Watershed",
    "Regions",
    Whole("Water rises from all markers at once, in one order of all pixels of the image."),
    channels="gray",
    floats=True,
    arrays=14,
    cost=20,
    kernels=(
        Kernel(
            watershed_of_floats,
            takes=("float32", "float64"),
            when=lambda compactness, watershed_line, **_: not (compactness or watershed_line),
            exact=True,
            cost=10,
        ),
    ),
)
def watershed(
    image: Image,
    on: Literal["gradient", "image", "distance"] = "gradient",
    markers: Annotated[int | None, Number(1, 1_000_000, slider=(1, 1000), step=1)] = None,
    min_distance: Annotated[int, Number(1, 500, unit="px", slider=(1, 50), step=1)] = 10,
    connectivity: Connectivity = 1,
    compactness: Annotated[float, Number(0, 1000, slider=(0, 1))] = 0.0,
    watershed_line: bool = False,
) -> Image:
    """Part an image into basins, as water would that rises from markers; gives labels.

    Parameters
    ----------
    on : str
        What the water rises in: the image's slopes ("gradient"), so that basins end at edges; the
        image itself; or, for what is brighter than half of white, how far it is to the edge
        ("distance"), which parts round things that touch.
    markers : int, optional
        How many markers, evenly spaced. None: where slopes or image are least, or where the
        distance to the edge is greatest.
    min_distance : int
        How far apart the greatest distances are, where they are the markers.
    connectivity : int
        1 if water flows over edges of pixels only, 2 if over corners as well.
    compactness : float
        More makes the basins rounder and more alike.
    watershed_line : bool
        Whether a line of one pixel with the label 0 parts the basins.

    References
    ----------
    skimage.segmentation.watershed
    """
    part = partial(segmentation.watershed, compactness=compactness, watershed_line=watershed_line)
    return basins_on(on, image, markers, min_distance, connectivity, part)


def summits(distance: Image, mask: Image, min_distance: int) -> Image:
    """Number the greatest distances to the edge."""
    points = feature.peak_local_max(
        distance, min_distance, exclude_border=False, labels=mask.astype(np.uint8)
    )
    markers = np.zeros(mask.shape, np.int64)
    markers[tuple(points.T)] = np.arange(1, len(points) + 1)
    return markers
