"""The rolling ball algorithm: estimate the uneven background of an image."""

from functools import partial
from typing import Annotated

import numpy as np

from cluster_worker.kernels import rolling
from cluster_worker.lazy import lazily
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

restoration = lazily("skimage.restoration")
_rolling_ball_cy = lazily("skimage.restoration._rolling_ball_cy")


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
    """Estimate the uneven background under bright objects with the rolling ball algorithm.

    The background is the surface that a ball reaches when it rolls under the image's levels.

    Parameters
    ----------
    radius : int
        Radius of the ball, in pixels and in levels of brightness. It should be larger than the
        objects that are to vanish. The work grows with its square.

    Notes
    -----
    scikit-image would compute a block with all of its halo. Here only the core is computed.

    References
    ----------
    skimage.restoration.rolling_ball
    """
    return each_channel(partial(roll_under_core, radius=radius, place=place), image)


def roll_under_core(plane: Image, radius: int, place: Place) -> Image:
    """Compute the background of a block's core; the rest of the result is 0."""
    dtype = single_or_double(plane)
    ball = restoration.ball_kernel(radius, 2).astype(dtype)
    below_top = ball[radius, radius] - ball
    below_top[np.isinf(ball)] = np.inf
    core, window = place.core, place.window
    beyond = core.grown(radius)
    padding = (
        (window.top - beyond.top, beyond.bottom - window.bottom),
        (window.left - beyond.left, beyond.right - window.right),
    )
    padded = np.pad(plane.astype(dtype), padding, constant_values=np.inf)
    found = _rolling_ball_cy.apply_kernel(
        padded.reshape(-1),
        below_top.reshape(-1),
        np.zeros(core.pixels, dtype),
        np.array(core.shape, np.intp),
        np.array(padded.shape, np.intp),
        np.array(ball.shape, np.intp),
        1,
    )
    result = np.zeros_like(plane)
    result[place.inner] = found.reshape(core.shape).astype(plane.dtype)
    return result
