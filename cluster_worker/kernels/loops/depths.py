"""Compiled loops that convert between types of pixels."""

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled


@compiled
def to_floats(values, share, floats):
    """Convert integers to floats; `share` is 1 / white."""
    for x in range(values.size):
        floats[x] = np.float32(values[x]) * share


@compiled
def to_levels(floats, white, levels):
    """Clip floats to 0…1 and round them to integers from 0 to `white`; NaN becomes black."""
    for x in range(floats.size):
        value = floats[x]
        value = value if value > np.float32(0) else np.float32(0)
        value = value if value < np.float32(1) else np.float32(1)
        levels[x] = np.rint(value * white)
