"""Synthetic nuclei: bright disks of several sizes, some of them touching, in uneven light."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Sides of the squares that hold one nucleus each, and the least and greatest radius, in pixels.
SPACING = 24
RADII = (5.0, 9.0)
# Pixels around the middle of a nucleus in which it is drawn.
REACH = np.arange(-12, 13)
# Sides of the squares of a field, each with one nucleus or a touching pair, and the share of pairs.
SQUARE = 36
PAIRS = 0.3
# Rows of a band of a field, which is drawn by itself.
BAND = 256


def nuclei(side, seed=1):
    """Return a picture of 16 bits, (side, side), with a nucleus in each square of a grid.

    They lie up to a third of the spacing from the middles of the squares, so that many touch.
    """
    random = np.random.default_rng(seed)
    count = side // SPACING
    image = np.zeros((side, side), np.float32)
    for row, column in np.ndindex(count, count):
        y, x = (np.array([row, column]) + 0.5) * SPACING + random.uniform(-8, 8, 2)
        draw(image, y, x, random.uniform(*RADII), random.uniform(0.5, 1))
    return developed(image, 0, side, random)


def draw(image, y, x, radius, light):
    """Draw one nucleus on an image of floats; what lies outside is cut off."""
    rows, columns = (
        each[(each >= 0) & (each < side)]
        for each, side in zip((round(y) + REACH, round(x) + REACH), image.shape, strict=True)
    )
    far = np.hypot(rows[:, np.newaxis] - y, columns - x)
    window = np.ix_(rows, columns)
    image[window] = np.maximum(image[window], np.clip(radius - far + 0.5, 0, 1) * light)


def developed(image, top, side, random):
    """Return rows of a picture, from row `top` on, in uneven light and with noise."""
    slope = np.linspace(0.7, 1, side, dtype=np.float32)
    image *= slope
    image += 0.05 * slope[top : top + len(image), np.newaxis]
    image += random.normal(0, 0.02, image.shape).astype(np.float32)
    return (image.clip(0, 1) * 60_000).astype(np.uint16)


@dataclass(frozen=True)
class Field:
    """Nuclei of a picture of any size, which is drawn by bands of rows.

    Attributes
    ----------
    side : int
        Rows and columns of the picture; a multiple of `BAND`.
    seed : int
        Of the random numbers.
    rows, columns, radii, lights : ndarray of float
        The middle, radius and brightness of each nucleus, in the order of the rows.
    """

    side: int
    seed: int
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    radii: NDArray[np.float64]
    lights: NDArray[np.float64]

    @classmethod
    def of(cls, side, seed=1):
        """Draw lots for one nucleus, or a pair that touches, in each square of a grid."""
        random = np.random.default_rng(seed)
        count = side // SQUARE
        middles = (np.indices((count, count)).reshape(2, -1) + 0.5) * SQUARE
        middles += random.uniform(-4, 4, middles.shape)
        pair = random.random(middles.shape[1]) < PAIRS
        radii, lights = random.uniform(*RADII, (2, pair.size)), random.uniform(0.5, 1, pair.size)
        turn, near = random.uniform(0, 2 * np.pi, pair.size), random.uniform(0.8, 1, pair.size)
        apart = np.stack([np.sin(turn), np.cos(turn)]) * near * radii.sum(axis=0) / 2 * pair
        places = np.concatenate([middles - apart, (middles + apart)[:, pair]], axis=1)
        radii = np.concatenate([radii[0], radii[1][pair]])
        lights = np.concatenate([lights, lights[pair]])
        order = np.argsort(places[0], kind="stable")
        return cls(side, seed, *places[:, order], radii[order], lights[order])

    def band(self, number):
        """Return band `number` of the picture: `BAND` rows, of 16 bits."""
        top, margin = number * BAND, 2 * int(REACH[-1]) + 2
        image = np.zeros((BAND + 2 * margin, self.side + 2 * margin), np.float32)
        first, last = np.searchsorted(self.rows, [top - margin / 2, top + BAND + margin / 2])
        # Groups of nuclei bound the memory.
        for i in range(first, last, 4096):
            some = slice(i, min(i + 4096, last))
            y, x = self.rows[some] - top + margin, self.columns[some] + margin
            rows = np.round(y).astype(int)[:, np.newaxis] + REACH
            columns = np.round(x).astype(int)[:, np.newaxis] + REACH
            far = np.hypot((rows.T - y).T[:, :, np.newaxis], (columns.T - x).T[:, np.newaxis])
            disks = np.clip(self.radii[some, np.newaxis, np.newaxis] - far + 0.5, 0, 1)
            disks = (disks * self.lights[some, np.newaxis, np.newaxis]).astype(np.float32)
            at = rows[:, :, np.newaxis] * image.shape[1] + columns[:, np.newaxis]
            np.maximum.at(image.reshape(-1), at.reshape(-1), disks.reshape(-1))
        image = image[margin:-margin, margin:-margin].copy()
        random = np.random.default_rng((self.seed, number))
        return developed(image, top, self.side, random)

    def bands(self):
        """Yield the bands of the picture in their order."""
        for number in range(self.side // BAND):
            yield self.band(number)
