"""The results of a job: which steps of its recipe give them, and how its row lists them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from config.contract.references import ORIGINAL, Schema, gives_table, result_name

Kind = Literal["image", "table"]


class ResultStep(NamedTuple):
    """A step that gives a result.

    Attributes
    ----------
    id : str
        The step's id, or its number, from 1. The image itself, if only tables are made of it, is
        "original".
    operation : str
        Name of its operation; "" for the image itself.
    kind : {"image", "table"}
        What it gives.
    name : str
        Name of the table or of the kept image among the results of its recipe; "" for a last image
        that is not kept.
    number : int
        Number of the step in the recipe, from 0; -1 for the image itself.
    is_last_image : bool
        Whether it is the last image, which is the main result.
    """

    id: str
    operation: str
    kind: Kind
    name: str
    number: int
    is_last_image: bool


@dataclass(frozen=True)
class Result:
    """A result that is stored.

    Attributes
    ----------
    id, operation, kind
        As in `ResultStep`.
    key : str
        Key in the bucket of the results.
    name : str
        File name under which browsers save it.
    type : str
        Media type.
    bytes : int
        Size of the file.
    rows : int
        Rows of a table, without the line of names.
    columns : tuple of (str, str)
        Names and units of the columns of a table.
    image_kind : str
        What an image is, such as "labels".
    pixel_size : tuple of float or None
        Height and width in metres of the pixels that a table measures, if the file says it.
    """

    id: str
    operation: str
    kind: Kind
    key: str
    name: str
    type: str
    bytes: int
    rows: int = 0
    columns: tuple[tuple[str, str], ...] = ()
    image_kind: str = ""
    pixel_size: tuple[float, float] | None = None


def result_steps(
    steps: Sequence[Mapping[str, Any]], operations: Mapping[str, Schema]
) -> list[ResultStep]:
    """Return the steps of a checked recipe that give results, in their order."""
    are_tables = [gives_table(step, operations) for step in steps]
    last = max((i for i, is_table in enumerate(are_tables) if not is_table), default=-1)
    found = [ResultStep(ORIGINAL, "", "image", "", -1, True)] if last < 0 else []
    for number, (step, is_table) in enumerate(zip(steps, are_tables, strict=True)):
        given = str(step.get("id", number + 1)), step["operation"]
        if is_table:
            found.append(ResultStep(*given, "table", result_name(step), number, False))
        elif step.get("keep") or number == last:
            name = step["id"] if step.get("keep") else ""
            found.append(ResultStep(*given, "image", name, number, number == last))
    return found


def to_text(results: Sequence[Result]) -> str:
    """Write results for a job's row."""
    return json.dumps([asdict(each) for each in results], separators=(",", ":"))


def from_text(text: str) -> list[Result]:
    """Read the results of a job's row; an older worker listed none."""
    return [
        Result(
            **each
            | {
                "columns": tuple(map(tuple, each["columns"])),
                "pixel_size": tuple(each.get("pixel_size") or ()) or None,
            }
        )
        for each in json.loads(text or "[]")
    ]
