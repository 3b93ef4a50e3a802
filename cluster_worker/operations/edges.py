"""Edges: derivatives of the image."""

from functools import partial
from typing import Annotated, Any

from cluster_worker.kernels.slopes import crosses, slopes
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Input, Kernel, Local, each_channel, operation
from cluster_worker.operations.support.borders import Border, FloatFill

filters = lazily("skimage.filters")

KERNEL = partial(Kernel, arrays=0, cost=0.03, tolerance=1e-6)


Mask = Annotated[Image | None, Input("mask", beyond="nothing")]


def one_pixel(**_: Any) -> int:
    """Return the halo of a kernel of 3 × 3 pixels."""
    return 1


def two_pixels(**_: Any) -> int:
    """Return the halo of a kernel of 5 × 5 pixels."""
    return 2


@operation(
    "Edges (Sobel)",
    "Edges",
    Local(one_pixel),
    floats=True,
    arrays=5,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, method="sobel")),),
)
def sobel(
    image: Image, mode: Border = "reflect", cval: FloatFill = 0.0, *, mask: Mask = None
) -> Image:
    """Compute the strength of edges with the Sobel filter; areas of even brightness are black.

    The kernel has 3 × 3 pixels and smooths a little along the edge.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.sobel
    """
    return each_channel(partial(filters.sobel, mask=mask, mode=mode, cval=cval), image)


@operation(
    "Horizontal edges (Sobel)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, method="sobel", axes=(0,))),),
)
def sobel_h(image: Image, *, mask: Mask = None) -> Image:
    """Find horizontal edges with the Sobel filter: white where brightness increases downwards.

    Edges where it decreases are black, areas of even brightness gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.sobel_h
    """
    return each_channel(partial(filters.sobel_h, mask=mask), image)


@operation(
    "Upright edges (Sobel)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, method="sobel", axes=(1,))),),
)
def sobel_v(image: Image, *, mask: Mask = None) -> Image:
    """Find vertical edges with the Sobel filter: white where brightness increases to the right.

    Edges where it decreases are black, areas of even brightness gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.sobel_v
    """
    return each_channel(partial(filters.sobel_v, mask=mask), image)


@operation(
    "Edges (Scharr)",
    "Edges",
    Local(one_pixel),
    floats=True,
    arrays=5,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, method="scharr")),),
)
def scharr(
    image: Image, mode: Border = "reflect", cval: FloatFill = 0.0, *, mask: Mask = None
) -> Image:
    """Compute the strength of edges with the Scharr filter; areas of even brightness are black.

    The kernel of 3 × 3 pixels is made to respond about equally to edges of all directions.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.scharr
    """
    return each_channel(partial(filters.scharr, mask=mask, mode=mode, cval=cval), image)


@operation(
    "Horizontal edges (Scharr)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, method="scharr", axes=(0,))),),
)
def scharr_h(image: Image, *, mask: Mask = None) -> Image:
    """Find horizontal edges with the Scharr filter: white where brightness increases downwards.

    Edges where it decreases are black, areas of even brightness gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.scharr_h
    """
    return each_channel(partial(filters.scharr_h, mask=mask), image)


@operation(
    "Upright edges (Scharr)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, method="scharr", axes=(1,))),),
)
def scharr_v(image: Image, *, mask: Mask = None) -> Image:
    """Find vertical edges with the Scharr filter: white where brightness increases to the right.

    Edges where it decreases are black, areas of even brightness gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.scharr_v
    """
    return each_channel(partial(filters.scharr_v, mask=mask), image)


@operation(
    "Edges (Prewitt)",
    "Edges",
    Local(one_pixel),
    floats=True,
    arrays=5,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, method="prewitt")),),
)
def prewitt(
    image: Image, mode: Border = "reflect", cval: FloatFill = 0.0, *, mask: Mask = None
) -> Image:
    """Compute the strength of edges with the Prewitt filter; areas of even brightness are black.

    The kernel has 3 × 3 pixels and weighs the three pixels along the edge equally.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.prewitt
    """
    return each_channel(partial(filters.prewitt, mask=mask, mode=mode, cval=cval), image)


