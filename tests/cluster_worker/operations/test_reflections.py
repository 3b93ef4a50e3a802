"""No operation asks scipy to reflect a tiny image further than scipy can.

scipy's filters of a neighbourhood read the pixel before the array where a coordinate is a multiple
of twice its length, and no nearer than the second one: other memory of the process becomes a pixel.
"""

import json
import warnings
from random import Random

import numpy as np
import pytest
from scipy import ndimage
from scipy.ndimage import _nd_image, _ni_support

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.support.reflections import LENGTHS
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe
from tests.cluster_worker.operations.test_catalogue import CATALOGUE, named
from tests.cluster_worker.operations.test_inputs import second

# scipy's functions, with the positions of the neighbourhood and of the mode among their arguments.
FILTERS = {
    "correlate": (1, 3),
    "min_or_max_filter": (1, 4),
    "rank_filter": (2, 4),
    "generic_filter": (2, 4),
}
REFLECT = _ni_support._extend_mode_to_code("reflect")
SHAPES = ((2, 5), (3, 2), (2, 2))
# Reaches in pixels: those at which images of 2 and of 3 rows are reflected too often, and others.
REACHES = (8, 9, 12, 17)
# Of standard deviations, which are cut off at three or more.
DEVIATIONS = (2.0, 3.0)
# Sets of parameters that are tried for an operation, beside its defaults.
SETS = 2


def is_too_far(image, neighbourhood):
    """Return whether a neighbourhood reaches so far beyond an image that it is read wrongly."""
    sides = zip(image.shape, neighbourhood.shape, strict=True)
    return any(length > 1 and reach // 2 >= LENGTHS * length for length, reach in sides)


@pytest.fixture
def strict(monkeypatch):
    """Have scipy's filters fail where they would read outside of an image."""

    def checked(function, neighbourhood, mode):
        def call(*given):
            if given[mode] == REFLECT:
                assert not is_too_far(given[0], given[neighbourhood])
            return function(*given)

        return call

    for name, places in FILTERS.items():
        monkeypatch.setattr(_nd_image, name, checked(getattr(_nd_image, name), *places))


def values_of(schema):
    """Return values of a parameter that make a neighbourhood large, besides its options."""
    if "enum" in schema:
        # Of all borders this one alone is read wrongly.
        return ["reflect"] if "reflect" in schema["enum"] else schema["enum"]
    if schema["type"] == "boolean":
        return [False, True]
    if schema["type"] == "array" or "minimum" not in schema:
        return [schema["default"]]
    low, high = schema["minimum"], schema["maximum"]
    whole = "integer" in schema["type"]
    return sorted({min(high, max(low, each)) for each in (REACHES if whole else DEVIATIONS)})


def parameters_of(operation):
    """Yield the defaults, and sets of large values, in the same order each time."""
    yield {name: each["default"] for name, each in operation.parameters.items()}
    random = Random(operation.name)  # noqa: S311 - nothing is secret
    values = {name: values_of(each) for name, each in operation.parameters.items()}
    # Classes are no size, and take long to find.
    values |= {"classes": [3]} if "classes" in values else {}
    for _ in range(SETS):
        yield {name: random.choice(each) for name, each in values.items()}
    largest = {name: each[-1] for name, each in values.items()}
    for method in values.get("method", ()):
        yield largest | {"method": method}


def image_for(operation, shape, dtype):
    levels = np.random.default_rng(1).random(shape)
    if operation.takes in ("mask", "classes"):
        return levels > 0.4
    if operation.takes == "labels":
        return (levels * 4).astype(np.uint32)
    return levels if dtype == "float64" else (levels * 200).astype(dtype)


def run(operation, parameters, image, depth):
    inputs = {
        name: second(name, operation.inputs[name]["takes"], image) for name in operation.required
    }
    step = {"operation": operation.name, **parameters, **{n: f"input:{n}" for n in inputs}}
    try:
        steps = json.dumps(recipe.check([step], CATALOGUE, 1, tuple(inputs)))
        headers = tuple((n, header_of(x.shape, str(x.dtype))) for n, x in inputs.items())
        header = header_of(image.shape, str(image.dtype))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            planned = plan_recipe(RecipeRequest(header, steps, headers, depth))
            run_recipe_alone(planned, image, inputs)
    except (Rejected, ValueError):
        pass


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_has_a_tiny_image_reflected_too_far(name, strict):
    operation = OPERATIONS[name]
    for parameters in parameters_of(operation):
        for shape, dtype in zip(SHAPES, ("uint8", "float64", "int16"), strict=True):
            image = image_for(operation, shape, dtype)
            with named(parameters, shape, dtype):
                run(operation, parameters, image, "native")


# scipy's names of what lies beyond a border, and numpy's.
MODES = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap"}


def slanted(reach):
    neighbourhood = np.ones((2 * reach + 1, 2 * reach + 1), bool)
    neighbourhood[0, 0] = False
    return neighbourhood


NEIGHBOURHOODS = {
    "correlate": lambda image, reach, mode: ndimage.correlate(
        image, slanted(reach).astype(np.float64), mode=mode
    ),
    "maximum": lambda image, reach, mode: ndimage.maximum_filter(
        image, footprint=slanted(reach), mode=mode
    ),
    "rank": lambda image, reach, mode: ndimage.rank_filter(
        image, 5, footprint=slanted(reach), mode=mode
    ),
}
LINES = {
    "correlate1d": lambda image, reach, mode: ndimage.correlate1d(
        image, np.arange(2.0 * reach + 1), mode=mode
    ),
    "minimum": lambda image, reach, mode: ndimage.minimum_filter(image, 2 * reach + 1, mode=mode),
    "uniform": lambda image, reach, mode: ndimage.uniform_filter(image, 2 * reach + 1, mode=mode),
    "gaussian": lambda image, reach, mode: ndimage.gaussian_filter(
        image, reach / 3, radius=reach, mode=mode
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [*NEIGHBOURHOODS, *LINES])
def test_scipy_reads_nothing_else_beyond_a_border(name, mode):
    """Show what operations rely on: that only a neighbourhood that is reflected is read wrongly."""
    function = (NEIGHBOURHOODS | LINES)[name]
    for shape in ((1, 1), (2, 5), (3, 3), (1, 7)):
        image = np.random.default_rng(2).random(shape)
        for reach in (1, 2, 5, 8, 12):
            outside = is_too_far(image, slanted(reach)) and mode == "reflect"
            if outside and name in NEIGHBOURHOODS:
                continue
            inner = slice(reach, -reach)
            padded = function(np.pad(image, reach, MODES[mode]), reach, mode)[inner, inner]
            np.testing.assert_allclose(function(image, reach, mode), padded, rtol=1e-12)
