"""The example of a new operation runs as printed, and no other file needs to change for it."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from config.contract.settings import TOP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Documents that may print the example.
DOCUMENTS = ("CONTRIBUTING.md", "README.md")
FOLDERS = ("api/chalicelib", "cluster_worker", "config", "tests")
# Runs in the copy: the catalogue, the API's contract, the documents, and two ranks.
CODE = """
import json

import numpy as np
from scipy import ndimage

from chalicelib.contract import document
from chalicelib.schemas import Limits
from cluster_worker import Engine
from cluster_worker.operations import OPERATIONS, catalogue
from tests import documents, nodata_list

image = np.random.default_rng(0).integers(0, 255, (700, 500, 3), np.uint8)
with Engine(ranks=2) as engine:
    found = engine.run(image, [{"operation": "brightest", "size": 7}])
expected = ndimage.maximum_filter(image, (7, 7, 1))
pages = documents.pages()
print(json.dumps({
    "pixels": bool((found == expected).all()),
    "entry": next(each for each in catalogue()["operations"] if each["name"] == "brightest"),
    "contract": "brightest" in json.dumps(document(catalogue(), Limits())),
    "page": "## Brightest neighbour" in pages["filters.md"],
    "list": "`brightest`" in pages["parameters.md"],
    "rule": nodata_list.has_rule(OPERATIONS["brightest"]),
    "picture": documents.picture(OPERATIONS["brightest"]).shape,
}))
"""


def example():
    """Return the code of the example."""
    texts = [(TOP / name).read_text() for name in DOCUMENTS if (TOP / name).is_file()]
    blocks = re.findall(r"^```python\n(.*?)^```", "".join(texts), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if "@operation(" in block]
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Copy the sources and add the example as a new file."""
    folder = tmp_path_factory.mktemp("copy")
    for each in FOLDERS:
        # Compiled kernels lie in __pycache__; they stay valid since the copy keeps the file times.
        shutil.copytree(TOP / each, folder / each)
    shutil.copy(TOP / "pyproject.toml", folder)
    (folder / "cluster_worker" / "operations" / "brightest.py").write_text(example())
    return folder


def run(folder, *arguments):
    found = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}:{folder / 'api'}"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-4000:]
    return found.stdout


def test_the_example_runs_on_ranks_and_is_in_catalogue_contract_and_documents(copy):
    found = json.loads(run(copy, "-c", CODE).splitlines()[-1])
    assert found["pixels"]
    assert found["entry"]["group"] == "Filters"
    assert found["entry"]["parameters"]["properties"]["size"]["x-unit"] == "px"
    assert found["contract"]
    assert found["page"]
    assert found["list"]
    # Then it is in the list of docs/nodata.md, which is written with the other documents.
    assert not found["rule"]
    assert found["picture"]


def test_the_claims_of_the_catalogue_hold_for_the_example_too(copy):
    claims = "tests/cluster_worker/operations/test_catalogue.py"
    said = run(copy, "-m", "pytest", "-q", "-m", "not long", "--operation", "brightest", claims)
    assert " passed" in said
    assert "failed" not in said


def test_the_example_has_the_style_of_the_repository(copy):
    path = "cluster_worker/operations/brightest.py"
    run(copy, "-m", "ruff", "check", path)
    run(copy, "-m", "ruff", "format", "--check", path)
