"""Kernels that are not compiled keep no engine from starting; they come when they are ready."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from skimage import data

from cluster_worker import Engine
from cluster_worker.engine import compiling
from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.declare import Operation
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from config.contract import recipe
from config.contract.settings import TOP
from tests.infra.processes import eventually, is_alive

STEPS = [{"operation": "gaussian"}, {"operation": "threshold_otsu"}]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path


def copy_kernels(folder):
    """Copy the compiled kernels of this clone; numba names a folder after that of the sources."""
    digest = hashlib.sha1(str(compiling.LOOPS).encode()).hexdigest()  # noqa: S324 - as numba does
    there = folder / f"{compiling.LOOPS.name}_{digest}"
    there.mkdir(exist_ok=True)
    for path in (compiling.LOOPS / "__pycache__").glob("*.nb[ic]"):
        shutil.copy2(path, there)


def says_compiled():
    command = [sys.executable, "-m", "cluster_worker.engine.compiling"]
    return subprocess.run(command, cwd=TOP, timeout=60, check=False).returncode == 0


def test_kernels_are_compiled_once_for_all_processes(folder):
    (folder / "loops_1").mkdir()
    old = folder / "loops_1" / "axes.sort_by-66.py311.nbi"
    old.touch()
    compiled = []
    assert not compiling.are_compiled()
    assert not says_compiled()
    for _ in range(2):
        compiling.compile_with(lambda: compiled.append(old.exists()))
    assert compiled == [False]
    assert compiling.are_compiled()
    assert says_compiled()


def test_kernels_of_other_sources_or_of_a_compilation_that_failed_are_not_taken(
    folder, tmp_path_factory, monkeypatch
):
    made = folder / "axes.sort_by-66.py311.nbi"

    def fail():
        made.touch()
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            compiling.compile_with(fail)
        assert not compiling.are_compiled()
    compiling.compile_with(lambda: None)
    assert made.exists()
    changed = tmp_path_factory.mktemp("loops")
    shutil.copytree(compiling.LOOPS, changed, dirs_exist_ok=True)
    with (changed / "axes.py").open("a") as file:
        file.write("# changed\n")
    monkeypatch.setattr(compiling, "LOOPS", changed)
    assert not compiling.are_compiled()


@pytest.mark.parametrize("name", [name for name, each in OPERATIONS.items() if each.kernels])
def test_a_plan_without_kernels_has_functions_only(name, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a kernel was asked for")

    monkeypatch.setattr(Operation, "kernel", refuse)
    steps = recipe.check([{"operation": name}], {"operations": [OPERATIONS[name].entry()]}, 1)
    takes = OPERATIONS[name].takes
    header = header_of((40, 50), "uint8" if takes == "picture" else "bool")
    planned = plan(PlanRequest(header, json.dumps(steps), kernels=False))
    assert planned.passes


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_engine_works_before_its_kernels_are_compiled_and_has_them_afterwards(folder):
    image = data.camera()
    header = header_of(image.shape, "uint8")
    # As long as the folder is locked, kernels are "compiled" by somebody else.
    with compiling.locked_folder(wait=True):
        engine = Engine(1, warm=True)
        before = engine.run(image, STEPS)
        assert not engine.plan_request(header, STEPS).kernels
        forkserver, ranks = engine.source.process.pid, engine.pids()
        copy_kernels(folder)
        (folder / compiling.MARK).write_text(compiling.fingerprint())
    with engine:
        assert engine.kernels.settled.wait(180)
        assert engine.plan_request(header, STEPS).kernels
        assert engine.source.process.pid != forkserver
        eventually(lambda: not is_alive(forkserver))
        eventually(lambda: len(engine.pids()) == 1 and engine.pids() != ranks)
        np.testing.assert_array_equal(engine.run(image, STEPS), before)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ranks_that_serve_at_once_make_room_for_ranks_with_all_operations():
    image = data.camera()
    with Engine(2, warm=True) as engine:
        first, expected = engine.pids(), engine.run(image, STEPS)
        forkserver = engine.source.process.pid
        with engine.prepare(image.shape, "uint8", [{"operation": "invert"}]) as job:
            job.source[...] = image
            job.start()
            assert engine.kernels.settled.wait(200)
            job.wait(100)
            assert (job.result == 255 - image).all()
        eventually(
            lambda: (
                set(engine.pids()) == set(first)
                and not set(engine.pids().values()) & set(first.values())
            )
        )
        assert engine.source.process.pid != forkserver
        np.testing.assert_array_equal(engine.run(image, STEPS), expected)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_compilation_ends_with_its_engine(folder):
    with Engine(1, warm=True) as engine:
        compiler = engine.kernels
        eventually(lambda: compiler.process is not None)
        assert not compiler.are_ready
    assert compiler.process.poll() is not None
    assert not compiler.thread.is_alive()
