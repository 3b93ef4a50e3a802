"""Test images on which every operation must be right."""

import numpy as np
from skimage import data

from cluster_worker.operations import OPERATIONS

# Operations that make an image of one image. Those that need a second one have tests of their own.
ALONE = [name for name, each in OPERATIONS.items() if each.stands_alone]


def weak_line_strong_at_one_end(dtype):
    """Return a faint line across the image, bright only at its left end; canny follows it far."""
    image = np.full((61, 90), 40, np.uint8)
    image[30, :] = 52
    image[30, :6] = 255
    return image.astype(dtype)


def hot_corner(dtype):
    """Return a flat image with one pixel of the type's maximum, which distant tiles cannot see."""
    image = np.full((48, 67), 9, dtype)
    image[-1, -1] = np.iinfo(dtype).max
    return image


def photograph():
    return data.astronaut()[80:153, 180:271]


def negative_corner():
    """Return floats negative in one corner only; this changes all clipping of unsharp_mask."""
    image = np.random.default_rng(3).random((53, 71), dtype=np.float32)
    image[:3, :3] -= 2
    return image


def not_numbers():
    """Return floats, one of them NaN and one infinite."""
    image = np.random.default_rng(5).random((41, 52))
    image[20, 11], image[7, 40] = np.nan, np.inf
    return image


def labelled():
    """Return a label image whose largest label lies in one corner only."""
    image = np.zeros((40, 55), np.uint32)
    image[3:9, 4:20], image[8:30, 30:34], image[-2:, -3:] = 7, 2, 70_000
    image[3:9, 20:24] = 3
    return image


def classes(dtype):
    """Return class numbers as a segmentation gives them, two of whose regions touch."""
    image = np.zeros((52, 66), dtype)
    image[4:20, 5:25], image[20:40, 10:33], image[12:45, 40:55], image[-6:, -9:] = 1, 15, 20, 1
    return image


IMAGES = {
    "photograph": photograph(),
    "gray photograph": photograph()[..., 1].copy(),
    "16 bit": photograph()[..., 0].astype(np.uint16) * 257 + 3,
    "16 bit hot corner": hot_corner(np.uint16),
    "hot corner": hot_corner(np.uint8),
    "float": (photograph() / 255).astype(np.float32),
    "float64": photograph()[..., 0] / 255,
    "negative corner": negative_corner(),
    "mask": photograph()[..., 2] > 100,
    "transparent": np.dstack([photograph(), photograph()[..., 0]]),
    "gray transparent": photograph()[..., :2].copy(),
    "weak line": weak_line_strong_at_one_end(np.uint8),
    "one row": photograph()[5:6].copy(),
    "one column": photograph()[:, 5:6, 0].copy(),
    "one pixel": photograph()[5:6, 5:6].copy(),
    "constant": np.full((31, 40), 7, np.uint8),
    "mask of 0 and 1": (classes(np.uint8) > 0).astype(np.uint8),
    "mask of 0 and white": (photograph() > 100)[..., 1:2].repeat(3, axis=2) * np.uint8(255),
    "mask of floats": (photograph()[..., 0] > 90) * np.float32(0.7),
    "classes": classes(np.uint8),
    "classes of 16 bits": classes(np.uint16),
    "labels": labelled(),
    "smaller than a halo": photograph()[:5, :9].copy(),
}

NOT_NUMBERS = {"float": not_numbers().astype(np.float32), "float64": not_numbers()}
