"""Tables as steps of a recipe: the numbers of scikit-image, the same for every tiling."""

import json

import numpy as np
import pytest
from skimage import data, exposure, feature, measure, metrics

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe
from tests.cluster_worker.operations.test_catalogue import CATALOGUE

COINS = data.coins()[20:140, 30:190].copy()
LABELS = measure.label(COINS > 110).astype(np.uint32)
CELLS = measure.label(COINS > 140).astype(np.uint32)
MASK = np.hypot(*np.indices(COINS.shape)) < 120


def table(image, step, depth="input", core=None, **inputs):
    steps = recipe.check([step | {n: f"input:{n}" for n in inputs}], CATALOGUE, 1, inputs)
    headers = tuple((n, header_of(each.shape, str(each.dtype))) for n, each in inputs.items())
    header = header_of(image.shape, str(image.dtype))
    request = RecipeRequest(header, json.dumps(steps), headers, depth, core)
    images, tables = run_recipe_alone(plan_recipe(request), image, inputs)
    # The image flows on as it was.
    np.testing.assert_array_equal(images[0], image)
    return tables[step["operation"]]


def peaks(image):
    points = feature.peak_local_max(image, min_distance=4, threshold_rel=0.6)
    return {"row": points[:, 0], "column": points[:, 1], "value": image[tuple(points.T)]}


def blobs(found):
    return dict(zip(("row", "column", "sigma"), found.T, strict=True))


def overlaps():
    counts = measure.regionprops_table(CELLS, LABELS, properties=("label", "area"))
    pairs = np.unique(np.column_stack([CELLS[CELLS > 0], LABELS[CELLS > 0]]), axis=0)
    return {"label": pairs[:, 0], "other": pairs[:, 1], "pixels": counts["area"]}


def statistics(image, mask):
    found = image[mask].astype(np.float64)
    return {
        "channel": [0],
        "pixels": [found.size],
        "min": [found.min()],
        "max": [found.max()],
        "mean": [found.mean()],
        "std": [found.std()],
    }


def histogram():
    counts, values = exposure.histogram(COINS)
    return {"value": values, "pixels": counts}


def contours(level):
    lines = measure.find_contours(COINS, level)
    points = np.concatenate(lines)
    numbers = np.repeat(np.arange(len(lines)), [len(each) for each in lines])
    return {"contour": numbers, "row": points[:, 0], "column": points[:, 1]}


def corners(image):
    points = feature.corner_peaks(image, min_distance=4, threshold_rel=0.6)
    return {"row": points[:, 0], "column": points[:, 1], "value": image[tuple(points.T)]}


def compared(name, **options):
    return {name: [getattr(metrics, name)(NOISY, COINS, **options)]}


NOISY = np.clip(COINS + np.random.default_rng(0).normal(0, 12, COINS.shape), 0, 255).astype(
    np.uint8
)
BESIDE = {"reference": NOISY}
SHARE = {"normalization": "min-max"}
WINDOWS = {"gaussian_weights": True, "data_range": 200.0}
SIZES = {"min_sigma": 3.0, "max_sigma": 12.0, "threshold": 0.1}
PEAKS = {"operation": "peak_local_max", "min_distance": 4, "threshold_rel": 0.6}
CASES = {
    "peak_local_max": (COINS, PEAKS, {}, lambda: peaks(COINS)),
    "blob_log": (COINS, SIZES, {}, lambda: blobs(feature.blob_log(COINS, **SIZES))),
    "blob_dog": (COINS, SIZES, {}, lambda: blobs(feature.blob_dog(COINS, **SIZES))),
    "label_overlap": (CELLS, {}, {"other": LABELS}, overlaps),
    "image_statistics": (COINS, {}, {"mask": MASK}, lambda: statistics(COINS, MASK)),
    "histogram": (COINS, {}, {}, histogram),
    "find_contours": (COINS, {"level": 120.0}, {}, lambda: contours(120.0)),
    "corner_peaks": (COINS, PEAKS | {"operation": "corner_peaks"}, {}, lambda: corners(COINS)),
    "mean_squared_error": (COINS, {}, BESIDE, lambda: compared("mean_squared_error")),
    "normalized_root_mse": (COINS, SHARE, BESIDE, lambda: compared("normalized_root_mse", **SHARE)),
    "peak_signal_noise_ratio": (COINS, {}, BESIDE, lambda: compared("peak_signal_noise_ratio")),
    "structural_similarity": (COINS, {}, BESIDE, lambda: compared("structural_similarity")),
}


def test_every_table_is_tested():
    tables = {name for name, each in OPERATIONS.items() if each.gives == "table"}
    lines = {"hough_line_peaks", "hough_circle_peaks", "profile_line"}
    others = {"regionprops_table", "blob_doh", "graycoprops", "region_adjacency", *lines}
    others |= {"estimate_sigma", "phase_cross_correlation"}
    skeletons = {"skeleton_branches", "skeleton_lengths"}
    assert tables == {*CASES, *others, *skeletons}, "others have tests of their own"


