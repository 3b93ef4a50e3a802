"""Second images: those that a step reads beside its own. Pure."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.surfaces import Plane, Source, read
from cluster_worker.pixels.tiling import Span

Image = NDArray[Any]
Convert = Callable[[Image], Image]

# Rows and columns of the example, on which the planner runs each stage to find the dtype and the
# channels of its result. The example is not constant: a constant image has no threshold and no
# edge.
EXAMPLE_SIDE = 16


class Second(NamedTuple):
    """A second image that stages of a plan read, block by block beside their own.

    Attributes
    ----------
    surface : int
        Number of the surface in the recipe.
    alpha : bool
        Whether its last channel is alpha, which is not read.
    convert : callable or None
        What is done with each block.
    dtype, channels : str, tuple of int
        Of a block after that; channels are () or (channels,).
    zeros_beyond : bool
        Whether zeros lie beyond the image's border, instead of its opposite edge.
    """

    surface: int
    alpha: bool
    convert: Convert | None
    dtype: str
    channels: tuple[int, ...]
    zeros_beyond: bool = False

    @property
    def example(self) -> Image:
        """A small image of this dtype and channels."""
        return example_of(self.channels, self.dtype)

    def read(self, image: Source, span: Span) -> Image:
        """Read a span of the image, and convert it."""
        image = Plane(image, slice(None, -1)) if self.alpha else image
        rows, columns = image.shape[:2]
        inside = span.clipped((rows, columns)) if self.zeros_beyond else span
        block = read(image, inside)
        if inside != span:
            beyond = (
                (inside.top - span.top, span.bottom - inside.bottom),
                (inside.left - span.left, span.right - inside.right),
            )
            block = np.pad(block, beyond + ((0, 0),) * (block.ndim - 2))
        return self.convert(block) if self.convert else block


def example_of(channels: tuple[int, ...], dtype: str) -> Image:
    """Return a small image in which neighbouring pixels differ."""
    ramp = np.arange(EXAMPLE_SIDE**2).reshape(EXAMPLE_SIDE, EXAMPLE_SIDE)
    kind = np.dtype(dtype).kind
    image = ramp / ramp.max() if kind == "f" else ramp % 3 == 0 if kind == "b" else ramp
    return np.broadcast_to(
        image.reshape(image.shape + (1,) * len(channels)), image.shape + channels
    ).astype(dtype)
