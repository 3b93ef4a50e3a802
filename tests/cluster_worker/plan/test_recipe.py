"""Recipes whose steps name images: the chains they become, and what these leave for others."""

import json

import numpy as np
import pytest
from skimage import data, filters, util

from cluster_worker.engine.steps import are_chain, checked_steps
from cluster_worker.errors import Rejected
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.cost import estimate
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.recipe import plan_any, plan_recipe
from cluster_worker.plan.request import PlanRequest, RecipeRequest
from cluster_worker.plan.run import run_alone
from cluster_worker.plan.run_recipe import run_recipe_alone
from cluster_worker.plan.slots import slots_for

CAMERA = data.camera()[100:260, 150:330].copy()
COLOURS = data.astronaut()[80:153, 180:271].copy()
EDGES = [
    {"operation": "gaussian", "sigma": 2.0},
    {"operation": "threshold_otsu", "id": "mask"},
    {"operation": "sobel", "image": "original", "mask": "mask"},
]


def planned(image, steps, depth="input", core=None, header=None, **inputs):
    headers = {name: header_of(each.shape, str(each.dtype)) for name, each in inputs.items()}
    header = header or header_of(image.shape, str(image.dtype))
    checked = checked_steps(steps, tuple(inputs))
    return plan_recipe(RecipeRequest(header, checked, tuple(headers.items()), depth, core))


def run(image, steps, depth="input", core=None, header=None, **inputs):
    made = planned(image, steps, depth, core, header, **inputs)
    images, _ = run_recipe_alone(made, image, inputs)
    return images[0], {name: images[number] for name, number in made.kept}


def run_chain(image, steps, depth="input", header=None):
    header = header or header_of(image.shape, str(image.dtype))
    return run_alone(plan(PlanRequest(header, checked_steps(steps), depth)), image)


def test_steps_that_read_only_the_one_before_run_as_one_chain():
    made = planned(CAMERA, EDGES)
    names = [[s.name for p in each.plan.passes for s in p.stages] for each in made.chains]
    assert names == [
        ["to_float", "gaussian", "threshold_otsu"],
        ["to_float", "sobel", "to_depth"],
    ]
    assert [(each.source, each.surface, each.result) for each in made.chains] == [
        (0, 1, None),
        (0, None, 0),
    ]


@pytest.mark.parametrize("core", [None, (23, 37), (160, 11)])
def test_a_mask_of_an_earlier_step_is_read_beside_the_image(core):
    found, _ = run(CAMERA, EDGES, core=core)
    smooth = filters.gaussian(util.img_as_float32(CAMERA), 2.0)
    mask = smooth > filters.threshold_otsu(smooth)
    expected = filters.sobel(util.img_as_float32(CAMERA), mask=mask)
    np.testing.assert_array_equal(found, util.img_as_ubyte(expected))


@pytest.mark.parametrize("depth", ["input", "native"])
@pytest.mark.parametrize("image", [CAMERA, COLOURS, CAMERA.astype(np.uint16) * 257])
def test_between_chains_nothing_is_rounded(image, depth):
    chain = [{"operation": "gaussian", "sigma": 1.5}, {"operation": "unsharp_mask"}]
    kept = [chain[0] | {"id": "smooth", "keep": True}, chain[1]]
    last, images = run(image, kept, depth)
    np.testing.assert_array_equal(last, run_chain(image, chain, depth))
    # A kernel that rounds its own result has more digits where a level is at a rounding edge.
    alone = run_chain(image, chain[:1], depth)
    off = images["smooth"] != alone
    assert off.mean() < 0.002
    assert (abs(images["smooth"][off].astype(int) - alone[off]) == 1).all()


@pytest.mark.parametrize(
    "steps",
    [
        [{"operation": "rotate", "angle": 20.0}, {"operation": "gaussian"}],
        [{"operation": "rgb2gray"}, {"operation": "threshold_otsu"}, {"operation": "erosion"}],
        [{"operation": "threshold", "level": 0.4}, {"operation": "flip"}],
        [{"operation": "gaussian"}, {"operation": "gray2rgb"}],
    ],
)
def test_alpha_goes_on_where_an_image_is_kept(steps):
    image = np.dstack([COLOURS, np.where(COLOURS[..., 0] > 90, COLOURS[..., 1], 0)])
    kept = [each | {"id": f"s{i}", "keep": True} for i, each in enumerate(steps)]
    last, images = run(image, kept)
    np.testing.assert_array_equal(last, run_chain(image, steps))
    np.testing.assert_array_equal(images["s0"], run_chain(image, steps[:1]))


def test_pixels_without_data_go_on_where_an_image_is_kept():
    image = CAMERA.copy()
    image[30:50, 40:90] = 255
    header = ImageHeader(image.shape, "uint8", nodata=255)
    steps = [{"operation": "gaussian"}, {"operation": "rescale_intensity"}]
    kept = [steps[0] | {"id": "smooth", "keep": True}, steps[1]]
    last, images = run(image, kept, header=header)
    np.testing.assert_array_equal(last, run_chain(image, steps, header=header))
    np.testing.assert_array_equal(images["smooth"], run_chain(image, steps[:1], header=header))
    # A second image without data at a pixel leaves none there.
    added, _ = run(image, [{"operation": "multiply", "other": "original"}], header=header)
    assert (added[30:50, 40:90] == 255).all()


