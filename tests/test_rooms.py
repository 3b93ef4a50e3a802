"""Who may import whom: the rooms' table, held against the code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
# scipy is what scikit-image itself computes with.
ARRAYS = {"numpy", "scipy", "skimage"}
CODECS = {"PIL", "tifffile", "imagecodecs", "isal"}

# The first line that a file's path begins with holds for it. Modules of the standard library and
# of a file's own room are always allowed; within cluster_worker, see the second test.
MAY_IMPORT = {
    "config/": set(),
    "api/": {"config", "chalice", "boto3", "botocore", "pika", "fastjsonschema"},
    "infra/local/": {
        *("config", "boto3", "botocore", "pika", "moto", "werkzeug", "chalice", "aiohttp", "yarl"),
    },
    "infra/server/": {"config", "chalice", "waitress"},
    "infra/__init__.py": set(),
    "infra/headers.py": set(),
    "infra/package.py": {"config"},
    "infra/settings.py": {"config"},
    "infra/cost.py": {"config"},
    "infra/letters.py": {"boto3", "botocore", "config"},
    "infra/smoke.py": set(),
    "infra/": {"aws_cdk", "cdk_nag", "constructs", "chalice", "config"},
    "cluster_worker/kernels/": ARRAYS | {"numba", "llvmlite", "cv2"},
    "cluster_worker/operations/": ARRAYS,
    "cluster_worker/depths.py": ARRAYS,
    "cluster_worker/planning.py": {"numpy"},
    "cluster_worker/plans.py": {"numpy"},
    "cluster_worker/blocks.py": {"numpy"},
    "cluster_worker/tiling.py": set(),
    "cluster_worker/pipeline.py": {"numpy"},
    "cluster_worker/viewing.py": {"numpy"},
    "cluster_worker/surfaces.py": {"numpy"},
    "cluster_worker/world.py": {"mpi4py"},
    "cluster_worker/rank.py": {"numpy"},
    "cluster_worker/consumer.py": {"pika", "config"},
    "cluster_worker/storage.py": {"boto3", "botocore", "config"},
    "cluster_worker/rows.py": {"botocore", "config"},
    "cluster_worker/node.py": {"botocore", "config"},
    "cluster_worker/metadata.py": set(),
    "cluster_worker/formats.py": {"numpy"},
    "cluster_worker/codecs/": {"numpy"} | CODECS,
    "cluster_worker/cli.py": {"tqdm", "config"},
    "cluster_worker/": {"numpy", "config"},
}
# Modules of our own that know a library, and who may use them.
ONLY_FOR = {
    "cluster_worker.world": {"cluster_worker/rank.py"},
    "cluster_worker.consumer": {
        "cluster_worker/__main__.py",
        "cluster_worker/node.py",
        "cluster_worker/runner.py",
    },
    "cluster_worker.storage": {
        "cluster_worker/__main__.py",
        "cluster_worker/fetching.py",
        "cluster_worker/node.py",
        "cluster_worker/runner.py",
        "cluster_worker/rows.py",
    },
}
FILES = [
    path
    for room in ("config", "api", "infra", "cluster_worker")
    for path in sorted((TOP / room).rglob("*.py"))
    if not {"vendor", "node_modules"} & set(path.parts)
]


def imports(path):
    """Name all modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TOP)))
def test_a_file_imports_only_what_its_room_may(path):
    name = str(path.relative_to(TOP))
    allowed = next(may for start, may in MAY_IMPORT.items() if name.startswith(start))
    own = {name.partition("/")[0], "chalicelib" if name.startswith("api/") else "config"}
    for module in imports(path):
        top = module.partition(".")[0]
        if top in own - {"config"} or top in sys.stdlib_module_names:
            continue
        assert top in allowed or (top == "config" and name.startswith("config/")), module


def test_kernels_know_no_operations():
    kernels = [path for path in FILES if path.is_relative_to(TOP / "cluster_worker/kernels")]
    assert len(kernels) > 20
    for path in kernels:
        assert not [each for each in imports(path) if each.startswith("cluster_worker.operations")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TOP)))
def test_what_knows_a_library_is_used_only_where_the_parts_are_put_together(path):
    name = str(path.relative_to(TOP))
    for module in imports(path):
        assert name in ONLY_FOR.get(module, {name}), module


def test_the_api_loads_neither_numpy_nor_the_worker():
    code = "import sys, app; print([m for m in ('numpy', 'cluster_worker') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TOP / "api",
        env={"PYTHONPATH": f"{TOP}:{TOP / 'api'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert found.stdout.strip() == "[]"
