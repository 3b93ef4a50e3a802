"""Boundaries of labelled regions: find them, or move them outwards."""

from typing import Annotated, Literal

from cluster_worker.kernels import nearness
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Kernel, Local, Number, operation
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.propagation import refuse_pictures

segmentation = lazily("skimage.segmentation")


@operation(
    "Region borders",
    "Regions",
    Local(lambda connectivity, mode, background: 1),
    takes="labels",
    fine=(),
)
def find_boundaries(
    image: Image,
    connectivity: Connectivity = 1,
    mode: Literal["thick", "inner", "outer"] = "thick",
    background: Annotated[int, Number(0, 65_535, slider=(0, 10), step=1)] = 0,
) -> Image:
    """Find the boundaries between labelled regions; the result is a mask.

    Parameters
    ----------
    mode : str
        Which pixels: on both sides of a border ("thick"), those just inside of regions ("inner"),
        or those of the background around regions, and both sides where two touch ("outer").
    background : int
        Label of the background, which is not a region.

    References
    ----------
    skimage.segmentation.find_boundaries
    """
    refuse_pictures(image)
    result: Image = segmentation.find_boundaries(image, connectivity, mode, background)
    return result


@operation(
    "Expand labels",
    "Regions",
    Local(lambda distance: int(distance)),
    takes="labels",
    cost=6,
    kernels=(
        Kernel(
            nearness.expanded,
            takes=nearness.TYPES,
            gray=True,
            exact=True,
            arrays=2,
            cost=lambda distance: 0.6 + 0.03 * distance,
        ),
    ),
)
def expand_labels(
    image: Image,
    distance: Annotated[float, Number(0, 200, unit="px", slider=(0, 30), step=0.5)] = 1,
) -> Image:
    """Grow each labelled region outwards without overlapping its neighbours.

    Parameters
    ----------
    distance : float
        How far regions grow; a pixel within this distance takes the nearest label.

    References
    ----------
    skimage.segmentation.expand_labels
    """
    refuse_pictures(image)
    result: Image = segmentation.expand_labels(image, distance)
    return result
