"""Sums over regions: no loop reads or writes outside its arrays, whatever the labels."""

import os

import numpy as np
import pytest

from cluster_worker.kernels import region_sums
from cluster_worker.pixels.tiling import Place, Span, all_of
from tests.cluster_worker.kernels.guarded import functions_of, guarded

# The whole image, and a core with a halo of two pixels that is clipped at two sides.
SHAPES = ((1, 1), (1, 70), (70, 1), (19, 67))


def sums_of(labels, values, place):
    """Call every loop once."""
    runs = region_sums.find_runs(labels[place.inner])
    region_sums.boxes(runs)
    region_sums.low_moments(runs, place.core.top, place.core.left)
    region_sums.borders(labels, place, runs)
    core = values[place.inner]
    if core.dtype.kind == "f":
        # Digits from the smallest double to the largest, and of their squares.
        region_sums.float_sums(core, runs, -34, 34 + 32 + 3, -68, 68 + 64 + 3)
    else:
        region_sums.integer_sums(core, runs)


def run_all(shape, front):
    rng = np.random.default_rng(0)
    everything = all_of(shape)
    core = Span(0, -(-shape[0] // 2), shape[1] // 2, shape[1])
    places = (
        Place(everything, everything, shape),
        Place(core.grown(2).clipped(shape), core, shape),
    )
    extremes = np.array([5e-324, 1.7e308, -1.7e308, np.nan, np.inf, 0.0, 1.0])
    images = [rng.integers(0, 9, shape).astype(kind) for kind in ("uint8", "int16", "uint16")]
    with guarded(front):
        for place in places:
            for kind in ("uint8", "int32", "int64"):
                for labels in (rng.integers(0, 3, shape), np.arange(shape[0] * shape[1]) + 1):
                    block = labels.reshape(shape)[place.window.slices].astype(kind)
                    for values in (*images, rng.choice(extremes, shape)):
                        sums_of(block, values[place.window.slices].copy(), place)


@pytest.mark.parametrize("front", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_stay_within_their_arrays(shape, front):
    functions_of(front)
    run_all((3, 3), front=False)  # Loads what is compiled.
    pid = os.fork()
    if pid == 0:
        try:
            run_all(shape, front)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_many_labels_are_found_whatever_their_last_bits():
    rng = np.random.default_rng(1)
    for step in (1, 8, 1 << 16, 1 << 40):
        labels = rng.permutation(5000).reshape(50, 100) * step
        runs = region_sums.find_runs(labels)
        np.testing.assert_array_equal(runs.labels, np.arange(1, 5000) * step)
        found = np.zeros(labels.shape, np.int64)
        found[runs.rows, runs.starts] = runs.labels[runs.slots]
        np.testing.assert_array_equal(found, labels)
