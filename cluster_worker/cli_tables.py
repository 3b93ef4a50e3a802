"""Where `dip run` puts the table of a recipe, and the ready-made recipes."""

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster_worker.engine.file_results import beside
from cluster_worker.errors import Rejected
from cluster_worker.objects.store import is_address
from cluster_worker.operations import OPERATIONS
from config.contract.presets import presets


@contextmanager
def targets(options: argparse.Namespace, steps: Any) -> Iterator[Path | str]:
    """Return where the image is written, and put the table where ``--table`` says at the end.

    Without a target, the image is written to a folder that is removed.

    Raises
    ------
    Rejected
        If there is nothing to write, or the recipe does not give one table.
    """
    target, table = options.target, options.table
    if table is None:
        if target is None:
            raise Rejected("target: name an image to write, or give --table for a table alone")
        yield target
        return
    names = table_names(steps)
    if len(names) != 1:
        raise Rejected(f"--table: the recipe must give one table, it gives {len(names)}")
    if target and is_address(target):
        raise Rejected(
            f"--table: the table goes beside {target}, under its name and the step's id; leave "
            "--table out"
        )
    if not os.access(table.parent, os.W_OK):
        raise Rejected(f"{table}: cannot be written: {table.parent} is no folder to write to")
    if table.is_dir():
        raise Rejected(f"{table}: cannot be written: it is a folder; name a file in it")
    with TemporaryDirectory(prefix=".dip-", dir=table.parent) as folder:
        image = target or Path(folder) / "image.tif"
        yield image
        if not options.plan:
            shutil.move(beside(image, names[0], ".csv"), table)


def mappings_in(steps: Any) -> list[dict[str, Any]]:
    """Return what may be a step in steps that are not checked yet."""
    given = steps if isinstance(steps, list) else []
    return [each for each in given if isinstance(each, dict)]


def operations_in(steps: Any) -> list[str]:
    """Return the names of the operations in steps that are not checked yet."""
    named = [each.get("operation") for each in mappings_in(steps)]
    return [name for name in OPERATIONS if name in named]


def table_names(steps: Any) -> list[str]:
    """Return the names of the tables that steps give, which are not checked yet."""
    tables = [name for name, each in OPERATIONS.items() if each.gives == "table"]
    found = [each for each in mappings_in(steps) if each.get("operation") in tables]
    return [str(each.get("id", each["operation"])) for each in found]


def show_presets(_: argparse.Namespace) -> None:
    """Print all ready-made recipes, one per line."""
    for name, each in presets().items():
        print(f"{name:14} {each['name']}: {each['help']}")
