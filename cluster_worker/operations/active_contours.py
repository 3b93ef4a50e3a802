"""Active contours: an outline moves until it separates an image into two classes."""

from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Number, Whole, operation
from cluster_worker.operations.support.propagation import AS_MASK

segmentation = lazily("skimage.segmentation")


def rounds_cost(
    lambda1: float,
    lambda2: float,
    tol: float,
    max_num_iter: int,
    init_level_set: str,
    **_: Any,
) -> float:
    """Return the cost of the rounds, which most images end early: the larger `tol`, the earlier.

    In a disk and around it most images are about as bright, so that equal weights move its outline
    little and the rounds soon stop.
    """
    still = init_level_set != "checkerboard" and lambda1 == lambda2
    return 2 + 2 * min(max_num_iter, (0.02 if still else 0.5) / max(tol, 1e-6))


@operation(
    "Two classes (Chan–Vese)",
    "Regions",
    Whole(
        "Each round needs the means of both classes to the last bit, which sums over tiles miss.",
        like=AS_MASK,
    ),
    channels="gray",
    floats=True,
    arrays=24,
    cost=rounds_cost,
)
def chan_vese(
    image: Image,
    mu: Annotated[float, Number(0, 10, slider=(0, 1), step=0.01)] = 0.25,
    lambda1: Annotated[float, Number(0, 100, slider=(0, 5), step=0.1)] = 1.0,
    lambda2: Annotated[float, Number(0, 100, slider=(0, 5), step=0.1)] = 1.0,
    tol: Annotated[float, Number(0, 1, slider=(0, 0.1))] = 1e-3,
    max_num_iter: Annotated[int, Number(1, 2000, slider=(1, 500), step=1)] = 500,
    dt: Annotated[float, Number(0.01, 10, slider=(0.1, 2), step=0.1)] = 0.5,
    init_level_set: Literal["checkerboard", "disk", "small disk"] = "checkerboard",
) -> Image:
    """Split an image into two classes of brightness with the Chan–Vese method.

    The result is a mask with smooth outlines.

    Parameters
    ----------
    mu : float
        Weight of the outline's length; a higher value gives a smoother outline.
    lambda1 : float
        Weight of the differences in brightness within the white class.
    lambda2 : float
        Weight of the differences in brightness within the black class.
    tol : float
        The iteration stops when the level set changes by less than this (root mean square).
    max_num_iter : int
        Largest number of iterations.
    dt : float
        Step size of an iteration; larger steps are faster, but may not converge.
    init_level_set : str
        Outline to start from.

    References
    ----------
    skimage.segmentation.chan_vese
    """
    # An image of one level has no differences to divide by.
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Image = segmentation.chan_vese(
            image, mu, lambda1, lambda2, tol, max_num_iter, dt, init_level_set
        )
    return result
