"""Basins from an image of markers, within a mask: by one heap, or by position in any tiling."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import segmentation

from cluster_worker.errors import Rejected
from cluster_worker.kernels import basins
from cluster_worker.operations import watershed
from tests.cluster_worker.operations.reference.segmentation import flooded_by_position
from tests.cluster_worker.operations.test_inputs import outcome, run

RANDOM = np.random.default_rng(11)
STEP = {
    "operation": "watershed",
    "on": "image",
    "ties": "position",
    "marker_image": "input:marker_image",
    "mask": "input:mask",
}
SHAPE = (90, 110)
CORES = ((23, 37), (90, 11), (30, 20))


def spiral(rows, columns):
    """Return a mask of one region that winds over all tiles."""
    y, x = np.indices((rows, columns)) - np.array([rows, columns]).reshape(2, 1, 1) / 2
    return (np.hypot(y, x) - np.arctan2(y, x) * 8 / np.pi) % 16 < 11


def comb(rows, columns):
    """Return a mask of teeth that only the last row connects."""
    mask = np.tile(np.arange(columns) % 4 != 3, (rows, 1))
    mask[-1] = True
    return mask


MASKS = {
    "blobs": ndimage.gaussian_filter(RANDOM.random(SHAPE), 3) > 0.5,
    "spiral": spiral(*SHAPE),
    "comb": comb(*SHAPE),
    "corners": np.indices(SHAPE).sum(axis=0) % 2 == 0,
    "noise": RANDOM.random(SHAPE) < 0.6,
    "all": np.ones(SHAPE, bool),
    "none": np.zeros(SHAPE, bool),
}
MARKERS = ((RANDOM.random(SHAPE) < 0.05) * RANDOM.integers(1, 10**6, SHAPE)).astype(np.int32)


@pytest.mark.parametrize(("levels", "connectivity"), [(1, 1), (4, 1), (4, 2)])
@pytest.mark.parametrize("name", MASKS)
def test_by_position_every_tiling_gives_the_basins_of_the_whole(name, levels, connectivity):
    mask = MASKS[name]
    relief = RANDOM.integers(0, levels, SHAPE) / 3
    inputs = {"marker_image": MARKERS, "mask": mask}
    steps = [STEP | {"connectivity": connectivity}]
    expected = flooded_by_position(relief, MARKERS, connectivity, mask)
    for core in (None, *CORES):
        found = run(relief, steps, inputs, "native", core)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, expected, str(core))


@pytest.mark.parametrize("on", ["gradient", "inverted"])
def test_by_position_the_relief_is_that_of_the_whole_image(on):
    image = ndimage.gaussian_filter(RANDOM.random(SHAPE), 1)
    inputs = {"marker_image": MARKERS, "mask": MASKS["blobs"]}
    by_heap = run(image, [STEP | {"on": on, "ties": "heap"}], inputs, "native")
    for core in (None, *CORES):
        found = run(image, [STEP | {"on": on}], inputs, "native", core)
        # No levels are equal here: both orders are one.
        np.testing.assert_array_equal(found, by_heap)


@pytest.mark.parametrize("name", ["blobs", "spiral", "noise"])
def test_by_heap_the_basins_are_those_of_scikit_image(name):
    relief = RANDOM.integers(0, 5, SHAPE) / 4
    inputs = {"marker_image": MARKERS, "mask": MASKS[name]}
    for core in (None, (23, 37)):
        found = run(relief, [STEP | {"ties": "heap"}], inputs, "native", core)
        expected = segmentation.watershed(relief, MARKERS, mask=MASKS[name])
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int8", "int16", "float32"])
def test_an_inverted_image_of_every_type_is_flooded_from_its_brightest_pixels(dtype):
    levels = ndimage.gaussian_filter(RANDOM.random(SHAPE), 2)
    levels = np.clip((levels - 0.4) * 5, 0, 1)
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else None
    image = levels > 0.5 if dtype == "bool" else levels.astype(np.float32)
    if limits is not None:
        image = (levels * limits.max).astype(dtype)
        image[levels == 0] = limits.min
    step = {"operation": "watershed", "on": "inverted"}
    for more in ({}, {"mask": MASKS["noise"]}, {"marker_image": MARKERS}):
        given = [step | {name: f"input:{name}" for name in more}]
        expected = segmentation.watershed(
            -image.astype(float), more.get("marker_image"), mask=more.get("mask")
        )
        np.testing.assert_array_equal(run(image, given, more, "native"), expected)
    by_position = [STEP | {"on": "inverted"}]
    inputs = {"marker_image": MARKERS, "mask": MASKS["blobs"]}
    expected = flooded_by_position(-image.astype(float), MARKERS, 1, MASKS["blobs"])
    np.testing.assert_array_equal(run(image, by_position, inputs, "native", (23, 37)), expected)


def test_a_region_too_large_for_a_rank_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr(watershed, "REACH_PIXELS", 2000)
    inputs = {"marker_image": MARKERS, "mask": MASKS["comb"]}
    refused = outcome(np.zeros(SHAPE), [STEP], inputs, "native", (30, 40))
    pixels = MASKS["comb"].sum()
    assert refused.startswith(
        f"watershed: a region of the mask has {pixels} pixels and reaches over 90 × 110 pixels "
        "from row 0, column 0; a rank takes regions of up to 2000 pixels"
    )


def test_tiles_of_one_large_region_are_flooded_once(monkeypatch):
    floods = []
    flood = basins.watershed_by_position

    def counted(*given):
        floods.append(given)
        return flood(*given)

    monkeypatch.setattr(basins, "watershed_by_position", counted)
    run(np.zeros(SHAPE), [STEP], {"marker_image": MARKERS, "mask": MASKS["all"]}, core=(30, 40))
    assert len(floods) == 1


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ({"on": "distance"}, "takes no distance; put distance_transform_edt before"),
        ({"compactness": 0.5}, "takes no compactness and no watershed_line"),
        ({"watershed_line": True}, "takes no compactness and no watershed_line"),
    ],
)
def test_what_has_no_order_by_position_is_refused(step, sentence):
    inputs = {"marker_image": MARKERS, "mask": MASKS["blobs"]}
    with pytest.raises(Rejected, match=f'^watershed: ties: "position" {sentence}'):
        run(np.zeros(SHAPE), [STEP | step], inputs)
    with pytest.raises(Rejected, match="needs a marker image; put local_minima and label before"):
        run(np.zeros(SHAPE), [{"operation": "watershed", "ties": "position"}], {})
