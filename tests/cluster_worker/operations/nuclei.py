"""Synthetic nuclei: bright disks of several sizes, some of them touching, in uneven light."""

import numpy as np

# Sides of the squares that hold one nucleus each, and the least and greatest radius, in pixels.
SPACING = 24
RADII = (5.0, 9.0)


def nuclei(side, seed=1):
    """Return a picture of 16 bits, (side, side), with a nucleus in each square of a grid.

    They lie up to a third of the spacing from the middles of the squares, so that many touch.
    """
    random = np.random.default_rng(seed)
    count = side // SPACING
    image = np.zeros((side, side), np.float32)
    reach = np.arange(-12, 13)
    for row, column in np.ndindex(count, count):
        y, x = (np.array([row, column]) + 0.5) * SPACING + random.uniform(-8, 8, 2)
        radius, light = random.uniform(*RADII), random.uniform(0.5, 1)
        rows, columns = (np.round(at).astype(int) + reach for at in (y, x))
        rows, columns = (each[(each >= 0) & (each < side)] for each in (rows, columns))
        far = np.hypot(rows[:, np.newaxis] - y, columns - x)
        disk = np.clip(radius - far + 0.5, 0, 1) * light
        window = np.ix_(rows, columns)
        image[window] = np.maximum(image[window], disk)
    slope = np.linspace(0.7, 1, side, dtype=np.float32)
    image *= slope
    image += 0.05 * slope[:, np.newaxis]
    image += random.normal(0, 0.02, image.shape).astype(np.float32)
    return (image.clip(0, 1) * 60_000).astype(np.uint16)
