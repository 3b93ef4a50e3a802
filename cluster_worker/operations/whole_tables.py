"""Tables that one rank measures on the whole image, by scikit-image's own functions."""

import warnings
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations import blob_tables
from cluster_worker.operations.declare import Image, Number, Place, Table, operation
from cluster_worker.operations.measurements import (
    BLOB_UNITS,
    BLOBS_DIFFER,
    BlobLevel,
    BlobShare,
    GreatestSigma,
    LeastSigma,
    Overlap,
    finish_blobs,
)
from cluster_worker.operations.support.column_units import PIXELS, VALUE, units
from cluster_worker.operations.support.overlapping import crowd_cost
from cluster_worker.operations.support.propagation import refuse_nan

feature = lazily("skimage.feature")
restoration = lazily("skimage.restoration")
transform = lazily("skimage.transform")

Columns = dict[str, NDArray[Any]]
# Most radii of circles: there is an image of votes for each.
RADII_MAX = 20
Radius = Annotated[int, Number(1, 5000, unit="px", slider=(2, 100), step=1)]


def only_one(a: Columns, _: Columns) -> Columns:
    """Return the only table: there is one tile."""
    return a


def as_found(found: Columns, _: tuple[int, int], **__: Any) -> Columns:
    """Return the table, which is finished."""
    return found


@operation(
    "Blobs (determinant of Hessian)",
    "Measurements",
    Table(
        only_one,
        finish_blobs,
        unit=BLOB_UNITS,
        whole="It is computed from sums over the whole image, whose rounding begins at its corner.",
    ),
    channels="gray",
    arrays=30,
    cost=lambda num_sigma, **_: 8.0 * num_sigma,
    cost_once=crowd_cost,
    differs=BLOBS_DIFFER,
)
def blob_doh(
    image: Image,
    min_sigma: LeastSigma = 1.0,
    max_sigma: GreatestSigma = 30.0,
    num_sigma: Annotated[int, Number(1, 50, slider=(1, 20), step=1)] = 10,
    threshold: BlobLevel = 0.01,
    overlap: Overlap = 0.5,
    log_scale: bool = False,
    threshold_rel: BlobShare = None,
    *,
    place: Place,
) -> blob_tables.Table:
    """Find bright and dark blobs by the determinant of the Hessian: a table with place and size.

    It is the fastest of the three, and least exact for small blobs.

    Parameters
    ----------
    num_sigma : int
        How many sizes are tried.
    log_scale : bool
        Whether the sizes grow by a factor, not by equal steps.

    References
    ----------
    skimage.feature.blob_doh
    """
    del overlap, threshold_rel  # For the finished table.
    return blob_tables.measure_doh(
        image,
        place,
        min_sigma=min_sigma,
        max_sigma=max_sigma,
        num_sigma=num_sigma,
        log_scale=log_scale,
        threshold=threshold,
    )


@operation(
    "Circles",
    "Measurements",
    Table(
        only_one,
        as_found,
        unit=units(row=PIXELS, column=PIXELS, radius=PIXELS),
        whole="Circles that are too near to better ones are left out, over the whole image.",
    ),
    channels="gray",
    takes="mask",
    arrays=2 * RADII_MAX,
    cost=lambda min_radius, max_radius, radii, **_: radii * (20 + (min_radius + max_radius) / 2),
    # Votes are added with or without rounding between, as the processor's vectors have it.
    exponential=True,
    differs="the table has the columns of scikit-image's result by name",
)
def hough_circle_peaks(
    image: Image,
    min_radius: Radius = 10,
    max_radius: Radius = 30,
    radii: Annotated[int, Number(1, RADII_MAX, slider=(1, RADII_MAX), step=1)] = 10,
    min_distance: Annotated[int, Number(1, 5000, unit="px", slider=(1, 100), step=1)] = 10,
    threshold: Annotated[float | None, Number(0, 1, slider=(0, 1), step=0.05)] = None,
    total_num_peaks: Annotated[int | None, Number(1, 100_000, slider=(1, 100), step=1)] = None,
    *,
    place: Place,  # noqa: ARG001 - it is the whole image
) -> Columns:
    """Find circles in a mask of edges with the Hough transform: a table with a row for each.

    Parameters
    ----------
    min_radius : int
        The least radius that is tried.
    max_radius : int
        The greatest radius that is tried.
    radii : int
        How many radii are tried, evenly from the least to the greatest.
    min_distance : int
        Middles of circles differ by at least so many rows or columns.
    threshold : float, optional
        Least share of a circle that must be in the mask; automatic is half of that of the best one
        of its radius.
    total_num_peaks : int, optional
        Most circles; those with the largest share are kept.

    References
    ----------
    skimage.transform.hough_circle_peaks
    """
    if max_radius < min_radius:
        raise ValueError(f"max_radius: must be at least min_radius, {min_radius}, got {max_radius}")
    tried = np.unique(np.linspace(min_radius, max_radius, radii).astype(int))
    try:
        votes, columns, rows, sizes = transform.hough_circle_peaks(
            transform.hough_circle(image, tried),
            tried,
            min_distance,
            min_distance,
            threshold,
            total_num_peaks=np.inf if total_num_peaks is None else total_num_peaks,
        )
    except IndexError:
        # scikit-image looks for worse circles beyond the image, on its other side.
        size = " × ".join(map(str, image.shape))
        raise ValueError(
            f"min_distance: must be smaller than an image of {size} pixels, got {min_distance}"
        ) from None
    table = {"row": rows, "column": columns, "radius": sizes}
    return {name: np.asarray(each, np.int64) for name, each in table.items()} | {
        "share": np.asarray(votes, float)
    }


@operation(
    "Estimate noise",
    "Measurements",
    Table(
        only_one,
        as_found,
        unit=units(sigma=VALUE),
        whole="The estimate is a median over the finest detail of the whole image.",
    ),
    channels="any",
    arrays=8,
    cost=8.0,
    differs="the table has a row for each channel",
    exponential=True,
)
def estimate_sigma(
    image: Image,
    *,
    place: Place,  # noqa: ARG001 - it is the whole image
) -> Columns:
    """Estimate the deviation of Gaussian noise: a table with a row for each channel.

    Use it to choose the sigma of denoise_nl_means or denoise_wavelet.

    References
    ----------
    skimage.restoration.estimate_sigma
    """
    refuse_nan(image)
    planes = np.moveaxis(np.atleast_3d(image), 2, 0)
    with warnings.catch_warnings():
        # An image without detail has no noise to estimate: the result is NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = [restoration.estimate_sigma(plane) for plane in planes]
    return {"channel": np.arange(len(found)), "sigma": np.array(found, np.float64)}
