"""Edges: derivatives of the image."""

from functools import partial
from typing import Any

from skimage import filters

from cluster_worker.kernels.slopes import FARID, PREWITT, SCHARR, SOBEL, crosses, slopes
from cluster_worker.operations.declare import Image, Kernel, Local, each_channel, operation
from cluster_worker.operations.filters import Border, BorderValue

KERNEL = partial(Kernel, arrays=0, cost=0.03, tolerance=1e-6)


def one_pixel(**_: Any) -> int:
    """Halo of a kernel of 3 × 3 pixels."""
    return 1


def two_pixels(**_: Any) -> int:
    """Halo of a kernel of 5 × 5 pixels."""
    return 2


@operation(
    "Edges (Sobel)",
    "Edges",
    Local(one_pixel),
    floats=True,
    arrays=5,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, weights=SOBEL)),),
)
def sobel(image: Image, mode: Border = "reflect", cval: BorderValue = 0.0) -> Image:
    """Show how fast brightness changes: edges are bright, even areas black.

    Sobel's kernel of 3 × 3 pixels, which smooths a little along the edge.

    Parameters
    ----------
    mode : str
        What lies beyond the image's border: its last pixel (nearest), its mirror image with the
        last pixel twice (reflect) or once (mirror), a value of its own (constant), or its
        opposite edge (wrap).
    cval : float
        Value beyond the border if the mode is constant; 0 is black, 1 is white.

    References
    ----------
    skimage.filters.sobel
    """
    return each_channel(partial(filters.sobel, mode=mode, cval=cval), image)


@operation(
    "Horizontal edges (Sobel)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, weights=SOBEL, axes=(0,))),),
)
def sobel_h(image: Image) -> Image:
    """Show horizontal edges: white where it gets brighter downwards, black if darker.

    Sobel's kernel; even areas are gray.

    References
    ----------
    skimage.filters.sobel_h
    """
    return each_channel(filters.sobel_h, image)


@operation(
    "Upright edges (Sobel)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, weights=SOBEL, axes=(1,))),),
)
def sobel_v(image: Image) -> Image:
    """Show upright edges: white where it gets brighter to the right, black if darker.

    Sobel's kernel; even areas are gray.

    References
    ----------
    skimage.filters.sobel_v
    """
    return each_channel(filters.sobel_v, image)


@operation(
    "Edges (Scharr)",
    "Edges",
    Local(one_pixel),
    floats=True,
    arrays=5,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, weights=SCHARR)),),
)
def scharr(image: Image, mode: Border = "reflect", cval: BorderValue = 0.0) -> Image:
    """Show edges bright on black, equally strong in all directions.

    Scharr's kernel of 3 × 3 pixels, which favours no direction more than it must.

    Parameters
    ----------
    mode : str
        What lies beyond the image's border: its last pixel (nearest), its mirror image with the
        last pixel twice (reflect) or once (mirror), a value of its own (constant), or its
        opposite edge (wrap).
    cval : float
        Value beyond the border if the mode is constant; 0 is black, 1 is white.

    References
    ----------
    skimage.filters.scharr
    """
    return each_channel(partial(filters.scharr, mode=mode, cval=cval), image)


@operation(
    "Horizontal edges (Scharr)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, weights=SCHARR, axes=(0,))),),
)
def scharr_h(image: Image) -> Image:
    """Show horizontal edges: white where it gets brighter downwards, black if darker.

    Scharr's kernel; even areas are gray.

    References
    ----------
    skimage.filters.scharr_h
    """
    return each_channel(filters.scharr_h, image)


@operation(
    "Upright edges (Scharr)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, weights=SCHARR, axes=(1,))),),
)
def scharr_v(image: Image) -> Image:
    """Show upright edges: white where it gets brighter to the right, black if darker.

    Scharr's kernel; even areas are gray.

    References
    ----------
    skimage.filters.scharr_v
    """
    return each_channel(filters.scharr_v, image)


@operation(
    "Edges (Prewitt)",
    "Edges",
    Local(one_pixel),
    floats=True,
    arrays=5,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, weights=PREWITT)),),
)
def prewitt(image: Image, mode: Border = "reflect", cval: BorderValue = 0.0) -> Image:
    """Show edges bright on black, the plainest way.

    Prewitt's kernel of 3 × 3 pixels, which weighs the three pixels along the edge alike.

    Parameters
    ----------
    mode : str
        What lies beyond the image's border: its last pixel (nearest), its mirror image with the
        last pixel twice (reflect) or once (mirror), a value of its own (constant), or its
        opposite edge (wrap).
    cval : float
        Value beyond the border if the mode is constant; 0 is black, 1 is white.

    References
    ----------
    skimage.filters.prewitt
    """
    return each_channel(partial(filters.prewitt, mode=mode, cval=cval), image)


