"""What a plan is made from: an image, steps and options. Pure."""

from typing import Literal, NamedTuple

from cluster_worker.errors import Rejected
from cluster_worker.pixels.header import CHANNELS_MAX, ImageHeader

Depth = Literal["input", "native"]

DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64"),
)


class PlanRequest(NamedTuple):
    """What a plan is made from; equal requests give equal plans, in the engine and in all ranks.

    Attributes
    ----------
    image : ImageHeader
        What the image is; its dtype is one of `DTYPES`.
    steps : str
        The steps as a JSON list, checked, with every parameter present.
    depth : {"input", "native"}
        Whether the result is converted to the input's dtype, or keeps scikit-image's dtype.
    core : tuple of int or None
        Largest (rows, columns) of a tile's core, instead of one chosen by size and cost.
    grid : int
        Cores of the result begin at multiples of it, in pixels, as the tiles of a file do.
    returns : bool
        With depth "input": whether the result is converted to the input's dtype at the end. If
        not, a float result stays as it is.
    kernels : bool
        Whether kernels may serve the steps. If not, all stages are the operations' functions.
    chunk : int
        Cores of every pass begin at multiples of it, in pixels, as chunks in an object store do.
    streamed : bool
        Whether ranks read windows of files, so that each core is held by a rank and its decoder.
    """

    image: ImageHeader
    steps: str
    depth: Depth = "input"
    core: tuple[int, int] | None = None
    grid: int = 1
    returns: bool = True
    kernels: bool = True
    chunk: int = 1
    streamed: bool = False


class RecipeRequest(NamedTuple):
    """What the plan of a recipe is made from, as `PlanRequest` for a chain.

    Attributes
    ----------
    image, steps, depth, core, grid, kernels, chunk, streamed
        As in `PlanRequest`; steps may name images.
    inputs : tuple of (str, ImageHeader)
        The other images that are given, by their names.
    """

    image: ImageHeader
    steps: str
    inputs: tuple[tuple[str, ImageHeader], ...] = ()
    depth: Depth = "input"
    core: tuple[int, int] | None = None
    grid: int = 1
    kernels: bool = True
    chunk: int = 1
    streamed: bool = False


Request = PlanRequest | RecipeRequest


def check_image(image: ImageHeader) -> None:
    """Check shape and dtype of an image.

    Raises
    ------
    Rejected
        If its dtype is none of `DTYPES`, its shape is not (rows, columns) or (rows, columns,
        channels), it has too many channels, or it has no pixels.
    """
    shape = image.shape
    if image.dtype not in DTYPES:
        raise Rejected(f"image: must be of {', '.join(DTYPES)}, got {image.dtype}")
    if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[2] <= CHANNELS_MAX):
        raise Rejected(
            f"image: must be rows × columns, or rows × columns × 1 to {CHANNELS_MAX} channels, "
            f"got {' × '.join(map(str, shape))}"
        )
    if image.alpha and (len(shape) != 3 or shape[2] < 2):
        raise Rejected(
            "image: must have 2 or more channels for the last one to be alpha, "
            f"got {' × '.join(map(str, shape))}"
        )
    if min(shape) < 1:
        raise Rejected(f"image: must hold a pixel, got {' × '.join(map(str, shape))}")
