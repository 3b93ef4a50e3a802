"""The two claims of the catalogue, over all operations and adversarial images.

Seamless: any tiling equals our own single tile, bitwise. Faithful: our single tile equals
scikit-image on the whole image. `make test` looks at every operation on every image in one
tiling; the other tilings and more parameters are in `make test-long`.

There is one test for each pair (operation, claim), which loops over the images: handing out
thousands of small tests would take longer than running them. A failure names the image and depth.
"""

import json
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import util

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.operations.declare import Stage
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract import recipe
from tests.cluster_worker.operations import reference, remembered
from tests.cluster_worker.operations.images import ALONE, IMAGES, NOT_NUMBERS
from tests.cluster_worker.operations.reference import is_meant_for
from tests.cluster_worker.operations.reference.shared import white

CATALOGUE = catalogue()
CORES = {"odd": (23, 37), "tiny": (7, 5), "strips": (11, 200)}
FLOAT_TOLERANCE = 1e-6
DEPTHS = ("input", "native")


def run(image, steps, core=None, depth="input"):
    header = header_of(image.shape, str(image.dtype))
    return run_alone(plan(PlanRequest(header, checked(json.dumps(steps)), depth, core)), image)


@lru_cache(maxsize=64)
def checked(steps):
    """Return steps as plans take them; each loop over images asks for the same ones."""
    return json.dumps(recipe.check(json.loads(steps), CATALOGUE, 20))


def outcome(*given):
    """Run a chain; return its result, or the sentence if the image is refused."""
    try:
        return run(*given)
    except Rejected as error:
        return str(error)


@lru_cache(maxsize=64)
def whole_outcome(name, each, depth):
    """Return the outcome of one tile with default parameters; both claims compare with it."""
    found = outcome(IMAGES[each], default(name), None, depth)
    if not isinstance(found, str):
        found.setflags(write=False)
    return found


