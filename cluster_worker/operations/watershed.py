"""The watershed transform: split an image into basins around markers."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from scipy import ndimage

from cluster_worker.kernels import basins
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Kernel, Number, Whole, operation
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.propagation import refuse_nan

feature = lazily("skimage.feature")
filters = lazily("skimage.filters")
segmentation = lazily("skimage.segmentation")


def watershed_of_floats(
    image: Image,
    on: str,
    markers: int | None,
    min_distance: int,
    connectivity: int,
    **_: Any,
) -> Image:
    """Compute the watershed of a float image with a kernel, without compactness or lines."""
    return basins_on(on, image, markers, min_distance, connectivity, basins.watershed)


def basins_on(
    on: str,
    image: Image,
    markers: int | None,
    min_distance: int,
    connectivity: int,
    flood: Callable[..., Image],
) -> Image:
    """Choose the relief that is flooded and its markers, and compute the basins.

    Parameters
    ----------
    on, markers, min_distance, connectivity
        As in `watershed`.
    image : ndarray
        (rows, columns), the whole image.
    flood : callable
        ``flood(relief, markers, connectivity)`` returns the labels of the basins. It also takes
        ``mask``.

    Returns
    -------
    ndarray of int
        Labels.

    Raises
    ------
    ValueError
        If the image holds NaN.
    """
    refuse_nan(image)
    if on != "distance":
        relief = filters.sobel(image) if on == "gradient" else image
        return flood(relief, markers, connectivity)
    mask = image > (np.iinfo(image.dtype).max / 2 if image.dtype.kind in "iu" else 0.5)
    distance = ndimage.distance_transform_edt(mask)
    # scikit-image divides by zero if it is to space markers evenly on an empty mask.
    given = markers if markers and mask.any() else summits(distance, mask, min_distance)
    return flood(np.negative(distance, out=distance), given, connectivity, mask=mask)


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
    """Split an image into basins with the watershed transform, by flooding from markers.

    The result is a label image.

    Parameters
    ----------
    on : str
        What is flooded: the gradient of the image, so that basins end at edges ("gradient"); the
        image itself; or the distance to the edge of what is brighter than half of white
        ("distance"), which separates round objects that touch.
    markers : int, optional
        Number of evenly spaced markers. Automatic places them at the minima of the gradient or the
        image, or at the maxima of the distance.
    min_distance : int
        Least distance between two maxima of the distance, where these are the markers.
    connectivity : int
        1 if water flows over edges of pixels only, 2 if over corners as well.
    compactness : float
        A higher value makes basins more compact and more equal in size.
    watershed_line : bool
        Whether a line of one pixel, with the label 0, separates the basins.

    References
    ----------
    skimage.segmentation.watershed
    """
    flood = partial(segmentation.watershed, compactness=compactness, watershed_line=watershed_line)
    return basins_on(on, image, markers, min_distance, connectivity, flood)


def summits(distance: Image, mask: Image, min_distance: int) -> Image:
    """Return a label image with one marker at each local maximum of the distance to the edge."""
    points = feature.peak_local_max(
        distance, min_distance, exclude_border=False, labels=mask.astype(np.uint8)
    )
    markers = np.zeros(mask.shape, np.int64)
    markers[tuple(points.T)] = np.arange(1, len(points) + 1)
    return markers
