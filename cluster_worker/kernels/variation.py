"""Total variation denoising: one round of Chambolle's iteration, row by row."""

from collections.abc import Sequence

import numpy as np

from cluster_worker.kernels import Image, rows_of
from cluster_worker.lazy import lazily

loops = lazily("cluster_worker.kernels.loops.variation")


def chambolle(state: Image, planes: Image, runs: Sequence[bool], weight: float) -> Image:
    """Compute one round for every colour that still runs, with the same bits as numpy.

    Parameters
    ----------
    state : ndarray
        (rows, columns, 4 × colours) of float32 or float64: for each colour, the image so far, the
        two components of the dual variable, and the energy.
    planes : ndarray
        (rows, columns, colours) of the same type: the image to denoise.
    runs : sequence of bool
        For each colour, whether it still runs; the state of the others is copied.
    weight : float
        Strength of the smoothing.

    Returns
    -------
    ndarray
        The next state.
    """
    scalar = state.dtype.type
    result = np.empty(state.shape, state.dtype)
    loops.chambolle(
        rows_of(state),
        rows_of(planes),
        np.array(runs),
        (scalar(weight), scalar(0.25 / weight), scalar(0.25), scalar(1)),
        rows_of(result),
    )
    return result
