"""Shared by the restorations: the precision of their arithmetic, and a check for NaN."""

from typing import Any

import numpy as np

from cluster_worker.operations.declare import Image


def single_or_double(image: Image) -> Any:
    """Return the type that scikit-image computes in: float32 for float32, else float64."""
    return np.float32 if image.dtype == np.float32 else np.float64


def refuse_not_finite(values: Any) -> None:
    """Raise if an image holds NaN or infinity.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError("the image holds NaN or infinity, which would spoil all of it")
