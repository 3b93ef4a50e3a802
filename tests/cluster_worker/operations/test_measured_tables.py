"""Tables of lines, textures, neighbours, blobs and circles: scikit-image's, whatever the tiles."""

import json
import tracemalloc
from functools import cache

import numpy as np
import pytest
from scipy import ndimage
from skimage import (
    color,
    data,
    draw,
    feature,
    graph,
    measure,
    registration,
    restoration,
    transform,
    util,
)

from cluster_worker.errors import Rejected
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe
from tests.cluster_worker.operations.test_catalogue import CATALOGUE

CORES = (None, (24, 45), (64, 64), (1, 90), (70, 7))
SHAPE = (70, 90)


def tables(image, operation, inputs=None, **parameters):
    """Yield the table of an operation, for each tiling."""
    step = {
        "operation": operation,
        **parameters,
        **{name: f"input:{name}" for name in inputs or ()},
    }
    steps = json.dumps(recipe.check([step], CATALOGUE, 20, inputs or ()))
    headers = tuple((n, header_of(x.shape, str(x.dtype))) for n, x in (inputs or {}).items())
    header = header_of(image.shape, str(image.dtype))
    for core in CORES:
        planned = plan_recipe(RecipeRequest(header, steps, headers, "native", core))
        yield run_recipe_alone(planned, image, inputs or {}).tables[operation]


def assert_columns(found, expected):
    assert list(found) == list(expected)
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)


def picture(kind="uint8", channels=False):
    image = data.astronaut()[100:170, 150:240]
    image = image if channels else image[..., 0]
    return image if kind == "uint8" else util.img_as_float64(image).astype(kind)


def labels():
    image = ndimage.gaussian_filter(np.random.default_rng(0).random(SHAPE), 3)
    found = measure.label(np.digitize(image, np.quantile(image, [0.3, 0.5, 0.8])))
    found[:, 88:], found[60:, :5] = 0, 0
    return found.astype(np.uint16)


def lines():
    mask = np.zeros(SHAPE, bool)
    for ends in ((5, 3, 60, 80), (60, 10, 10, 50), (30, 0, 30, 89)):
        mask[draw.line(*ends)] = True
    return mask | (np.random.default_rng(1).random(SHAPE) > 0.99)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"angles": 90, "min_distance": 4, "min_angle": 3, "num_peaks": 2},
        {"angles": 31, "threshold": 12.0},
    ],
)
def test_lines_equal_scikit_image(parameters):
    mask, given = lines(), {"num_peaks": np.inf, **parameters}
    angles = np.linspace(-np.pi / 2, np.pi / 2, given.pop("angles", 180), endpoint=False)
    names = ("votes", "angle", "distance")
    found = transform.hough_line_peaks(*transform.hough_line(mask, angles), **given)
    for table in tables(mask, "hough_line_peaks", **parameters):
        assert_columns(table, dict(zip(names, found, strict=True)))
    assert len(found[0]) >= 2


def test_a_mask_without_pixels_has_no_lines():
    for table in tables(np.zeros(SHAPE, bool), "hough_line_peaks"):
        assert {each.size for each in table.values()} == {0}


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize(
    "parameters",
    [
        {"src": [0, 0], "dst": [69, 89]},
        {"src": [60.5, 3.2], "dst": [4.1, 80.7], "linewidth": 5},
        {"src": [1, 2], "dst": [2, 88], "linewidth": 9, "mode": "constant"},
        {"src": [69, 80], "dst": [0, 80], "linewidth": 30, "mode": "nearest"},
        {"src": [7, 7], "dst": [7, 7], "linewidth": 3, "mode": "mirror"},
    ],
)
def test_a_profile_equals_scikit_image(kind, channels, parameters):
    image = picture(kind, channels)
    expected = measure.profile_line(image, **{"mode": "reflect", **parameters})
    expected = expected.reshape(len(expected), -1)
    for table in tables(image, "profile_line", **parameters):
        values = [each for name, each in table.items() if name.startswith("value")]
        np.testing.assert_array_equal(np.stack(values, axis=1), expected)
        assert (table["row"][0], table["column"][0]) == tuple(parameters["src"])