@operation(
    "Horizontal edges (Prewitt)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, method="prewitt", axes=(0,))),),
)
def prewitt_h(image: Image, *, mask: Mask = None) -> Image:
    """Find horizontal edges with the Prewitt filter: white where brightness increases downwards.

    Edges where it decreases are black, areas of even brightness gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.prewitt_h
    """
    return each_channel(partial(filters.prewitt_h, mask=mask), image)


@operation(
    "Upright edges (Prewitt)",
    "Edges",
    Local(one_pixel),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=0.5,
    kernels=(KERNEL(partial(slopes, method="prewitt", axes=(1,))),),
)
def prewitt_v(image: Image, *, mask: Mask = None) -> Image:
    """Find vertical edges with the Prewitt filter: white where brightness increases to the right.

    Edges where it decreases are black, areas of even brightness gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.prewitt_v
    """
    return each_channel(partial(filters.prewitt_v, mask=mask), image)


@operation(
    "Edges (Farid)",
    "Edges",
    Local(two_pixels),
    floats=True,
    arrays=5,
    cost=2.0,
    kernels=(KERNEL(partial(slopes, method="farid")),),
)
def farid(
    image: Image, mode: Border = "reflect", cval: FloatFill = 0.0, *, mask: Mask = None
) -> Image:
    """Compute the strength of edges with the Farid filter; areas of even brightness are black.

    The kernel of 5 × 5 pixels, by Farid and Simoncelli, smooths more than smaller kernels. A
    rotated image has the same edges.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.farid
    """
    return each_channel(partial(filters.farid, mask=mask, mode=mode, cval=cval), image)


@operation(
    "Horizontal edges (Farid)",
    "Edges",
    Local(two_pixels),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, method="farid", axes=(0,))),),
)
def farid_h(image: Image, *, mask: Mask = None) -> Image:
    """Find horizontal edges with the Farid filter: white where brightness increases downwards.

    Edges where it decreases are black, areas of even brightness gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.farid_h
    """
    return each_channel(partial(filters.farid_h, mask=mask), image)


@operation(
    "Upright edges (Farid)",
    "Edges",
    Local(two_pixels),
    floats=True,
    shows=(-1, 1),
    arrays=4,
    cost=1.0,
    kernels=(KERNEL(partial(slopes, method="farid", axes=(1,))),),
)
def farid_v(image: Image, *, mask: Mask = None) -> Image:
    """Find vertical edges with the Farid filter: white where brightness increases to the right.

    Edges where it decreases are black, areas of even brightness gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.farid_v
    """
    return each_channel(partial(filters.farid_v, mask=mask), image)


@operation(
    "Edges (Roberts)",
    "Edges",
    Local(one_pixel),
    floats=True,
    arrays=5,
    kernels=(KERNEL(partial(crosses, diagonals=("falling", "rising"))),),
)
def roberts(image: Image, *, mask: Mask = None) -> Image:
    """Compute the strength of edges with Roberts' cross; areas of even brightness are black.

    The kernel has only 2 × 2 pixels, which keeps edges as sharp as possible.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.roberts
    """
    return each_channel(partial(filters.roberts, mask=mask), image)


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
def roberts_pos_diag(image: Image, *, mask: Mask = None) -> Image:
    """Compute differences along falling diagonals (Roberts): white if brighter to the lower right.

    Pixels are black if it is darker there; areas of even brightness are gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.roberts_pos_diag
    """
    return each_channel(partial(filters.roberts_pos_diag, mask=mask), image)


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
def roberts_neg_diag(image: Image, *, mask: Mask = None) -> Image:
    """Compute differences along rising diagonals (Roberts): white if brighter to the lower left.

    Pixels are black if it is darker there; areas of even brightness are gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    References
    ----------
    skimage.filters.roberts_neg_diag
    """
    return each_channel(partial(filters.roberts_neg_diag, mask=mask), image)


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
def laplace(image: Image, *, mask: Mask = None) -> Image:
    """Apply the Laplace operator: white where a pixel is brighter than its four neighbours.

    Pixels darker than their neighbours are black; areas of even brightness and even slopes are
    gray.

    Parameters
    ----------
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it, and those beside its border, are 0.

    Notes
    -----
    In scikit-image 0.26 the parameter ksize has no effect: the kernel always has 3 × 3 pixels.

    References
    ----------
    skimage.filters.laplace
    """
    return each_channel(partial(filters.laplace, mask=mask), image)
