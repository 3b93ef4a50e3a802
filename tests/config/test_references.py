"""What steps may say of other steps, and one sentence for each rule."""

import pytest

from config.contract import recipe
from config.contract.references import is_chain

MASK = {"title": "Mask", "description": "", "takes": "mask", "required": False}
OTHER = {"title": "Other", "description": "", "takes": "picture", "required": True}
PLAIN = {"parameters": {"properties": {}}}
CATALOGUE = {
    "operations": [
        {"name": "blur", **PLAIN},
        {"name": "edges", **PLAIN, "inputs": {"mask": MASK}},
        {"name": "add", **PLAIN, "inputs": {"other": OTHER}},
        {"name": "count", **PLAIN, "gives": "table"},
    ]
}


def step(operation, **more):
    return {"operation": operation, **more}


def check(*steps, inputs=None):
    return recipe.check(list(steps), CATALOGUE, 20, inputs)


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (
            [step("blur", id="a"), step("edges", mask="b")],
            'steps[1].mask: no step has the id "b"; ids before it are a',
        ),
        (
            [step("blur", id="smooth"), step("edges", mask="smoth")],
            'steps[1].mask: no step has the id "smoth"; did you mean smooth?',
        ),
        (
            [step("edges", mask="a"), step("blur", id="a")],
            'steps[0].mask: "a" is the id of steps[1], which comes later; name an earlier step',
        ),
        (
            [step("edges", id="a", mask="a", keep=True)],
            'steps[0].mask: "a" is the id of this step itself; name an earlier step',
        ),
        (
            [step("blur", id="a", keep=True), step("blur", id="a", keep=True)],
            'steps[1].id: steps[0] is called "a" already; give this step an id of its own',
        ),
        (
            [step("blur", id="a"), step("blur")],
            'steps[0].id: no step names "a", and it is not kept; name it in a later step, keep it, '
            "or leave the id out",
        ),
        (
            [step("blur"), step("edges", image="original")],
            "steps[0]: no step reads its result; give it an id and keep it, or leave it out",
        ),
        (
            [step("count", id="n"), step("edges", mask="n")],
            'steps[1].mask: "n" is a table; name a step that gives an image',
        ),
        (
            [step("count"), step("count")],
            'steps[1]: steps[0] is called "count" already; give this step an id of its own',
        ),
        (
            [step("add")],
            'steps[0].other: add needs a second image here; give an id, "original" or "input:NAME"',
        ),
        (
            [step("add", other=3)],
            'steps[0].other: must be an id, "original" or "input:NAME", got 3',
        ),
        (
            [step("blur", keep=True)],
            "steps[0].keep: needs an id as well, which names the result",
        ),
        ([step("blur", id="a", keep=1)], "steps[0].keep: must be true or false, got 1"),
        (
            [step("blur", id="no spaces")],
            'steps[0].id: must be a letter, then up to 39 letters, digits, - or _, got "no spaces"',
        ),
        (
            [step("blur", id="original")],
            'steps[0].id: must be a letter, then up to 39 letters, digits, - or _, got "original"',
        ),
        (
            [step("blur", mask="original")],
            "steps[0].mask: blur has no such parameter; it has none",
        ),
        (
            [step("add", other="input:a b")],
            "steps[0].other: the name after input: must be a letter, then up to 39 letters, "
            'digits, - or _, got "a b"',
        ),
    ],
)
def test_what_names_no_image_is_refused_with_one_sentence(steps, sentence):
    with pytest.raises(ValueError, match=r"^steps") as error:
        check(*steps)
    assert str(error.value) == sentence


def test_inputs_must_be_given_and_read():
    add = step("add", other="input:flat")
    check(add)
    check(add, inputs=["flat"])
    with pytest.raises(ValueError, match=r"no input is called \"flat\"; the inputs are dark$"):
        check(add, inputs=["dark"])
    with pytest.raises(ValueError, match=r"no input is called \"flat\"; no inputs are given$"):
        check(add, inputs=[])
    with pytest.raises(ValueError, match=r"^inputs.dark: no step reads input:dark; leave it out$"):
        check(add, inputs=["flat", "dark"])
    with pytest.raises(ValueError, match=r"^inputs.flat: no step reads"):
        check(step("blur"), inputs=["flat"])


def test_a_plain_chain_has_nothing_but_its_parameters():
    found = check(step("blur"), step("edges", mask=None, keep=False, image=None))
    assert found == [step("blur"), step("edges")]
    assert is_chain(found, recipe.by_name(CATALOGUE))


def test_a_table_leaves_the_image_to_the_next_step():
    check(step("blur"), step("count"), step("edges"))
    check(step("blur", id="a"), step("count", image="a"), step("edges"))
