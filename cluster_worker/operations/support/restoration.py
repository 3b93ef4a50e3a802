"""What restorations share: the precision that they compute in, and what they refuse."""

from typing import Any

import numpy as np

from cluster_worker.operations.declare import Image


def single_or_double(image: Image) -> Any:
    """Give the type that scikit-image computes with: single precision only for single."""
    return np.float32 if image.dtype == np.float32 else np.float64


def refuse_not_finite(values: Any) -> None:
    """Refuse what holds NaN or infinity."""
    if not np.isfinite(values).all():
        raise ValueError("the image holds NaN or infinity, which would spoil all of it")
