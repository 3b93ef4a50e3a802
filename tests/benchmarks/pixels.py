"""Comparison of a peer's pixels with scikit-image's."""

from dataclasses import dataclass

import numpy as np

FLOAT_TOLERANCE = 1e-6
# Rows that are compared at a time, so that floats of a large image do not fill the memory.
ROWS = 256


@dataclass(frozen=True)
class Expected:
    """The result of scikit-image.

    Attributes
    ----------
    image : ndarray
        Floats with white at 1, levels, or a mask.
    levels : ndarray
        The same, rounded to eight bits.
    at_edge : ndarray
        Whether a float lies so near to an edge of rounding that both levels are right.
    """

    image: np.ndarray
    levels: np.ndarray
    at_edge: np.ndarray

    @classmethod
    def of(cls, image):
        """Round an image."""
        image = np.squeeze(image)
        levels, at_edge = np.empty(image.shape, np.uint8), np.zeros(image.shape, bool)
        for top in range(0, len(image), ROWS):
            rows = slice(top, top + ROWS)
            exact = 255 * share_of_white(image[rows])
            levels[rows] = np.rint(np.clip(exact, 0, 255))
            if image.dtype.kind == "f":
                at_edge[rows] = np.abs(exact - np.floor(exact) - 0.5) < 255 * FLOAT_TOLERANCE
        return cls(image, levels, at_edge)

    def share_of_others(self, found):
        """Return the share of pixels that differ.

        Returns
        -------
        float
            From 0 to 1. Floats differ by more than 1e-6 of the range. Levels differ if they are not
            equal; those of 8 bits may differ by one at an edge of rounding. 1 if the shapes differ.
        """
        found = np.squeeze(found)
        if found.shape != self.image.shape:
            return 1.0
        if is_deep(self.image) and found.dtype.kind in "iu":
            return np.count_nonzero(found != self.image) / found.size
        floats = found.dtype.kind == "f" and found.max() <= 1 + FLOAT_TOLERANCE
        compare = self.other_floats if floats else self.other_levels
        slices = (slice(top, top + ROWS) for top in range(0, len(found), ROWS))
        return sum(int(compare(found, rows)) for rows in slices) / found.size

    def other_floats(self, found, rows):
        """Count floats that differ."""
        wanted = share_of_white(self.image[rows])
        return np.count_nonzero(np.abs(found[rows] - wanted) > FLOAT_TOLERANCE)

    def other_levels(self, found, rows):
        """Count levels that differ."""
        shown = found[rows] * 255 if found.dtype.kind == "b" else found[rows]
        off = shown != self.levels[rows]
        near = np.abs(shown[off].astype(np.float64) - self.levels[rows][off]) <= 1
        return np.count_nonzero(off) - np.count_nonzero(near & self.at_edge[rows][off])


def is_deep(image):
    """Return whether an image holds labels, or levels of more than eight bits."""
    return image.dtype.kind in "iu" and image.dtype.itemsize > 1


def share_of_white(image):
    """Return an image as floats with white at 1."""
    if image.dtype.kind == "u":
        return image / np.iinfo(image.dtype).max
    return image.astype(np.float64)
