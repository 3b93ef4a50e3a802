"""The API's folder with its few libraries, as Chalice packages it for Lambda.

The libraries are copied from the current environment, without a registry. So the deployed versions
are those that the tests ran with. boto3 is not copied, because Lambda has it.
"""

import importlib.util
import os
import shutil
from pathlib import Path

from config.contract.settings import TOP

# Pure Python libraries without dependencies; a test imports the zip without other libraries.
LIBRARIES = ("pika", "fastjsonschema")

CONFIG = ("*.py", "contract/*.py", "contract/catalogue.json", "contract/formats.json")

# Time of all files, in seconds since 1970. Chalice writes it into the zip, whose hash would
# otherwise change with every copy.
TIME = 1_600_000_000


def stage(folder: Path) -> Path:
    """Copy the API, its libraries and `config` into an empty folder; return the folder."""
    shutil.copytree(
        TOP / "api",
        folder,
        ignore=shutil.ignore_patterns("vendor", "deployments", "__pycache__", ".env"),
        dirs_exist_ok=True,
    )
    for name in LIBRARIES:
        shutil.copytree(
            find_package(name),
            folder / "vendor" / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    if not (catalogue := TOP / "config" / "contract" / "catalogue.json").is_file():
        raise FileNotFoundError(f"{catalogue} is not there; run: infra/local/setup.sh synth")
    for pattern in CONFIG:
        for path in sorted((TOP / "config").glob(pattern)):
            copy = folder / "vendor" / path.relative_to(TOP)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(path, copy)
    for path in folder.rglob("*"):
        os.utime(path, (TIME, TIME))
    return folder


def find_package(name: str) -> Path:
    """Return the folder of an installed library.

    Raises
    ------
    FileNotFoundError
        If the library is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"{name} is not installed in .venv; run: make synth")
    return Path(found.origin).parent
