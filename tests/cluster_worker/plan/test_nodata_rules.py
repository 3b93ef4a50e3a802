"""The rule for pixels without data of each class of operation, against plain numpy and scipy."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import filters, morphology

from cluster_worker.engine.steps import checked_steps
from cluster_worker.errors import Rejected
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.plan.blocks import measure_block, run_stage, whole_place
from cluster_worker.plan.chain import plan
from cluster_worker.plan.nodata import NoRule
from cluster_worker.plan.recipe import plan_any
from cluster_worker.plan.request import PlanRequest, RecipeRequest
from cluster_worker.plan.run import run_alone
from cluster_worker.plan.run_recipe import run_recipe_alone

DISK = {"footprint": "disk", "radius": 2}
CASES = [("uint8", 7), ("uint8", 255), ("uint16", 65535), ("uint16", 0)]
WIDE_CASES = [*CASES, ("int16", -9999), ("float32", -9999.0), ("float32", None)]


def scene(dtype, nodata):
    """A picture with holes of no data, single ones too; `None` stands for NaN."""
    random = np.random.default_rng(11)
    values = random.integers(20, 250, (48, 57)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        values /= 255
    holes = ndimage.gaussian_filter(random.normal(size=values.shape), 2) > 0.14
    holes[3, 4] = holes[0, 0] = holes[47, 30:] = True
    values[values == (0 if nodata is None else nodata)] += 1
    values[holes] = np.nan if nodata is None else nodata
    return values, ~holes


def run(image, nodata, *steps, core=None, kind="intensity", **more):
    header = ImageHeader(image.shape, str(image.dtype), kind=kind, nodata=nodata, **more)
    return run_alone(plan(PlanRequest(header, checked_steps(steps), core=core)), image)


def both(image, nodata, *steps):
    """Run in one piece and in tiles, which must agree to the last bit."""
    whole = run(image, nodata, *steps)
    np.testing.assert_array_equal(whole, run(image, nodata, *steps, core=(16, 16)))
    return whole


def check_holes(found, there, image, nodata):
    """Check that pixels without data are as they were, and that no other has their value."""
    assert found.dtype == image.dtype
    empty = np.isnan(found) if nodata is None else found == nodata
    np.testing.assert_array_equal(empty, ~there)


RANKED = [
    ("rank_mean", "mean", {}),
    ("rank_minimum", "minimum", {}),
    ("rank_maximum", "maximum", {}),
    ("rank_gradient", "gradient", {}),
    ("rank_modal", "modal", {}),
    ("rank_percentile", "percentile", {"p0": 0.3}),
    ("rank_autolevel", "autolevel", {}),
    ("rank_subtract_mean", "subtract_mean", {}),
    ("rank_equalize", "equalize", {}),
    ("rank_otsu", "otsu", {}),
]


# With the bins of 16 bits, these two take seconds.
SLOW = ("otsu", "equalize")


@pytest.mark.parametrize(
    ("name", "of", "values", "dtype", "nodata"),
    [(*each, *case) for each in RANKED for case in CASES[: 2 if each[1] in SLOW else None]],
)
def test_rank_filters_take_the_pixels_with_data(name, of, values, dtype, nodata):
    image, there = scene(dtype, nodata)
    found = both(image, nodata, {"operation": name, **DISK, **values})
    bare = np.where(there, image, 0).astype(dtype)
    right = getattr(filters.rank, of)(bare, morphology.disk(2), mask=there, **values)
    check_holes(found, there, image, nodata)
    chance = there & (right == nodata)
    np.testing.assert_array_equal(found[there & ~chance], right[there & ~chance])
    assert (abs(found[chance].astype(int) - nodata) == 1).all()


def run_masked(image, nodata, mask, step, core):
    header = ImageHeader(image.shape, str(image.dtype), kind="intensity", nodata=nodata)
    second = ImageHeader(mask.shape, str(mask.dtype), kind="mask")
    steps = checked_steps([{**step, "mask": "input:counted"}], ("counted",))
    request = RecipeRequest(header, steps, (("counted", second),), core=core)
    return run_recipe_alone(plan_any(request), image, {"counted": mask})[0][0]


@pytest.mark.parametrize(("name", "of"), [("rank_mean", "mean"), ("rank_gradient", "gradient")])
@pytest.mark.parametrize(("dtype", "nodata"), CASES)
def test_rank_filters_take_the_pixels_of_a_mask_that_have_data(name, of, dtype, nodata):
    image, there = scene(dtype, nodata)
    mask = np.random.default_rng(5).random(image.shape) < 0.4
    # A part without holes, where the other of the two stages serves.
    image[20:40, 10:40], there[20:40, 10:40] = np.where(image[20:40, 10:40] == 90, 91, 90), True
    image[26:34, 18:30] = 150
    step = {"operation": name, **DISK}
    found = run_masked(image, nodata, mask, step, None)
    np.testing.assert_array_equal(found, run_masked(image, nodata, mask, step, (16, 16)))
    check_holes(found, there, image, nodata)
    disk = morphology.disk(2).astype(bool)
    counted = np.pad(there & mask, 2), np.pad(image.astype(int), 2)
    for row, column in np.argwhere(there):
        window = np.s_[row : row + 5, column : column + 5]
        values = counted[1][window][counted[0][window] & disk]
        right = 0
        if values.size:
            right = values.mean() // 1 if of == "mean" else values.max() - values.min()
        right = right if right != nodata else found[row, column]
        assert found[row, column] == right


def windows_of(image, there, neighbourhood, mode):
    """The pixels with data of each neighbourhood, by a plain loop."""
    up, across = neighbourhood.shape[0] // 2, neighbourhood.shape[1] // 2
    around = ((up, up), (across, across))
    values, valid = (np.pad(each, around, mode) for each in (image, there))
    for row, column in np.ndindex(image.shape):
        window = np.s_[row : row + 2 * up + 1, column : column + 2 * across + 1]
        yield row, column, values[window][valid[window] & neighbourhood]


@pytest.mark.parametrize(("dtype", "nodata"), WIDE_CASES)
def test_a_median_is_that_of_the_pixels_with_data(dtype, nodata):
    image, there = scene(dtype, nodata)
    found = both(image, nodata, {"operation": "median", **DISK})
    check_holes(found, there, image, nodata)
    disk = morphology.disk(2).astype(bool)
    for row, column, values in windows_of(image, there, disk, "edge"):
        if there[row, column]:
            right = np.sort(values)[values.size // 2]
            assert found[row, column] == right or right == nodata


@pytest.mark.parametrize(("dtype", "nodata"), WIDE_CASES)
@pytest.mark.parametrize("name", ["opening", "closing", "white_tophat", "black_tophat"])
def test_openings_and_closings_take_the_pixels_with_data(name, dtype, nodata):
    image, there = scene(dtype, nodata)
    found = both(image, nodata, {"operation": name, "footprint": "square", "radius": 1})
    check_holes(found, there, image, nodata)

    def least(values):
        values = np.where(there, values, np.inf)
        return ndimage.minimum_filter(values, 3, mode="reflect")

    def greatest(values):
        values = np.where(there, values, -np.inf)
        return ndimage.maximum_filter(values, 3, mode="reflect")

    wide = image.astype(float)
    right = {
        "opening": lambda: greatest(least(wide)),
        "closing": lambda: least(greatest(wide)),
        "white_tophat": lambda: wide - greatest(least(wide)),
        "black_tophat": lambda: least(greatest(wide)) - wide,
    }[name]()
    sure = there & (right != (np.nan if nodata is None else nodata))
    np.testing.assert_allclose(found[sure], right[sure], rtol=0, atol=1e-6)


LOCAL = [
    {"operation": "threshold_local", "block_size": 9, "method": "gaussian"},
    {"operation": "threshold_local", "block_size": 9, "method": "mean", "offset": 0.02},
    {"operation": "threshold_niblack", "window_size": 9, "k": 0.1},
    {"operation": "threshold_sauvola", "window_size": 9, "k": 0.1},
]


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 7), ("float32", None)])
@pytest.mark.parametrize("step", LOCAL)
def test_local_levels_are_those_of_the_pixels_with_data(step, dtype, nodata):
    image, there = scene(dtype, nodata)
    found = both(image, nodata, step) > 0
    white = 255 if dtype == "uint8" else 1
    values = np.where(there, image, 0).astype(float)
    blur = step.get("method") == "gaussian"

    def mean(plane):
        if blur:
            return ndimage.gaussian_filter(plane, 8 / 6, mode="reflect")
        mode = "reflect" if "block_size" in step else "mirror"
        return ndimage.uniform_filter(plane, 9, mode=mode)

    share = np.maximum(mean(there.astype(float)), 1e-12)
    average = mean(values) / share
    deviation = np.sqrt(np.maximum(mean(values**2) / share - average**2, 0))
    level = {
        "threshold_local": average - step.get("offset", 0) * white,
        "threshold_niblack": average - 0.1 * deviation,
        "threshold_sauvola": average * (1 + 0.1 * (deviation / (127.5 if white > 1 else 1) - 1)),
    }[step["operation"]]
    clear = abs(values - level) > 1e-5 * white
    np.testing.assert_array_equal(found[there & clear], (values > level)[there & clear])
    assert not found[~there].any()


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 7), ("float32", None)])
def test_sharpening_takes_the_blur_of_the_pixels_with_data(dtype, nodata):
    image, there = scene(dtype, nodata)
    found = both(image, nodata, {"operation": "unsharp_mask", "radius": 1.5, "amount": 0.5})
    check_holes(found, there, image, nodata)
    white = 255 if dtype == "uint8" else 1
    values = np.where(there, image, 0).astype(float) / white
    share = filters.gaussian(there.astype(float), 1.5, mode="reflect")
    blurred = filters.gaussian(values, 1.5, mode="reflect") / np.maximum(share, 1e-12)
    right = np.clip(values + 0.5 * (values - blurred), 0, 1) * white
    # A half by rounding, and one where data has the value of pixels without data by chance.
    rounding = 1.51 if dtype == "uint8" else 1e-5
    assert abs(found - right)[there].max() <= rounding


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 7), ("int16", -9999), ("float32", None)])
def test_tables_count_the_pixels_with_data(dtype, nodata):
    image, there = scene(dtype, nodata)
    header = ImageHeader(image.shape, dtype, kind="intensity", nodata=nodata)
    steps = [{"operation": "image_statistics", "id": "a"}, {"operation": "histogram", "id": "b"}]
    checked = checked_steps(steps)
    results = {}
    for core in (None, (16, 16)):
        planned = plan_any(RecipeRequest(header, checked, core=core))
        results[core] = run_recipe_alone(planned, image, {})[1]
    first, second = results.values()
    for name, table in first.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, second[name][column])
    found = first["a"]
    data = image[there].astype(float)
    assert found["pixels"][0] == data.size
    for name, right in (("min", data.min()), ("max", data.max()), ("mean", data.mean())):
        assert found[name][0] == pytest.approx(right, rel=1e-6)
    assert first["b"]["pixels"].sum() == data.size


REGIONS = {
    "operation": "regionprops_table",
    "id": "cells",
    "intensity": "input:heights",
    "properties": [
        *("label", "area", "intensity_mean", "intensity_min", "intensity_max", "intensity_std"),
        *("intensity_median", "centroid_weighted"),
    ],
}


def tables_of(steps, image, header, inputs, core=None, depth="input"):
    """Run a recipe that gives tables; `inputs` are pairs of a header and pixels."""
    headers = tuple((name, each) for name, (each, _) in inputs.items())
    checked = checked_steps(steps, tuple(inputs))
    planned = plan_any(RecipeRequest(header, checked, headers, depth, core))
    pixels = {name: each for name, (_, each) in inputs.items()}
    return run_recipe_alone(planned, image, pixels)[1]


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 7), *WIDE_CASES])
def test_intensities_of_regions_are_those_of_the_pixels_with_data(dtype, nodata):
    image, there = scene(dtype, nodata)
    labels = (np.indices(image.shape)[0] // 9 * 8 + np.indices(image.shape)[1] // 8).astype("int32")
    there[labels == 5] = False
    image[labels == 5] = np.nan if nodata is None else nodata
    header = ImageHeader(labels.shape, "int32", kind="labels")
    beside = ImageHeader(image.shape, dtype, kind="intensity", nodata=nodata)
    given = {"heights": (beside, image)}
    found = tables_of([REGIONS], labels, header, given)["cells"]
    for core in ((16, 16), (7, 60)):
        tiled = tables_of([REGIONS], labels, header, given, core)["cells"]
        for name, column in found.items():
            np.testing.assert_array_equal(column, tiled[name])
    rows, columns = np.indices(image.shape).astype(float)
    for i, label in enumerate(found["label"]):
        inside = labels == label
        values = image[inside & there].astype(float)
        assert found["area"][i] == inside.sum()
        row = {name: column[i] for name, column in found.items()}
        if not values.size:
            assert all(np.isnan(row[name]) for name in row if name not in ("label", "area"))
            continue
        weights = np.where(inside & there, image, 0).astype(float)
        right = {
            "intensity_mean": values.mean(),
            "intensity_min": values.min(),
            "intensity_max": values.max(),
            "intensity_std": values.std(),
            "intensity_median": np.median(values),
        }
        if weights.sum() != 0:
            right["centroid_weighted-0"] = (rows * weights).sum() / weights.sum()
            right["centroid_weighted-1"] = (columns * weights).sum() / weights.sum()
        for name, value in right.items():
            assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_nan_among_intensities_spreads_natively():
    image, _ = scene("float32", None)
    labels = np.ones(image.shape, "int32")
    header = ImageHeader(labels.shape, "int32", kind="labels")
    given = {"heights": (ImageHeader(image.shape, "float32", kind="intensity"), image)}
    found = tables_of([REGIONS], labels, header, given, depth="native")["cells"]
    assert np.isnan(found["intensity_mean"]).all()


def test_labels_that_stand_for_no_data_are_background_in_tables():
    labels = np.zeros((30, 40), "uint16")
    labels[2:9, 3:9], labels[12:20, 10:30], labels[25:] = 1, 2, 999
    header = ImageHeader(labels.shape, "uint16", kind="labels", nodata=999)
    steps = [
        {"operation": "regionprops_table", "id": "cells", "properties": ["label", "area"]},
        {"operation": "label_overlap", "id": "pairs", "other": "input:other"},
        {"operation": "region_adjacency", "id": "near", "background": True},
    ]
    other = np.where(labels > 0, 3, 0).astype("uint16")
    other[:, 20:] = 999
    given = {"other": (header, other)}
    found = tables_of(steps, labels, header, given)
    assert found["cells"]["label"].tolist() == [1, 2]
    assert found["pairs"]["label"].tolist() == [1, 2]
    assert found["pairs"]["other"].tolist() == [3, 3]
    assert found["pairs"]["pixels"].tolist() == [42, 80]
    assert found["near"]["label"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "step",
    [
        {"operation": "gaussian", "sigma": 1.0},
        {"operation": "median", "footprint": "square", "radius": 1},
        {"operation": "opening", "footprint": "square", "radius": 1},
        {"operation": "unsharp_mask", "radius": 1.0},
    ],
)
def test_floats_with_data_only_are_filtered_into_the_result(step):
    image = np.random.default_rng(3).random((40, 50)).astype(np.float32)
    header = ImageHeader(image.shape, "float32", kind="intensity")
    planned = plan(PlanRequest(header, checked_steps((step,))))
    last = planned.passes[-1].stages[-1]
    place, out = whole_place(image), np.empty_like(image)
    statistics = tuple(measure_block(each, image, place, ()) for each in last.measures)
    assert run_stage(last, image, place, None, statistics, out) is out
    np.testing.assert_array_equal(out, run_alone(planned, image))


def test_nan_in_floats_needs_no_statement():
    image, there = scene("float32", None)
    found = both(image, None, {"operation": "gaussian", "sigma": 2.0})
    check_holes(found, there, image, None)
    values = np.where(there, image, 0)
    right = filters.gaussian(values, 2.0) / filters.gaussian(there.astype(np.float32), 2.0)
    np.testing.assert_allclose(found[there], right[there], atol=1e-5)
    mask = run(image, None, {"operation": "threshold_mean"})
    np.testing.assert_array_equal(mask > 0, there & (image > image[there].mean()))


def test_floats_without_nan_are_as_before():
    image = np.random.default_rng(3).random((40, 50)).astype(np.float32)
    for step in ({"operation": "gaussian"}, {"operation": "median"}, {"operation": "opening"}):
        found = run(image, None, step)
        np.testing.assert_array_equal(found, run(image, None, step, spreads=True))


def test_what_spreads_is_computed_as_scikit_image_does():
    image, _ = scene("float32", None)
    found = run(image, None, {"operation": "gaussian", "sigma": 1.0}, spreads=True)
    right = filters.gaussian(image, 1.0)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(right))
    np.testing.assert_allclose(found, right, atol=1e-6)


def test_an_operation_without_a_rule_refuses_nan_but_takes_floats_without():
    image = np.random.default_rng(3).random((40, 50)).astype(np.float32)
    step = {"operation": "sobel"}
    np.testing.assert_allclose(run(image, None, step), filters.sobel(image), atol=1e-6)
    image[5, 6] = np.nan
    with pytest.raises(Rejected, match="sobel: has no rule for pixels without data, and the image"):
        run(image, None, step)
    with pytest.raises(NoRule, match="sobel: has no rule"):
        run(image, -1.0, step)
    found = run(image, None, step, spreads=True)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(filters.sobel(image)))


def test_pixels_without_data_are_no_part_of_a_mask():
    image = np.zeros((20, 20), np.uint8)
    image[2:9, 2:9] = 200
    image[12:15, 12:15] = 77
    found = run(image, 77.0, {"operation": "isotropic_erosion", "radius": 1.0}, kind="picture")
    right = morphology.isotropic_erosion(image == 200, 1.0)
    np.testing.assert_array_equal(found > 0, right)