def test_a_result_that_is_kept_and_last_is_made_once():
    made = planned(CAMERA, [{"operation": "gaussian", "id": "smooth", "keep": True}])
    assert len(made.chains) == 1
    assert made.kept == (("smooth", 0),)


def test_what_leads_to_a_mask_in_another_chain_has_the_bits_of_scikit_image():
    steps = [
        {"operation": "gaussian", "sigma": 2.0, "id": "smooth", "keep": True},
        {"operation": "threshold_otsu"},
    ]
    image = CAMERA.astype(np.uint16) * 211
    found, _ = run(image, steps)
    smooth = filters.gaussian(util.img_as_float32(image), 2.0)
    np.testing.assert_array_equal(found != 0, smooth > filters.threshold_otsu(smooth))


def test_an_input_may_be_changed_before_it_is_read():
    flat = (CAMERA[::-1] // 2 + 90).astype(np.uint16)
    steps = [
        {"operation": "gaussian", "image": "input:flat", "sigma": 5.0, "id": "even"},
        {"operation": "divide", "image": "original", "other": "even"},
    ]
    found, _ = run(CAMERA, steps, "native", flat=flat)
    expected = CAMERA / filters.gaussian(flat, 5.0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_picture_of_levels_is_no_mask():
    sobel = {"operation": "sobel", "mask": "original"}
    with pytest.raises(Rejected, match=r"^sobel.mask: takes a mask, got a picture of more than 32"):
        run(CAMERA, [sobel])
    blurred = [{"operation": "gaussian", "id": "a"}, sobel | {"image": "original", "mask": "a"}]
    with pytest.raises(Rejected, match=r"^sobel.mask: takes a mask, which gaussian does not give"):
        run(CAMERA, blurred)


@pytest.mark.parametrize("white", [1, 255])
def test_a_picture_of_two_levels_is_a_mask_whatever_its_channels(white):
    sobel = [{"operation": "sobel", "mask": "input:area"}]
    mask = CAMERA > 120
    expected, _ = run(CAMERA, sobel, area=mask)
    gray = mask * np.uint8(white)
    for area in (gray, gray[..., None].repeat(3, axis=2)):
        found, _ = run(CAMERA, sobel, area=area)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("steps", "inputs", "sentence"),
    [
        (
            [{"operation": "add", "other": "input:small"}],
            {"small": CAMERA[:20, :30]},
            "add.other: is 20 × 30 pixels, and the image there is 160 × 180",
        ),
        (
            [{"operation": "add", "other": "input:rgb"}],
            {"rgb": np.dstack([CAMERA] * 3)},
            "add.other: has 3 channels, and the image there has 1; convert one of them",
        ),
        (
            [{"operation": "add", "other": "input:regions"}],
            {"regions": CAMERA.astype(np.uint32)},
            "add.other: takes a picture, got labels; colour them with label2rgb first",
        ),
    ],
)
def test_a_second_image_that_does_not_fit_is_refused(steps, inputs, sentence):
    with pytest.raises(Rejected, match=f"^{sentence}"):
        run(CAMERA, steps, **inputs)


def test_gray_beside_colours_counts_for_each_of_them():
    gray = COLOURS[..., 1]
    found, _ = run(COLOURS, [{"operation": "maximum", "other": "input:gray"}], gray=gray)
    np.testing.assert_array_equal(found, np.maximum(COLOURS, gray[..., None]))


def test_surfaces_share_memory_when_they_are_not_needed_at_the_same_time():
    steps = []
    for number in range(6):
        steps += [
            {"operation": "gaussian", "id": f"a{number}"},
            {"operation": "add", "other": f"a{number}"},
        ]
    made = planned(CAMERA, steps)
    assert len(made.surfaces) == 6
    assert len(made.slots()) == 2
    found, _ = run(CAMERA, steps[:2])
    twice = np.clip(2 * filters.gaussian(util.img_as_float32(CAMERA)), 0, 1)
    assert abs(found - twice * 255).max() < 0.501


@pytest.mark.parametrize(
    ("needed", "slots"),
    [
        ([(0, 1, 9), (2, 3, 5), (1, 2, 7)], [0, 0, 1]),
        ([(0, 5, 1), (1, 2, 9), (3, 4, 8)], [1, 0, 0]),
        ([], []),
    ],
)
def test_images_of_one_slot_are_needed_at_different_times(needed, slots):
    assert slots_for(needed) == slots


def test_a_plain_chain_is_planned_as_before():
    steps = checked_steps([{"operation": "sobel"}])
    assert are_chain(steps)
    assert json.loads(steps) == [{"operation": "sobel", "mode": "reflect", "cval": 0.0}]
    request = PlanRequest(header_of(CAMERA.shape, "uint8"), steps)
    assert plan_any(request) is plan(request)


def test_progress_counts_the_tiles_of_all_chains():
    made = planned(CAMERA, EDGES, core=(40, 40))
    assert made.tiles_total(2) == sum(each.plan.tiles_total(2) for each in made.chains)
    assert estimate(made, 2, 2, MEASURED).seconds > 0
    assert made.synchronizes
