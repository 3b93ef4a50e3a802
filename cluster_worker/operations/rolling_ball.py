"""The uneven background of an image, as a ball rolled under it feels it."""

from functools import partial
from typing import Annotated

import numpy as np
from skimage import restoration
from skimage.restoration._rolling_ball_cy import apply_kernel

from cluster_worker.kernels import rolling
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Local,
    Number,
    Place,
    each_channel,
    operation,
)
from cluster_worker.operations.support.restoration import single_or_double


@operation(
    "Background (rolling ball)",
    "Restoration",
    Local(lambda radius: radius),
    channels="each",
    arrays=4,
    cost=lambda radius: (2 * radius + 1) ** 2 / 28,
    kernels=(
        Kernel(
            rolling.rolled,
            takes=("uint8", "uint16", "float32", "float64"),
            exact=True,
            arrays=3,
            cost=lambda radius: (2 * radius + 1) ** 2 / 500,
        ),
    ),
)
def rolling_ball(
    image: Image,
    radius: Annotated[int, Number(1, 200, unit="px", slider=(5, 100), step=1)] = 25,
    *,
    place: Place,
) -> Image:
    """Show the uneven background on which bright things lie, as a ball rolled under them feels it.

    Parameters
    ----------
    radius : int
        Of the ball, in pixels and in levels of brightness; larger than the things that are to
        vanish. Its square is what the work grows with.

    Notes
    -----
    scikit-image rolls under a block and all of its halo. Here only the core is rolled under.

    References
    ----------
    skimage.restoration.rolling_ball
    """
    return each_channel(partial(roll_under_core, radius=radius, place=place), image)


def roll_under_core(plane: Image, radius: int, place: Place) -> Image:
    """Give the background of a block's core; the rest is 0."""
    kind = single_or_double(plane)
    ball = restoration.ball_kernel(radius, 2).astype(kind)
    depth = ball[radius, radius] - ball
    depth[np.isinf(ball)] = np.inf
    core, window = place.core, place.window
    beyond = core.grown(radius)
    padding = (
        (window.top - beyond.top, beyond.bottom - window.bottom),
        (window.left - beyond.left, beyond.right - window.right),
    )
    padded = np.pad(plane.astype(kind), padding, constant_values=np.inf)
    found = apply_kernel(
        padded.reshape(-1),
        depth.reshape(-1),
        np.zeros(core.pixels, kind),
        np.array(core.shape, np.intp),
        np.array(padded.shape, np.intp),
        np.array(ball.shape, np.intp),
        1,
    )
    result = np.zeros_like(plane)
    result[place.inner] = found.reshape(core.shape).astype(plane.dtype)
    return result
