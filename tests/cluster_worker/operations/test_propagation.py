"""Operations that continue across tiles: coils, plateaus and regions larger than a tile."""

import json

import numpy as np
import pytest
from skimage import feature, measure, morphology, segmentation

from cluster_worker.kernels import components
from cluster_worker.operations import catalogue
from cluster_worker.operations.labels import summed_up
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract import recipe

CATALOGUE = catalogue()
# Those of 200 columns are whole rows.
CORES = [(1, 3), (5, 7), (16, 40), (9, 200), (200, 200)]
# Each round follows a coil by one tile, so the smallest tiles would take hundreds of rounds.
ROUND_CORES = CORES[1:]


def coil(side):
    """Return the mask of a thin line that winds inwards and crosses every tile many times."""
    mask = np.zeros((side, side), bool)
    row, column, down, across, steps = 0, 0, 0, 1, side - 1
    mask[0, 0] = True
    turns = 0
    while steps > 0:
        for _ in range(steps):
            row, column = row + down, column + across
            mask[row, column] = True
        down, across = across, -down
        turns += 1
        if turns > 1 and turns % 2 == 1:
            steps -= 2
    return mask


def native(image, core, **step):
    checked = json.dumps(recipe.check([step], CATALOGUE, 20))
    return run_alone(
        plan(PlanRequest(header_of(image.shape, str(image.dtype)), checked, "native", core)), image
    )


@pytest.mark.parametrize("core", CORES)
def test_a_coil_is_one_region_whatever_the_tiling(core):
    image = coil(31)
    found = native(image, core, operation="label", connectivity=1)
    np.testing.assert_array_equal(found, measure.label(image, connectivity=1))
    assert found.max() == 1


@pytest.mark.parametrize("core", [(7, 1), (1, 200), (1, 1), (4, 6), (200, 1)])
@pytest.mark.parametrize("background", [-1, 0, 1])
def test_tiles_of_one_row_or_column_are_numbered_alike(core, background):
    # A tile's first pixel holds the number of its regions as well: tiles of one pixel, without a
    # region, and with one that begins or does not begin there.
    mask = np.random.default_rng(9).random((11, 13)) < 0.5
    mask[4:6], mask[:, 6:8] = False, True
    for image in (mask, mask.astype(np.uint8) * 3, np.zeros((3, 4), bool), np.ones((3, 4), bool)):
        right = measure.label(image, background=background, connectivity=1)
        found = native(image, core, operation="label", connectivity=1, background=background)
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("density", [0.3, 0.45, 0.6, 0.9])
@pytest.mark.parametrize("connectivity", [1, 2])
def test_regions_are_numbered_in_reading_order(core, density, connectivity):
    rng = np.random.default_rng(4)
    mask = rng.random((37, 53)) < density
    several = rng.integers(0, 3, (37, 53)).astype(np.uint16)
    for image in (mask, several):
        found = native(image, core, operation="label", connectivity=connectivity)
        expected = measure.label(image, connectivity=connectivity)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16"])
def test_runs_end_where_values_change_wherever_that_is(dtype):
    rng = np.random.default_rng(6)
    for width in range(1, 70):
        lengths = rng.integers(1, 30, 12 * width)
        values = np.repeat(np.arange(lengths.size) % 2 * 255, lengths)[: 12 * width]
        image = values.reshape(12, width).astype(dtype)
        expected = measure.label(image, connectivity=2)
        np.testing.assert_array_equal(native(image, (5, 41), operation="label"), expected)


@pytest.mark.parametrize("connectivity", [1, 2])
def test_each_pair_that_touches_along_two_lines_is_found(connectivity):
    rng = np.random.default_rng(7)
    for length in (1, 2, 300):
        one, other = rng.integers(0, 20, (2, 2, length)).astype(np.uint64)
        one[1], other[1] = one[0] % 2, other[0] % 2
        expected = {
            (one[0, x], other[0, x + shift])
            for x in range(length)
            for shift in range(1 - connectivity, connectivity)
            if 0 <= x + shift < length and one[1, x] == other[1, x + shift]
        }
        found = components.side_by_side(one, other, connectivity)
        assert {*map(tuple, found)} == {pair for pair in expected if all(pair)}
    alike = np.ones((2, 300), np.uint64)
    assert len(components.side_by_side(alike, alike, connectivity)) == 2 * connectivity - 1


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("size", [0, 1, 3, 30, 400])
def test_an_object_counts_with_all_its_pixels_in_all_tiles(core, size):
    image = np.random.default_rng(5).random((41, 47)) < 0.55
    np.testing.assert_array_equal(
        native(image, core, operation="remove_small_objects", max_size=size),
        morphology.remove_small_objects(image, max_size=size),
    )
    np.testing.assert_array_equal(
        native(image, core, operation="remove_small_holes", max_size=size),
        morphology.remove_small_holes(image, max_size=size),
    )