@contextmanager
def named(*words):
    """Add a note to an error: on which image, depth or parameters it was found."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"on: {', '.join(map(str, words))}")
        raise


# Instead of defaults that make large images, or take hundreds of rounds.
SMALLER = {
    "resize": {"rows": 47, "columns": 70},
    "chan_vese": {"max_num_iter": 25},
    "denoise_tv_chambolle": {"max_num_iter": 25},
    "morphological_chan_vese": {"num_iter": 15},
    "morphological_geodesic_active_contour": {"num_iter": 25},
}


def default(name):
    """Return the chain of an operation alone, with its defaults."""
    return json.loads(checked(json.dumps([{"operation": name, **SMALLER.get(name, {})}])))


def meant_for(name, depth):
    """Return the names of the images that an operation takes."""
    return [each for each in IMAGES if is_meant_for(name, IMAGES[each], depth)]


def assert_seamless(image, steps, core, depth):
    assert_same(outcome(image, steps, None, depth), image, steps, core, depth)


def assert_same(whole, image, steps, core, depth):
    """Run by tiles, and compare with the outcome of one tile."""
    given = image.copy()
    tiled = outcome(image, steps, core, depth)
    # A job may be run again after a rank's death: no operation may change its source.
    np.testing.assert_array_equal(image, given)
    if isinstance(whole, str):
        assert tiled == whole
        return
    assert tiled.dtype == whole.dtype
    seam = max(OPERATIONS[step["operation"]].seam for step in steps)
    if seam and whole.dtype.kind == "f":
        assert largest_difference(tiled, whole) <= seam
    elif seam:
        assert largest_difference(tiled, whole) <= 1
    else:
        np.testing.assert_array_equal(tiled, whole)


def assert_tiling(name, core):
    """Compare a tiling with one tile, on every image and in both depths."""
    for depth in DEPTHS:
        for each in meant_for(name, depth):
            with named(each, depth):
                whole = whole_outcome(name, each, depth)
                assert_same(whole, IMAGES[each], default(name), CORES[core], depth)


@pytest.mark.parametrize("name", ALONE)
def test_tiled_equals_whole(name):
    assert_tiling(name, "odd")


@pytest.mark.long
@pytest.mark.parametrize("core", ["tiny", "strips"])
@pytest.mark.parametrize("name", ALONE)
def test_every_tiling_equals_whole(name, core):
    assert_tiling(name, core)


@pytest.mark.parametrize("name", ALONE)
def test_a_single_tile_equals_scikit_image(name):
    # The images in the outer loop: the reference of both depths is computed once if it is the same.
    for each in IMAGES:
        for depth in (d for d in DEPTHS if is_meant_for(name, IMAGES[each], d)):
            with named(each, depth):
                found = {depth: whole_outcome(name, each, depth)}
                assert_equal_to_scikit_image(found, IMAGES[each], default(name))


@pytest.mark.parametrize("name", ALONE)
def test_what_is_not_meant_for_an_operation_is_refused_with_a_sentence(name):
    for each in IMAGES.keys() - set(meant_for(name, "input")):
        with named(each):
            assert "takes" in outcome(IMAGES[each], default(name))


@pytest.mark.parametrize(
    ("name", "image", "sentence"),
    [
        ("label2rgb", "photograph", "takes labels or a mask, got colours; put a threshold before"),
        ("wiener", "one row", "the image must have 5 rows and columns or more, got 1 × 91"),
    ],
)
def test_what_scikit_image_would_fail_on_is_refused_with_a_sentence(name, image, sentence):
    refused = outcome(IMAGES[image], default(name), None, "native")
    assert refused.startswith(f"{name}: {sentence}")


@pytest.mark.parametrize("name", [n for n in ALONE if OPERATIONS[n].takes != "labels"])
def test_nan_and_infinity_do_what_scikit_image_does_or_are_refused(name):
    for each, image in NOT_NUMBERS.items():
        with named(each):
            assert_without_numbers(name, image)


def assert_without_numbers(name, image):
    with np.errstate(all="ignore"):
        whole = outcome(image, default(name), None, "native")
        assert_seamless(image, default(name), CORES["odd"], "native")
        if isinstance(whole, str):
            assert "NaN" in whole or "infinity" in whole
            return
        expected, _ = reference.run(image, default(name), "native")
    most = FLOAT_TOLERANCE * range_of(default(name))
    np.testing.assert_allclose(whole, expected, rtol=0, atol=most, equal_nan=True)


@pytest.mark.parametrize("name", ["gaussian", "sobel", "unsharp_mask", "difference_of_gaussians"])
@pytest.mark.parametrize("after", ["threshold_otsu", "threshold", "local_maxima", "canny"])
def test_what_leads_to_a_mask_has_the_bits_of_scikit_image(name, after):
    for each in ("gray photograph", "16 bit", "float", "float64"):
        image = IMAGES[each][..., 0] if IMAGES[each].ndim == 3 else IMAGES[each]
        with named(each):
            steps = [*default(name), *default(after)]
            found = outcome(image, steps)
            expected, _ = reference.run(image, steps, "input")
            np.testing.assert_array_equal(found != 0, expected)


def test_what_may_differ_natively_says_why():
    for each in OPERATIONS.values():
        assert each.differs or not each.tolerance, each.name


@pytest.mark.parametrize(
    "name",
    [n for n, o in OPERATIONS.items() if "wrap" in o.parameters.get("mode", {}).get("enum", ())],
)
def test_an_image_smaller_than_the_halo_wraps_around(name):
    [step] = default(name)
    for key, value in (("sigma", 9.0), ("radius", 9), ("low_sigma", 9.0), ("sigmas", [3.0, 9.0])):
        if key in step:
            step[key] = value
    for each in ("photograph", "gray photograph"):
        image = IMAGES[each][:11, :7].copy()
        with named(each):
            assert_faithful(image, [step | {"mode": "wrap"}])
            assert_seamless(image, [step | {"mode": "wrap"}], CORES["tiny"], "native")


def assert_faithful(image, steps):
    found = {depth: outcome(image, steps, None, depth) for depth in DEPTHS}
    assert_equal_to_scikit_image(found, image, steps)


def assert_equal_to_scikit_image(outcomes, image, steps, *, where_it_fails="refused"):
    """Compare with scikit-image: natively, and in the input's depth before and after rounding.

    Where scikit-image raises an error the image must be "refused", or we may have an "own rule".
    """
    for depth, found in outcomes.items():
        tolerance = tolerance_of(steps, depth)
        try:
            expected, alpha = remembered.run(image, steps, depth)
        except Exception:
            if isinstance(found, str) or where_it_fails == "own rule":
                continue
            raise
        # A refusal is allowed only where scikit-image refuses the image as well.
        assert not isinstance(found, str), found
        colours = found
        if alpha is not None:
            colours = found[..., :-1]
            if depth == "input":
                compare(found[..., -1], alpha, tolerance, [], image.dtype)
        colours = colours[..., 0] if colours.ndim > expected.ndim else colours
        compare(colours, expected, tolerance, steps, image.dtype if depth == "input" else None)


def tolerance_of(steps, depth):
    """Return the largest difference that steps may make; inexact kernels serve pictures only."""
    asked = [OPERATIONS[step["operation"]] for step in steps]
    some = any(each.tolerance for each in asked)
    if depth == "input":
        some = some or any(kernel.tolerance for each in asked for kernel in each.kernels)
    return FLOAT_TOLERANCE * range_of(steps) if some else 0


def range_of(steps):
    """Return the width of the range of a result; a tolerance is a share of it."""
    shows = OPERATIONS[steps[-1]["operation"]].shows
    return shows[1] - shows[0] if isinstance(shows, tuple) else 1


def compare(found, expected, tolerance, steps, target):
    """Compare a result with scikit-image's, rounded to the target's type if there is one."""
    if target is None:
        assert found.dtype == expected.dtype
        assert largest_difference(found, expected) <= tolerance
        return
    if reference.is_labels(expected):
        np.testing.assert_array_equal(found, expected)
        return
    target = np.dtype("uint8") if target == np.uint32 else target
    assert found.dtype == target
    shown = in_range(expected, steps, target)
    rounded = rounded_to(shown, target)
    if target.kind == "f":
        # Floats beyond the range are rounded more coarsely: at 8 by a millionth.
        largest = np.nanmax(abs(rounded), initial=1.0, where=np.isfinite(rounded))
        assert largest_difference(found, rounded) <= tolerance * largest
    elif tolerance == 0 or expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, rounded)
    else:
        off = found != rounded
        assert largest_difference(found, rounded) <= 1
        # Levels may differ by one only where the float lies at a rounding edge.
        levels = shown[off] * white(found)
        assert (abs(levels - np.floor(levels) - 0.5) < FLOAT_TOLERANCE * white(found)).all()


def in_range(image, steps, target):
    """Scale the range that an operation shows to 0 (black) to 1 (white)."""
    still = [s for s in steps if not OPERATIONS[s["operation"]].moves_pixels(s)]
    shows = OPERATIONS[still[-1]["operation"]].shows if still else None
    if image.dtype.kind != "f" or target.kind == "f" or shows is None:
        return image
    low, high = (image.min(), image.max()) if shows == "extent" else shows
    if high == low:
        return np.zeros_like(image)
    return (image - image.dtype.type(low)) / image.dtype.type(high - low)


def rounded_to(image, dtype):
    if image.dtype == dtype:
        return image
    convert = {
        "uint8": util.img_as_ubyte,
        "uint16": util.img_as_uint,
        "bool": util.img_as_bool,
        "float32": util.img_as_float32,
        "float64": util.img_as_float64,
    }[str(dtype)]
    return convert(np.clip(image, 0, 1) if dtype.kind != "f" and image.dtype.kind == "f" else image)


def largest_difference(a, b):
    assert a.shape == b.shape
    if a.size == 0 or a.dtype.kind == "b":
        return float((a != b).any())
    return float(np.nanmax(abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))


def values(schema):
    """Draw a parameter from its declared range, small values more often than large ones."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "boolean":
        return st.booleans()
    if schema["type"] == "array":
        return st.lists(values({**schema, **schema["items"]}), min_size=1, max_size=3)
    low, high = schema["minimum"], min(schema["maximum"], max(schema["minimum"] + 1, 12))
    drawn = st.integers(low, high) if "integer" in schema["type"] else st.floats(low, high)
    return st.one_of(st.none(), drawn) if "null" in schema["type"] else drawn


