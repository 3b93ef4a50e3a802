"""The watershed transform: split an image into basins around markers."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.kernels import basins
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Input,
    Kernel,
    Number,
    Place,
    Stage,
    Stages,
    operation,
)
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.mask_regions import Reaches, reaches, window_of
from cluster_worker.operations.support.propagation import refuse_nan

ndimage = lazily("scipy.ndimage")
feature = lazily("skimage.feature")
filters = lazily("skimage.filters")
segmentation = lazily("skimage.segmentation")
util = lazily("skimage.util")

# Most pixels of a tile together with all regions of the mask that it meets: half a gigabyte in a
# rank, and some seconds without a check for a cancel.
REACH_PIXELS = 1 << 23
LESS_MEMORY = 'set ties of watershed to "position", with a mask, for less memory'

Relief = Literal["gradient", "image", "inverted", "distance"]
Ties = Literal["heap", "position"]


def by_kernel(
    on: Relief,
    markers: int | None,
    min_distance: int,
    connectivity: int,
    *,
    marker_image: bool = False,  # noqa: ARG001 - the stage is given the image
    mask: bool = False,  # noqa: ARG001 - the stage is given the image
    **_: Any,
) -> Stages:
    """Return the stage for floats, without compactness or lines, with a kernel."""
    function = partial(
        flooded,
        on=on,
        markers=markers,
        min_distance=min_distance,
        connectivity=connectivity,
    )
    model = Stage(partial(function, flood=scikit_image), whole=True)
    return (
        Stage(
            partial(function, flood=basins.watershed),
            whole=True,
            model=model,
            less_memory=LESS_MEMORY,
        ),
    )


@operation(
    "Watershed",
    "Regions",
    Composed("by region"),
    channels="gray",
    floats=True,
    arrays=14,
    cost=60,
    kernels=(
        Kernel(
            by_kernel,
            takes=("float32", "float64"),
            when=lambda compactness, watershed_line, ties, **_: (
                not (compactness or watershed_line) and ties == "heap"
            ),
            exact=True,
            cost=10,
        ),
    ),
)
def watershed(
    on: Relief = "gradient",
    markers: Annotated[int | None, Number(1, 1_000_000, slider=(1, 1000), step=1)] = None,
    min_distance: Annotated[int, Number(1, 500, unit="px", slider=(1, 50), step=1)] = 10,
    connectivity: Connectivity = 1,
    compactness: Annotated[float, Number(0, 1000, slider=(0, 1))] = 0.0,
    watershed_line: bool = False,
    ties: Ties = "heap",
    *,
    marker_image: Annotated[bool, Input("labels")] = False,
    mask: Annotated[bool, Input("mask")] = False,
) -> Stages:
    """Split an image into basins with the watershed transform, by flooding from markers.

    The result is a label image.

    Parameters
    ----------
    on : str
        What is flooded: the gradient of the image, so that basins end at edges ("gradient"); the
        image itself; the image upside down, so that basins lie around its peaks ("inverted"); or
        the distance to the edge of the mask, or without a mask to that of what is brighter than
        half of white ("distance"), which separates round objects that touch.
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
    ties : str
        Which of several markers of the same level rises first. "heap" is scikit-image's own order,
        which depends on the whole image, so that one rank floods it. With "position" it is the
        first in reading order; then connected regions of the mask do not depend on each other, and
        all ranks flood images of any size. Where no levels are equal, both give the same.
    marker_image : ndarray, optional
        Labels from which the water rises, instead of `markers`: scikit-image's `markers`, if that
        is an image.
    mask : ndarray, optional
        Where basins may lie.

    Notes
    -----
    "position" needs a marker image, and takes no compactness and no lines. Labels of 8 and 16 bits
    become labels of 32 bits.

    References
    ----------
    skimage.segmentation.watershed
    """
    if ties == "position":
        why = why_not_by_position(on, compactness, watershed_line, marker_image)
        return (Stage(partial(refused, why=why)),) if why else by_position(on, connectivity, mask)
    flood = partial(scikit_image, compactness=compactness, watershed_line=watershed_line)
    function = partial(
        flooded,
        on=on,
        markers=markers,
        min_distance=min_distance,
        connectivity=connectivity,
        flood=flood,
    )
    return (Stage(function, whole=True, less_memory=LESS_MEMORY),)


def scikit_image(relief: Image, *given: Any, **more: Any) -> Image:
    """Call ``skimage.segmentation.watershed``, which is loaded only then."""
    labels: Image = segmentation.watershed(relief, *given, **more)
    return labels


def flooded(
    image: Image,
    *,
    on: Relief,
    markers: int | None,
    min_distance: int,
    connectivity: int,
    flood: Callable[..., Image],
    marker_image: Image | None = None,
    mask: Image | None = None,
) -> Image:
    """Choose the relief of a whole image and its markers, and compute the basins.

    Parameters
    ----------
    image : ndarray
        (rows, columns), the whole image.
    on, markers, min_distance, connectivity
        As in `watershed`.
    flood : callable
        ``flood(relief, markers, connectivity, mask=mask)`` returns the labels of the basins.
    marker_image, mask : ndarray, optional
        (rows, columns).

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
    given = markers if marker_image is None else as_labels(marker_image)
    if on != "distance":
        return flood(relief_of(image, on), given, connectivity, mask=mask)
    inside = bright(image) if mask is None else mask
    distance = ndimage.distance_transform_edt(inside)
    # scikit-image divides by zero if it is to space markers evenly on an empty mask.
    if given is None or not inside.any():
        given = summits(distance, inside, min_distance)
    return flood(np.negative(distance, out=distance), given, connectivity, mask=inside)


