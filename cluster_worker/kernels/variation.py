"""Total variation: a round of Chambolle's iteration, row by row."""

from collections.abc import Sequence

import numpy as np

from cluster_worker.kernels import Image, lazily, rows_of

loops = lazily("cluster_worker.kernels.loops.variation")


def chambolle(state: Image, planes: Image, runs: Sequence[bool], weight: float) -> Image:
    """Do one round of every colour that runs, to the last bit as numpy would.

    Parameters
    ----------
    state : ndarray
        (rows, columns, 4 × colours) of float32 or float64: for each colour the image so far, the
        two parts of the dual variable, and the energy.
    planes : ndarray
        (rows, columns, colours) of the same type.
    runs : sequence of bool
        Which colours do; the others stay as they are.
    weight : float
        How much is smoothed.

    Returns
    -------
    ndarray
        The next state.
    """
    kind = state.dtype.type
    result = np.empty(state.shape, state.dtype)
    loops.chambolle(
        rows_of(state),
        rows_of(planes),
        np.array(runs),
        (kind(weight), kind(0.25 / weight), kind(0.25), kind(1)),
        rows_of(result),
    )
    return result