@st.composite
def steps_of(draw, longest, names=tuple(ALONE)):
    """Draw a chain over the whole catalogue and its declared ranges."""
    chain = []
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=longest)):
        properties = OPERATIONS[name].parameters
        chain.append(
            {"operation": name} | {key: draw(values(properties[key])) for key in properties}
        )
    return chain


def some_chains(longest, names=tuple(ALONE)):
    return given(
        steps=steps_of(longest, names),
        image=st.sampled_from(list(IMAGES)),
        core=st.tuples(st.integers(9, 60), st.integers(9, 60)),
        depth=st.sampled_from(DEPTHS),
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@some_chains(5)
def test_random_chains_are_seamless(steps, image, core, depth):
    assert_seamless(IMAGES[image], steps, core, depth)


@pytest.mark.long
@pytest.mark.timeout(3000)
@settings(max_examples=3000, deadline=None, derandomize=True)
@some_chains(5)
def test_many_random_chains_are_seamless(steps, image, core, depth):
    assert_seamless(IMAGES[image], steps, core, depth)


@pytest.mark.parametrize("name", ALONE)
def test_random_parameters_are_faithful_and_seamless(name):
    assert_parameters(name, 3)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ALONE)
def test_many_random_parameters_are_faithful_and_seamless(name):
    assert_parameters(name, 40)