def test_the_memory_for_a_wide_line_is_planned():
    image = np.tile(picture(), (6, 6))
    step = {"operation": "profile_line", "src": [20, 20], "dst": [400, 500], "linewidth": 400}
    steps = json.dumps(recipe.check([step], CATALOGUE, 20))
    planned = plan_recipe(RecipeRequest(header_of(image.shape, "uint8"), steps))
    run_recipe_alone(planned, image, {})
    tracemalloc.start()
    run_recipe_alone(planned, image, {})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most <= planned.chains[0].plan.rank_bytes(1)


def test_a_profile_outside_of_the_image_is_refused():
    with pytest.raises(Rejected, match=r"dst: must lie in the image of 70 × 90 pixels, got row 70"):
        next(tables(picture(), "profile_line", dst=[70, 0]))
    with pytest.raises(Rejected, match=r"src: must be a row and a column, got 3 numbers"):
        next(tables(picture(), "profile_line", src=[1, 2, 3]))


@pytest.mark.parametrize(
    ("image", "parameters"),
    [
        (picture(), {}),
        (picture(), {"distances": [1, 4, 80], "angles": [0, 30, 90, 100, 180]}),
        (picture() // 8, {"levels": 32, "symmetric": True, "distances": [2]}),
        (picture().astype(np.uint16) * 2, {"levels": 512}),
        (np.full(SHAPE, 7, np.uint8), {}),
    ],
)
def test_textures_equal_scikit_image(image, parameters):
    given = {"distances": [1], "angles": [0, 45, 90, 135], "levels": 256} | parameters
    angles = np.deg2rad(given.pop("angles"))
    counts = feature.graycomatrix(image, angles=angles, **given)
    expected = cache(lambda name: feature.graycoprops(counts, name).ravel())
    for table in tables(image, "graycoprops", **parameters):
        for name, column in list(table.items())[2:]:
            np.testing.assert_array_equal(column, expected(name), err_msg=name)


def test_levels_that_are_too_few_are_refused():
    with pytest.raises(Rejected, match=r"levels: must be more than the greatest level, "):
        next(tables(picture(), "graycoprops", levels=8))
    with pytest.raises(Rejected, match=r"1024 levels at 9 distances and 4 angles need 288 MiB"):
        next(tables(picture(), "graycoprops", levels=1024, distances=list(range(1, 10))))


@pytest.mark.parametrize("connectivity", [1, 2])
def test_neighbours_are_the_edges_of_scikit_images_graph(connectivity):
    image = labels()
    edges = sorted(tuple(sorted(each)) for each in graph.RAG(image, connectivity).edges)
    for background in (True, False):
        expected = [each for each in edges if background or 0 not in each]
        given = {"connectivity": connectivity, "background": background}
        for table in tables(image, "region_adjacency", **given):
            pairs = zip(table["label"].tolist(), table["other"].tolist(), strict=True)
            assert list(pairs) == expected
            assert table["contacts"].tolist() == [
                contacts(image, connectivity, *p) for p in expected
            ]


def contacts(image, connectivity, one, other):
    """Count the pairs of neighbouring pixels of two labels."""
    steps = [(0, 1), (1, 0), (1, 1), (1, -1)][: 2 * connectivity]
    framed = np.pad(image.astype(int), 1, constant_values=-1)
    found = 0
    for step in steps:
        moved = np.roll(framed, [-each for each in step], (0, 1))
        found += ((framed == one) & (moved == other)).sum()
        found += ((framed == other) & (moved == one)).sum()
    return found


@pytest.mark.parametrize("parameters", [{}, {"max_sigma": 8, "log_scale": True, "overlap": 0.9}])
def test_blobs_of_hessians_equal_scikit_image(parameters):
    image = color.rgb2gray(data.hubble_deep_field()[:70, :90])
    expected = feature.blob_doh(image, **{"threshold": 0.002, **parameters})
    assert len(expected) > 2
    for table in tables(image, "blob_doh", **{"threshold": 0.002, **parameters}):
        np.testing.assert_array_equal(np.column_stack(list(table.values())), expected)


def test_circles_equal_scikit_image():
    mask = np.zeros(SHAPE, bool)
    for row, column, radius in ((30, 30, 12), (35, 60, 20), (10, 75, 8)):
        mask[draw.circle_perimeter(row, column, radius, shape=SHAPE)] = True
    tried = np.arange(8, 21)
    votes, columns, rows, sizes = transform.hough_circle_peaks(
        transform.hough_circle(mask, tried), tried, 10, 10, total_num_peaks=3
    )
    given = {"min_radius": 8, "max_radius": 20, "radii": 13, "total_num_peaks": 3}
    expected = {"row": rows, "column": columns, "radius": sizes, "share": votes}
    for table in tables(mask, "hough_circle_peaks", **given):
        assert_columns(table, expected)
    assert sorted(sizes.tolist()) == [8, 12, 20]


def test_an_image_narrower_than_the_distance_of_circles_is_refused():
    with pytest.raises(Rejected, match=r"min_distance: must be smaller than an image of 2 × 5"):
        next(iter(tables(np.ones((2, 5), bool), "hough_circle_peaks", min_radius=1, max_radius=2)))


def test_a_largest_blob_below_the_smallest_is_refused():
    with pytest.raises(Rejected, match=r"max_sigma: must be at least min_sigma, 20, got 2$"):
        next(iter(tables(picture(), "blob_dog", min_sigma=20, max_sigma=2)))


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("channels", [False, True])
def test_the_noise_of_an_image_is_that_of_scikit_image(kind, channels):
    image = picture(kind, channels)
    planes = np.moveaxis(np.atleast_3d(image), 2, 0)
    expected = [restoration.estimate_sigma(plane) for plane in planes]
    for table in tables(image, "estimate_sigma"):
        assert_columns(table, {"channel": range(len(expected)), "sigma": expected})


def test_an_image_without_detail_has_no_noise_to_estimate():
    for table in tables(np.zeros(SHAPE, np.uint8), "estimate_sigma"):
        assert np.isnan(table["sigma"]).all()


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize(
    "parameters", [{}, {"upsample_factor": 20}, {"upsample_factor": 5, "normalization": "none"}]
)
def test_the_shift_between_images_is_that_of_scikit_image(kind, parameters):
    reference = picture(kind)
    image = np.roll(reference, (-5, 7), (0, 1))
    given = {"normalization": "phase"} | parameters
    given["normalization"] = None if given["normalization"] == "none" else "phase"
    shift, error, phase = registration.phase_cross_correlation(reference, image, **given)
    assert shift.tolist() == [5, -7]
    names = ("shift-0", "shift-1", "error", "phasediff")
    expected = dict(zip(names, ([each] for each in (*shift, error, phase)), strict=True))
    inputs = {"reference": reference}
    for table in tables(image, "phase_cross_correlation", inputs, **parameters):
        assert_columns(table, expected)


@pytest.mark.parametrize("colours", [("image",), ("reference",), ("image", "reference")])
def test_a_shift_is_found_between_colours_and_gray(colours):
    coloured = picture(channels=True)
    pictures = {
        name: coloured if name in colours else (255 * color.rgb2gray(coloured)).astype(np.uint8)
        for name in ("image", "reference")
    }
    image = np.roll(pictures["image"], (-5, 7), (0, 1))
    expected = registration.phase_cross_correlation(
        *(color.rgb2gray(x) if x.ndim == 3 else x for x in (pictures["reference"], image))
    )
    for table in tables(image, "phase_cross_correlation", {"reference": pictures["reference"]}):
        assert [table["shift-0"][0], table["shift-1"][0]] == [5, -7]
        np.testing.assert_allclose(table["error"][0], expected[1], atol=1e-6)
