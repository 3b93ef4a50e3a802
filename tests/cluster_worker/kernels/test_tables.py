"""Levels are counted and looked up correctly, for any memory layout and any table."""

import numpy as np
import pytest

from cluster_worker.kernels import copies, tables
from cluster_worker.kernels.loops import tables as loops

SHAPES = ((1, 1), (5, 7), (3, 200), (33, 70, 3))
TYPES = ("bool", "uint8", "uint16", "float32", "float64", "int64")


def images(dtype):
    """Yield images of every layout: cut out of a larger one, whole, and transposed."""
    random = np.random.default_rng(1)
    for rows, columns, *channels in SHAPES:
        shape = (rows + 2, columns + 3, *channels)
        larger = random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        cut = larger[1:-1, 2:-1]
        yield from (cut, cut.copy(), cut.swapaxes(0, 1))


@pytest.mark.parametrize("paired", [0, 1 << 40])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_counts_every_level(dtype, paired, monkeypatch):
    monkeypatch.setattr(tables, "PAIRED", paired)
    for image in images(dtype):
        expected = np.bincount(image.ravel(), minlength=np.iinfo(dtype).max + 1)
        np.testing.assert_array_equal(tables.tally(image), expected)


@pytest.mark.parametrize("permutes", sorted({False, loops.PERMUTES}))
@pytest.mark.parametrize("target", TYPES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_looks_every_level_up(dtype, target, permutes, monkeypatch):
    monkeypatch.setattr(loops, "PERMUTES", permutes)
    table = np.random.default_rng(2).integers(0, 100, np.iinfo(dtype).max + 1).astype(target)
    for image in images(dtype):
        # What lies around the result must not change.
        around = np.zeros((image.shape[0] + 2, image.shape[1] + 2, *image.shape[2:]), target)
        for result in (around[1:-1, 1:-1], np.empty(image.shape, target)):
            tables.look_up(image, table, result)
            np.testing.assert_array_equal(result, table[image])
        around[1:-1, 1:-1] = 0
        assert not around.any()


@pytest.mark.parametrize("columns", [64, 65, 1000, 1024])
def test_looks_up_past_the_caches_wherever_rows_begin(columns):
    rows = copies.STREAMED_BYTES // columns + 1
    random = np.random.default_rng(4)
    table = random.permutation(256).astype("uint8")
    image = random.integers(0, 256, (rows, columns), "uint8")
    for first in range(3):
        around = np.zeros((rows, columns + 3), "uint8")
        tables.look_up(image, table, around[:, first : first + columns])
        np.testing.assert_array_equal(around[:, first : first + columns], table[image])
        around[:, first : first + columns] = 0
        assert not around.any()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_looks_up_what_one_comparison_gives(dtype, monkeypatch):
    monkeypatch.setattr(loops, "PERMUTES", False)
    levels = np.arange(np.iinfo(dtype).max + 1)
    white = levels[-1]
    above = levels > 100
    same = levels.astype(dtype)
    for table in (above, (above * white).astype(dtype), same, same[::-1]):
        for image in images(dtype):
            result = np.empty(image.shape, table.dtype)
            tables.look_up(image, table, result)
            np.testing.assert_array_equal(result, table[image])


@pytest.mark.parametrize("permutes", sorted({False, loops.PERMUTES}))
def test_looks_up_in_place(permutes, monkeypatch):
    monkeypatch.setattr(loops, "PERMUTES", permutes)
    table = np.random.default_rng(3).permutation(256).astype("uint8")
    for image in images("uint8"):
        expected = table[image]
        tables.look_up(image, table, image)
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("shape", "dtype", "levels"),
    [((2, 100), "uint8", 256), ((4, 100), "int64", 256), ((4, 100), "uint8", 128)],
)
def test_refuses_a_result_or_a_table_that_does_not_fit(shape, dtype, levels):
    image, table = np.zeros((4, 100), "uint8"), np.zeros(levels, "uint8")
    with pytest.raises(ValueError, match="do not fit an image of"):
        tables.look_up(image, table, np.empty(shape, dtype))