def assert_parameters(name, examples):
    suited = [
        each
        for each in ("photograph", "16 bit", "negative corner", "mask", "labels", "weak line")
        if is_meant_for(name, IMAGES[each], "native")
    ]

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(steps=steps_of(1, (name,)), image=st.sampled_from(suited))
    def check(steps, image):
        assert_faithful(IMAGES[image], recipe.check(steps, CATALOGUE, 20))
        assert_seamless(IMAGES[image], steps, CORES["odd"], "input")

    check()


def test_whole_numbers_beyond_the_image_are_clipped_as_scikit_image_clips_them():
    step = {"operation": "affine", "order": 0, "cval": 0.25}
    for rows in (-73.0, -72.0, -20.0):
        steps = recipe.check([step | {"translation_rows": rows, "mode": "constant"}], CATALOGUE, 1)
        assert_faithful(IMAGES["16 bit"], steps)
        assert_seamless(IMAGES["16 bit"], steps, CORES["odd"], "native")


@pytest.mark.parametrize("image", ["photograph", "16 bit", "negative corner"])
def test_a_border_far_from_the_range_of_a_picture_is_as_exact(image):
    for sigma in (0.5, 1.0, 2.0, 5.0, 9.0, 15.0):
        step = {"operation": "difference_of_gaussians", "low_sigma": sigma}
        step |= {"mode": "constant", "cval": 4.0}
        assert_faithful(IMAGES[image], recipe.check([step], CATALOGUE, 1))


@pytest.mark.parametrize(
    "steps",
    [
        [{"operation": "rgb2ycbcr"}, {"operation": "adjust_log", "inv": True, "gain": 0.0}],
        [{"operation": "sobel_h"}, {"operation": "rgb2hsv"}],
        [{"operation": "sobel_h"}, {"operation": "equalize_adapthist"}],
    ],
)
def test_what_lies_beyond_all_numbers_does_not_warn(steps):
    assert_seamless(IMAGES["photograph"], recipe.check(steps, CATALOGUE, 2), CORES["odd"], "input")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    "step",
    [
        {"operation": "pyramid_expand", "upscale": 3.0},
        {"operation": "rescale", "scale": 0.5},
        {"operation": "rescale", "scale": 0.5, "order": 0},
        {"operation": "rotate", "angle": 20.0},
        {"operation": "flip"},
    ],
)
def test_transparency_is_not_rounded_before_it_is_consumed(step, dtype):
    white = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, white, (61, 70, 4), dtype, endpoint=True)
    steps = recipe.check([step, {"operation": "gray2rgb"}], CATALOGUE, 2)
    assert_faithful(image, steps)
    assert_seamless(image, steps, CORES["odd"], "input")


def narrow_halos(monkeypatch):
    """Make every halo one pixel smaller."""
    reads = Stage.reads

    def reads_too_little(stage, core, shape):
        return reads(replace(stage, halo=stage.halo - 1), core, shape)

    monkeypatch.setattr(Stage, "reads", reads_too_little)
    plan.cache_clear()


@pytest.mark.parametrize("name", ["gaussian", "median", "erosion"])
def test_a_halo_one_pixel_too_small_is_found_out(name, monkeypatch):
    """Show that the claims above would fail if a halo were wrong."""
    image = np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)
    steps = default(name)
    whole = run(image, steps, depth="native")
    narrow_halos(monkeypatch)
    assert (run(image, steps, (9, 9), "native") != whole).any()
