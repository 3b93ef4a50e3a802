"""The words of `dip run` as steps and inputs, and numbers as words."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster_worker.errors import Rejected
from cluster_worker.objects.store import is_address
from cluster_worker.operations import OPERATIONS


def read_recipe(path: Path) -> Any:
    """Read the steps from a JSON file; they are not checked yet.

    Raises
    ------
    Rejected
        If the file cannot be read or holds no JSON.
    """
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise Rejected(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Rejected(f"{path}: must hold a JSON list of steps: {error}") from error


def parse_steps(words: Sequence[str]) -> list[dict[str, Any]]:
    """Convert the words of the command line to steps.

    Parameters
    ----------
    words : sequence of str
        The name of an operation, then its parameters as ``name=value``; ``+`` stands before the
        next operation. ``as=ID`` gives a step an id, by which later steps name its image:
        ``mask=ID``, ``image=ID``. ``keep`` keeps it as a result. Or all of it as one word.

    Raises
    ------
    Rejected
        If a word is not what must come next.
    """
    if len(words) == 1:
        # A whole chain between quotation marks.
        words = words[0].split()
    steps: list[dict[str, Any]] = []
    expect_name = True
    for word in words:
        name, equals, text = word.partition("=")
        if expect_name and word not in OPERATIONS and Path(word).exists():
            raise Rejected(
                f"steps: {word} is a file or folder, and no operation; for many images give their "
                "folder, or a pattern between quotation marks"
            )
        if word == "+":
            expect_name = True
        elif expect_name and not equals:
            steps.append({"operation": word})
            expect_name = False
        elif word == "keep" and not expect_name:
            steps[-1]["keep"] = True
        elif name == "as" and equals and not expect_name:
            steps[-1]["id"] = text
        elif equals and steps and not expect_name:
            steps[-1][name] = parse_parameter(steps[-1]["operation"], name, text)
        else:
            wanted = "an operation" if expect_name else "name=value, or + before the next operation"
            raise Rejected(f"steps: expected {wanted}, got {word!r}")
    return steps


def parse_parameter(operation: str, name: str, text: str) -> Any:
    """Convert a word to a parameter's value; the values of a list may be separated by commas."""
    value = parse_value(text)
    known = OPERATIONS[operation].parameters if operation in OPERATIONS else {}
    if "items" in known.get(name, {}) and not isinstance(value, list):
        return [parse_value(each) for each in text.split(",")]
    return value


def place(text: str) -> Path | str:
    """Return the path of a file, or the address of an object."""
    return text if is_address(text) else Path(text)


def parse_inputs(words: Sequence[str]) -> dict[str, Path | str]:
    """Convert the words after ``--input`` to names and places.

    Raises
    ------
    Rejected
        If a word is not NAME=FILE, or a name is given twice.
    """
    found: dict[str, Path | str] = {}
    for word in words:
        name, equals, given = word.partition("=")
        if not equals or not name or not given:
            raise Rejected(f"--input: must be NAME=FILE, got {word!r}")
        if name in found:
            raise Rejected(f"--input: {name} is given twice")
        found[name] = place(given)
    return found


def parse_value(text: str) -> Any:
    """Convert a word of JSON (a number, true, null, a list) to its value; others stay text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def duration(seconds: float) -> str:
    """Return a time as text with one or two digits: an estimate is no more exact."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def mib(count: int) -> str:
    """Return a count of bytes as text, in MiB."""
    return f"{count / 2**20:.0f} MiB"
