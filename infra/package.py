"""The API's folder as Chalice packages it for Lambda, with its few libraries beside it.

They are copied from this environment, so that packaging asks no registry: what the tests ran
with is what is deployed. boto3 is Lambda's own.
"""

import importlib.util
import os
import shutil
from pathlib import Path

from config.contract.settings import TOP

# Pure Python, without libraries of their own; a test imports the zip without any other.
LIBRARIES = ("pika", "fastjsonschema")

CONFIG = ("*.py", "contract/*.py", "contract/catalogue.json")

# Chalice writes these times into the zip, whose hash would else change with every copy.
TIME = 1_600_000_000


def stage(folder: Path) -> Path:
    """Copy the API with all that it needs into an empty folder, and return that."""
    shutil.copytree(
        TOP / "api",
        folder,
        ignore=shutil.ignore_patterns("vendor", "deployments", "__pycache__", ".env"),
        dirs_exist_ok=True,
    )
    for name in LIBRARIES:
        shutil.copytree(
            package(name), folder / "vendor" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for pattern in CONFIG:
        for path in sorted((TOP / "config").glob(pattern)):
            copy = folder / "vendor" / path.relative_to(TOP)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(path, copy)
    for path in folder.rglob("*"):
        os.utime(path, (TIME, TIME))
    return folder


def package(name: str) -> Path:
    """Find the folder of an installed library.

    Raises
    ------
    FileNotFoundError
        If it is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"{name} is not installed in .venv; run: make synth")
    return Path(found.origin).parent