@pytest.mark.parametrize("core", ROUND_CORES)
def test_a_coil_that_touches_the_border_is_cleared_to_its_inner_end(core):
    image = coil(31)
    assert not native(image, core, operation="clear_border").any()
    inside = np.pad(image, 1)
    np.testing.assert_array_equal(native(inside, core, operation="clear_border"), inside)


@pytest.mark.parametrize("core", CORES)
def test_a_flood_follows_a_coil_to_its_end(core):
    image = coil(31).astype(np.float32)
    found = native(image, core, operation="flood", seed_point=[0, 0], connectivity=1)
    np.testing.assert_array_equal(found, image == 1)


@pytest.mark.parametrize("core", ROUND_CORES)
@pytest.mark.parametrize("allow_borders", [True, False])
def test_a_plateau_is_a_maximum_only_if_no_tile_knows_better(core, allow_borders):
    image = coil(31).astype(np.uint8)
    # The inner end of the plateau touches a higher pixel.
    row, column = np.argwhere(image)[len(np.argwhere(image)) // 2]
    for height in (1, 2):
        image[row, column] = height
        options = {"connectivity": 1, "allow_borders": allow_borders}
        np.testing.assert_array_equal(
            native(image, core, operation="local_maxima", **options),
            morphology.local_maxima(image, **options),
        )
        np.testing.assert_array_equal(
            native(image, core, operation="local_minima", **options),
            morphology.local_minima(image, **options),
        )


@pytest.mark.parametrize("core", ROUND_CORES)
@pytest.mark.parametrize("h", [1.0, 3.0])
def test_a_peak_is_judged_by_the_way_to_a_higher_one_through_all_tiles(core, h):
    noise = np.random.default_rng(6).integers(0, 6, (37, 43), np.uint8)
    image = noise + coil(43)[:37] * np.uint8(4)
    for name in ("h_maxima", "h_minima"):
        expected = getattr(morphology, name)(image, h)
        np.testing.assert_array_equal(native(image, core, operation=name, h=h), expected)


@pytest.mark.parametrize("core", ROUND_CORES)
def test_a_reconstruction_runs_along_a_coil(core):
    image = coil(31) * np.float32(0.5)
    image[0, 0] = 1
    found = native(image, core, operation="reconstruction", seed="shifted", h=0.25)
    expected = morphology.reconstruction(image - 0.25, image)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("core", CORES)
def test_pixels_equally_near_to_two_labels_are_divided_alike(core):
    labels = np.zeros((33, 45), np.uint8)
    labels[::6, ::6] = np.arange(1, 49).reshape(6, 8)
    for distance in (1, 3, 4.5, 9):
        np.testing.assert_array_equal(
            native(labels, core, operation="expand_labels", distance=distance),
            segmentation.expand_labels(labels, distance),
        )


@pytest.mark.parametrize("core", ROUND_CORES)
@pytest.mark.parametrize("quantile", [False, True])
def test_an_edge_is_followed_along_a_coil(core, quantile):
    image = coil(15).repeat(5, axis=0).repeat(5, axis=1) * np.float32(0.2)
    image[:5, :5] = 1
    options = {
        "low_threshold": 0.5 if quantile else 0.05,
        "high_threshold": 0.999 if quantile else 0.9,
        "use_quantiles": quantile,
    }
    found = native(image, core, operation="canny", **options)
    expected = feature.canny(image, **options)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("step", [1, 1_000_000], ids=["dense", "sparse"])
def test_runs_of_labels_are_summed_up_in_order(step):
    labels = np.array([3, 0, 5, 3, 0, 1], np.uint32) * np.uint32(step)
    found, counts = summed_up(labels, np.array([10, 1, 7, 5, 2, 4]))
    assert found.dtype == np.uint32
    assert found.tolist() == [0, step, 3 * step, 5 * step]
    assert counts.tolist() == [3, 4, 15, 7]
