"""Fill all holes of a mask."""

from cluster_worker.kernels import components
from cluster_worker.operations.declare import Composed, Image, Place, Stage, Stages, operation
from cluster_worker.operations.support.propagation import (
    AS_MASK,
    selection_stages,
    within_border,
)


@operation(
    "Fill holes",
    "Regions",
    Composed("propagating"),
    channels="gray",
    takes="mask",
    arrays=3,
    cost=2,
)
def binary_fill_holes() -> Stages:
    """Fill the holes of a mask: what is not set and does not touch the image's border.

    Use remove_small_holes to fill holes up to a size.

    References
    ----------
    scipy.ndimage.binary_fill_holes
    """
    return *selection_stages(outside, 1), Stage(inverted, like=AS_MASK)


def outside(image: Image, *, place: Place, out: Image | None) -> Image:
    """Return the seats of the regions that are not set; those at the image's border are marked."""
    inner = within_border(image, place, 1)
    marks = None if inner.all() else ~inner
    return components.seated(image == 0, marks, 1, place, wanted=True, out=out)


def inverted(mask: Image) -> Image:
    """Return the pixels that a mask does not have."""
    return ~mask