@operation(
    "Horizontal edges (Prewitt)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, weights=PREWITT, axes=(0,))),),
)
def prewitt_h(image: Image) -> Image:
    """Show horizontal edges: white where it gets brighter downwards, black if darker.

    Prewitt's kernel; even areas are gray.

    References
    ----------
    skimage.filters.prewitt_h
    """
    return each_channel(filters.prewitt_h, image)


@operation(
    "Upright edges (Prewitt)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, weights=PREWITT, axes=(1,))),),
)
def prewitt_v(image: Image) -> Image:
    """Show upright edges: white where it gets brighter to the right, black if darker.

    Prewitt's kernel; even areas are gray.

    References
    ----------
    skimage.filters.prewitt_v
    """
    return each_channel(filters.prewitt_v, image)


@operation(
    "Edges (Farid)",
    "Edges",
    Local(two_pixels),
    floats=True,
    arrays=5,
    cost=2.0,
    kernels=(KERNEL(partial(slopes, weights=FARID)),),
)
def farid(image: Image, mode: Border = "reflect", cval: BorderValue = 0.0) -> Image:
    """Show edges bright on black, smoothed more than by smaller kernels.

    The kernel of 5 × 5 pixels by Farid and Simoncelli; a turned image gives the same edges.

    Parameters
    ----------
    mode : str
        What lies beyond the image's border: its last pixel (nearest), its mirror image with the
        last pixel twice (reflect) or once (mirror), a value of its own (constant), or its
        opposite edge (wrap).
    cval : float
        Value beyond the border if the mode is constant; 0 is black, 1 is white.

    References
    ----------
    skimage.filters.farid
    """
    return each_channel(partial(filters.farid, mode=mode, cval=cval), image)


@operation(
    "Horizontal edges (Farid)",
    "Edges",
    Local(two_pixels),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, weights=FARID, axes=(0,))),),
)
def farid_h(image: Image) -> Image:
    """Show horizontal edges: white where it gets brighter downwards, black if darker.

    Farid's kernel; even areas are gray.

    References
    ----------
    skimage.filters.farid_h
    """
    return each_channel(filters.farid_h, image)


@operation(
    "Upright edges (Farid)",
    "Edges",
    Local(two_pixels),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, weights=FARID, axes=(1,))),),
)
def farid_v(image: Image) -> Image:
    """Show upright edges: white where it gets brighter to the right, black if darker.

    Farid's kernel; even areas are gray.

    References
    ----------
    skimage.filters.farid_v
    """
    return each_channel(filters.farid_v, image)


@operation(
    "Edges (Roberts)",
    "Edges",
    Local(one_pixel),
    floats=True,
    arrays=5,
    kernels=(KERNEL(partial(crosses, diagonals=("falling", "rising"))),),
)
def roberts(image: Image) -> Image:
    """Show edges bright on black, as sharp as they can be.

    Roberts' cross, the smallest kernel there is: 2 × 2 pixels.

    References
    ----------
    skimage.filters.roberts
    """
    return each_channel(filters.roberts, image)


@operation(
    "Falling diagonal differences (Roberts)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(crosses, diagonals=("falling",))),),
)
def roberts_pos_diag(image: Image) -> Image:
    """Show differences along falling diagonals: white if brighter to the lower right.

    It is black where it gets darker that way; even areas are gray.

    References
    ----------
    skimage.filters.roberts_pos_diag
    """
    return each_channel(filters.roberts_pos_diag, image)


@operation(
    "Rising diagonal differences (Roberts)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(crosses, diagonals=("rising",))),),
)
def roberts_neg_diag(image: Image) -> Image:
    """Show differences along rising diagonals: white if brighter to the lower left.

    It is black where it gets darker that way; even areas are gray.

    References
    ----------
    skimage.filters.roberts_neg_diag
    """
    return each_channel(filters.roberts_neg_diag, image)


@operation(
    "Fine detail (Laplace)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(crosses),),
)
def laplace(image: Image) -> Image:
    """Show where a pixel differs from its four neighbours: white if brighter, black if darker.

    Even areas and even slopes are gray.

    Notes
    -----
    The parameter ksize of scikit-image 0.26 changes nothing: its kernel is always the one of
    3 × 3 pixels.

    References
    ----------
    skimage.filters.laplace
    """
    return each_channel(filters.laplace, image)
