"""Total variation: a round of Chambolle's iteration, row by row."""

from cluster_worker.kernels import Image, lazily, rows_of

loops = lazily("cluster_worker.kernels.loops.variation")


def chambolle(state: Image, planes: Image, colour: int, weight: float, result: Image) -> None:
    """Do one round of one colour, to the last bit as numpy would.

    Parameters
    ----------
    state, result : ndarray
        (rows, columns, 4 × colours) of float32 or float64: for each colour the image so far, the
        two parts of the dual variable, and the energy.
    planes : ndarray
        (rows, columns, colours) of the same type.
    colour : int
        Which one.
    weight : float
        How much is smoothed.
    """
    kind = state.dtype.type
    loops.chambolle(
        rows_of(state),
        rows_of(planes),
        colour,
        planes.shape[2],
        (kind(weight), kind(0.25 / weight), kind(0.25), kind(1)),
        rows_of(result),
    )
