"""The two claims of the catalogue, over all operations and adversarial images.

Seamless: any tiling equals our own single tile, bitwise. Faithful: our single tile equals
scikit-image on the whole image.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import util

from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.pipeline import run_alone
from cluster_worker.planning import plan
from config import recipe
from tests.cluster_worker import reference
from tests.cluster_worker.images import IMAGES

CATALOGUE = catalogue()
CORES = {"tiny": (7, 5), "odd": (23, 37)}
FLOAT_TOLERANCE = 1e-6


def run(image, steps, core=None, depth="input"):
    checked = recipe.check(steps, CATALOGUE, 20)
    return run_alone(plan(image.shape, str(image.dtype), checked, depth, core), image)


def default(name):
    return recipe.check([{"operation": name}], CATALOGUE, 20)


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_tiled_equals_whole(name, image):
    for depth in ("input", "native"):
        whole = run(image, default(name), depth=depth)
        for core in CORES.values():
            tiled = run(image, default(name), core, depth)
            assert tiled.dtype == whole.dtype
            np.testing.assert_array_equal(tiled, whole)


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_single_tile_equals_scikit_image(name, image):
    assert_faithful(image, default(name))


def assert_faithful(image, steps):
    """Compare with scikit-image: natively, and in the input's depth before and after rounding."""
    tolerance = FLOAT_TOLERANCE if any(OPERATIONS[s["operation"]].tolerance for s in steps) else 0
    expected, alpha = reference.run(image, steps, "native")
    found = run(image, steps, depth="native")
    colours = found[..., :-1] if alpha is not None else found
    colours = colours[..., 0] if colours.ndim > expected.ndim else colours
    assert colours.dtype == expected.dtype
    assert largest_difference(colours, expected) <= tolerance

    expected, alpha = reference.run(image, steps, "input")
    found = run(image, steps)
    if alpha is not None:
        np.testing.assert_array_equal(found[..., -1], alpha)
        found = found[..., :-1]
    found = found[..., 0] if found.ndim > expected.ndim else found
    assert found.dtype == image.dtype
    rounded = rounded_to(expected, image.dtype)
    if image.dtype.kind == "f":
        assert largest_difference(found, rounded) <= tolerance
    elif tolerance == 0:
        np.testing.assert_array_equal(found, rounded)
    else:
        off = found != rounded
        assert largest_difference(found, rounded) <= 1
        # One level only where the float lies at a rounding edge.
        levels = expected[off] * reference.white(image)
        assert (abs(levels - np.floor(levels) - 0.5) < FLOAT_TOLERANCE * 65536).all()


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
    if a.dtype.kind == "b":
        return float((a != b).any())
    return float(abs(a.astype(np.float64) - b.astype(np.float64)).max())


def values(schema):
    """Draw a parameter over its declared range."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low, high = schema["minimum"], min(schema["maximum"], max(schema["minimum"] + 1, 12))
    if "integer" in schema["type"]:
        return st.integers(low, high)
    return st.floats(low, high)


@st.composite
def steps_of(draw, longest):
    """Draw a chain over the whole catalogue and its declared ranges."""
    chain = []
    for name in draw(st.lists(st.sampled_from(list(OPERATIONS)), min_size=1, max_size=longest)):
        properties = OPERATIONS[name].parameters
        chosen = {key: draw(values(schema)) for key, schema in properties.items()}
        if name == "canny":  # its upper threshold must not lie below the lower one
            pair = sorted([chosen["low_threshold"], chosen["high_threshold"]])
            chosen |= {"low_threshold": pair[0], "high_threshold": pair[1]}
        chain.append({"operation": name} | chosen)
    return chain


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    steps=steps_of(5),
    image=st.sampled_from(list(IMAGES)),
    core=st.tuples(st.integers(3, 60), st.integers(3, 60)),
    depth=st.sampled_from(["input", "native"]),
)
def test_random_chains_are_seamless(steps, image, core, depth):
    whole = run(IMAGES[image], steps, depth=depth)
    tiled = run(IMAGES[image], steps, core, depth)
    np.testing.assert_array_equal(tiled, whole)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps=steps_of(1), image=st.sampled_from(["photograph", "16 bit", "negative corner"]))
def test_random_parameters_are_faithful(steps, image):
    assert_faithful(IMAGES[image], recipe.check(steps, CATALOGUE, 20))


@pytest.mark.parametrize("name", ["gaussian", "median", "erosion"])
def test_a_halo_one_pixel_too_small_is_found_out(name, monkeypatch):
    """The claims above would fail if a halo were wrong."""
    image = np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)
    steps = default(name)
    whole = run(image, steps, depth="native")
    halo = OPERATIONS[name].halo({k: v for k, v in steps[0].items() if k != "operation"})
    monkeypatch.setattr("cluster_worker.operations.declare.Operation.halo", lambda *_: halo - 1)
    assert (run(image, steps, (9, 9), "native") != whole).any()
