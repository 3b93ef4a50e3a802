"""Who may import whom: the rooms of the house, held against the code."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent

WORKER = "cluster_worker."
PIXELS, KERNELS, OPERATIONS, PLAN, FILES, OBJECTS = (
    WORKER + room for room in ("pixels", "kernels", "operations", "plan", "imagefiles", "objects")
)
DECLARE = OPERATIONS + ".declare"
# What every room of the worker may import: they know no room themselves.
COMMON = {WORKER + name for name in ("errors", "lazy", "log", "process", "timings")}
ARRAYS = {"numpy", "scipy", "skimage"}  # scipy is what scikit-image itself computes with
CODECS = {"PIL", "tifffile", "imagecodecs", "isal", "pydicom", "pi_heif", "OpenEXR"}
AWS = {"boto3", "botocore"}

# The first line that a file's path begins with holds for it: what it may import besides the
# standard library and its own room.
MAY_IMPORT = {
    "config/": set(),
    "api/": {"chalicelib", "config", "chalice", *AWS, "pika", "fastjsonschema"},
    "cluster_worker/pixels/": {"numpy", *COMMON},
    "cluster_worker/kernels/": {PIXELS, *ARRAYS, "numba", "llvmlite", "cv2", *COMMON},
    "cluster_worker/operations/support/": {PIXELS, KERNELS, DECLARE, *ARRAYS, *COMMON},
    "cluster_worker/operations/declare/": {PIXELS, *ARRAYS, *COMMON},
    "cluster_worker/operations/": {PIXELS, KERNELS, *ARRAYS, *COMMON},
    "cluster_worker/plan/": {PIXELS, KERNELS, OPERATIONS, "numpy", *COMMON},
    "cluster_worker/imagefiles/": {PIXELS, "numpy", *CODECS, *COMMON},
    "cluster_worker/objects/store.py": {"obstore", *COMMON},
    "cluster_worker/objects/": {PIXELS, FILES, "numpy", "imagecodecs", *COMMON},
    "cluster_worker/engine/mpi.py": {"mpi4py", *COMMON},
    "cluster_worker/engine/": {
        *(PIXELS, OPERATIONS, PLAN, FILES, OBJECTS),
        *("config", "numpy", *COMMON),
    },
    "cluster_worker/node/consumer.py": {"config", "pika", *COMMON},
    "cluster_worker/node/metrics.py": {"cluster_worker", "config", "prometheus_client"},
    "cluster_worker/node/": {"cluster_worker", "config", "numpy", *AWS},
    "cluster_worker/errors.py": set(),
    "cluster_worker/lazy.py": set(),
    "cluster_worker/log.py": set(),
    "cluster_worker/process.py": set(),
    "cluster_worker/timings.py": set(),
    "cluster_worker/table_pictures.py": {"cluster_worker", "config", "PIL", "numpy", "skimage"},
    "cluster_worker/": {"cluster_worker", "config", "tqdm"},
    "infra/local/": {
        "infra.headers",
        "config",
        *AWS,
        "pika",
        "chalice",
        "aiohttp",
        "yarl",
    },
    "infra/server/": {"infra", "config", "chalice", "waitress"},
    "infra/account.py": {"config", "infra", *AWS},
    "infra/drill.py": {"config", "infra", *AWS},
    "infra/letters.py": {"config", *AWS},
    "infra/restore.py": AWS,
    "infra/": {"config", "aws_cdk", "cdk_nag", "constructs", "chalice"},
}
SOURCES = {
    str(path.relative_to(TOP)): path.read_text()
    for room in ("config", "api", "infra", "cluster_worker")
    for path in sorted((TOP / room).rglob("*.py"))
    if not {"vendor", "node_modules"} & set(path.parts)
}


@cache
def imports(source):
    """Name all modules that a file imports, inside functions and lazily too."""
    return tuple(imported_by(ast.parse(source)))


def imported_by(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                named = f"{node.module}.{each.name}"
                yield named if file_of(named) else node.module
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazily":
            yield node.args[0].value


def file_of(module):
    """Find the file of a module of ours, if it is one."""
    path = module.replace(".", "/")
    places = (f"{path}.py", f"{path}/__init__.py", f"api/{path}.py")
    return next((each for each in places if each in SOURCES), None)


def forbidden(name, source):
    """List the modules that a file imports and its room may not."""
    start, allowed = next(each for each in MAY_IMPORT.items() if name.startswith(each[0]))
    room = start if start.endswith("/") else start.rpartition("/")[0]
    allowed = {*allowed, *sys.stdlib_module_names, room.strip("/").replace("/", ".")}
    return [
        module
        for module in imports(source)
        if not any(module == each or module.startswith(f"{each}.") for each in allowed)
    ]


def test_a_file_imports_only_what_its_room_may():
    found = {name: forbidden(name, source) for name, source in SOURCES.items()}
    assert len(found) > 200
    assert {name: modules for name, modules in found.items() if modules} == {}


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("cluster_worker/pixels/tiling.py", "skimage.util"),
        ("cluster_worker/plan/run.py", "cluster_worker.engine.wire"),
        ("cluster_worker/imagefiles/streams.py", "cluster_worker.plan.run"),
        ("cluster_worker/operations/filters.py", "cluster_worker.plan.cost"),
        ("cluster_worker/engine/dispatch.py", "mpi4py"),
        ("cluster_worker/node/runner.py", "pika"),
        ("cluster_worker/objects/chunks.py", "obstore"),
        ("api/chalicelib/transitions.py", "numpy"),
        ("config/contract/job.py", "boto3"),
    ],
)
def test_a_forbidden_import_is_found_inside_a_function_too(name, module):
    assert forbidden(name, f"def late():\n    from {module} import anything\n") == [module]
    assert forbidden(name, f'late = lazily("{module}")\n') == [module]


def test_no_file_imports_itself_by_a_detour():
    graph = {
        name: {file for module in imports(source) if (file := file_of(module))}
        for name, source in SOURCES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_only_a_rank_knows_mpi():
    users = [name for name, text in SOURCES.items() if "cluster_worker.engine.mpi" in imports(text)]
    assert users == ["cluster_worker/engine/rank.py"]


@pytest.mark.parametrize(
    ("folder", "module", "unwanted"),
    [
        ("api", "app", ["numpy", "cluster_worker"]),
        (".", "infra.cost", ["aws_cdk", "boto3"]),
        (".", "infra.letters", ["aws_cdk"]),
        (".", "cluster_worker.__main__", ["prometheus_client", "http.server"]),
        (".", "config.contract.otlp", ["urllib.request", "ssl"]),
        (".", "cluster_worker.imagefiles.decoder_forkserver", ["skimage", "numba", "boto3"]),
        (".", "cluster_worker.plan.run", ["mpi4py", "boto3"]),
        (".", "cluster_worker.engine.engine", ["skimage", "numba", "cv2", "mpi4py"]),
    ],
)
def test_a_module_does_not_load_what_it_never_needs(folder, module, unwanted):
    code = f"import sys, {module}; print([m for m in {unwanted} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TOP / folder,
        env={"PYTHONPATH": f"{TOP}:{TOP / 'api'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert found.stdout.strip() == "[]"
