"""Random noise, the same for any tiling: the numbers of one generator, in the order of pixels."""

from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Measure,
    Number,
    Place,
    Statistical,
    either,
    operation,
)
from cluster_worker.operations.support.statistics import some_negative
from cluster_worker.pixels.tiling import Span

util = lazily("skimage.util")

Floats = NDArray[np.float64]
Share = Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)]

# Numbers that are generated at once.
CHUNK = 1 << 17


@lru_cache(maxsize=8)
def states_of(seed: int, line: int) -> dict[int, Any]:  # noqa: ARG001 - the key of the cache
    """Return states of a generator of normal numbers, by the row of the image that they begin.

    A normal number takes one or more steps of the generator, so that the state of a row is known
    only after all rows before it. `line` is how many numbers a row takes.
    """
    return {0: np.random.PCG64(seed).state}


def normal(seed: int, line: int, rows: range, part: slice, mean: float, deviation: float) -> Floats:
    """Return some of the normal numbers that a generator gives for an image.

    Parameters
    ----------
    seed : int
        Of the generator.
    line : int
        Numbers of a row: its columns times its channels.
    rows : range
        The rows that are wanted.
    part : slice
        The numbers of each row that are wanted.
    mean, deviation : float
        Of the numbers.
    """
    states = states_of(seed, line)
    row = max(known for known in states if known <= rows.start)
    bits = np.random.PCG64()
    bits.state = states[row]
    generator = np.random.Generator(bits)
    result = np.empty((len(rows), part.stop - part.start))
    many = max(CHUNK // line, 1)
    while row < rows.stop:
        end = rows.start if row < rows.start else rows.stop
        count = min(many, end - row)
        lines = generator.normal(mean, deviation, (count, line))
        if row >= rows.start:
            result[row - rows.start : row - rows.start + count] = lines[:, part]
        row += count
        if row in (rows.start, rows.stop):
            states[row] = bits.state
    return result


def uniform(seed: int, line: int, rows: range, part: slice, first: int) -> Floats:
    """Return some of the uniform numbers that a generator gives for an image; see `normal`.

    Each of them takes one step of the generator. `first` is the step of the image's first pixel.
    """
    result = np.empty((len(rows), part.stop - part.start))
    for y, row in enumerate(rows):
        bits = np.random.PCG64(seed)
        bits.advance(first + row * line + part.start)
        np.random.Generator(bits).random(out=result[y])
    return result


def chosen(
    seed: int, share: float, line: int, rows: range, part: slice, first: int
) -> NDArray[np.bool_]:
    """Choose a share of the pixels at random."""
    if share in (0, 1):
        return np.full((len(rows), part.stop - part.start), share == 1)
    return uniform(seed, line, rows, part, first) <= share


def salted(
    image: Image,
    span: Span,
    shape: tuple[int, int],
    seed: int,
    amount: float,
    salt: float,
    low: Any,
) -> Image:
    """Make some pixels of a block white or black.

    Parameters
    ----------
    image : ndarray of floats
        The block.
    span : Span
        Where it lies in the image.
    shape : tuple of int
        (rows, columns) of the image.
    seed, amount, salt
        Of the generator; the share of pixels that change, and the share of those that become white.
    low : float
        Black.
    """
    channels = int(np.prod(image.shape[2:]))
    line = shape[1] * channels
    rows, part = range(span.top, span.bottom), slice(span.left * channels, span.right * channels)
    # scikit-image draws no numbers for a share of none or all.
    after = shape[0] * line if 0 < amount < 1 else 0
    flipped = chosen(seed, amount, line, rows, part, 0).reshape(image.shape)
    white = chosen(seed, salt, line, rows, part, after).reshape(image.shape)
    result = image.copy()
    known = flipped & ~np.isnan(image)
    result[known & white] = 1
    result[known & ~white] = low
    return result


@operation(
    "Add noise",
    "Filters",
    Statistical((Measure(some_negative, either),)),
    channels="any",
    floats=True,
    arrays=8,
    cost=2.0,
    unclipped_by={"clip": False},
    differs="salt and pepper do not fall on pixels that are NaN",
)
def random_noise(
    image: Image,
    mode: Literal["gaussian", "speckle", "s&p", "salt", "pepper"] = "gaussian",
    mean: Annotated[float, Number(-1, 1, slider=(-0.5, 0.5), step=0.01)] = 0.0,
    var: Annotated[float, Number(0, 1, slider=(0, 0.1), step=0.001)] = 0.01,
    amount: Share = 0.05,
    salt_vs_pepper: Share = 0.5,
    clip: bool = True,
    rng: Annotated[int, Number(0, 1_000_000, slider=(0, 100), step=1)] = 0,
    *,
    place: Place,
    statistics: tuple[bool],
) -> Image:
    """Add random noise to an image; the same seed gives the same noise.

    Parameters
    ----------
    mode : str
        Whether normal numbers are added (gaussian), or added as shares of the pixel (speckle), or
        some pixels become white or black (s&p), white (salt) or black (pepper).
    mean : float
        Mean of the normal numbers.
    var : float
        Variance of the normal numbers.
    amount : float
        Share of the pixels that become white or black.
    salt_vs_pepper : float
        Share of those pixels that become white, for "s&p".
    clip : bool
        Whether what lies beyond black and white is cut off.
    rng : int
        Seed of the random numbers.

    Notes
    -----
    The numbers are those of scikit-image. A rank that computes the lower part of an image generates
    the normal numbers of the part above it as well.

    References
    ----------
    skimage.util.random_noise
    """
    low = -1.0 if statistics[0] else 0.0
    found: Image = util.img_as_float(image)
    if mode in ("gaussian", "speckle"):
        span, channels = place.window, int(np.prod(image.shape[2:]))
        rows = range(span.top, span.bottom)
        part = slice(span.left * channels, span.right * channels)
        noise = normal(rng, place.shape[1] * channels, rows, part, mean, var**0.5)
        noise = noise.reshape(image.shape)
        found = found + (noise if mode == "gaussian" else found * noise)
    else:
        salt = {"s&p": salt_vs_pepper, "salt": 1.0, "pepper": 0.0}[mode]
        found = salted(found, place.window, place.shape, rng, amount, salt, low)
    return np.clip(found, low, 1.0) if clip else found