def relief_of(image: Image, on: Relief) -> Image:
    """Return what is flooded: the gradient of an image, the image itself, or it upside down."""
    if on == "gradient":
        gradient: Image = filters.sobel(image)
        return gradient
    if on == "inverted":
        # Not by a minus sign: that leaves the 0 of unsigned numbers as the least of them.
        upside_down: Image = util.invert(image, signed_float=True)
        return upside_down
    return image


def bright(image: Image) -> Image:
    """Return the mask of what is brighter than half of white."""
    mask: Image = image > (np.iinfo(image.dtype).max / 2 if image.dtype.kind in "iu" else 0.5)
    return mask


def as_labels(markers: Image) -> Image:
    """Return markers as labels of 32 bits or more, which a mask and small numbers become."""
    return markers if markers.dtype.itemsize >= 4 else markers.astype(np.int32)


def summits(distance: Image, mask: Image, min_distance: int) -> Image:
    """Return a label image with one marker at each local maximum of the distance to the edge."""
    points = feature.peak_local_max(
        distance, min_distance, exclude_border=False, labels=mask.astype(np.uint8)
    )
    markers = np.zeros(mask.shape, np.int64)
    markers[tuple(points.T)] = np.arange(1, len(points) + 1)
    return markers


# Ties by position: each tile is flooded together with all regions of the mask that it meets.


def why_not_by_position(
    on: Relief, compactness: float, watershed_line: bool, marker_image: bool
) -> str:
    """Return why basins cannot be computed with ties by position; "" if they can."""
    if on == "distance":
        return 'takes no distance; put distance_transform_edt before, and set on to "inverted"'
    if compactness or watershed_line:
        return "takes no compactness and no watershed_line"
    if not marker_image:
        return "needs a marker image; put local_minima and label before, and name the result"
    return ""


def refused(_: Image, why: str) -> Image:
    """Raise ValueError, when the recipe is planned: only then it is known which images it has."""
    raise ValueError(f'ties: "position" {why}')


def by_position(on: Relief, connectivity: int, mask: bool) -> Stages:
    """Return the stage that floods each tile with its regions; without a mask, the whole image."""
    function = partial(flooded_by_position, on=on, connectivity=connectivity)
    model = Stage(like_labels)
    if not mask:
        return (Stage(function, whole=True, model=model, less_memory="give watershed a mask"),)
    return (
        Stage(
            function,
            halo=1 if on == "gradient" else 0,
            measures=(reaches(connectivity, REACH_PIXELS),),
            reach=window_of,
            reach_pixels=REACH_PIXELS,
            model=model,
        ),
    )


def flooded_by_position(
    image: Image,
    *,
    on: Relief,
    connectivity: int,
    marker_image: Image,
    mask: Image | None = None,
    place: Place,
    statistics: tuple[Reaches] | None = None,
) -> Image:
    """Compute the basins of a block; those of regions that end in it are those of the image."""
    refuse_nan(image)
    last = statistics[0].last if statistics else {}
    if place.window not in last:
        relief, markers = relief_of(image, on), as_labels(marker_image)
        last.clear()
        last[place.window] = basins.watershed_by_position(relief, markers, connectivity, mask)
    return last[place.window]


def like_labels(image: Image, *, marker_image: Image) -> Image:  # noqa: ARG001 - as the stage
    """Return an image of the type of the labels."""
    return as_labels(marker_image)
