"""Histograms, statistics and overlaps of labels: the same numbers, whatever the tiles."""

from functools import partial, reduce

import numpy as np
import pytest
from skimage.exposure import histogram
from skimage.metrics import contingency_table

from cluster_worker.errors import Rejected
from cluster_worker.operations import image_tables, label_overlaps
from cluster_worker.pixels.tiling import Place, tiles

SHAPE = (70, 90)
CORES = (SHAPE, (24, 45), (64, 64), (1, 90))


def joined(measure, combine, images, core):
    """Measure the tiles of images, and join what was found."""
    found = []
    for tile in tiles(SHAPE, core):
        blocks = [None if each is None else each[tile.slices] for each in images]
        found.append(measure(*blocks, Place(tile, tile, SHAPE)))
    return reduce(combine, found)


def picture(kind, channels=()):
    image = np.random.default_rng(3).normal(100, 30, (*SHAPE, *channels))
    return image.astype(kind) if kind != "uint8" else image.clip(0, 255).astype(kind)


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("core", CORES)
def test_a_histogram_equals_scikit_image(kind, channels, core):
    image = picture(kind, channels)
    between = (image.min(), image.max())
    measure = partial(image_tables.measure_histogram, between=between, nbins=50)
    found = joined(measure, image_tables.combine_histograms, [image], core)
    table = image_tables.finish_histogram(found)
    counts, centers = histogram(image, nbins=50, channel_axis=2 if channels else None)
    np.testing.assert_array_equal(table["value"], centers)
    columns = [each for name, each in table.items() if name != "value"]
    np.testing.assert_array_equal(np.stack(columns) if channels else columns[0], counts)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("masked", [False, True])
def test_statistics_equal_those_of_numpy_in_double_precision(kind, channels, masked):
    image = picture(kind, channels)
    mask = picture("uint8") > 110 if masked else None

    def measure(image, mask, place):
        return image_tables.measure_statistics(image, place, mask=mask)

    tables = []
    for core in CORES:
        found = joined(measure, image_tables.combine_statistics, [image, mask], core)
        tables.append(image_tables.finish_statistics(found, SHAPE))
    for other in tables[1:]:
        assert {k: v.tobytes() for k, v in other.items()} == {
            k: v.tobytes() for k, v in tables[0].items()
        }
    values = image[mask] if masked else image.reshape(-1, *channels)
    values = values.reshape(len(values), -1).astype(float)
    expected = {
        "channel": np.arange(values.shape[1]),
        "pixels": np.full(values.shape[1], len(values)),
        "min": values.min(0),
        "max": values.max(0),
        "mean": values.mean(0),
        "std": values.std(0),
    }
    assert list(tables[0]) == list(expected)
    for name, column in expected.items():
        np.testing.assert_allclose(tables[0][name], column, rtol=1e-12, err_msg=name)


def test_an_empty_mask_has_no_statistics():
    image, mask = picture("uint8", (3,)), np.zeros(SHAPE, bool)
    place = Place(*[tiles(SHAPE, SHAPE)[0]] * 2, SHAPE)
    found = image_tables.measure_statistics(image, place, mask=mask)
    table = image_tables.finish_statistics(found, SHAPE)
    assert {each.size for each in table.values()} == {0}


def test_a_histogram_of_values_too_far_apart_is_refused():
    image = np.zeros(SHAPE, np.int64)
    image[3, 3] = 1 << 40
    found = joined(image_tables.measure_histogram, image_tables.combine_histograms, [image], SHAPE)
    with pytest.raises(Rejected, match="values from 0 to 1099511627776 need more than 16777216"):
        image_tables.finish_histogram(found)


def labels_of(seed, regions):
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, regions, (-(-SHAPE[0] // 7), -(-SHAPE[1] // 9)))
    return np.kron(cells, np.ones((7, 9), int))[: SHAPE[0], : SHAPE[1]]


@pytest.mark.parametrize("core", CORES)
def test_overlaps_count_the_pixels_of_every_pair_of_labels(core):
    one, other = labels_of(0, 12), np.roll(labels_of(1, 40), (3, 4), (0, 1))
    found = joined(label_overlaps.measure, label_overlaps.combine, [one, other], core)
    table = label_overlaps.finish(found)
    counts = contingency_table(one, other).toarray()
    pairs = np.argwhere(counts[1:, 1:]) + 1
    np.testing.assert_array_equal(np.stack([table["label"], table["other"]], 1), pairs)
    np.testing.assert_array_equal(table["pixels"], counts[1:, 1:][counts[1:, 1:] > 0])
    first = pairs[0]
    either = np.count_nonzero((one == first[0]) | (other == first[1]))
    assert table["iou"][0] == table["pixels"][0] / either
    assert table["share_of_label"][0] == table["pixels"][0] / np.count_nonzero(one == first[0])
    assert table["share_of_other"][0] == table["pixels"][0] / np.count_nonzero(other == first[1])


def test_a_region_lies_in_the_one_that_has_most_of_it():
    cells, spots = np.zeros(SHAPE, int), np.zeros(SHAPE, np.uint64)
    cells[:30, :40], cells[:30, 40:80], cells[60:, :10] = 5, 3, 9
    for label, (row, first, stop) in enumerate(
        [(2, 10, 15), (4, 38, 42), (6, 38, 44), (8, 78, 85), (40, 0, 5)], 1
    ):
        spots[row, first:stop] = label * (1 << 40)
    for core in CORES:
        found = joined(label_overlaps.measure, label_overlaps.combine, [cells, spots], core)
        table = label_overlaps.finish_parents(found)
        # The second spot lies in both cells alike, the fourth mostly in none.
        assert table["label"].tolist() == [3, 5, 9]
        assert table["count"].tolist() == [2, 1, 0]
        assert table["pixels"].tolist() == [8, 9, 0]
