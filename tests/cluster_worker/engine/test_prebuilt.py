"""Kernels of an image: compiled for a family of processors, used without a compilation."""

import os
import subprocess
import sys
import textwrap

import pytest

from cluster_worker.engine import compiling, prebuilt
from config.contract.settings import TOP

FAMILY = "x86-64-v3"

LOOP = """
import numba
import numpy as np

@numba.njit(["float32(float32[:])"], cache=True)
def total(values):
    sum = numba.float32(0)
    for each in values:
        sum += each
    return sum

def compiled_now():
    return sum(total.stats.cache_misses.values())
"""


@pytest.fixture
def source(tmp_path):
    """A module with a loop, as those of the kernels are."""
    (tmp_path / "loop.py").write_text(LOOP)
    return tmp_path


FOREIGN = """
import numpy as np
from cluster_worker.kernels.loops import compiling, depths
from numba import config

found = np.empty(3, np.float32)
depths.to_floats(np.array([0, 51, 255], np.uint8), np.float32(1 / 255), found)
print(found.astype(float).round(3).tolist(), sorted(compiling.FEATURES), config.CPU_NAME)
"""


def run(source, code, **environment):
    """Run code in a new process, in which numba has not been imported."""
    inherited = {name: each for name, each in os.environ.items() if not name.startswith("NUMBA")}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=inherited | {"PYTHONPATH": f"{TOP}:{source}", **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def build(source):
    """Compile as the image's build does; return the folder of all families."""
    folder = source / "image" / FAMILY
    environment = prebuilt.target(FAMILY) | {"NUMBA_CACHE_DIR": str(folder)}
    assert run(source, "import loop; print(loop.compiled_now())", **environment) == "1\n"
    (folder / compiling.MARK).write_text("sources and family")
    (folder / f"{compiling.MARK}.lock").touch()
    return source / "image"


BOOT = """
import sys
from cluster_worker.engine.prebuilt import count_compiled, use_prebuilt
assert "numba" not in sys.modules
is_used = use_prebuilt(sys.argv[1] if len(sys.argv) > 1 else {folder!r})
import loop
print(is_used, loop.compiled_now(), count_compiled())
"""


def test_a_node_of_the_family_compiles_nothing(source):
    flags = prebuilt.flags_of_processor()
    assert prebuilt.FAMILIES[FAMILY] <= flags, "these tests need a processor of the last ten years"
    folder, cache = build(source), source / "cache"
    said = run(source, BOOT.format(folder=str(folder)), NUMBA_CACHE_DIR=str(cache))
    assert said.splitlines()[-1] == "True 0 0"
    assert {each.is_symlink() for each in cache.rglob("*.nb[ic]")} == {True}
    # The marks and locks of the image cannot be written; those of the node can.
    assert (cache / compiling.MARK).read_text() == "sources and family"
    assert not (cache / compiling.MARK).is_symlink()
    assert not (cache / f"{compiling.MARK}.lock").exists()


def test_a_loop_that_the_image_lacks_is_compiled_and_counted(source):
    folder, cache = build(source), source / "cache"
    with (source / "loop.py").open("a") as file:
        file.write("# changed after the build\n")
    said = run(source, BOOT.format(folder=str(folder)), NUMBA_CACHE_DIR=str(cache))
    assert said.splitlines()[-1] == "True 1 1"


def test_a_processor_without_the_familys_features_compiles_for_itself(
    source, tmp_path, monkeypatch
):
    folder = tmp_path / "image"
    (folder / FAMILY).mkdir(parents=True)
    old = tmp_path / "cpuinfo"
    old.write_text("processor\t: 0\nflags\t\t: fpu sse sse2 avx\n")
    monkeypatch.setattr(prebuilt, "CPUINFO", old)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert not prebuilt.use_prebuilt(str(folder), environment)
    assert "NUMBA_CPU_NAME" not in environment


def test_the_largest_family_that_fits_is_taken(tmp_path, monkeypatch):
    for family in prebuilt.FAMILIES:
        (tmp_path / "image" / family).mkdir(parents=True)
    for family, flags in prebuilt.FAMILIES.items():
        (tmp_path / "cpuinfo").write_text(f"flags : {' '.join(sorted(flags))}\n")
        monkeypatch.setattr(prebuilt, "CPUINFO", tmp_path / "cpuinfo")
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        assert prebuilt.use_prebuilt(str(tmp_path / "image"), environment)
        assert environment["NUMBA_CPU_NAME"] == family


def test_the_fingerprint_of_a_family_is_that_of_no_machine(monkeypatch):
    here = compiling.fingerprint()
    monkeypatch.setenv("NUMBA_CPU_NAME", FAMILY)
    assert compiling.fingerprint() != here
    monkeypatch.setattr(compiling, "Path", None)  # /proc/cpuinfo is not read
    assert compiling.processor() == FAMILY


def test_a_node_without_such_a_folder_is_as_before(tmp_path):
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert not prebuilt.use_prebuilt("", environment)
    assert environment == {"NUMBA_CACHE_DIR": str(tmp_path)}


def test_a_node_imports_no_numba_before_it_looks_for_the_images_kernels(tmp_path):
    code = "import sys, cluster_worker.__main__; print('numba' in sys.modules)"
    assert run(tmp_path, code) == "False\n"


@pytest.mark.parametrize(("given", "asked"), [("", []), ("+avx2,-avx512f", ["avx2", "avx512f"])])
def test_loops_compile_for_a_processor_that_is_no_family(source, given, asked):
    environment = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": given}
    folder = {"NUMBA_CACHE_DIR": str(source / "cache")}
    found = run(source, FOREIGN, **environment, **folder)
    assert found == f"[0.0, 0.2, 1.0] {asked} haswell\n"