@pytest.mark.parametrize("name", CASES)
def test_a_table_has_the_numbers_of_scikit_image_for_every_tiling(name):
    image, more, inputs, expected = CASES[name]
    step = {"operation": name, **more}
    whole = table(image, step, **inputs)
    for column, values in expected().items():
        np.testing.assert_allclose(whole[column], values, rtol=1e-6, err_msg=column)
    for core in ((23, 37), (120, 11)):
        tiled = table(image, step, "native", core, **inputs)
        for column, values in whole.items():
            np.testing.assert_array_equal(tiled[column], values)


@pytest.mark.parametrize("name", ["mean_squared_error", "normalized_root_mse"])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_an_error_of_floats_is_that_of_scikit_image(name, channels):
    random = np.random.default_rng(5)
    image, reference = random.random((2, 61, 80, *channels)) - 0.3
    found = table(image, {"operation": name}, "native", (17, 33), reference=reference)
    expected = getattr(metrics, name)(reference, image)
    np.testing.assert_allclose(found[name], [expected], rtol=1e-12)


@pytest.mark.parametrize("options", [WINDOWS, {"win_size": 11, "data_range": 1.0}])
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint16"])
def test_structures_are_as_similar_as_scikit_image_finds(options, dtype):
    random = np.random.default_rng(6)
    image = random.random((61, 80, 3)) * 200
    reference = image + random.random(image.shape) * 30
    image, reference = image.astype(dtype), reference.astype(dtype)
    step = {"operation": "structural_similarity"} | options
    whole = table(image, step, "native", reference=reference)["structural_similarity"]
    tiled = table(image, step, "native", (17, 33), reference=reference)["structural_similarity"]
    assert tiled == whole
    expected = metrics.structural_similarity(reference, image, channel_axis=2, **options)
    np.testing.assert_allclose(whole, [expected], rtol=1e-9 if dtype != "float32" else 1e-4)


def test_equal_images_have_no_noise_and_equal_structures():
    images = COINS, {"reference": COINS}
    noise = table(images[0], {"operation": "peak_signal_noise_ratio"}, **images[1])
    assert noise["peak_signal_noise_ratio"] == [np.inf]
    same = table(images[0], {"operation": "structural_similarity"}, **images[1])
    np.testing.assert_allclose(same["structural_similarity"], [1], rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ({"win_size": 8}, "win_size: must be odd, got 8"),
        ({"win_size": 63}, "the image must have 63 rows and columns or more, got 61 × 80"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(step, sentence):
    image = np.zeros((61, 80))
    with pytest.raises(Rejected, match=f"^structural_similarity: {sentence}"):
        table(image, {"operation": "structural_similarity"} | step, "native", reference=image)


@pytest.mark.parametrize("masked", [False, True])
def test_a_histogram_of_floats_has_the_bins_of_the_whole_image(masked):
    image = np.random.default_rng(7).normal(0, 3, (61, 80))
    inputs = {"mask": np.hypot(*np.indices(image.shape)) < 50} if masked else {}
    found = table(image, {"operation": "histogram", "nbins": 40}, "native", (17, 33), **inputs)
    counts, edges = np.histogram(
        image[inputs["mask"]] if masked else image, 40, (image.min(), image.max())
    )
    np.testing.assert_array_equal(found["pixels"], counts)
    np.testing.assert_allclose(found["value"], (edges[1:] + edges[:-1]) / 2, rtol=1e-12)


def in_micrometres(pixel_size, *before, image=CELLS):
    """Measure regions in micrometres, after other steps."""
    steps = [*before, {"operation": "regionprops_table", "properties": SIZED, "unit": "micrometre"}]
    checked = json.dumps(recipe.check(steps, CATALOGUE, 9))
    header = header_of(image.shape, str(image.dtype))._replace(pixel_size=pixel_size)
    planned = plan_recipe(RecipeRequest(header, checked))
    return run_recipe_alone(planned, image, {}).tables["regionprops_table"]


SIZED = ("label", "num_pixels", "area", "centroid", "axis_major_length", "solidity")


def test_lengths_in_micrometres_come_from_the_size_of_a_pixel():
    found = in_micrometres((0.5e-6, 0.25e-6))
    expected = measure.regionprops_table(CELLS, properties=SIZED, spacing=(0.5, 0.25))
    names = ["label", "num_pixels", "area_um2", "centroid_um-0", "centroid_um-1"]
    assert list(found) == [*names, "axis_major_length_um", "solidity"]
    for one, other in zip(found.values(), expected.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_pixel_of_an_image_that_was_made_smaller_is_larger():
    names = ("downscale_local_mean", "threshold_otsu", "label")
    found = in_micrometres((1e-6, 1e-6), *({"operation": name} for name in names), image=COINS)
    np.testing.assert_allclose(found["area_um2"], 4 * found["num_pixels"], rtol=1e-9)


def test_without_a_known_size_micrometres_are_refused_before_anything_runs():
    with pytest.raises(
        Rejected, match=r"^regionprops_table.unit: the size of a pixel is not known"
    ):
        in_micrometres(None)
