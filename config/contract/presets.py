"""Ready-made recipes, from a raw image to a table: one list for the shell, the page and documents.

`presets.json` holds them: an id, a name and a line of help for people, and the steps.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

FILE = Path(__file__).with_name("presets.json")


class Preset(TypedDict):
    """A ready-made recipe.

    Attributes
    ----------
    id, name, help : str
        Its name for the shell, its name for people, and what it is for.
    steps : list of dict
        As the API takes them; defaults are left out.
    """

    id: str
    name: str
    help: str
    steps: list[dict[str, Any]]


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by their ids."""
    return {each["id"]: each for each in json.loads(FILE.read_text(encoding="utf-8"))}
