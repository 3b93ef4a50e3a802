"""The loops that find Canny's lines equal the function, for any border and any tiling."""

import json

import numpy as np
import pytest
from skimage import data, feature

from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.operations.support.edge_lines import Blur, canny_lines, canny_lines_by_loops
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.tiling import Place, Span, all_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract import recipe

GRAY = np.ascontiguousarray(data.camera()[40:130, 100:400])
FLOATS = GRAY.astype(np.float32) * np.float32(1 / 255)


def spoilt():
    """Return floats with flat areas, one of them NaN and one infinite."""
    image = FLOATS.copy()
    image[50, 60], image[80, 200] = np.nan, np.inf
    return image


IMAGES = {
    "photograph": FLOATS,
    "beyond the range": FLOATS * 3 - 1,
    "no numbers": spoilt(),
    "one row": FLOATS[:1].copy(),
    "one column": FLOATS[:, :1].copy(),
    "few pixels": FLOATS[:2, :3].copy(),
    "lower than the blur": FLOATS[:5].copy(),
    "constant": np.full((30, 40), 0.3, np.float32),
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("mode", ["constant", "reflect", "nearest", "mirror"])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 5.0])
def test_loops_find_the_functions_lines(image, mode, sigma):
    place = Place(all_of(image.shape), all_of(image.shape), image.shape)
    with np.errstate(all="ignore"):
        for cval in (0.0, 0.4):
            for given in ((None, None), (0.0, 0.0), (0.05, 0.3)):
                asked = {"place": place, "given": given, "blur": Blur(sigma, mode, cval)}
                found = canny_lines_by_loops(image, **asked, out=None)
                np.testing.assert_array_equal(found, canny_lines(image, **asked))


def test_whole_numbers_become_the_same_floats():
    place = Place(all_of(GRAY.shape), all_of(GRAY.shape), GRAY.shape)
    asked = {"place": place, "given": (0.02, 0.05), "blur": Blur(1.0, "constant", 0.0)}
    expected = canny_lines(FLOATS, **asked)
    assert expected.any()
    np.testing.assert_array_equal(canny_lines_by_loops(GRAY, **asked, out=None), expected)


def test_one_threshold_beside_a_default_is_taken_for_whole_numbers():
    step = {"operation": "canny", "high_threshold": 0.15}
    steps = json.dumps(recipe.check([step], catalogue(), 1))
    found = run_alone(plan(PlanRequest(header_of(GRAY.shape, "uint8"), steps)), GRAY)
    expected = feature.canny(FLOATS, high_threshold=0.15)
    assert expected.any()
    np.testing.assert_array_equal(found, expected * np.uint8(255))


def test_blocks_that_reach_beyond_the_image_have_the_lines_of_the_whole():
    halo = 6
    wide = np.pad(FLOATS, halo, mode="wrap")
    everywhere = Place(all_of(FLOATS.shape).grown(halo), all_of(FLOATS.shape), FLOATS.shape)
    asked = {"given": (None, None), "blur": Blur(1.0, "wrap", 0.0)}
    expected = canny_lines(wide, place=everywhere, **asked)[halo:-halo, halo:-halo]
    for core in (all_of(FLOATS.shape), Span(20, 61, 33, 299), Span(0, 1, 0, 9)):
        window = core.grown(halo)
        block = wide[window.relative_to(all_of(FLOATS.shape).grown(halo)).slices]
        place = Place(window, core, FLOATS.shape)
        found = canny_lines_by_loops(block, place=place, **asked, out=None)
        np.testing.assert_array_equal(found, expected[core.slices])


@pytest.mark.parametrize(
    ("parameters", "served"),
    [({}, True), ({"use_quantiles": True}, False), ({"sigma": 60.0}, False)],
)
def test_which_edges_are_found_by_loops(parameters, served):
    operation = OPERATIONS["canny"]
    given = {key: each["default"] for key, each in operation.parameters.items()} | parameters
    assert (operation.kernel(given, "uint8", "input") is not None) == served
