"""The check of what steps say of other steps: ids, second images, and images that are kept.

A step reads the result of the step before it. `image` names another image instead, and parameters
that are inputs name second images. A name is the `id` of an earlier step, "original", or
"input:NAME" for another image that is given with the recipe. A step that gives a table leaves the
image as it is for the next step.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from config.contract.show import show

Schema = Mapping[str, Any]

ORIGINAL = "original"
INPUT = "input:"
# What a step may say besides its operation's parameters and inputs.
WORDS = ("id", "image", "keep")
# Ids and names of inputs become parts of file names.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
NAME_RULE = "a letter, then up to 39 letters, digits, - or _"


def is_chain(steps: Sequence[Mapping[str, Any]], operations: Mapping[str, Schema]) -> bool:
    """Return whether checked steps form a plain chain: every one reads the one before it alone."""
    return not any(
        any(word in step for word in WORDS)
        or gives_table(step, operations)
        or names_inputs(step, operations)
        for step in steps
    )


def gives_table(step: Mapping[str, Any], operations: Mapping[str, Schema]) -> bool:
    """Return whether a step gives a table."""
    return operations[step["operation"]].get("gives") == "table"


def names_inputs(step: Mapping[str, Any], operations: Mapping[str, Schema]) -> list[str]:
    """Return the names of the second images that a step reads."""
    return [name for name in operations[step["operation"]].get("inputs", {}) if name in step]


def result_name(step: Mapping[str, Any]) -> str:
    """Return the name of a step's table: its id, or the name of its operation."""
    return str(step.get("id", step["operation"]))


def check_words(
    where: str, step: Mapping[str, Any], inputs: Mapping[str, Schema]
) -> dict[str, Any]:
    """Check id, image, keep and inputs of one step by themselves, and return those that it has.

    Parameters
    ----------
    where : str
        Begins the error sentences.
    step : mapping
        Not checked yet.
    inputs : mapping
        The second images of its operation.

    Raises
    ------
    ValueError
        With one sentence: where, which rule, what was found.
    """
    found: dict[str, Any] = {}
    for name, value in ((each, step.get(each)) for each in ("id", "image", *inputs)):
        required = inputs.get(name, {}).get("required")
        if value is None and required:
            raise ValueError(
                f"{where}.{name}: {step['operation']} needs a second image here; give an id, "
                f'"{ORIGINAL}" or "{INPUT}NAME"'
            )
        if value is None:
            continue
        if not isinstance(value, str):
            wanted = NAME_RULE if name == "id" else f'an id, "{ORIGINAL}" or "{INPUT}NAME"'
            raise ValueError(f"{where}.{name}: must be {wanted}, got {show(value)}")
        found[name] = value
    if "id" in found and (not NAME.fullmatch(found["id"]) or found["id"] == ORIGINAL):
        raise ValueError(f"{where}.id: must be {NAME_RULE}, got {show(found['id'])}")
    keep = step.get("keep", False)
    if not isinstance(keep, bool):
        raise ValueError(f"{where}.keep: must be true or false, got {show(keep)}")
    if keep and "id" not in found:
        raise ValueError(f"{where}.keep: needs an id as well, which names the result")
    return found | ({"keep": True} if keep else {})


def check_references(
    steps: Sequence[Mapping[str, Any]],
    operations: Mapping[str, Schema],
    inputs: Collection[str] | None,
) -> None:
    """Check that every name in checked steps stands for an image, and every image is used.

    Parameters
    ----------
    steps : sequence of mapping
        Checked one by one.
    operations : mapping
        Entries of the catalogue by their names.
    inputs : collection of str or None
        Names of the other images that are given; None if they are not known yet.

    Raises
    ------
    ValueError
        With one sentence: where, which rule, what was found.
    """
    ids = ids_of(steps, operations)
    named: set[str] = set()
    read: set[int] = set()
    flows = -1
    for number, step in enumerate(steps):
        for word in ("image", *names_inputs(step, operations)):
            if word in step:
                where = f"steps[{number}].{word}"
                named.add(step[word])
                read.add(source_of(where, step[word], number, ids, steps, operations, inputs))
        if gives_table(step, operations):
            # A table of the image that flows on reads it.
            read |= set() if "image" in step else {flows}
            continue
        read |= set() if "image" in step else {flows}
        flows = number
    for number, step in enumerate(steps):
        if not gives_table(step, operations) and not step.get("keep"):
            check_is_used(number, step, named, is_read=number in read or number == flows)
    for name in inputs or ():
        if INPUT + name not in named:
            raise ValueError(f"inputs.{name}: no step reads {INPUT}{name}; leave it out")


def ids_of(steps: Sequence[Mapping[str, Any]], operations: Mapping[str, Schema]) -> dict[str, int]:
    """Return the number of the step that has each id; a table without an id has a name as well.

    Raises
    ------
    ValueError
        If two steps have one id.
    """
    ids: dict[str, int] = {}
    for number, step in enumerate(steps):
        is_table = gives_table(step, operations)
        if "id" not in step and not is_table:
            continue
        name = result_name(step)
        if name in ids:
            where = f"steps[{number}].id" if "id" in step else f"steps[{number}]"
            rule = "give this step an id of its own"
            raise ValueError(f"{where}: steps[{ids[name]}] is called {show(name)} already; {rule}")
        ids[name] = number
    return ids


def source_of(
    where: str,
    name: str,
    number: int,
    ids: Mapping[str, int],
    steps: Sequence[Mapping[str, Any]],
    operations: Mapping[str, Schema],
    inputs: Collection[str] | None,
) -> int:
    """Return the number of the step whose image a name stands for; -1 if it is no step.

    Raises
    ------
    ValueError
        If it stands for no image, or for one of a later step.
    """
    if name == ORIGINAL:
        return -1
    if name.startswith(INPUT):
        given = name.removeprefix(INPUT)
        if not NAME.fullmatch(given):
            raise ValueError(
                f"{where}: the name after {INPUT} must be {NAME_RULE}, got {show(given)}"
            )
        if inputs is not None and given not in inputs:
            known = f"the inputs are {', '.join(inputs)}" if inputs else "no inputs are given"
            raise ValueError(f"{where}: no input is called {show(given)}; {known}")
        return -1
    found = ids.get(name)
    if found is None:
        near = get_close_matches(name, [*ids, ORIGINAL], n=1)
        earlier = ", ".join(each for each, at in ids.items() if at < number) or "none"
        said = f"did you mean {near[0]}?" if near else f"ids before it are {earlier}"
        raise ValueError(f"{where}: no step has the id {show(name)}; {said}")
    if found >= number:
        whose = "this step itself" if found == number else f"steps[{found}], which comes later"
        raise ValueError(f"{where}: {show(name)} is the id of {whose}; name an earlier step")
    if gives_table(steps[found], operations):
        raise ValueError(f"{where}: {show(name)} is a table; name a step that gives an image")
    return found


def check_is_used(number: int, step: Mapping[str, Any], named: set[str], *, is_read: bool) -> None:
    """Check that a step that gives an image is read, and that its id is named.

    Raises
    ------
    ValueError
        If it is not.
    """
    if "id" in step and step["id"] not in named:
        raise ValueError(
            f"steps[{number}].id: no step names {show(step['id'])}, and it is not kept; name it in "
            "a later step, keep it, or leave the id out"
        )
    if not is_read:
        raise ValueError(
            f"steps[{number}]: no step reads its result; give it an id and keep it, or leave it out"
        )
