"""How far an image is shifted against another: a table of one row."""

import warnings
from typing import Annotated, Literal

import numpy as np

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Input, Number, Place, Table, operation
from cluster_worker.operations.support.column_units import PIXELS, RADIANS, units
from cluster_worker.operations.support.propagation import refuse_not_finite
from cluster_worker.operations.whole_tables import Columns, as_found, only_one

registration = lazily("skimage.registration")


@operation(
    "Shift between images",
    "Measurements",
    Table(
        only_one,
        as_found,
        unit=units(**{"shift-0": PIXELS, "shift-1": PIXELS, "phasediff": RADIANS}),
        whole="It is found by the Fourier transforms of both whole images.",
    ),
    channels="gray",
    arrays=24,
    cost=lambda upsample_factor, **_: 20 + 0.2 * upsample_factor,
    differs="the table has the numbers of scikit-image's result by name",
    exponential=True,
)
def phase_cross_correlation(
    image: Image,
    upsample_factor: Annotated[int, Number(1, 1000, slider=(1, 100), step=1)] = 1,
    normalization: Literal["phase", "none"] = "phase",
    *,
    reference: Annotated[Image, Input("picture")],
    place: Place,  # noqa: ARG001 - it is the whole image
) -> Columns:
    """Find by how many pixels an image must be moved to lie on a reference: a table of one row.

    Parameters
    ----------
    upsample_factor : int
        The shift is found to within 1 / `upsample_factor` of a pixel.
    normalization : str
        Whether all details count alike however strong they are (phase), or not (none), which is
        better where there is much noise.
    reference : ndarray
        The image that stays in its place.

    References
    ----------
    skimage.registration.phase_cross_correlation
    """
    refuse_not_finite(image)
    refuse_not_finite(reference)
    with warnings.catch_warnings():
        # Images of zeros have no error: it is NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        shift, error, phase = registration.phase_cross_correlation(
            reference,
            image,
            upsample_factor=upsample_factor,
            normalization=None if normalization == "none" else normalization,
        )
    numbers = {"shift-0": shift[0], "shift-1": shift[1], "error": error, "phasediff": phase}
    return {name: np.array([each], np.float64) for name, each in numbers.items()}
