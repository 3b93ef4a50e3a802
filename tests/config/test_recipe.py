import json
import re
from pathlib import Path

import pytest

from cluster_worker.operations import catalogue
from config.contract import recipe

CATALOGUE = catalogue()


def test_the_exported_catalogue_is_fresh():
    exported = Path(recipe.__file__).with_name("catalogue.json").read_text()
    assert json.loads(exported) == json.loads(json.dumps(CATALOGUE)), "run: make generate"


def test_defaults_are_filled_in():
    assert recipe.check([{"operation": "unsharp_mask", "amount": 2}], CATALOGUE, 20) == [
        {"operation": "unsharp_mask", "radius": 1.0, "amount": 2, "preserve_range": False}
    ]


def test_parameters_that_are_not_set_are_left_out_for_older_workers_and_put_in_again():
    asked = [{"operation": "gaussian", "sigma": 2}, {"operation": "invert"}]
    steps = recipe.check(asked, CATALOGUE, 20)
    sent = recipe.without_unset(steps, CATALOGUE)
    assert steps[0]["sigma_columns"] is None
    assert "sigma_columns" not in sent[0]
    assert sent[0]["sigma"] == 2
    assert recipe.with_unset(sent, CATALOGUE) == steps == recipe.check(sent, CATALOGUE, 20)
    chosen = recipe.check([{**asked[0], "sigma_columns": 1}], CATALOGUE, 20)
    assert recipe.without_unset(chosen, CATALOGUE) == chosen


def test_a_number_has_one_type_however_json_writes_it():
    [whole], [broken] = (
        recipe.check([{"operation": "gaussian", "sigma": sigma}], CATALOGUE, 1)
        for sigma in (json.loads("3"), json.loads("3.0"))
    )
    assert type(whole["sigma"]) is type(broken["sigma"]) is float
    [median] = recipe.check([{"operation": "median", "radius": 3.0}], CATALOGUE, 1)
    assert type(median["radius"]) is int


def test_every_default_passes_its_own_rule():
    steps = [
        {"operation": each["name"]}
        | {name: "original" for name, given in each.get("inputs", {}).items() if given["required"]}
        for each in CATALOGUE["operations"]
    ]
    assert len(recipe.check(steps, CATALOGUE, len(steps))) == len(steps)


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (None, "steps: must be a list, got null"),
        ("gaussian", 'steps: must be a list, got "gaussian"'),
        ([], "steps: must hold 1 to 20 operations, got 0"),
        ([{"operation": "invert"}] * 21, "steps: must hold 1 to 20 operations, got 21"),
        ([7], "steps[0]: must be an object with an operation, got 7"),
        ([{}], "steps[0].operation: must be the name of an operation, got null"),
        (
            [{"operation": "gausian"}],
            'steps[0].operation: no operation is called "gausian"; did you mean gaussian?',
        ),
        (
            [{"operation": "invert"}, {"operation": "gaussian", "sigma": 400}],
            "steps[1].sigma: must lie between 0.1 and 100 px, got 400",
        ),
        (
            [{"operation": "gaussian", "sigma": 1e9}],
            "steps[0].sigma: must lie between 0.1 and 100 px, got 1000000000.0",
        ),
        (
            [{"operation": "gaussian", "sigma": float("nan")}],
            "steps[0].sigma: must be a number, got NaN",
        ),
        ([{"operation": "gaussian", "sigma": True}], "steps[0].sigma: must be a number, got true"),
        (
            [{"operation": "gaussian", "sgima": 2}],
            "steps[0].sgima: gaussian has no such parameter; did you mean sigma?",
        ),
        (
            [{"operation": "invert", "x": 1}],
            "steps[0].x: invert has no such parameter; it has none",
        ),
        (
            [{"operation": "median", "radius": 2.5}],
            "steps[0].radius: must be a whole number, got 2.5",
        ),
        (
            [{"operation": "gray2rgb", "background": "pink"}],
            'steps[0].background: must be one of white, black, got "pink"',
        ),
        (
            [{"operation": "canny", "low_threshold": "a" * 500}],
            'steps[0].low_threshold: must be a number or null, got "' + "a" * 56 + "...",
        ),
    ],
)
def test_a_bad_chain_gets_one_sentence_that_says_where_and_what(steps, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole sentence is compared
        recipe.check(steps, CATALOGUE, 20)
    assert str(caught.value) == sentence


LISTED = {
    "operations": [
        {
            "name": "sato",
            "parameters": {
                "properties": {
                    "sigmas": {
                        "type": "array",
                        "items": {"type": "number", "minimum": 0.5, "maximum": 20},
                        "minItems": 1,
                        "maxItems": 3,
                        "x-unit": "px",
                        "default": [1, 3],
                    }
                }
            },
        }
    ]
}


@pytest.mark.parametrize(
    ("sigmas", "sentence"),
    [
        (3, "steps[0].sigmas: must be a list, got 3"),
        ([], "steps[0].sigmas: must hold 1 to 3 values, got 0"),
        ([1, 2, 3, 4], "steps[0].sigmas: must hold 1 to 3 values, got 4"),
        ([1, "x"], 'steps[0].sigmas[1]: must be a number, got "x"'),
        ([40], "steps[0].sigmas[0]: must lie between 0.5 and 20 px, got 40"),
    ],
)
def test_a_list_is_checked_item_by_item(sigmas, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        recipe.check([{"operation": "sato", "sigmas": sigmas}], LISTED, 20)


def test_a_list_that_fits_is_taken_as_it_is():
    steps = [{"operation": "sato", "sigmas": [0.5, 20]}]
    assert recipe.check(steps, LISTED, 20) == steps
    assert recipe.check([{"operation": "sato"}], LISTED, 20)[0]["sigmas"] == [1, 3]
