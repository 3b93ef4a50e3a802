"""The two claims of the catalogue for operations that read a second image.

Every operation is given every set of second images that it takes: those that it needs, and each
other one, made by the test for each image.
"""

import json
from functools import cache, lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import util

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe
from tests.cluster_worker.operations import reference
from tests.cluster_worker.operations.images import IMAGES
from tests.cluster_worker.operations.test_catalogue import (
    CATALOGUE,
    CORES,
    DEPTHS,
    FLOAT_TOLERANCE,
    compare,
    named,
    range_of,
    steps_of,
    tolerance_of,
)

WITH_INPUTS = [n for n, each in OPERATIONS.items() if each.inputs and each.gives == "image"]
ON = (
    *("photograph", "gray photograph", "16 bit hot corner", "float64", "negative corner", "mask"),
    *("transparent", "one row", "one column", "one pixel", "mask of 0 and 1", "labels"),
)


def second(name, takes, image):
    """Return a second image for one that an operation reads: another of its kind, or a mask."""
    if takes == "values":
        return np.dstack(
            [np.indices(image.shape[:2]).sum(axis=0) * i % 251 for i in (1, 2, 3)]
        ).astype(np.uint8)
    if name == "reconstruction":
        # An image that grows lies below the second one.
        return np.maximum(image, image[::-1, ::-1])
    rows, columns = np.indices(image.shape[:2])
    if takes == "mask":
        # A disk that reaches over the border, with a hole, and a few single pixels.
        far = (rows - 20) ** 2 + (columns - 30) ** 2
        return (far < 900) & (far > 30) | (rows * 7 + columns * 3) % 41 == 0
    if takes == "labels":
        return (rows // 9 * 5 + columns // 13).astype(np.uint32) % 7
    return np.ascontiguousarray(image[::-1, ::-1])


def sets_of(operation):
    """Yield sets of names of second images: the needed ones alone, and with each other one."""
    if operation.required:
        yield operation.required
    for name in operation.inputs.keys() - set(operation.required):
        yield (*operation.required, name)


def step_of(name, given):
    return {"operation": name} | {each: f"input:{each}" for each in given}


def run(image, steps, inputs, depth="input", core=None):
    """Run a recipe alone; return its last image."""
    checked = json.dumps(recipe.check(steps, CATALOGUE, 20, inputs))
    headers = tuple((n, header_of(each.shape, str(each.dtype))) for n, each in inputs.items())
    header = header_of(image.shape, str(image.dtype))
    planned = plan_recipe(RecipeRequest(header, checked, headers, depth, core))
    return run_recipe_alone(planned, image, inputs).images[0]


def outcome(*given):
    try:
        return run(*given)
    except Rejected as error:
        return str(error)


@cache
def whole_outcome(name, words):
    """Return the outcome of one tile for one of the cases; both claims compare with it."""
    image, inputs, depth = {each[0]: each[1:] for each in cases(name)}[words]
    return outcome(image, [step_of(name, inputs)], inputs, depth)


@lru_cache(maxsize=2)
def cases(name):
    """Return every image that an operation takes, with each set of second images, in both depths.

    Each case is words for errors, the image, the second images and the depth.
    """
    found, operation = [], OPERATIONS[name]
    for names in sets_of(operation):
        for each in ON:
            image = IMAGES[each]
            inputs = {n: second(name, operation.inputs[n]["takes"], image) for n in names}
            for depth in DEPTHS:
                if reference.is_meant_for(name, image, depth):
                    words = f"{each}, {depth}, with {', '.join(names)}"
                    found.append((words, image, inputs, depth))
    return found


@pytest.mark.parametrize("name", WITH_INPUTS)
def test_tiles_with_second_images_equal_the_whole(name):
    for words, image, inputs, depth in cases(name):
        with named(words):
            tiled = outcome(image, [step_of(name, inputs)], inputs, depth, CORES["odd"])
            np.testing.assert_array_equal(tiled, whole_outcome(name, words))


@pytest.mark.parametrize("name", WITH_INPUTS)
def test_second_images_have_the_meaning_of_scikit_image(name):
    for words, image, inputs, depth in cases(name):
        with named(words):
            found = whole_outcome(name, words)
            assert_meant(found, step_of(name, inputs), image, inputs, depth)


@pytest.mark.parametrize("name", WITH_INPUTS)
def test_random_parameters_with_second_images_are_faithful_and_seamless(name):
    operation = OPERATIONS[name]
    suited = [
        each
        for each in ("photograph", "16 bit", "negative corner", "mask", "labels", "weak line")
        if reference.is_meant_for(name, IMAGES[each], "native")
    ]

    @settings(max_examples=3, deadline=None, derandomize=True, database=None)
    @given(
        steps=steps_of(1, (name,)),
        image=st.sampled_from(suited),
        names=st.sampled_from(list(sets_of(operation))),
    )
    def check(steps, image, names):
        inputs = {n: second(name, operation.inputs[n]["takes"], IMAGES[image]) for n in names}
        step = steps[0] | step_of(name, inputs)
        for depth in DEPTHS:
            whole = outcome(IMAGES[image], [step], inputs, depth)
            tiled = outcome(IMAGES[image], [step], inputs, depth, CORES["odd"])
            np.testing.assert_array_equal(tiled, whole)
            assert_faithful(step, IMAGES[image], inputs, depth)

    check()


def test_quantiles_of_edges_of_floats_are_those_of_a_mask():
    image, step = IMAGES["negative corner"], {"operation": "canny", "use_quantiles": True}
    inputs = {"mask": second("mask", "mask", image)}
    assert_faithful(step | step_of("canny", inputs), image, inputs, "input")


def assert_faithful(step, image, inputs, depth):
    """Compare a step with second images with its reference, on the whole image."""
    assert_meant(outcome(image, [step], inputs, depth), step, image, inputs, depth)


def assert_meant(found, step, image, inputs, depth):
    """Compare the outcome of a step with second images with its reference, on the whole image."""
    steps = recipe.check([step], CATALOGUE, 1, inputs)
    if isinstance(found, str):
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it raises
            expected_of(steps[0], image, inputs, depth)
        return
    expected = expected_of(steps[0], image, inputs, depth)
    # Labels have no alpha.
    shown = found[..., :-1] if reference.has_alpha(image) and found.ndim == 3 else found
    shown = shown[..., 0] if shown.ndim > expected.ndim else shown
    tolerance = tolerance_of(steps, depth)
    if depth == "input" and OPERATIONS[step["operation"]].floats:
        tolerance = FLOAT_TOLERANCE * range_of(steps)
    compare(shown, expected, tolerance, steps, image.dtype if depth == "input" else None)


def expected_of(step, image, inputs, depth):
    """Call the reference of an operation with second images converted as the app promises."""
    operation = OPERATIONS[step["operation"]]
    parameters = {key: step[key] for key in operation.parameters}
    given = {
        name: converted(operation, operation.inputs[name]["takes"], colours(each), depth)
        for name, each in inputs.items()
    }
    function = reference.reference_of(operation)
    by_weight = reference.BY_WEIGHT.get(operation.name) if depth == "input" else None
    prepared = reference.prepared(operation, colours(image), depth)
    if by_weight and reference.has_alpha(image):
        return by_weight(function, prepared, image[..., -1], **given, **parameters)
    return function(prepared, **given, **parameters)


def colours(image):
    """Return the colours of an image without its alpha; a single one has no axis."""
    image = image[..., :-1] if reference.has_alpha(image) else image
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image


def converted(operation, takes, image, depth):
    if takes == "picture" and depth == "input" and operation.floats and image.dtype.kind != "f":
        return util.img_as_float32(image)
    return image
